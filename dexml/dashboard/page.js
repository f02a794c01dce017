"use strict";
// Data reaches the document only as text nodes, so nothing that is fetched can become markup.
const PERIOD_MS = 5000;
const LIMIT_NAMES = { risk_score: "risk score", drawdown: "drawdown", value_at_risk: "VaR, 1 day 95%" };
const byId = (id) => document.getElementById(id);
let token = takeToken();
let timer = 0;
let lastHeard = 0;

function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token") || "";
  if (found) history.replaceState(null, "", location.pathname); // not into history or a screenshot
  return found;
}

function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const h = (tag, attributes, ...children) => make("", tag, attributes, children);
const svg = (tag, attributes, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);
const show = (id, ...children) => byId(id).replaceChildren(...children);
const nothing = (text) => h("p", { class: "quiet" }, text);

// numbers as text; what is not known is a dash, and what rounds to zero has no sign
const known = (value) => value !== null && value !== undefined && value !== "" && Number.isFinite(Number(value));
const fixed = (value, digits) => known(value)
  ? (Number(Number(value).toFixed(digits)) + 0).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : "–";
const percent = (value, digits = 1) => known(value) ? fixed(100 * value, digits) + "%" : "–";
const signed = (value, digits = 2) => (known(value) && (100 * value).toFixed(digits) > 0 ? "+" : "") + percent(value, digits);
const price = (value) => fixed(value, Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 1 ? 2 : 5);
const when = (value) => value ? String(value).slice(5, 16).replace("T", " ") : "–";
const tone = (value) => !known(value) || Number((100 * value).toFixed(2)) === 0 ? "" : value > 0 ? "up-text" : "down-text";
const clip = (value, low, high) => Math.min(high, Math.max(low, value));

async function get(path) {
  const headers = { Authorization: "Bearer " + token };
  const response = await fetch("/v1/" + path, { headers, cache: "no-store" });
  if (response.ok) return response.json();
  const body = await response.json().catch(() => ({}));
  throw Object.assign(new Error(body.detail || "Status " + response.status), { status: response.status, fix: body.fix });
}

function drawTiles(book, risk, trades, decisions) {
  const tile = (label, value, tint) => h("div", { class: "tile" }, h("b", { class: tint || "" }, value), h("span", {}, label));
  const beyond = known(book.buy_and_hold_return) ? book.return - book.buy_and_hold_return : null;
  show("tiles",
    tile("equity, USDT", fixed(book.equity, 0)),
    tile("return after costs", signed(book.return), tone(book.return)),
    tile("buy and hold", signed(book.buy_and_hold_return)),
    tile("beyond buy and hold", signed(beyond), tone(beyond)),
    tile("drawdown now", percent(risk.drawdown)),
    tile("fills / decisions", fixed(trades.n, 0) + " / " + fixed(decisions.n, 0)));
  byId("mode").hidden = !risk.mode;
  byId("mode").textContent = risk.mode || "";
  byId("mode").className = "chip " + risk.mode;
}

function path(values, x, y) {
  let line = "";
  values.forEach((value, i) => { if (known(value)) line += (line ? "L" : "M") + x(i).toFixed(1) + " " + y(value).toFixed(1); });
  return line;
}

function drawCurve(curve) {
  const n = curve.at.length;
  if (n < 2) return show("curve", nothing("The curve begins with the second closed bar."));
  const width = Math.max(300, byId("curve").clientWidth), height = 210, right = 52;
  const values = [...curve.equity, ...curve.buy_and_hold].filter(known).map(Number);
  const low = Math.min(...values), high = Math.max(...values), room = (high - low || 1) * 0.06;
  const x = (i) => i / (n - 1) * (width - right);
  const y = (value) => 8 + (high + room - value) / (high - low + 2 * room) * (height - 34);
  const line = path(curve.equity, x, y);
  const ticks = [low, (low + high) / 2, high];
  const label = (value) => svg("text", { x: width, y: y(value) + 4, "text-anchor": "end" }, fixed(value, high - low < 10 ? 1 : 0));
  show("curve", svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "Equity beside buy and hold" },
    ...ticks.map((value) => svg("line", { class: "axis", x1: 0, x2: width - right, y1: y(value), y2: y(value) })),
    ...ticks.map(label),
    svg("path", { class: "area", d: line + `L${x(n - 1)} ${height - 26}L0 ${height - 26}Z` }),
    svg("path", { class: "hold", d: path(curve.buy_and_hold, x, y) }),
    svg("path", { class: "equity", d: line }),
    svg("text", { x: 0, y: height - 6 }, when(curve.at[0])),
    svg("text", { x: width - right, y: height - 6, "text-anchor": "end" }, when(curve.at[n - 1]))));
}

