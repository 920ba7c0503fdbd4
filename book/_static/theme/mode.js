/* Light or dark, before anything is drawn: what the reader chose last, or what the system says. The theme's own scripts
   come later, remember the choice and change it. */
"use strict";

const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
const mode = localStorage.getItem("mode") || "auto";
Object.assign(document.documentElement.dataset, { mode, theme: mode === "auto" ? system : mode });
