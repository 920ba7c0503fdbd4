/* Light or dark, before anything is drawn: what the reader chose last, or what the system says. The theme's own scripts
   come later, remember the choice and change it. */
"use strict";

(function () {
  /** What the reader chose, as the theme's scripts remember it; nothing where the browser lets pages remember nothing. */
  function chosen() {
    try {
      return localStorage.getItem("mode");
    } catch {
      return null;
    }
  }

  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const mode = chosen() || "auto";
  Object.assign(document.documentElement.dataset, { mode, theme: mode === "auto" ? system : mode });
})();