function meter(name, label, value, limit) {
  const share = known(value) && limit ? value / limit : null;
  const state = share === null ? "" : share >= 1 ? "over" : share >= 0.8 ? "near" : "";
  const text = !known(value) ? "not measured yet" : name === "risk_score" // a score, not a fraction of anything
    ? fixed(value, 2) + (limit ? " of " + fixed(limit, 2) : "") : percent(value) + (limit ? " of " + percent(limit, 0) : "");
  return h("div", { class: "meter" }, h("span", {}, label), h("span", { class: "quiet" }, text),
    svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" },
      svg("rect", { class: "track", width: 100, height: 6, rx: 1 }),
      svg("rect", { class: "fill " + state, width: 100 * clip(share || 0, 0, 1), height: 6, rx: 1 })));
}

function drawRisk(risk) {
  const limits = risk.limits || {};
  const parts = Object.entries(risk.parts || {}).sort((a, b) => b[1] - a[1]).filter(([, value]) => value > 0.005);
  show("risk",
    ...Object.entries(LIMIT_NAMES).map(([name, label]) => meter(name, label, risk[name], limits[name])),
    h("p", { class: "quiet note" }, parts.length
      ? "Score from " + parts.map(([name, value]) => name.replaceAll("_", " ") + " " + fixed(value, 2)).join(", ") + "."
      : "No part of the score is raised."));
}

function gauge(row, low, high) {
  const x = (value) => 5 + 350 * clip((value - low) / (high - low), 0, 1);
  const { base_rate: base, reached: { accuracy }, reachable: { accuracy: limit }, rule } = row;
  const tick = (name, value) => known(value) ? svg("rect", { class: name, x: x(value) - 1, y: 3, width: 2, height: 12 }) : null;
  const bar = (name, from, to) => known(from) && known(to)
    ? svg("rect", { class: name, x: Math.min(x(from), x(to)), y: 6, width: Math.abs(x(to) - x(from)), height: 6 }) : null;
  return svg("svg", { viewBox: "0 0 360 18", height: 18, preserveAspectRatio: "xMinYMid", role: "img", "aria-label": `${row.target}: reached ${percent(accuracy)}` },
    svg("rect", { class: "track", x: 0, y: 8.5, width: 360, height: 1 }),
    bar("span", base, limit), bar(accuracy < base ? "loss" : "gain", base, accuracy),
    tick("m-rule", rule.accuracy), tick("m-base", base),
    known(limit) ? svg("circle", { class: "m-reach", cx: x(limit), cy: 9, r: 4 }) : null,
    known(accuracy) ? svg("circle", { class: "m-reached", cx: x(accuracy), cy: 9, r: 4 }) : null);
}

function drawModels(rows) {
  if (!rows.length) return show("models", nothing("No model has been registered yet."));
  const all = rows.flatMap((row) => [row.base_rate, row.reached.accuracy, row.reachable.accuracy, row.rule.accuracy]).filter(known);
  const low = Math.min(0.5, ...all), high = Math.max(0.6, ...all);
  const head = h("tr", {}, h("th", {}, "target"), h("th", { class: "wide-only" }, ""), h("th", { class: "n" }, "base"),
    h("th", { class: "n" }, "rule"), h("th", { class: "n" }, "reached"), h("th", { class: "n" }, "reachable"), h("th", { class: "n wide-only" }, "edge reached"),
    h("th", { class: "n wide-only" }, "log-loss"), h("th", { class: "n wide-only" }, "rows"), h("th", { class: "wide-only" }, "version"));
  const first = (row) => row.target === "ensemble" ? 0 : 1;
  const sorted = [...rows].sort((a, b) => first(a) - first(b));
  show("models", h("div", { class: "scroll-x" }, h("table", {}, h("thead", {}, head),
    h("tbody", {}, ...sorted.flatMap((row) => modelRows(row, low, high))))));
}

function modelRows(row, low, high) {
  const cell = (value) => h("td", { class: "n" }, value);
  const small = row.degraded ? [] : [h("tr", { class: "phone-only" }, h("td", { colspan: 9 }, gauge(row, low, high)))];
  return [h("tr", {}, h("td", {}, row.target),
    h("td", { class: "gauge wide-only" }, row.degraded ? h("span", { class: "quiet" }, "degraded: its inputs are missing") : gauge(row, low, high)),
    cell(percent(row.base_rate)), cell(percent(row.rule.accuracy)),
    h("td", { class: "n" }, row.degraded ? h("span", { class: "quiet" }, "degraded") : h("b", {}, percent(row.reached.accuracy))),
    cell(percent(row.reachable.accuracy)), h("td", { class: "n wide-only" }, percent(row.edge_reached, 0)),
    h("td", { class: "n wide-only" }, fixed(row.reached.log_loss, 4)), h("td", { class: "n wide-only" }, fixed(row.n, 0)),
    h("td", { class: "wide-only quiet" }, String(row.status || "") + " " + String(row.digest || "").slice(0, 10))), ...small];
}

const table = (head, rows) => h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)));

function endAtARow(id) { // a box that scrolls shows whole rows, however high they are at this width
  const box = byId(id).querySelector(".scroll");
  if (!box) return;
  box.style.maxHeight = "";
  const top = box.getBoundingClientRect().top - box.scrollTop;
  const ends = [...box.querySelectorAll("tbody tr, .event")].map((row) => row.getBoundingClientRect().bottom - top);
  const whole = ends.filter((end) => end <= box.clientHeight + 0.5).at(-1);
  if (whole && box.scrollHeight > box.clientHeight) box.style.maxHeight = Math.ceil(whole) + "px";
}

