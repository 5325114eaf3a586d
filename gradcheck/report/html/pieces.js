"use strict";
// What Python drew of one result comes alive: the number line zooms, the heat map tells its cells.

const SVG = "http://www.w3.org/2000/svg";
const CHARACTER = 6.7; // as wide as one of a scale is, in pixels

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// Python's repr of a float: `inf` and `nan` are no numbers to JavaScript.
const number = (text) => ({ inf: Infinity, "-inf": -Infinity }[text] ?? Number(text));

function enliven(root) {
  root.querySelectorAll(".gc-line").forEach(zoomable);
  root.querySelectorAll(".gc-heat").forEach(readable);
}

// The number line

function zoomable(figure) {
  const { truth, half, all, near } = figure.dataset;
  const ends = [half, all, near].map(number);
  const least = Math.max(Math.min(...ends) / 1e3, 1e-300), most = Math.min(Math.max(...ends) * 1e3, 1e307);
  const balls = [...figure.querySelectorAll(".gc-ball")];
  const band = Math.max(...balls.filter((b) => b.classList.contains("gc-truth")).map((b) => number(b.dataset.radius)), 0);
  const axis = figure.querySelector(".gc-axis svg");
  let shown = number(half);

  const slider = element("input", { type: "range", min: -Math.log10(most), max: -Math.log10(least), step: "any", ariaLabel: "zoom around the truth" });
  const width = element("span");
  const button = (text, title, act) => element("button", { type: "button", title, onclick: act }, text);
  figure.append(element("div", { className: "zoom" },
    button("−", "zoom out", () => show(shown * 4)), slider, button("+", "zoom in", () => show(shown / 4)),
    button("all", "show all answers", () => show(number(all))),
    button("difference", "show where they differ", () => show(number(half))),
    button("truth", "show the truth's own radius", () => show(number(near))), width));
  slider.addEventListener("input", () => show(10 ** -Number(slider.value)));

  figure.tabIndex = 0;
  figure.setAttribute("aria-label", "number line: + and − zoom, 0 shows the difference");
  figure.addEventListener("keydown", (event) => {
    const factor = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
    if (factor) show(shown * factor);
    else if (event.key === "0") show(number(half));
    else return;
    event.preventDefault();
  });
  figure.addEventListener("wheel", (event) => {
    // A page that is scrolled over it goes on scrolling.
    if (!event.ctrlKey && !figure.contains(document.activeElement)) return;
    event.preventDefault();
    show(shown * Math.exp(event.deltaY * (event.ctrlKey ? 0.02 : 0.004)));
  }, { passive: false });
  pinched(figure, (factor) => show(shown / factor));

  function show(wanted) {
    shown = Math.min(most, Math.max(least, wanted));
    slider.value = -Math.log10(shown);
    width.textContent = `± ${shown.toExponential(1)}`;
    for (const ball of balls) place(ball, number(ball.dataset.offset), number(ball.dataset.radius));
    axis.replaceChildren(...ticks(number(truth), shown, axis.clientWidth));
  }

  function place(ball, offset, radius) {
    const at = (value) => (Number.isNaN(value) ? 102 : Math.max(-2, Math.min(102, 50 + (50 * value) / shown)));
    const set = (selector, values) => {
      const one = ball.querySelector(selector);
      for (const [key, value] of Object.entries(values)) one.setAttribute(key, `${value}%`);
      return one;
    };
    set(".gc-band", { x: at(-band), width: at(band) - at(-band) });
    set(".gc-radius", { x1: at(offset - radius), x2: at(offset + radius) });
    set(".gc-middle", { cx: at(offset) });
    const position = at(offset), isLeft = position <= -2;
    const beyond = set(".gc-beyond", { x: isLeft ? 0 : 100 });
    beyond.setAttribute("text-anchor", isLeft ? "start" : "end");
    const arrow = isLeft ? "◂" : position >= 102 ? "▸" : "";
    beyond.textContent = Number.isFinite(offset) ? arrow : "not finite";
  }
  show(shown);
  // And once it is on the page, where it has a width
  new ResizeObserver(() => show(shown)).observe(figure);
}

