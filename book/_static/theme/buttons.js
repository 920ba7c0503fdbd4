/* What the theme's buttons do; the theme says it in `onclick`, which the page's policy forbids. */
"use strict";

(function () {
  function onClick(selector, action) {
    for (const button of document.querySelectorAll(selector)) button.addEventListener("click", action);
  }

  onClick(".btn-download-pdf-button", () => window.print());
  // The theme's own, which is not there where its script did not run.
  onClick(".btn-fullscreen-button", () => window.toggleFullScreen?.());
  document.querySelector(".bd-search-container input")?.focus();
})();
