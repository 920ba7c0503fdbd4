/* What is wider than its column can be reached with the keyboard, to be scrolled with the arrow keys. */
"use strict";

const WIDE = ".pst-scrollable-table-container, div.math, pre, .cell_output > .output";

/* In the box of a formula it is what MathJax puts there that scrolls. */
function makeReachable(box) {
  const scroller = box.querySelector(":scope > mjx-container") ?? box;
  if (scroller.scrollWidth > scroller.clientWidth) scroller.tabIndex = 0;
  else scroller.removeAttribute("tabindex");
}

const sizes = new ResizeObserver((entries) => entries.forEach((entry) => makeReachable(entry.target)));
for (const box of document.querySelectorAll(WIDE)) sizes.observe(box);
