"use strict";

// What the explorer and the calculator share. Scripts, not modules: a browser loads no module from a file.
globalThis.laghu = (function () {
  const SVG = "http://www.w3.org/2000/svg";

  /** An HTML element with attributes, `false` and `null` left out, and children, of which strings stay text. */
  function html(tag, attributes = {}, ...children) {
    return furnish(document.createElement(tag), attributes, children);
  }

  function svg(tag, attributes = {}, ...children) {
    return furnish(document.createElementNS(SVG, tag), attributes, children);
  }

  function furnish(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  /** The content of the data block behind an element of the page. */
  function dataBehind(element) {
    return JSON.parse(element.nextElementSibling.textContent);
  }

  /** A number with thousands separated, as Python's ",.2f" writes it. */
  function fixed(value, decimals = 0) {
    return value.toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  }

  /** How many decimals give a number three significant digits, without cutting any before the point. */
  function decimalsOf(value) {
    const magnitude = value ? Math.floor(Math.log10(Math.abs(value))) : 0;
    return Math.min(Math.max(2 - magnitude, 0), 6);
  }

  /** Option elements of pairs of a value and its text. */
  function options(entries, chosen) {
    return entries.map(([value, text]) => html("option", { value, selected: value === chosen }, text));
  }

  /** A label above its control, and what else belongs to it. */
  function field(text, control, ...rest) {
    return html("div", { class: "laghu-field" }, html("label", { for: control.id }, text), control, ...rest);
  }

  return { html, svg, dataBehind, fixed, decimalsOf, options, field };
})();
