/* Read by MathJax when it starts. */
"use strict";

window.MathJax = {
  options: {
    // Sphinx and MyST mark what is maths; a dollar in a sentence is none.
    processHtmlClass: "math",
    // Most of the menu's entries load parts that are not shipped.
    enableMenu: false,
  },
};
