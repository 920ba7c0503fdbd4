"use strict";

// Ranks the tables of the page on trade-offs again when the reader moves a weight. The equation is that of
// laghu.report.tradeoff, and the tests hold the two against each other.
(function () {
  /** The equation of paper 3 at weights that sum to 1, so that the baseline scores 1. Lower is better. */
  function score(row, alpha, beta, exponent) {
    return Math.pow(row.p, exponent) * (alpha * row.t + beta * row.e) / (alpha + beta);
  }

  /** The rows by rising score, equal ones as they came; `above` counts the rows of the front that a row off it beats. */
  function ranking(rows, alpha, beta, exponent) {
    const scored = rows.map((row, index) => ({ index, front: row.front, score: score(row, alpha, beta, exponent) }));
    for (const row of scored) {
      row.rank = 1 + scored.filter((other) => other.score < row.score).length;
      row.above = row.front ? 0 : scored.filter((other) => other.front && other.score > row.score).length;
    }
    return scored.sort((one, other) => one.score - other.score || one.index - other.index);
  }

  function standing(row) {
    if (row.front) return "on it";
    return row.above ? `off, before ${row.above}` : "off";
  }

  function percent(share) {
    return `${Math.round(100 * share)}\u00a0%`;
  }

  function connect(calculator) {
    const exponent = Number(calculator.dataset.exponent);
    const weights = calculator.querySelector(".laghu-weights");
    const [alpha, beta] = weights.querySelectorAll("input");
    const status = weights.querySelector("[role=status]");
    const body = calculator.querySelector("tbody");
    const lines = Array.from(body.rows);
    const rows = lines.map(({ dataset }) => ({
      p: Number(dataset.p), t: Number(dataset.t), e: Number(dataset.e), front: dataset.front === "yes",
    }));
    const write = (cell, text) => { (cell.querySelector("p") || cell).textContent = text; };

    function update() {
      const [time, energy] = [alpha, beta].map((input) => Number(input.value));
      for (const input of [alpha, beta]) input.nextElementSibling.textContent = Number(input.value).toFixed(2);
      if (time + energy === 0) {
        status.textContent = "With both weights at 0 nothing counts; the table stays as it was.";
        return;
      }
      const ranked = ranking(rows, time, energy, exponent);
      for (const row of ranked) {
        const [, rank, value] = lines[row.index].cells;
        write(rank, String(row.rank));
        write(value, row.score.toFixed(3));
        write(lines[row.index].cells[lines[row.index].cells.length - 1], standing(row));
        body.append(lines[row.index]);
      }
      const first = lines[ranked[0].index].cells[0].textContent.trim();
      const share = time / (time + energy);
      status.textContent = `First: ${first}, score ${ranked[0].score.toFixed(3)}. ` +
        `Time counts for ${percent(share)}, energy for ${percent(1 - share)}.`;
    }

    for (const input of [alpha, beta]) input.addEventListener("input", update);
    weights.hidden = false;
    update();
  }

  if (typeof module !== "undefined") {
    module.exports = { ranking, standing, connect };
  } else {
    document.querySelectorAll(".laghu-tradeoff").forEach(connect);
  }
})();