function drawPositions(rows) {
  if (!rows.length) return show("positions", nothing("All cash. Entering needs an edge over the round trip's cost."));
  const head = h("tr", {}, ...["instrument", "quantity", "weight", "entry", "stop", "take profit"].map(
    (name, i) => h("th", { class: (i ? "n" : "") + (i === 1 ? " wide-only" : "") }, name)));
  show("positions", table(head, rows.map((row) => h("tr", {}, h("td", {}, row.instrument),
    h("td", { class: "n wide-only" }, fixed(row.quantity, 5)), h("td", { class: "n" }, percent(row.weight, 0)),
    h("td", { class: "n" }, price(row.entry_price)), h("td", { class: "n" }, price(row.stop)), h("td", { class: "n" }, price(row.take_profit))))));
  endAtARow("positions");
}

function drawDecisions(rows, n) {
  byId("shown").textContent = rows.length ? `${fixed(Math.min(rows.length, 60), 0)} newest of ${fixed(n, 0)}` : "";
  if (!rows.length) return show("decisions", nothing("Nothing decided yet: decisions are made when a bar closes."));
  const head = h("tr", {}, h("th", {}, "UTC"), h("th", {}, "instrument"), h("th", { class: "n" }, "p up"),
    h("th", { class: "n wide-only" }, "cost"), h("th", { class: "n" }, "net edge"), h("th", {}, "decision"));
  show("decisions", table(head, rows.slice(-60).reverse().map((row) => h("tr", {},
    h("td", { class: "quiet" }, h("span", { class: "wide-only" }, when(row.at).slice(0, 6)), when(row.at).slice(6)),
    h("td", {}, row.instrument), h("td", { class: "n" }, fixed(row.probability, 3)),
    h("td", { class: "n wide-only" }, percent(row.cost, 2)), h("td", { class: "n " + tone(row.net_edge) }, signed(row.net_edge)),
    h("td", {}, row.action + " ", h("span", { class: "quiet reason" }, row.reason))))));
  endAtARow("decisions");
}

function drawAlerts(rows) {
  if (!rows.length) return show("alerts", nothing("No alert."));
  show("alerts", h("div", { class: "scroll" }, ...rows.slice(-30).reverse().map((row) => h("div", { class: "event" },
    h("i", { class: "dot " + row.severity, title: row.severity }), h("b", {}, row.subject), " " + row.text + " ",
    h("span", { class: "quiet" }, when(row.at))))));
  endAtARow("alerts");
}

function drawHealth(rows) {
  show("health", ...rows.map((row) => h("div", {}, h("i", { class: "dot " + (row.healthy ? "well" : "critical") }),
    row.component + (row.healthy ? "" : ": " + row.detail))));
}

async function part(request, draw) { // one failing part must not blank the others
  try { draw(await request); return null; } catch (error) { return error; }
}

async function refresh() {
  clearTimeout(timer);
  const [book, risk, trades, decisions] = ["portfolio", "risk", "trades", "decisions"].map(get);
  const errors = (await Promise.all([
    part(Promise.all([book, risk, trades, decisions]), ([b, r, t, d]) => drawTiles(b, r, t, d)),
    part(book, (b) => { drawCurve(b.curve); drawPositions(b.positions); setClock(b.curve.at.at(-1)); }),
    part(risk, drawRisk),
    part(decisions, (d) => drawDecisions(d.decisions, d.n)),
    part(get("book"), drawBook),
    part(get("models"), (m) => drawModels(m.models)),
    part(get("alerts"), (a) => drawAlerts(a.alerts)),
    part(get("health"), (s) => drawHealth(s.components)),
  ])).filter(Boolean);
  if (errors.some((error) => error.status === 401 || error.status === 403)) return closeDoor(errors[0]);
  setLink(errors[0]);
  timer = setTimeout(refresh, PERIOD_MS);
}

function setClock(at) { byId("clock").textContent = at ? "last close " + when(at) + " UTC" : "no bar has closed yet"; }

function setLink(error) {
  if (!error) lastHeard = Date.now();
  const silent = lastHeard ? ` · last full answer ${Math.round((Date.now() - lastHeard) / 1000)} s ago` : "";
  byId("link").className = "link " + (error ? "down" : "up");
  byId("link").textContent = error ? (error.status ? error.message : "no answer") + silent : "live";
}

function closeDoor(error) {
  byId("board").hidden = true;
  byId("door").hidden = false;
  byId("link").textContent = "closed";
  if (error) byId("door-text").textContent = `${error.message} ${error.fix || ""}`;
  byId("door-token").focus();
}

function openDoor() {
  byId("door").hidden = true;
  byId("board").hidden = false;
  refresh();
}

byId("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("door-token").value.trim();
  byId("door-token").value = "";
  openDoor();
});
byId("csv").addEventListener("click", saveTrades);
if (token) openDoor(); else closeDoor(null);
