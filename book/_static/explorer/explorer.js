"use strict";

// The Pareto explorer: controls above a plot of runs, the plot, and a table of what it shows. Its data is that of
// laghu.report.explorer, in a block behind its place on the page.
(function () {
  const { html, svg, dataBehind, fixed, decimalsOf, options, field, plot } = globalThis.laghu;
  const ALL = "all";
  const BOUND = ["texts", "machine", "timing"];
  const DASH = "\u2013";

  // ---------------------------------------------------------------------------------------------- what is shown

  /** What a reader has chosen, as the page opens: the study that it names, on the machine and timing of most runs. */
  function defaults(data, study) {
    const there = data.collections.some((collection) => collection.key === study);
    return { study: there ? study : data.collections[0].key, x: "latency", y: "clean", xscale: "", yscale: "",
      machine: "", timing: "", show: "means", without: [] };
  }

  /** Those of the points that the choices leave, with how many go for which reason; settles choices left open. */
  function select(data, state) {
    const y = axisOf(data, state.y);
    const x = state.x === state.y ? y : axisOf(data, state.x);
    const bound = BOUND[Math.max(BOUND.indexOf(x.axis.bound_to), BOUND.indexOf(y.axis.bound_to))];
    const inStudy = (state.show === "means" ? data.means : data.runs).filter((point) => isOf(data, point, state.study));
    const machines = tally(inStudy.map((point) => point.machine));
    const machine = machines.has(state.machine) || state.machine === ALL ? state.machine : commonest(machines);
    const left = { "on another machine": 0, "timed otherwise": 0, "switched off": 0 };
    const on = (reason, keep) => (point) => {
      if (!keep(point)) left[reason] = (left[reason] ?? 0) + 1;
      return keep(point);
    };
    let points = inStudy.filter(on("on another machine", (point) => machine === ALL || point.machine === machine));
    const timings = tally(points.filter((point) => has(point, x) && has(point, y)).map((point) => point.timing));
    const timing = timings.has(state.timing) || state.timing === ALL ? state.timing : commonest(timings);
    for (const laid of new Set([y, x])) {
      points = points.filter(on(`without “${title(data, state, laid.axis)}”`, (point) => has(point, laid)));
    }
    if (bound === "timing" && timing !== ALL) {
      points = points.filter(on("timed otherwise", (point) => point.timing === timing));
    }
    points = points.filter(on("switched off", (point) => !state.without.includes(point.technique)
      && !state.without.includes(point.precision)));
    const shown = points.map((point) => ({
      ...point, x: point.values[x.place] * x.axis.factor, y: point.values[y.place] * y.axis.factor,
      dx: deviation(point, x), dy: deviation(point, y), group: groupOf(point, bound),
    }));
    const best = plot.front(shown, x.axis.better, y.axis.better);
    shown.forEach((point, place) => { point.front = best[place]; });
    return { x, y, bound, inStudy, machines, machine, timings, timing, shown, left };
  }

  function axisOf(data, key) {
    const place = data.axes.findIndex((axis) => axis.key === key);
    return { axis: data.axes[place], place };
  }

  function has(point, { place }) {
    return point.values[place] !== null;
  }

  function deviation(point, { axis, place }) {
    const value = point.deviations?.[place];
    return value ? value * axis.factor : null;
  }

  /** What points share that may stand on one front. */
  function groupOf(point, bound) {
    return { texts: "", machine: point.machine, timing: `${point.machine}; ${point.timing}` }[bound];
  }

  /** Whether a point is of the study chosen, or of the corpus where that was chosen as a whole. */
  function isOf(data, point, study) {
    const corpus = study.startsWith("corpus:") && study.slice("corpus:".length);
    return corpus ? collectionOf(data, point).corpus === corpus : point.collection === study;
  }

  function collectionOf(data, point) {
    return data.collections.find((collection) => collection.key === point.collection);
  }

  /** How often each text occurs, in the order of the first of each. */
  function tally(texts) {
    const counts = new Map();
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
    return counts;
  }

  function commonest(counts) {
    return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most), [ALL, 0])[0];
  }

  // ---------------------------------------------------------------------------------------------- how it reads

  function title(data, state, axis) {
    const point = data.runs.find((each) => isOf(data, each, state.study));
    return axis.label.replace("{measure}", collectionOf(data, point).measure);
  }

  function number(axis, value, deviation) {
    if (value === null) return DASH;
    const scaled = value * axis.factor;
    const decimals = axis.decimals ?? decimalsOf(scaled);
    const spread = deviation ? ` ± ${fixed(deviation * axis.factor, decimals)}` : "";
    return `${fixed(scaled, decimals)}${spread}`;
  }

  function seedsOf(point) {
    return point.seeds.length > 1 ? `mean over seeds ${point.seeds.join(", ")}` : `seed ${point.seeds[0]}`;
  }

  function commitsOf(point) {
    return point.commits.map((commit) => commit.slice(0, 7) + (commit.includes("+") ? "+modified" : "")).join(", ");
  }

  function describe(data, state, { x, y }, point) {
    const measures = [x, y].map(({ axis, place }) =>
      `${title(data, state, axis)} ${number(axis, point.values[place], point.deviations?.[place])} ${axis.symbol}`);
    return [`${point.label}, ${point.precision}`, ...measures, point.front ? "on the front" : "off the front",
      seedsOf(point), point.machine, `commit ${commitsOf(point)}`].join("; ");
  }

  /** All that is known of a point, for the card beside it. */
  function card(data, state, point) {
    const technique = data.techniques.find((each) => each.key === point.technique);
    const facts = data.axes.map((axis, place) => [title(data, state, axis), point.values[place] === null ? DASH
      : `${number(axis, point.values[place], point.deviations?.[place])}\u00a0${axis.symbol}`]);
    return [
      html("p", { class: "laghu-card-title" }, marker(technique), point.label),
      html("p", {}, `${technique.label}, ${point.precision}; ${seedsOf(point)}; commit ${commitsOf(point)}`),
      html("dl", {}, ...facts.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)])),
      html("p", {}, `${collectionOf(data, point).title}. ${point.machine}; ${point.timing}. Energy: ${point.energy}.`),
      html("p", {}, html("a", { href: point.href, tabindex: "-1" }, whereTo(point.href))),
    ];
  }

  function whereTo(href) {
    if (href.includes("provenance")) return "Where it comes from";
    return href.includes("results/") ? "The page of this run" : "The page about it";
  }

  function marker(technique) {
    const picture = svg("svg", { viewBox: "-0.8 -0.8 1.6 1.6", class: "laghu-marker", "aria-hidden": "true" },
      svg("path", { d: technique.path }));
    plot.paint(picture, technique);
    return picture;
  }

  // ---------------------------------------------------------------------------------------------- the table

  function columns(data, state, { x, y, machines, machine, bound, timing }) {
    const measure = ({ axis, place }) => [`${title(data, state, axis)} (${axis.symbol})`,
      (point) => number(axis, point.values[place], point.deviations?.[place])];
    return [
      ["Precision", (point) => point.precision], ["Seeds", (point) => point.seeds.join(", ")],
      ...(state.study.startsWith("corpus:") ? [["Study", (point) => collectionOf(data, point).title]] : []),
      ...(machine === ALL && machines.size > 1 ? [["Machine", (point) => point.machine]] : []),
      ...(bound === "timing" && timing === ALL ? [["Timed as", (point) => point.timing]] : []),
      measure(y), ...(x === y ? [] : [measure(x)]), ["Front", (point) => (point.front ? "on it" : "off")],
    ];
  }

  function table(data, state, found) {
    const sign = found.y.axis.better === "higher" ? -1 : 1;
    const lines = [...found.shown].sort((one, other) => sign * (one.y - other.y));
    const shown = columns(data, state, found);
    return [
      html("caption", {}, caption(data, state, found)),
      html("thead", {}, html("tr", {}, html("th", { class: "stub", scope: "col" }, "Run"),
        ...shown.map(([name]) => html("th", { scope: "col" }, name)))),
      html("tbody", {}, ...lines.map((point) => html("tr", {},
        html("th", { class: "stub", scope: "row" }, html("a", { href: point.href }, point.label)),
        ...shown.map(([, text]) => html("td", {}, text(point)))))),
    ];
  }

  function caption(data, state, { y, bound, machine, timing }) {
    const conditions = [machine !== ALL && `Machine: ${machine}`,
      bound === "timing" && timing !== ALL && `timed as ${timing}`].filter(Boolean).join("; ");
    const spread = state.show === "means" ? " Mean ± standard deviation over the seeds." : "";
    return `The points drawn, by “${title(data, state, y.axis)}”, best first.${spread} ${conditions}`.trim();
  }

  /** A cell of text as a spreadsheet takes it for text and not for a formula; as in `laghu.spreadsheets`. */
  function inert(value) {
    const formula = /^(\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])/;
    const number = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/;
    return typeof value === "string" && formula.test(value) && !number.test(value) ? `'${value}` : value;
  }

  /** The points drawn as CSV, measures in the units of the records; headings as in `laghu.report.explorer.csv`. */
  function csv(data, found) {
    const quoted = (value) => {
      const text = String(inert(value) ?? "");
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const heading = ["id", "study", "corpus", "measure", "run", "technique", "precision", "seeds", "machine", "timing",
      "energy", "commits", ...data.axes.map((axis) => axis.field), "front"];
    const lines = found.shown.map((point) => {
      const { title: study, corpus, measure } = collectionOf(data, point);
      return [point.id, study, corpus, measure, point.label, point.technique, point.precision, point.seeds.join(" "),
        point.machine, point.timing, point.energy, point.commits.join(" "), ...point.values, point.front];
    });
    return [heading, ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
  }

  // ---------------------------------------------------------------------------------------------- the address

  /** Choices in the address of the page, so that a view can be linked to. */
  function written(state, usual) {
    const changed = Object.entries(state).filter(([name, value]) => String(value) !== String(usual[name]));
    return new URLSearchParams(changed.map(([name, value]) => [name, String(value)])).toString();
  }

  function read(data, usual) {
    const state = { ...usual };
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
      if (name === "without") state.without = value.split(",");
      else if (name in usual) state[name] = value;
    }
    const known = { study: [...data.collections.flatMap(({ key, corpus }) => [key, `corpus:${corpus}`])],
      x: data.axes.map((axis) => axis.key), y: data.axes.map((axis) => axis.key), show: ["means", "runs"] };
    for (const [name, values] of Object.entries(known)) if (!values.includes(state[name])) state[name] = usual[name];
    return state;
  }

  // ---------------------------------------------------------------------------------------------- the page

  function controls() {
    const choice = (name) => html("select", { id: `laghu-${name}`, name });
    const log = (name, about) => html("label", { class: "laghu-log" },
      html("input", { type: "checkbox", name: `${name}scale`, "aria-label": `Logarithmic ${about} axis` }), " log");
    const chips = (name, text) => html("fieldset", { class: "laghu-chips", "data-name": name }, html("legend", {}, text));
    const show = (value, text) => html("label", {}, html("input", { type: "radio", name: "show", value }), ` ${text}`);
    return html("form", { class: "laghu-controls", "aria-label": "What is drawn" },
      field("Study and texts", choice("study")),
      field("Up", choice("y"), log("y", "upright")),
      field("Across", choice("x"), log("x", "horizontal")),
      field("Machine", choice("machine")),
      html("fieldset", { class: "laghu-field laghu-show" }, html("legend", {}, "Each point is"),
        show("means", "a mean over seeds"), show("runs", "one run")),
      html("div", { class: "laghu-wide" }, field("Timed as", choice("timing"))),
      // On a phone it would stand between the measures and the plot.
      html("details", { class: "laghu-wide", open: matchMedia("(min-width: 601px)").matches },
        html("summary", {}, "Techniques and precisions"),
        chips("technique", "Technique"), chips("precision", "Precision")));
  }

  function build(root) {
    const parts = {
      form: controls(), status: html("p", { role: "status", class: "laghu-status" }),
      picture: svg("svg", { class: "laghu-plot", role: "group" }), card: html("div", { class: "laghu-card", hidden: true }),
      fronts: html("ul", { class: "laghu-front-key" }),
      table: html("table", { class: "table laghu-table", id: "laghu-points" }),
      save: html("button", { type: "button", class: "laghu-button" }, "These points (CSV)"),
      reset: html("button", { type: "button", class: "laghu-button" }, "Start again"),
    };
    parts.stage = html("div", { class: "laghu-stage" },
      html("a", { class: "laghu-skip", href: "#laghu-points" }, "Skip the points"), parts.picture, parts.card);
    root.replaceChildren(parts.form, parts.status, parts.stage, parts.fronts,
      html("p", { class: "laghu-buttons" }, parts.save, parts.reset),
      html("div", { class: "pst-scrollable-table-container laghu-scrolled", tabindex: "0", role: "region",
        "aria-label": "The points drawn" }, parts.table));
    return parts;
  }

  /** New options, if they are others than before: a list that is open stays as it is. */
  function refill(select, entries, chosen) {
    const signature = JSON.stringify(entries);
    if (select.dataset.entries !== signature) {
      select.dataset.entries = signature;
      select.replaceChildren(...entries.map(([value, text]) => (Array.isArray(text)
        ? html("optgroup", { label: value }, ...options(text)) : html("option", { value }, text))));
    }
    select.value = chosen;
  }

  function studies(data) {
    const corpora = new Map();
    for (const { key, title: name, corpus, synthetic } of data.collections) {
      const invented = synthetic ? " (invented)" : "";
      corpora.set(corpus, [...(corpora.get(corpus) ?? []), [key, name + invented]]);
    }
    return [...corpora].map(([corpus, entries]) => [corpus,
      entries.length > 1 ? [...entries, [`corpus:${corpus}`, `All of these on ${corpus}`]] : entries]);
  }

  function counted(counts, all) {
    const entries = [...counts].map(([text, count]) => [text, `${text} (${count})`]);
    return counts.size > 1 ? [...entries, [ALL, all]] : entries;
  }

  /** A checkbox with its marker for each of the keys, unless they are there already. */
  function chip(fieldset, entries, without) {
    const signature = JSON.stringify(entries.map(([key, , count]) => [key, count]));
    if (fieldset.dataset.entries !== signature) {
      fieldset.dataset.entries = signature;
      fieldset.replaceChildren(fieldset.querySelector("legend"), ...entries.map(([key, label, count, picture]) =>
        html("label", { class: "laghu-chip" }, html("input", { type: "checkbox", value: key }), ...picture, label,
          html("span", { class: "laghu-count" }, String(count)))));
    }
    for (const input of fieldset.querySelectorAll("input")) input.checked = !without.includes(input.value);
  }

  function showControls(form, data, state, found) {
    const measures = data.axes.map((axis) => [axis.key, title(data, state, axis)]);
    refill(form.elements.study, studies(data), state.study);
    refill(form.elements.x, measures, state.x);
    refill(form.elements.y, measures, state.y);
    refill(form.elements.machine, counted(found.machines, "All, told apart"), found.machine);
    const timed = found.bound === "timing";
    const timings = timed ? counted(found.timings, "All, told apart") : [["", "No measure chosen is a time"]];
    refill(form.elements.timing, timings, timed ? found.timing : "");
    form.elements.timing.disabled = !timed;
    for (const name of ["x", "y"]) form.elements[`${name}scale`].checked = isLog(state, found, name);
    form.elements.show.value = state.show;
    const of = (name) => tally(found.inStudy.map((point) => point[name]));
    const techniques = of("technique");
    chip(form.querySelector("[data-name=technique]"), data.techniques.filter(({ key }) => techniques.has(key))
      .map((each) => [each.key, each.label, techniques.get(each.key), [marker(each)]]), state.without);
    chip(form.querySelector("[data-name=precision]"),
      [...of("precision")].map(([key, count]) => [key, key, count, []]), state.without);
  }

  function isLog(state, found, name) {
    return state[`${name}scale`] ? state[`${name}scale`] === "log" : found[name].axis.log;
  }

  function summary(state, { shown, inStudy, left }) {
    const kind = state.show === "means" ? "rows" : "runs";
    const best = shown.filter((point) => point.front).length;
    const reasons = Object.entries(left).filter(([, count]) => count).map(([reason, count]) => `${count} ${reason}`);
    return `${shown.length} of ${inStudy.length} ${kind} are drawn, ${best} of them on the front.`
      + (reasons.length ? ` Not drawn: ${reasons.join(", ")}.` : "");
  }

  /** The fronts by their lines, where there are several. */
  function frontKey(list, groups) {
    list.hidden = groups.length < 2;
    list.replaceChildren(...groups.map((group, place) => html("li", {},
      svg("svg", { viewBox: "0 0 32 8", "aria-hidden": "true" },
        svg("path", { d: "M0 4H32", class: `laghu-front laghu-front-${place % 4}` })), ` ${group.title}`)));
  }

  function groupsOf(shown, bound) {
    return [...new Set(shown.map((point) => point.group))].map((key) => {
      const one = shown.find((point) => point.group === key);
      return { key, title: key, short: (bound === "timing" ? one.timing : one.machine).split(",")[0] };
    });
  }

  function show(parts, data, state, links) {
    const found = select(data, state);
    found.shown = found.shown.map((point) => ({ ...point, href: links[point.id],
      description: describe(data, state, found, point) }));
    const axis = (name) => ({ log: isLog(state, found, name), better: found[name].axis.better,
      title: `${title(data, state, found[name].axis)} (${found[name].axis.symbol}, ${found[name].axis.better} is better)` });
    const groups = groupsOf(found.shown, found.bound);
    showControls(parts.form, data, state, found);
    parts.status.textContent = summary(state, found);
    const focused = document.activeElement?.dataset?.id;
    parts.card.hidden = true;
    plot.draw(parts.picture, { points: found.shown, axes: { x: axis("x"), y: axis("y") }, groups,
      techniques: Object.fromEntries(data.techniques.map((each) => [each.key, each])), width: parts.stage.clientWidth });
    parts.picture.setAttribute("aria-label", `${axis("y").title} against ${axis("x").title}; each point is a link`);
    frontKey(parts.fronts, groups);
    parts.table.replaceChildren(...table(data, state, found));
    if (focused) [...parts.picture.querySelectorAll("a")].find((link) => link.dataset.id === focused)?.focus();
    return found;
  }

  /** The card beside a point; on a narrow page the style sheet puts it below the plot. */
  function showCard({ card: place, picture, stage }, content, link) {
    place.replaceChildren(...content);
    place.hidden = false;
    const [left, top] = [Number(link.dataset.left), Number(link.dataset.top)];
    const beside = left < stage.clientWidth / 2 ? left + 13 : left - 13 - place.offsetWidth;
    place.style.left = `${Math.min(Math.max(beside, 0), stage.clientWidth - place.offsetWidth)}px`;
    place.style.top = `${Math.max(Math.min(top - 40, picture.clientHeight - place.offsetHeight), 0)}px`;
  }

  function connect(root) {
    const { start, links, data } = dataBehind(root);
    if (!data.collections.length) return;
    const usual = defaults(data, start);
    const parts = build(root);
    let state = read(data, usual);
    let found = show(parts, data, state, links);

    const change = (changes) => {
      state = { ...state, ...changes };
      found = show(parts, data, state, links);
      const address = written(state, usual);
      history.replaceState(null, "", address ? `#${address}` : location.pathname + location.search);
    };
    parts.form.addEventListener("input", ({ target }) => {
      if (target.closest("[data-name]")) {
        const rest = state.without.filter((key) => key !== target.value);
        change({ without: target.checked ? rest : [...rest, target.value] });
      } else if (target.type === "checkbox") {
        change({ [target.name]: target.checked ? "log" : "linear" });
      } else {
        // Another measure has a scale of its own, and another study other machines.
        const reset = { x: { xscale: "" }, y: { yscale: "" }, study: { machine: "", timing: "" } }[target.name];
        change({ [target.name]: target.value, ...reset });
      }
    });
    parts.form.addEventListener("submit", (event) => event.preventDefault());
    parts.reset.addEventListener("click", () => change(usual));
    parts.save.addEventListener("click", () => save("laghu-explorer.csv", csv(data, found)));
    addEventListener("hashchange", () => {
      if (!location.hash.includes("=")) return;
      state = read(data, usual);
      found = show(parts, data, state, links);
    });
    let width = parts.stage.clientWidth;
    new ResizeObserver(() => {
      if (parts.stage.clientWidth === width) return;
      width = parts.stage.clientWidth;
      found = show(parts, data, state, links);
    }).observe(parts.stage);
    followPoints(parts, (id) => card(data, state, found.shown.find((point) => point.id === id)));
  }

  /** Shows the card of the point under the pointer or in focus; a finger's first touch shows it, the second follows. */
  function followPoints(parts, contentOf) {
    const { picture, stage, card: place } = parts;
    const of = (event) => event.target.closest?.("a.laghu-point");
    let [pressed, touched] = ["", null];
    const open = (event) => {
      const link = of(event);
      if (link) showCard(parts, contentOf(link.dataset.id), link);
    };
    const close = (event) => {
      const stays = event.relatedTarget && (place.contains(event.relatedTarget)
        || event.relatedTarget === event.target || of({ target: event.relatedTarget }));
      if (!stays) place.hidden = true;
    };
    picture.addEventListener("pointerover", (event) => { if (event.pointerType !== "touch") open(event); });
    picture.addEventListener("pointerout", (event) => { if (event.pointerType !== "touch") close(event); });
    place.addEventListener("pointerleave", close);
    // Not of the picture: an SVG that listens for focus takes part in it itself, in Chromium.
    stage.addEventListener("focusin", open);
    stage.addEventListener("focusout", close);
    picture.addEventListener("pointerdown", (event) => { pressed = event.pointerType; });
    picture.addEventListener("click", (event) => {
      const link = of(event);
      // Older versions of Safari do not say with a click what made it.
      if (link && (event.pointerType ?? pressed) === "touch" && touched !== link) {
        event.preventDefault();
        touched = link;
        open(event);
      }
    });
    addEventListener("keydown", (event) => { if (event.key === "Escape") place.hidden = true; });
  }

  function save(name, text) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    html("a", { href: address, download: name }).click();
    URL.revokeObjectURL(address);
  }

  document.querySelectorAll(".laghu-explorer").forEach(connect);
})();
