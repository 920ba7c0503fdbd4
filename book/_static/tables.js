"use strict";

// Long tables can be sorted by a button in the heading of each column. Without this script they stand as they were made.
(function () {
  const ROWS_THAT_FIT_AT_A_GLANCE = 7;
  const FACTORS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, m: 1e-3, µ: 1e-6, n: 1e-9, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };
  const BASES = ["s", "g", "B", "Wh", "texts/s", "tokens/s", "FLOP", "FLOP/s"];
  const OWN = { "": 1, "×": 1, "%": 1, points: 1, min: 60, h: 3600, "g/kWh": 1 };
  // A number as this book writes it: its spread, its unit, and what follows it in brackets or behind a dash.
  const NUMBER = new RegExp(
    "^[<≤>≥~]?\\s*([-−+]?\\d[\\d,]*(?:\\.\\d+)?(?:e[-+]?\\d+)?)" +  // the number
    "(?:\\s*±\\s*[\\d,.]+(?:e[-+]?\\d+)?)?" +                       // ± its spread
    "(?:\\s*([^\\s\\d(–\\[,;]+))?" +                                // its unit
    "(?:\\s*(?:\\(|\\[|–|to\\s|of\\s).*)?$");                       // an interval, a range or what it is a part of
  const DATE = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d))?$/;

  /** What the unit multiplies by, or nothing for what is no unit of this book. */
  function factor(unit) {
    if (unit in OWN) return OWN[unit];
    if (BASES.includes(unit)) return 1;
    if (unit in FACTORS) return FACTORS[unit];
    const base = BASES.find((name) => unit.endsWith(name) && unit.slice(0, -name.length) in FACTORS);
    return base && FACTORS[unit.slice(0, -base.length)];
  }

  /** A cell's text as a number: null where it is empty or a dash, undefined where it is something else. */
  function number(text) {
    const plain = text.replace(/\s+/g, " ").trim();
    if (plain === "" || plain === "–") return null;
    const date = plain.match(DATE);
    if (date) return Date.UTC(date[1], date[2] - 1, date[3], date[4] || 0, date[5] || 0);
    const found = plain.match(NUMBER);
    if (!found) return undefined;
    const word = ["to", "of"].includes(found[2]) ? "" : found[2] || "";
    const times = factor(word);
    return times === undefined ? undefined : times * Number(found[1].replace(/,/g, "").replace("−", "-"));
  }

  /** The places of the texts in rising or falling order; equal ones as they came, and what is missing last. */
  function order(texts, falling) {
    const numbers = texts.map(number);
    const numeric = !numbers.includes(undefined);
    const keys = numeric ? numbers : texts.map((text) => text.trim() || null);
    const compare = numeric ? (one, other) => one - other : new Intl.Collator("en", { numeric: true }).compare;
    const direction = falling ? -1 : 1;
    return keys.map((_, place) => place).sort((one, other) => {
      if (keys[one] === null || keys[other] === null) return (keys[one] === null) - (keys[other] === null) || one - other;
      return direction * compare(keys[one], keys[other]) || one - other;
    });
  }

  /** Whether each line has one cell under each heading, so that a column is a column. */
  function isGrid(headings, lines) {
    const single = (cell) => cell.colSpan === 1 && cell.rowSpan === 1;
    return headings.every(single) &&
      lines.every((line) => line.cells.length === headings.length && Array.from(line.cells).every(single));
  }

  /** The headings of the columns, or nothing where the table has none. */
  function headingsOf(table) {
    const last = table.tHead && Array.from(table.tHead.rows).at(-1);
    return last ? Array.from(last.cells) : [];
  }

  /** Put the lines in the order of the places, striped as before. */
  function arrange(body, lines, places) {
    body.append(...places.map((place) => lines[place]));
    Array.from(body.rows).forEach((line, place) => {
      if (!/row-(even|odd)/.test(line.className)) return;
      line.classList.toggle("row-even", place % 2 === 0);
      line.classList.toggle("row-odd", place % 2 === 1);
    });
  }

  /** Make what a heading holds a button. */
  function buttonIn(heading) {
    const inner = heading.querySelector("p") || heading;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "laghu-sort";
    if (!inner.textContent.trim()) button.setAttribute("aria-label", "Sort by the first column");
    button.append(...inner.childNodes);
    inner.append(button);
    return button;
  }

  /** A button in each heading: rising, falling, and as the table was made. What has a link or a formula stays text. */
  function makeSortable(table, status) {
    const headings = headingsOf(table);
    const body = table.tBodies[0];
    const lines = body ? Array.from(body.rows) : [];
    if (!headings.length || lines.length <= ROWS_THAT_FIT_AT_A_GLANCE || !isGrid(headings, lines)) return;
    headings.forEach((heading, column) => {
      if (heading.querySelector("a[href], .math")) return;
      const name = heading.textContent.trim() || "the first column";
      buttonIn(heading).addEventListener("click", () => {
        const now = { null: "ascending", ascending: "descending", descending: null }[heading.getAttribute("aria-sort")];
        for (const other of headings) other.removeAttribute("aria-sort");
        if (now) heading.setAttribute("aria-sort", now);
        const texts = lines.map((line) => line.cells[column].textContent);
        arrange(body, lines, now ? order(texts, now === "descending") : lines.map((_, place) => place));
        status.textContent = now ? `Sorted by ${name}, ${now}.` : "In the order in which the table was made.";
      });
    });
  }

  function start() {
    const article = document.querySelector("article");
    if (!article) return;
    const status = document.createElement("p");
    status.className = "laghu-unseen";
    status.setAttribute("role", "status");
    article.append(status);
    for (const table of article.querySelectorAll("table")) {
      if (!table.closest(".laghu-tradeoff")) makeSortable(table, status);
    }
  }

  if (typeof module !== "undefined") module.exports = { number, order };
  else start();
})();
