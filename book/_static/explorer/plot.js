"use strict";

// A scatter plot with fronts, in SVG: what to draw is given, and what a reader does with a point is told to the caller.
globalThis.laghu.plot = (function () {
  const { svg } = globalThis.laghu;
  const MARK = 11;
  const MARGIN = { top: 14, right: 18, bottom: 52, left: 60 };

  /** Which points no other of their group equals in both measures and beats in one. */
  function front(points, xBetter, yBetter) {
    const sign = (better) => (better === "higher" ? 1 : -1);
    const [sx, sy] = [sign(xBetter), sign(yBetter)];
    return points.map((one) => !points.some((other) => {
      if (other.group !== one.group) return false;
      const [dx, dy] = [sx * (other.x - one.x), sy * (other.y - one.y)];
      return dx >= 0 && dy >= 0 && (dx > 0 || dy > 0);
    }));
  }

  /** A function from values to pixels, with its ticks, so many pixels `between` two; logarithmic if asked. */
  function scale(values, from, to, log, between) {
    const along = log ? Math.log10 : (value) => value;
    const back = log ? (place) => 10 ** place : (place) => place;
    let [low, high] = [Math.min(...values.map(along)), Math.max(...values.map(along))];
    const room = (high - low || Math.abs(high) || 1) * 0.07;
    [low, high] = [low - room, high + room];
    const place = (value) => from + (along(value) - low) / (high - low) * (to - from);
    const count = Math.max(2, Math.floor(Math.abs(to - from) / between));
    return { place, ticks: log ? logTicks(back(low), back(high), count) : linearTicks(low, high, count) };
  }

  function linearTicks(low, high, count) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const ticks = [];
    for (let number = Math.ceil(low / step); number * step <= high; number += 1) {
      ticks.push(Number((number * step).toPrecision(12)));
    }
    return ticks;
  }

  /** Round numbers between the two: as many of 1, 2 and 5 times a power of ten as there is room for. */
  function logTicks(low, high, count) {
    if (high / low < 4) return linearTicks(low, high, count);
    const powers = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) powers.push(power);
    const of = (factors) => powers.flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
      .filter((tick) => tick >= low && tick <= high);
    return [[1, 2, 5], [1, 3], [1]].map(of).find((ticks) => ticks.length <= count + 1) ?? of([1]);
  }

  function tickText(value) {
    return value.toLocaleString("en-GB", { maximumSignificantDigits: 6 });
  }

  /**
   * Draws anew into an SVG element.
   *
   * @param picture the element
   * @param points `{id, label, description, href, x, y, dx, dy, group, front, technique}`, dx and dy deviations or null
   * @param axes `{x: {title, log, better}, y: ...}`
   * @param groups `{key, title}` of points that compare, in the order of their line styles
   * @param techniques by key, with `path`, `color` and `on_dark`
   */
  function draw(picture, { points, axes, groups, techniques, width }) {
    const height = Math.round(Math.min(Math.max(0.7 * width, 330), 520));
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    picture.replaceChildren();
    if (!points.length) {
      picture.append(svg("text", { x: width / 2, y: height / 2, class: "laghu-nothing" }, "No point to show"));
      return;
    }
    const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    const extent = (name, spread) => points.flatMap((point) => [point[name],
      ...(point[spread] ? [point[name] - point[spread], point[name] + point[spread]] : [])]);
    const positive = (values, log) => (log ? values.filter((value) => value > 0) : values);
    const x = scale(positive(extent("x", "dx"), axes.x.log), box.left, box.right, axes.x.log, 80);
    const y = scale(positive(extent("y", "dy"), axes.y.log), box.bottom, box.top, axes.y.log, 55);
    picture.append(frame(box, x, y, axes));
    const lines = svg("g", { class: "laghu-fronts", "aria-hidden": "true" });
    const marks = svg("g", { class: "laghu-points" });
    const names = svg("g", { class: "laghu-names", "aria-hidden": "true" });
    picture.append(lines, marks, names);
    const placed = points.map((point) => ({ ...point, left: x.place(point.x), top: y.place(point.y) }));
    groups.forEach((group, place) => {
      const best = placed.filter((point) => point.front && point.group === group.key);
      if (best.length) lines.append(frontLine(best, box, axes, place));
    });
    for (const point of placed.filter((each) => each.dx || each.dy)) lines.append(spread(point, x, y, axes, box));
    // From left to right, as the Tab key goes; on the front last, so that it lies on top.
    placed.sort((one, other) => one.front - other.front || one.left - other.left || one.top - other.top);
    for (const point of placed) marks.append(mark(point, techniques[point.technique]));
    nameFront(names, placed, box, groups.length > 1 ? groups : []);
  }

  function frame(box, x, y, axes) {
    const lines = svg("g", { class: "laghu-frame", "aria-hidden": "true" });
    for (const tick of x.ticks) {
      const at = x.place(tick);
      lines.append(svg("line", { x1: at, x2: at, y1: box.top, y2: box.bottom }),
        svg("text", { x: at, y: box.bottom + 18, class: "laghu-tick-x" }, tickText(tick)));
    }
    for (const tick of y.ticks) {
      const at = y.place(tick);
      lines.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at }),
        svg("text", { x: box.left - 8, y: at, class: "laghu-tick-y" }, tickText(tick)));
    }
    const middle = (box.top + box.bottom) / 2;
    lines.append(
      svg("text", { x: (box.left + box.right) / 2, y: box.bottom + 42, class: "laghu-title-x" }, axes.x.title),
      svg("text", { x: 14, y: middle, class: "laghu-title-y", transform: `rotate(-90 14 ${middle})` }, axes.y.title),
    );
    return lines;
  }

  /** What is attainable: from each point of the front towards worse values of one measure, up to the next point. */
  function frontLine(best, box, axes, place) {
    const worseX = axes.x.better === "lower" ? box.right : box.left;
    const worseY = axes.y.better === "lower" ? box.top : box.bottom;
    const steps = [...best].sort((one, other) => Math.abs(other.left - worseX) - Math.abs(one.left - worseX));
    const path = steps.map((point, at) => `V${point.top}H${steps[at + 1]?.left ?? worseX}`).join("");
    return svg("path", { d: `M${steps[0].left} ${worseY}${path}`, class: `laghu-front laghu-front-${place % 4}` });
  }

  /** A standard deviation to each side, as far as there is room. */
  function spread(point, x, y, axes, box) {
    const group = svg("g", { class: point.front ? "laghu-spread laghu-on-front" : "laghu-spread" });
    const ends = (value, deviation, of, log, low, high) => [value - deviation, value + deviation].map((end) =>
      Math.min(Math.max(log && end <= 0 ? low : of.place(end), low), high));
    if (point.dx) {
      const [x1, x2] = ends(point.x, point.dx, x, axes.x.log, box.left, box.right);
      group.append(svg("line", { x1, x2, y1: point.top, y2: point.top }));
    }
    if (point.dy) {
      const [y1, y2] = ends(point.y, point.dy, y, axes.y.log, box.top, box.bottom);
      group.append(svg("line", { x1: point.left, x2: point.left, y1, y2 }));
    }
    return group;
  }

  function mark(point, technique) {
    const shape = svg("path", { d: technique.path, class: "laghu-mark", transform: `scale(${MARK})` });
    const link = svg("a", {
      href: point.href, "aria-label": point.description, "data-id": point.id, "data-left": point.left,
      "data-top": point.top, class: point.front ? "laghu-point laghu-on-front" : "laghu-point",
      transform: `translate(${point.left} ${point.top})`,
    }, svg("circle", { r: 13, class: "laghu-target" }), shape);
    paint(link, technique);
    return link;
  }

  /** Tells the style sheet a technique's colours; which of them holds is a matter of the page's theme. */
  function paint(element, technique) {
    element.style.setProperty("--laghu-light", technique.color);
    element.style.setProperty("--laghu-dark", technique.on_dark);
  }

  /** Writes the names of the points of the front where they cover nothing, and none where there is no such place. */
  function nameFront(layer, placed, box, groups) {
    const taken = placed.map((point) => around(point.left, point.top, 8, 8));
    for (const point of placed.filter((each) => each.front)) {
      const ending = groups.length ? ` (${groups.find((group) => group.key === point.group).short})` : "";
      const text = svg("text", { class: "laghu-name" }, point.label + ending);
      layer.append(text);
      const [wide, high] = [text.getComputedTextLength(), 15];
      const places = [[9, -13, "start"], [-9, -13, "end"], [0, -18, "middle"], [9, 13, "start"], [-9, 13, "end"],
        [0, 18, "middle"], [13, 0, "start"], [-13, 0, "end"]];
      const free = places.map(([dx, dy, anchor]) => {
        const [left, top] = [point.left + dx, point.top + dy];
        const start = { start: left, end: left - wide, middle: left - wide / 2 }[anchor];
        return { left, top, anchor, box: { x1: start, x2: start + wide, y1: top - high / 2, y2: top + high / 2 } };
      }).find((place) => place.box.x1 > box.left && place.box.x2 < box.right && place.box.y1 > box.top - 8
        && place.box.y2 < box.bottom && !taken.some((other) => overlap(other, place.box)));
      if (!free) {
        text.remove();
        continue;
      }
      taken.push(free.box);
      for (const [name, value] of [["x", free.left], ["y", free.top], ["text-anchor", free.anchor]]) {
        text.setAttribute(name, value);
      }
    }
  }

  function around(x, y, dx, dy) {
    return { x1: x - dx, x2: x + dx, y1: y - dy, y2: y + dy };
  }

  function overlap(one, other) {
    return one.x1 < other.x2 && other.x1 < one.x2 && one.y1 < other.y2 && other.y1 < one.y2;
  }

  return { draw, front, paint };
})();
