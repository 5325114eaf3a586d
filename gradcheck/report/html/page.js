// The list of claims: filtered, searched, opened; what is shown is in the address.

const PART = 80, DOTS = 24, RESULTS = 100, FILES = 14;
const $ = (id) => document.getElementById(id);
const table = JSON.parse($("table").textContent);
const rows = (columns, listed) => listed.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
const claims = rows(table.columns.claims, table.claims);
const results = rows(table.columns.results, table.results);

const byKey = new Map();
claims.forEach((claim, index) => {
  const name = `${claim.file}::${claim.case} ${claim.quantity}`.trim();
  let key = name;
  for (let count = 2; byKey.has(key); count += 1) key = `${name} (${count})`;
  byKey.set(key, claim);
  Object.assign(claim, { key, index, text: "" });
});
for (const result of results) {
  result.claim = claims[result.claim];
  result.claim.text += ` ${result.said} ${result.notes.join(" ")} ${result.kinds.join(" ")}`;
}
for (const claim of claims) claim.text = `${claim.key} ${claim.formula}${claim.text}`.toLowerCase();

const FACETS = [
  ["verdict", (result) => [result.standing]],
  ["file", (result) => [result.claim.file]],
  ["mistake", (result) => result.kinds],
  ["blame", (result) => (result.blame ? result.blame.split(",") : [])],
  ["notice", (result) => result.notices],
  ["dtype", (result) => [result.dtype]],
  ["device", (result) => [result.device]],
];
const WORST = ["fail", "error", "xpassed", "worse", "inconclusive", "known", "xfailed", "pass", "skipped"];
const state = { view: "claims", q: "", open: "", allFiles: false, chosen: Object.fromEntries(FACETS.map(([name]) => [name, new Set()])) };
let groups = [], shownRows = 0;

// A piece of HTML, from its pack, which is read once
const packs = $("pieces").textContent.split("\n"), unpacked = new Map();
async function piece(number) {
  const at = Math.floor(number / table.pack);
  if (!unpacked.has(at)) unpacked.set(at, unpack(packs[at]));
  return (await unpacked.get(at))[number % table.pack];
}
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// What is chosen

function matching(except = "") {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const facets = FACETS.filter(([name]) => name !== except && state.chosen[name].size);
  return results.filter((result) =>
    facets.every(([name, values]) => values(result).some((value) => state.chosen[name].has(value)))
    && words.every((word) => result.claim.text.includes(word)));
}