// At round numbers; at distances where the truth's own digits would not tell them apart. As many
// have a label as there is room for, by multiples, so that the truth's is among them.
function* ticks(truth, half, pixels) {
  const step = round(half / 2.2);
  const isNear = !(step > Math.abs(truth) * 1e-9);
  const origin = isNear ? 0 : truth;
  const places = Math.max(0, Math.min(20, -Math.floor(Math.log10(step))));
  const plain = (value) => (Math.abs(value) < 1e6 && places < 12 ? value.toFixed(places) : value.toPrecision(3)).replace("-", "−");
  const counts = [];
  for (let count = Math.ceil((origin - half) / step); count * step <= origin + half; count += 1) counts.push(count);
  const label = (count) => (!isNear ? plain(count * step) : count ? signed(count * step) : "truth");
  const room = (100 * CHARACTER * Math.max(...counts.map((count) => label(count).length))) / pixels;
  const every = Math.max(1, Math.ceil((room + 1) / ((50 * step) / half)));
  for (const count of counts) {
    const x = 50 + (50 * (count * step - origin)) / half;
    yield drawn("line", { x1: `${x}%`, x2: `${x}%`, y1: 0, y2: 4 });
    if (count % every || Math.abs(x - 50) > 51 - room / 2) continue;
    yield drawn("text", { x: `${x}%`, y: 16, "text-anchor": "middle" }, label(count));
  }
}

const round = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([5, 2, 1].find((digit) => digit * power <= value) ?? 1);
};

const signed = (value) => `${value < 0 ? "−" : "+"}${Number(Math.abs(value).toPrecision(2)).toExponential().replace("e-", "e−").replace("e+", "e")}`;

function pinched(target, zoom) {
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.abs(a.clientX - b.clientX);
  };
  target.style.touchAction = "pan-y";
  target.addEventListener("pointerdown", (event) => fingers.set(event.pointerId, event));
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) target.addEventListener(end, (event) => fingers.delete(event.pointerId));
  target.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2 && before > 8) zoom(spread() / before);
  });
}

// The heat map

function readable(figure) {
  const cells = atob(figure.dataset.cells);
  const shape = figure.dataset.shape.split(",").map(Number), down = Number(figure.dataset.down);
  const holder = figure.querySelector(".gc-cells"), svg = holder.querySelector("svg");
  const [columns, rows] = svg.getAttribute("viewBox").split(" ").slice(2).map(Number);
  const readout = figure.querySelector(".gc-readout"), worst = [...readout.childNodes];
  const cursor = drawn("g", {});
  for (const name of ["halo", "mark"]) cursor.append(drawn("rect", { class: `gc-${name}`, width: 1, height: 1 }));
  cursor.style.display = "none";
  svg.append(cursor);
  let row = 0, column = 0;

  // The indices of the first entry of a cell, and of the last, in the dimensions that lie along one side
  function between(cell, count, lengths) {
    if (!lengths.length) return "";
    const all = lengths.reduce((a, b) => a * b);
    const first = Math.floor((cell * all) / count), last = Math.floor(((cell + 1) * all) / count) - 1;
    const spelled = (index) => lengths.reduceRight(([found, left], length) => [[left % length, ...found], Math.floor(left / length)], [[], index])[0].join(", ");
    return `[${(last > first ? [first, last] : [first]).map(spelled).join(" – ")}]`;
  }
  const percent = (value) => (value >= 1e-3 && value < 100 ? `${Number((value * 100).toPrecision(2))} %` : `${value.toExponential(1)} of the largest entry`);

  function say() {
    const place = between(row, rows, shape.slice(0, down)) + between(column, columns, shape.slice(down));
    const code = cells.charCodeAt(row * columns + column);
    const low = number(figure.dataset.low), high = number(figure.dataset.high);
    const error = code === 0 ? "right" : code === 255 ? "not finite" : `off by ${percent(low * (high / low) ** ((code - 1) / 253))}`;
    readout.replaceChildren(element("code", {}, place), ` ${error}`);
    for (const rect of cursor.children) { rect.setAttribute("x", column); rect.setAttribute("y", row); }
    cursor.style.display = "";
  }
  function rest() {
    cursor.style.display = "none";
    readout.replaceChildren(...worst);
  }
  function move(toRow, toColumn) {
    row = Math.max(0, Math.min(rows - 1, toRow));
    column = Math.max(0, Math.min(columns - 1, toColumn));
    say();
  }
  const follow = (event) => {
    const box = svg.getBoundingClientRect();
    move(Math.floor(((event.clientY - box.top) / box.height) * rows), Math.floor(((event.clientX - box.left) / box.width) * columns));
  };
  holder.addEventListener("pointermove", follow);
  holder.addEventListener("pointerdown", follow);
  holder.addEventListener("pointerleave", rest);
  holder.addEventListener("focus", say);
  holder.addEventListener("blur", rest);
  holder.addEventListener("keydown", (event) => {
    const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
    if (down === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(row + down, column + right);
  });
}
