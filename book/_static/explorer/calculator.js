"use strict";

// The size-and-cost calculator: the formulas of laghu.report.calculator, and the form that asks for a shape. The tests
// hold its numbers and its messages against those of Python.
(function () {
  const { html, svg, dataBehind, fixed, decimalsOf, options, field } = globalThis.laghu;
  const TOKEN_TYPES = 2;
  const PARTS = [["embeddings", "Embeddings"], ["encoder", "Encoder"], ["head", "Pooler and classifier"]];

  // ---------------------------------------------------------------------------------------------- the formulas

  function flopsPerToken({ layers, width, ffn }, length) {
    return 2 * layers * (4 * width * width + 2 * width * ffn + 2 * length * width);
  }

  /** As `calculator.numbers`; every integer stays below 2^53, which the bounds of the inputs see to. */
  function numbers(shape, reference) {
    const { vocabulary, width, layers, ffn, length, positions, labels } = shape;
    const embeddings = (vocabulary + positions + TOKEN_TYPES + 2) * width;
    const encoder = layers * (4 * width * width + 2 * width * ffn + 9 * width + ffn);
    const head = width * width + width + labels * (width + 1);
    const total = embeddings + encoder + head;
    const perToken = flopsPerToken(shape, length);
    return { embeddings, encoder, head, total, flops_per_token: perToken, flops_per_text: perToken * length,
      fp32: 4 * total, bf16: 2 * total, int8: total, bound: flopsPerToken(reference, length) / perToken };
  }

  /** As `calculator.problems`: what is wrong with the values, by key. */
  function problems(values, inputs) {
    const found = {};
    for (const { key, label, low, high } of inputs) {
      if (!Number.isInteger(values[key])) found[key] = `${label}: give a whole number.`;
      else if (values[key] < low) found[key] = `${label}: give ${fixed(low)} or more.`;
      else if (values[key] > high) found[key] = `${label}: this page counts up to ${fixed(high)}.`;
    }
    const { width, heads, length, positions } = values;
    if (!found.width && !found.heads && width % heads) {
      const near = divisorsAround(width, heads).map((number) => fixed(number)).join(" or ");
      found.heads = `${fixed(heads)} heads can't share a width of ${fixed(width)} evenly; ${near} can.`;
    }
    if (!found.length && !found.positions && length > positions) {
      found.length = `${fixed(length)} tokens are more than the ${fixed(positions)} positions that the model has.`;
    }
    return found;
  }

  function divisorsAround(width, heads) {
    const divisors = Array.from({ length: width }, (_, place) => place + 1).filter((number) => width % number === 0);
    return [...divisors.filter((number) => number < heads).slice(-1),
      ...divisors.filter((number) => number > heads).slice(0, 1)];
  }

  // ---------------------------------------------------------------------------------------------- the page

  /** A number with the prefix that leaves one to three digits before the point. */
  function prefixed(value, base, symbols) {
    let place = 0;
    while (value >= base && place < symbols.length - 1) {
      value /= base;
      place += 1;
    }
    return `${fixed(value, place ? decimalsOf(value) : 0)}\u00a0${symbols[place]}`;
  }

  const bytes = (value) => prefixed(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
  const flops = (value) => prefixed(value, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"]);
  const times = (value) => `${fixed(value, decimalsOf(value))}×`;
  const RESULTS = [
    ["Parameters", [...PARTS.map(([key, label]) => [key, label, fixed]), ["total", "All", fixed]]],
    ["Work of the encoder", [["flops_per_token", "For a token", flops], ["flops_per_text", "For a text", flops]]],
    ["Memory of the weights", [["fp32", "fp32", bytes], ["bf16", "bf16", bytes], ["int8", "int8", bytes]]],
  ];

  function input({ key, label, hint, low, high }) {
    const control = html("input", { id: `laghu-${key}`, name: `laghu-${key}`, type: "number", inputmode: "numeric", min: low,
      max: high, step: 1, required: true, "aria-describedby": `laghu-${key}-problem` });
    const place = field(label, control, html("p", { id: `laghu-${key}-problem`, class: "laghu-problem" }));
    if (hint) place.querySelector("label").append(html("span", { class: "laghu-hint" }, ` ${hint}`));
    return place;
  }

  function build(root, { inputs, shapes }) {
    const names = Object.keys(shapes).map((name) => [name, name]);
    const parts = {
      form: html("form", { class: "laghu-controls laghu-shape", "aria-label": "Shape of the model", novalidate: true },
        field("Start from", html("select", { id: "laghu-start", name: "start" }, ...options(names),
          html("option", { value: "", disabled: true }, "a shape of your own"))),
        field("Compare with", html("select", { id: "laghu-reference", name: "reference" }, ...options(names))),
        ...inputs.map(input)),
      answer: html("p", { role: "status", class: "laghu-status" }),
      bars: html("div", { class: "laghu-bars", "aria-hidden": "true" }),
      table: html("table", { class: "table laghu-table laghu-costs" }),
    };
    root.replaceChildren(parts.form, parts.answer, parts.bars,
      html("div", { class: "pst-scrollable-table-container" }, parts.table));
    return parts;
  }

  /** The control of an input; "length" alone would be how many controls the form has. */
  function controlOf(form, key) {
    return form.elements[`laghu-${key}`];
  }

  function valuesOf(form, inputs) {
    return Object.fromEntries(inputs.map(({ key }) => {
      const text = controlOf(form, key).value.trim();
      return [key, text === "" ? NaN : Number(text)];
    }));
  }

  function showProblems(form, inputs, found) {
    for (const { key } of inputs) {
      controlOf(form, key).setAttribute("aria-invalid", String(key in found));
      form.querySelector(`#laghu-${key}-problem`).textContent = found[key] ?? "";
    }
  }

  /** Both shapes as bars on one scale, divided into embeddings, encoder and head. */
  function bars(shapes) {
    const most = Math.max(...shapes.map(([, counted]) => counted.total));
    const bar = ([name, counted]) => {
      let from = 0;
      const picture = svg("svg", { viewBox: "0 0 1000 22", preserveAspectRatio: "none" }, ...PARTS.map(([key]) => {
        const wide = 1000 * counted[key] / most;
        from += wide;
        return svg("rect", { x: from - wide, y: 0, width: wide, height: 22, class: `laghu-${key}` });
      }));
      return html("div", {}, html("span", {}, name), picture);
    };
    const key = html("p", {}, ...PARTS.flatMap(([name, label]) => [
      svg("svg", { viewBox: "0 0 10 10" }, svg("rect", { width: 10, height: 10, class: `laghu-${name}` })), label]));
    return [...shapes.map(bar), key];
  }

  function table(own, other, reference) {
    const line = ([key, label, text]) => html("tr", {}, html("th", { scope: "row", class: "stub" }, label),
      html("td", { "data-key": key, "data-value": own[key] }, text(own[key])), html("td", {}, text(other[key])),
      html("td", {}, times(own[key] / other[key])));
    return [
      html("caption", {}, "Beside the reference at the same sequence length. Memory: all parameters in that precision, "
        + "without what a format adds, such as scales."),
      html("thead", {}, html("tr", {}, ...["Measure", "This shape", reference, "Ratio"].map((text, place) =>
        html("th", { scope: "col", class: place ? null : "stub" }, text)))),
      ...RESULTS.map(([heading, lines]) => html("tbody", {},
        html("tr", {}, html("th", { colspan: 4, scope: "rowgroup", class: "stub laghu-heading" }, heading)),
        ...lines.map(line))),
    ];
  }

  function connect(root) {
    const given = dataBehind(root);
    const { inputs, shapes } = given;
    const parts = build(root, given);
    const { form } = parts;

    const fill = (shape) => { for (const { key } of inputs) controlOf(form, key).value = shape[key]; };
    const update = () => {
      const shape = valuesOf(form, inputs);
      const found = problems(shape, inputs);
      showProblems(form, inputs, found);
      const wrong = Object.keys(found).length;
      parts.bars.hidden = parts.table.hidden = Boolean(wrong);
      if (wrong) {
        parts.answer.textContent = Object.values(found).join(" ");
        return;
      }
      const reference = shapes[form.elements.reference.value];
      const own = numbers(shape, reference);
      const other = numbers({ ...reference, length: shape.length }, reference);
      parts.answer.replaceChildren("At most ",
        html("strong", { "data-key": "bound", "data-value": own.bound }, times(own.bound)),
        ` the speed of “${form.elements.reference.value}”, if time went to the encoder's matrix products alone, with `
        + `${times(own.total / other.total)} its parameters.`);
      parts.bars.replaceChildren(...bars([["This shape", own], [form.elements.reference.value, other]]));
      parts.table.replaceChildren(...table(own, other, form.elements.reference.value));
    };

    form.addEventListener("input", ({ target }) => {
      if (target.name === "start") fill(shapes[target.value]);
      else if (target.name !== "reference") form.elements.start.value = "";
      update();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.start.value = given.start;
    form.elements.reference.value = given.reference;
    fill(shapes[given.start]);
    update();
  }

  document.querySelectorAll(".laghu-calculator").forEach(connect);
})();