function render() {
  const found = matching();
  facets();
  groups = [...grouped(found, (result) => result.claim.index).values()];
  const isAll = found.length === results.length;
  $("count").replaceChildren(`${plural(found.length, "result")} of ${plural(groups.length, "claim")}${isAll ? "" : `, of ${results.length.toLocaleString("en")}`}`);
  if (!isAll) $("count").append(element("button", { type: "button", onclick: clear }, "clear filters"));
  for (const name of ["claims", "digits", "time"]) $(name).hidden = state.view !== name;
  for (const button of document.querySelectorAll("[data-view]")) {
    if (button.dataset.view === state.view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  if (state.view === "digits") $("digits").replaceChildren(...charts(found, reveal));
  else if (state.view === "time") $("time").replaceChildren(...slowest(found, (claim) => { state.q = `${claim.file}::${claim.case}`; show("claims"); }));
  else list();
  address();
}

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function clear() {
  state.q = $("search").value = "";
  for (const chosen of Object.values(state.chosen)) chosen.clear();
  render();
}

function show(view) {
  if (view !== state.view) history.pushState(null, "", location.href); // which Back leads to
  state.view = view;
  $("search").value = state.q;
  render();
}

function reveal(claim) {
  state.open = claim.key;
  show("claims");
}

// The facets, each with how many there are under all the others

function facets() {
  const focused = document.activeElement?.dataset?.option;
  $("facet-list").replaceChildren(...FACETS.map(facet).filter(Boolean));
  if (focused) document.querySelector(`[data-option=${CSS.escape(focused)}]`)?.focus();
}

function facet([name, values]) {
  const every = new Set(results.flatMap(values).filter(Boolean));
  if (every.size < (["dtype", "device"].includes(name) ? 2 : 1)) return null;
  const counts = new Map([...every].map((value) => [value, []]));
  for (const result of matching(name)) for (const value of values(result)) counts.get(value)?.push(result);
  let options = [...counts];
  if (name === "verdict") options.sort(([a], [b]) => WORST.indexOf(a) - WORST.indexOf(b));
  else if (name !== "file") options.sort(([, a], [, b]) => b.length - a.length);
  const isLong = name === "file" && options.length > FILES && !state.allFiles;
  const hidden = isLong ? options.length - FILES : 0;
  if (isLong) options = options.slice(0, FILES);
  const made = element("fieldset", { className: "facet" }, element("legend", {}, name), ...options.map(([value, found]) => option(name, value, found)));
  if (hidden) made.append(element("button", { type: "button", className: "all", onclick: () => { state.allFiles = true; render(); } }, `${hidden} more`));
  return made;
}

function option(facet, value, found) {
  const isChosen = state.chosen[facet].has(value);
  const button = element("button", { type: "button", title: value, className: found.length ? "" : "none" });
  button.dataset.option = `${facet} ${value}`;
  button.setAttribute("aria-pressed", isChosen);
  const short = facet === "file" ? brieflyNamed(value) : value.replaceAll("_", " ");
  const label = element("span", { className: `label${facet === "verdict" ? ` is-${value}` : ""}` }, short);
  button.append(label, element("span", { className: "number" }, found.length.toLocaleString("en")));
  if (facet === "file" && found.length) button.append(bar(found));
  button.onclick = () => {
    if (!state.chosen[facet].delete(value)) state.chosen[facet].add(value);
    render();
  };
  return button;
}

// Without its folder and ending, unless two files were called alike then
const nameOnly = (file) => file.split("/").at(-1).replace(/\.grad\.yaml$/, "");
const sharing = grouped([...new Set(claims.map((claim) => claim.file))], nameOnly);
const brieflyNamed = (file) => (sharing.get(nameOnly(file)).length > 1 ? file : nameOnly(file));

function bar(found) {
  const counts = grouped(found, (result) => result.standing);
  return element("span", { className: "bar", ariaHidden: "true" }, ...WORST.filter((one) => counts.has(one)).map((one) => {
    const part = element("i", { className: `is-${one}` });
    part.style.flex = counts.get(one).length;
    return part;
  }));
}

// The list: rows as far as they are scrolled to, details when they are opened

function list() {
  $("list").replaceChildren();
  shownRows = 0;
  extend();
  if (!groups.length) $("list").append(element("li", { className: "empty" }, "nothing is like this"));
  if (state.open) {
    const at = groups.findIndex(([result]) => result.claim.key === state.open);
    if (at < 0) return;
    while (shownRows <= at) extend();
    const item = $("list").children[at];
    expand(item, true).then(() => item.scrollIntoView({ block: "start" }));
  }
}

function extend() {
  $("list").append(...groups.slice(shownRows, shownRows + PART).map(row));
  shownRows = Math.min(groups.length, shownRows + PART);
  $("more").hidden = shownRows >= groups.length;
}

new IntersectionObserver((seen) => {
  if (seen.some((one) => one.isIntersecting) && shownRows < groups.length) extend();
}, { rootMargin: "600px" }).observe($("more"));

// Paper cannot be scrolled
window.addEventListener("beforeprint", () => { while (shownRows < groups.length) extend(); });

function row(found) {
  const [worst] = found, { claim } = worst;
  const item = element("li", { className: `claim is-${worst.standing}` });
  item.found = found;
  const button = element("button", { type: "button", className: "row", ariaExpanded: "false" },
    element("span", { className: "verdict" }, worst.standing),
    element("span", { className: "what" }, element("b", {}, claim.case), element("code", {}, claim.quantity)),
    element("span", { className: "said" }, ...marked(worst.standing === "pass" ? kept(found) : worst.said)),
    dots(found),
    element("span", { className: "where", title: claim.file }, element("bdi", {}, claim.file ? `${claim.file}:${claim.line}` : "")));
  button.onclick = () => expand(item, button.ariaExpanded === "false");
  item.append(button);
  return item;
}

function marked(text) {
  return text.split(/`([^`]*)`/).map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

// Of what passes: the fewest digits that each dtype keeps, and the worst resolution
function kept(found) {
  const parts = [...grouped(found, (result) => result.dtype)].flatMap(([dtype, ones]) => {
    const digits = ones.flatMap((result) => Object.values(result.digits));
    return digits.length ? [`${Math.min(...digits).toFixed(1)} in ${dtype}`] : [];
  });
  const reached = Math.max(...found.map((result) => (typeof result.resolution === "number" ? result.resolution : 0)));
  const notices = new Set(found.flatMap((result) => result.notices));
  const said = [...notices, parts.length ? `digits ${parts.join(", ")}` : "", reached ? `resolution ${brief(reached)}` : ""];
  return said.filter(Boolean).join(" · ") || found[0].said;
}

const brief = (value) => (typeof value === "number" ? (value === 0 ? "0" : value.toExponential(1)) : value ?? "");

const portion = (value) => (value >= 1e-3 && value < 10 ? `${Number((value * 100).toPrecision(3))} %` : brief(value));

function dots(found) {
  const made = element("span", { className: "dots", title: plural(found.length, "result") });
  if (found.length > 1) {
    made.append(...found.slice(0, DOTS).map((result) => element("i", { className: `is-${result.standing}` })));
    if (found.length > DOTS) made.append(element("span", {}, `+${found.length - DOTS}`));
  }
  return made;
}

async function expand(item, isOpen) {
  const button = item.querySelector(".row"), { key } = item.found[0].claim;
  button.ariaExpanded = String(isOpen);
  item.querySelector(".detail")?.remove();
  state.open = isOpen ? key : state.open === key ? "" : state.open;
  address();
  if (!isOpen) return;
  const made = await detail(item.found);
  if (button.ariaExpanded === "true" && !item.querySelector(".detail")) item.append(made);
}

async function detail(found) {
  const { claim } = found[0];
  const holder = element("div");
  const choose = async (result) => {
    if (result.evidence !== null) {
      holder.innerHTML = await piece(result.evidence);
      enliven(holder);
    } else {
      const notes = result.notes.map((note) => element("li", {}, ...marked(note)));
      holder.replaceChildren(...(notes.length ? [element("ul", { className: "gc-notes" }, ...notes)] : []));
    }
  };
  await choose(found[0]);
  const listed = resultsOf(found, choose);
  const main = element("div", { className: "main" }, ...(found.length > 1 ? [listed, holder] : [holder, listed]));
  const made = element("div", { className: "detail" }, main);
  if (claim.derivation !== null) {
    made.insertAdjacentHTML("beforeend", await piece(claim.derivation));
    made.classList.add("two");
    const own = `${claim.quantity} = ${claim.formula}`;
    for (const line of made.querySelectorAll("[data-claim]")) line.classList.toggle("own", line.dataset.claim === own);
  }
  return made;
}

function resultsOf(found, choose) {
  const evaluations = [...new Set(found.flatMap((result) => Object.keys(result.digits)))];
  const columns = [
    ["dtype", (result) => result.dtype],
    ["device", (result) => result.device],
    ["point", (result) => result.point],
    ["resolution", (result) => brief(result.resolution)],
    ["asked for", (result) => brief(result.required)],
    ["error", (result) => portion(result.difference)],
    ...evaluations.map((name) => [`${name} digits`, (result) => result.digits[name]?.toFixed(1) ?? ""]),
    ["time", (result) => duration(result.seconds)],
  ].filter(([, told]) => found.some((result) => told(result) !== ""));
  const body = element("tbody");
  const pick = (line) => { for (const other of body.children) other.classList.toggle("chosen", other === line); };
  for (const result of found.slice(0, RESULTS)) {
    const line = element("tr", { className: `is-${result.standing}` });
    const chooser = element("button", { type: "button", onclick: () => { pick(line); choose(result); } }, result.standing);
    line.append(element("td", { className: "verdict" }, found.length > 1 ? chooser : result.standing), ...columns.map(([, told]) => element("td", {}, told(result))));
    body.append(line);
  }
  if (found.length > 1) pick(body.firstElementChild);
  const head = ["verdict", ...columns.map(([name]) => name)].map((name) => element("th", { scope: "col" }, name));
  const parts = [element("table", { className: "results" }, element("thead", {}, element("tr", {}, ...head)), body)];
  if (found.length > RESULTS) parts.push(element("p", {}, `and ${found.length - RESULTS} more: filters tell them apart`));
  return element("div", { className: "scroll", tabIndex: 0, role: "group", ariaLabel: "results of this claim" }, ...parts);
}

// The keyboard

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  const isTyping = target.matches("input[type=search]");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "Escape") {
    if (isTyping) { state.q = target.value = ""; target.blur(); render(); return; }
    const item = target.closest?.(".claim") ?? document.querySelector(".claim:has(> .detail)");
    if (item) { expand(item, false); item.firstElementChild.focus(); }
    return;
  }
  if (isTyping && key !== "ArrowDown") return;
  const isRow = target.matches(".row, input[type=search]");
  if (key === "/") { $("search").focus(); $("search").select(); }
  else if (key === "j" || (key === "ArrowDown" && isRow)) step(1);
  else if (key === "k" || (key === "ArrowUp" && isRow)) step(-1);
  else return;
  event.preventDefault();
});

function step(by) {
  if (state.view !== "claims") return;
  const items = [...$("list").children];
  const at = items.indexOf(document.activeElement?.closest(".claim"));
  if (at + by >= items.length && shownRows < groups.length) { extend(); step(by); return; }
  const next = items[Math.max(0, Math.min(items.length - 1, at + by))];
  next?.firstElementChild?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

// The address: a link shows another reader the same

function address() {
  const said = new URLSearchParams();
  if (state.view !== "claims") said.set("view", state.view);
  if (state.q) said.set("q", state.q);
  for (const [name, chosen] of Object.entries(state.chosen)) for (const value of chosen) said.append(name, value);
  if (state.open) said.set("open", state.open);
  const hash = said.size ? `#${said}` : "";
  if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
}

function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  state.view = ["digits", "time"].includes(said.get("view")) ? said.get("view") : "claims";
  state.q = $("search").value = said.get("q") ?? "";
  state.open = said.get("open") ?? "";
  for (const [name, chosen] of Object.entries(state.chosen)) {
    chosen.clear();
    said.getAll(name).forEach((value) => chosen.add(value));
  }
  render();
}

// Light and dark

const THEMES = ["auto", "light", "dark"];
function theme(name) {
  $("theme-name").textContent = name;
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try { localStorage.setItem("gradcheck-theme", name); } catch { /* not everywhere is room for it */ }
}
function remembered() {
  try { return localStorage.getItem("gradcheck-theme") ?? "auto"; } catch { return "auto"; }
}
$("theme").onclick = () => theme(THEMES[(THEMES.indexOf($("theme-name").textContent) + 1) % THEMES.length]);
theme(THEMES.includes(remembered()) ? remembered() : "auto");

$("search").addEventListener("input", () => { state.q = $("search").value; render(); });
document.querySelectorAll("[data-view]").forEach((button) => { button.onclick = () => show(button.dataset.view); });
window.addEventListener("hashchange", read);
if (matchMedia("(max-width: 900px)").matches) $("facets").open = false;
$("app").hidden = false;
read();
