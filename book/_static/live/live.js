"use strict";

// The part of the page in which a reader tries the shipped model. The button loads what it says; from then on nothing is
// fetched. All that was typed, and all that comes from a vocabulary, is written as text, never as markup.
(function () {
  const HERE = document.currentScript.src;
  const FOLDER = new URL("../model/", HERE);
  // Milliseconds without typing, after which the result is said: to a screen reader, too.
  const PAUSE = 400;
  const NAMES = { small: "Small model", teacher: "Its teacher" };

  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
  const number = (count) => count.toLocaleString("en");
  const time = (milliseconds) => `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)}\u00a0ms`;
  const indexOfMost = (values) => values.indexOf(Math.max(...values));

  function connect(root) {
    const find = (selector) => root.querySelector(selector);
    const input = find("textarea"), examples = find("select"), said = find(".laghu-live-said");
    const rows = Array.from(find("tbody").rows);
    const topics = rows.map((row) => row.cells[0].firstChild.textContent.trim());
    const models = [];
    let turn = 0, queue = Promise.resolve(), pause;

    for (const button of root.querySelectorAll(".laghu-live-load")) {
      button.addEventListener("click", () => load(button));
    }
    input.addEventListener("input", () => { examples.value = ""; update(); });
    examples.addEventListener("change", () => write(examples.value));
    find(".laghu-live-clear").addEventListener("click", () => { write(""); input.focus(); });
    find(".laghu-live-without").hidden = true;
    find(location.protocol === "file:" ? ".laghu-live-from-a-file" : ".laghu-live-start").hidden = false;

    function write(text) {
      input.value = text;
      if (!text) examples.value = "";
      update();
    }

    // ---------------------------------------------------------------------------------------------- loading

    async function load(button) {
      const { model: name, bytes, weights, vocabulary } = button.dataset;
      const url = (file) => new URL(file, FOLDER).href;
      const progress = find("progress");
      let come = 0;
      progress.value = 0;
      setLoading(button, true);
      try {
        if (typeof DecompressionStream === "undefined" || typeof WebAssembly === "undefined") {
          throw new Error("this browser is too old: it lacks DecompressionStream or WebAssembly");
        }
        const { load } = await import(new URL("classifier.js", HERE));
        const classifier = await load({ weights: url(weights), vocabulary: url(vocabulary) }, (more) => {
          come += more;
          progress.value = Math.min(1, come / Number(bytes));
        });
        models.push({ name, classifier });
        show(name);
        button.remove();
      } catch (error) {
        fail(`The model could not be loaded: ${error.message}. Try again, or reload the page.`);
      }
      setLoading(button, false);
    }

    function setLoading(button, loading) {
      button.disabled = loading;
      find(".laghu-live-progress").hidden = !loading;
      if (loading) find(".laghu-live-error").hidden = true;
    }

    function fail(text) {
      const place = find(".laghu-live-error");
      place.textContent = text;
      place.hidden = false;
    }

    function show(name) {
      find(".laghu-live-start").hidden = true;
      find(".laghu-live-work").hidden = false;
      for (const part of root.querySelectorAll(`[data-of="${name}"]`)) part.hidden = false;
      if (!input.value) {
        examples.selectedIndex = 1;
        input.value = examples.value;
      }
      update();
      input.focus();
    }

    // ---------------------------------------------------------------------------------------------- answering

    /** Answers for what is typed now; those for what was typed before are not waited for, and not said any more. */
    function update() {
      const mine = ++turn;
      clearTimeout(pause);
      queue = queue.then(() => answer(mine)).catch((error) => {
        for (const { name, classifier } of models) draw(name, classifier, { tokens: [], read: [], probabilities: null });
        for (const heading of root.querySelectorAll(".laghu-live-heading")) heading.textContent = "";
        fail(`This text could not be answered: ${error.message}. Another may be; if not, reload the page.`);
      });
    }

    async function answer(mine) {
      const text = input.value;
      const answers = [];
      for (const { name, classifier } of models) {
        if (mine !== turn) return;
        const answer = await answerOf(classifier, text);
        draw(name, classifier, answer);
        answers.push({ name, classifier, answer });
      }
      if (mine !== turn) return;
      find(".laghu-live-error").hidden = true;
      pause = setTimeout(() => say(text, answers), PAUSE);
    }

    /** Of a text in which there is nothing to read, no more than that. */
    async function answerOf(classifier, text) {
      const tokens = classifier.wordPiece.tokens(text);
      return tokens.length ? classifier.timed(text) : { tokens, read: [], probabilities: null };
    }

    function draw(name, classifier, answer) {
      const first = answer.probabilities ? indexOfMost(answer.probabilities) : -1;
      for (const [place, row] of rows.entries()) {
        const cell = row.querySelector(`[data-of="${name}"]`);
        const share = answer.probabilities ? answer.probabilities[place] : 0;
        cell.querySelector(".laghu-live-bar").style.setProperty("--share", share);
        cell.querySelector(".laghu-live-share").textContent = answer.probabilities ? percent(share) : "–";
        cell.classList.toggle("laghu-live-first", place === first);
      }
      find(`th[data-of="${name}"] .laghu-live-time`).textContent =
        answer.probabilities ? time(answer.milliseconds) : "";
      drawTokens(name, classifier.wordPiece, answer);
    }

    function drawTokens(name, wordPiece, { tokens, read }) {
      const place = find(`.laghu-live-read[data-of="${name}"]`);
      place.querySelector("p").textContent = tokens.length
        ? `${NAMES[name]} reads ${number(read.length)} word pieces, shown with their ids`
        : `${NAMES[name]} has nothing to read`;
      const items = read.map((token) => tokenItem(token, wordPiece));
      const rest = tokens.length - wordPiece.room;
      if (rest > 0) items.splice(-1, 0, element("li", "laghu-live-rest", `… ${number(rest)} more, not read`));
      place.querySelector("ol").replaceChildren(...items);
    }

    function say(text, answers) {
      const said = answers.filter(({ answer }) => answer.probabilities).map(({ name, answer }) => {
        const first = indexOfMost(answer.probabilities);
        return `${NAMES[name]}: ${topics[first]}, ${percent(answer.probabilities[first])}.`;
      });
      setText(find(".laghu-live-said p"), said.join(" ") || "Type a headline, or pick one.");
      find(".laghu-live-said ul").replaceChildren(
        ...notes(text, answers).map((note) => element("li", "", note)),
      );
    }

    update();
  }

  // ------------------------------------------------------------------------------------------------ what is said

  /** What a reader should know of an unusual text. */
  function notes(text, answers) {
    if (!answers.length || !answers[0].answer.tokens.length) {
      return text ? ["There is nothing to read in this: only blanks or control characters."] : [];
    }
    const said = [];
    if (!/\p{Script=Devanagari}/u.test(text)) {
      said.push("There is no Devanagari in this. The model learned from Marathi in Devanagari, and answers all the same.");
    }
    if (/[\r\n\u2028\u2029]/.test(text.trim())) said.push("Lines are read as one text.");
    for (const { name, classifier, answer } of answers) said.push(...notesOf(name, classifier.wordPiece, answer));
    return said;
  }

  function notesOf(name, wordPiece, { tokens }) {
    const said = [];
    const { room } = wordPiece;
    if (tokens.length > room) {
      said.push(`${NAMES[name]}: of ${number(tokens.length)} word pieces the first ${number(room)} are read, up to ` +
        `“${shortened(tokens[room - 1].word)}”. What follows was cut off and counts for nothing.`);
    }
    const seen = tokens.slice(0, room);
    const unknown = seen.filter((token) => token.id === wordPiece.unknown).length;
    if (unknown === seen.length) said.push(`${NAMES[name]}: knows no word of this, so its answer says nothing.`);
    else if (unknown) said.push(`${NAMES[name]}: does not know ${unknown === 1 ? "one word" : `${unknown} words`} of this.`);
    return said;
  }

  function shortened(word) {
    const characters = Array.from(word);
    return characters.length > 30 ? `${characters.slice(0, 30).join("")}…` : word;
  }

  // ------------------------------------------------------------------------------------------------ elements

  function tokenItem({ id, piece, word }, wordPiece) {
    const item = element("li", "");
    if (word === undefined) item.className = "laghu-live-end";
    const unknown = id === wordPiece.unknown && word !== undefined;
    if (unknown) item.className = "laghu-live-unknown";
    const shown = element("span", "laghu-live-piece");
    const continues = !unknown && word !== piece && piece.startsWith(wordPiece.continuing);
    if (continues) shown.append(element("span", "laghu-live-continuing", wordPiece.continuing));
    const text = unknown ? shortened(word) : piece.slice(continues ? wordPiece.continuing.length : 0);
    // A sign that needs a letter before it is shown on a dotted circle.
    const body = element("span", "", (/^\p{Mark}/u.test(text) ? "\u25cc" : "") + text);
    if (word !== undefined) body.lang = "mr";
    shown.append(body);
    item.append(shown, element("small", "", unknown ? `unknown, ${id}` : String(id)));
    return item;
  }

  function element(kind, className, text) {
    const made = document.createElement(kind);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /** Without a change there is nothing to say again. */
  function setText(place, text) {
    if (place.textContent !== text) place.textContent = text;
  }

  document.querySelectorAll(".laghu-live").forEach(connect);
})();
