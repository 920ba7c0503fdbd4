/* What is wider than its column can be reached with the keyboard, to be scrolled with the arrow keys. */
"use strict";

const WIDE = ".pst-scrollable-table-container, div.math, pre, .cell_output > .output";

/** Name of a table for who does not see it: its caption up to the first stop, or the heading above it. */
function nameOf(table) {
  const caption = table.caption && table.caption.textContent.replace(/#$/, "").trim();
  if (caption) return caption.split(/[.:;] |\.$/)[0];
  const headings = Array.from(document.querySelectorAll("article :is(h1, h2, h3)"));
  const above = headings.filter((one) => one.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
  return above ? `Table under ${above.textContent.replace(/#$/, "").trim()}` : "Table";
}

/* In the box of a formula it is what MathJax puts there that scrolls. */
function makeReachable(box) {
  const scroller = box.querySelector(":scope > mjx-container") ?? box;
  const table = box.querySelector("table");
  const given = scroller.scrollWidth > scroller.clientWidth
    ? { tabindex: "0", ...(table && { role: "region", "aria-label": nameOf(table) }) }
    : {};
  for (const name of ["tabindex", ...(table ? ["role", "aria-label"] : [])]) {
    if (name in given) scroller.setAttribute(name, given[name]);
    else scroller.removeAttribute(name);
  }
}

const sizes = new ResizeObserver((entries) => entries.forEach((entry) => makeReachable(entry.target)));
for (const box of document.querySelectorAll(WIDE)) sizes.observe(box);
