// Digits kept, resolution reached, and where the time went.

const WEAKEST = 10, SLOWEST = 25, BINS = 64;

function charts(results, open) {
  const groups = grouped(results, (result) => `${result.dtype} · ${result.device}`);
  const parts = [];
  for (const [name, found] of groups) {
    if (name === " · ") continue;
    const kept = new Map();
    for (const result of found) {
      for (const [who, digits] of Object.entries(result.digits)) {
        if (!kept.has(who)) kept.set(who, []);
        kept.get(who).push(digits);
      }
    }
    const reached = found.map((result) => result.resolution).filter((value) => typeof value === "number" && value > 0);
    if (!kept.size && !reached.length) continue;
    const lanes = [...kept].map(([who, values]) => lane(who, `gc-is-${who}`, values, [0, 17], (low, high) => `${low.toFixed(1)} to ${high.toFixed(1)} digits`));
    const columns = [];
    if (kept.size) columns.push(element("div", {}, element("p", {}, "decimal digits kept, at least"), ...lanes, scale([0, 17], [0, 4, 8, 12, 16], String)));
    if (reached.length) {
      const asked = [...new Set(found.map((result) => result.required).filter(Boolean))].map(Math.log10);
      const range = [-18, 0];
      columns.push(element("div", {}, element("p", {}, "resolution reached; dashed, what is asked for"),
        lane("resolution", "", reached.map(Math.log10), range, (low, high) => `1e${low.toFixed(1)} to 1e${high.toFixed(1)}`, asked),
        scale(range, [-18, -12, -6, 0], (power) => (power === -18 ? "≤1e-18" : `1e${power}`))));
    }
    parts.push(element("div", { className: "chart" }, element("h2", {}, name), element("div", { className: "pair" }, ...columns)));
  }
  parts.push(weakest(results, open));
  return parts.length > 1 ? parts : [element("p", { className: "empty" }, "nothing of this kind among these results")];
}

function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(item);
  }
  return groups;
}

// How many there are of each size; the root of it, so that a single one shows beside a thousand.
function lane(label, kind, values, [low, high], told, asked = []) {
  const bins = Array(BINS).fill(0), size = (high - low) / BINS;
  for (const value of values) bins[Math.max(0, Math.min(BINS - 1, Math.floor((value - low) / size)))] += 1;
  const most = Math.max(...bins);
  const svg = drawn("svg", { role: "img", "aria-label": `${label}: ${values.length} results from ${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}` });
  svg.append(drawn("line", { class: "base", x1: 0, x2: "100%", y1: 45.5, y2: 45.5 }));
  bins.forEach((count, index) => {
    if (!count) return;
    const height = Math.max(2, 42 * Math.sqrt(count / most));
    const bar = drawn("rect", { x: `${(index * 100) / BINS}%`, width: `${100 / BINS - 0.25}%`, y: 45 - height, height });
    bar.append(drawn("title", {}, `${count}: ${told(low + index * size, low + (index + 1) * size)}`));
    svg.append(bar);
  });
  for (const value of asked) {
    const x = `${(100 * (value - low)) / (high - low)}%`;
    svg.append(drawn("line", { class: "asked", x1: x, x2: x, y1: 0, y2: 45 }));
  }
  return element("div", { className: `lane ${kind}` }, element("span", { className: kind ? "gc-who" : "" }, label), svg);
}

function scale([low, high], values, told) {
  const svg = drawn("svg", { "aria-hidden": "true" });
  for (const value of values) {
    const x = (100 * (value - low)) / (high - low);
    const anchor = x < 1 ? "start" : x > 99 ? "end" : "middle";
    svg.append(drawn("text", { x: `${x}%`, y: 13, "text-anchor": anchor }, told(value)));
  }
  return element("div", { className: "lane scale" }, element("span"), svg);
}

function weakest(results, open) {
  const found = results.filter((result) => Object.keys(result.digits).length)
    .map((result) => ({ result, least: Math.min(...Object.values(result.digits)) }));
  found.sort((a, b) => a.least - b.least);
  const rows = found.slice(0, WEAKEST).map(({ result }) => element("tr", {},
    element("td", {}, element("button", { type: "button", onclick: () => open(result.claim) }, `${result.claim.case} ${result.claim.quantity}`)),
    element("td", {}, `${result.dtype} ${result.device}`),
    element("td", {}, Object.entries(result.digits).map(([who, digits]) => `${who} ${digits.toFixed(1)}`).join(", "))));
  if (!rows.length) return "";
  return element("div", { className: "chart" }, element("h2", {}, "the fewest digits"),
    element("div", { className: "scroll", tabIndex: 0 }, element("table", { className: "weakest" }, element("tbody", {}, ...rows))));
}

function slowest(results, choose) {
  const cases = [...grouped(results, (result) => `${result.claim.file}::${result.claim.case}`).values()]
    .map((found) => ({ claim: found[0].claim, count: found.length, seconds: found.reduce((sum, result) => sum + result.seconds, 0) }));
  cases.sort((a, b) => b.seconds - a.seconds);
  const most = cases[0]?.seconds || 1;
  const rows = cases.slice(0, SLOWEST).map(({ claim, count, seconds }) => {
    const bar = element("i");
    bar.style.width = `${(100 * seconds) / most}%`;
    return element("li", {}, element("button", { type: "button", onclick: () => choose(claim) },
      element("span", { className: "label" }, claim.case, element("small", {}, `  ${claim.file}`)), bar,
      element("span", { className: "number", title: `${count} results` }, duration(seconds))));
  });
  return [element("ol", { className: "slow" }, ...rows)];
}

const duration = (seconds) => (seconds < 1 ? `${(seconds * 1000).toPrecision(2) * 1} ms` : `${seconds.toFixed(1)} s`);
