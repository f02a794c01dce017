// The book over time. It shares the helpers of page.js, with which it is one script.
const STRIP = 66, GAP = 30, MARGIN = 46;

function stretches(values) { // a stretch without values is not drawn over
  const found = [];
  values.forEach((value, i) => {
    if (!known(value)) return;
    if (i && known(values[i - 1])) found.at(-1).push([i, value]); else found.push([[i, value]]);
  });
  return found;
}

function drawnLine({ name, values, filled }, x, y, base) {
  return stretches(values).map((points) => {
    const ends = points.length > 1 ? points.map(([i, value]) => [x(i), y(value)])
      : [-0.8, 0.8].map((aside) => [x(points[0][0]) + aside, y(points[0][1])]); // alone it would be invisible
    const line = "M" + ends.map(([at, high]) => at.toFixed(1) + " " + high.toFixed(1)).join("L");
    return svg("path", { class: name, d: filled ? line + `L${ends.at(-1)[0].toFixed(1)} ${base}L${ends[0][0].toFixed(1)} ${base}Z` : line });
  });
}

function strip({ title, lines, limit }, above, x, width) {
  const highest = Math.max(0, ...lines.flatMap((line) => line.values).filter(known));
  const top = 1.08 * Math.max(highest, known(limit) && 3 * highest >= limit ? limit : 0) || 0.01; // the limit, if anything comes near it
  const limited = known(limit) && limit <= top, start = above + 20, base = start + STRIP;
  const y = (value) => base - clip(value / top, 0, 1) * STRIP;
  const side = (at, text) => svg("text", { x: width, y: at, "text-anchor": "end" }, text);
  return [svg("text", { x: 0, y: start - 7 }, title), ...lines.flatMap((line) => drawnLine(line, x, y, base)),
    svg("line", { class: "axis", x1: 0, x2: width - MARGIN, y1: base, y2: base }),
    limited ? svg("line", { class: "limit", x1: 0, x2: width - MARGIN, y1: y(limit), y2: y(limit) }) : null,
    side(base, "0%"), limited ? side(y(limit) + 4, percent(limit, 0)) : side(start + 8, percent(top, top >= 0.1 ? 0 : 2))];
}

function ends(at, width, height) {
  return [svg("text", { x: 0, y: height - 4 }, when(at[0])),
    svg("text", { x: width - MARGIN, y: height - 4, "text-anchor": "end" }, when(at.at(-1)))];
}

function drawStrips(book) {
  const { series: s, limits, days } = book, n = s.at.length;
  if (n < 2) return show("book", nothing("The book's way begins with the second closed bar."));
  const width = Math.max(280, byId("book").clientWidth), height = 3 * (STRIP + GAP) + 22;
  const x = (i) => i / (n - 1) * (width - MARGIN);
  const rows = [
    { title: "exposure: share of equity that is not cash", lines: [{ name: "exposed", values: s.exposure, filled: true }] },
    { title: "one-day VaR 95% (line), what the next day lost (area)", limit: limits.value_at_risk,
      lines: [{ name: "lost", values: s.next_day_loss, filled: true }, { name: "tail", values: s.value_at_risk }] },
    { title: "drawdown from the peak", limit: limits.drawdown, lines: [{ name: "fallen", values: s.drawdown, filled: true }] }];
  const share = known(days.share_beyond) ? ` (${percent(days.share_beyond)}, promised ${percent(days.promised, 0)})` : "";
  show("book", svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "Exposure, VaR and drawdown over time" },
    ...rows.flatMap((row, k) => strip(row, k * (STRIP + GAP), x, width)), ...ends(s.at, width, height)),
  h("p", { class: "quiet note" }, `${fixed(days.n_beyond, 0)} of ${fixed(days.n, 0)} days that began with a position lost more than their VaR${share}. ${days.note}`));
}

function drawParts(book) {
  const { series: s, limits } = book, names = Object.keys(s.shares), n = s.at.length;
  if (n < 2 || !names.length) return show("parts", nothing("No part of the score was recorded yet."));
  const width = Math.max(240, byId("parts").clientWidth), height = 168, base = 142;
  const x = (i) => i / (n - 1) * (width - MARGIN), y = (value) => base - clip(value, 0, 1) * (base - 8);
  const point = (value, i) => x(i).toFixed(1) + " " + y(value).toFixed(1);
  let below = s.at.map(() => 0);
  const bands = names.map((name) => {
    const above = below.map((low, i) => low + (s.risk_score[i] || 0) * (s.shares[name][i] || 0));
    const d = "M" + above.map(point).join("L") + "L" + below.map(point).reverse().join("L") + "Z";
    below = above;
    return svg("path", { class: "band " + name, d });
  });
  const side = (value, text) => svg("text", { x: width, y: y(value) + 4, "text-anchor": "end" }, text);
  const line = (name, value) => svg("line", { class: name, x1: 0, x2: width - MARGIN, y1: y(value), y2: y(value) });
  show("parts", svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "Risk score by part over time" },
    ...bands, line("axis", 0), line("limit", limits.risk_score), side(0, "0"), side(limits.risk_score, fixed(limits.risk_score, 1)), side(1, "1"),
    ...ends(s.at, width, height)),
  h("p", { class: "legend note" }, ...names.flatMap((name) => [h("span", { class: "named" }, h("i", { class: "key part " + name }), name.replaceAll("_", " ")), " "])));
}

function drawStress({ rows, note }) {
  if (note) return show("stress", nothing(note));
  const worst = Math.max(...rows.map((row) => Math.abs(row.total)));
  const cell = (value, more = "") => h("td", { class: "n" + more }, percent(value, 2));
  const head = h("tr", {}, h("th", {}, "scenario"), ...["market", "stablecoin", "leaving", "total"].map(
    (name, i) => h("th", { class: "n" + (i % 3 ? " wide-only" : "") }, name)), h("th", { class: "wide-only" }));
  show("stress", h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows.map((row) => h("tr", {},
    h("td", { class: "fold" }, row.scenario), cell(row.market), cell(row.stablecoin, " wide-only"), cell(row.leaving, " wide-only"),
    h("td", { class: "n" }, h("b", {}, percent(row.total, 2))),
    h("td", { class: "gauge wide-only" }, svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", height: 6 },
      svg("rect", { class: "track", width: 100, height: 6 }),
      svg("rect", { class: row.total > 0 ? "loss" : "gain", width: worst ? 100 * Math.abs(row.total) / worst : 0, height: 6 }))))))));
}

function heat(value) {
  const level = Math.round(4 * Math.abs(value));
  return h("td", { class: "heat " + (level ? (value > 0 ? "with" : "against") + level : "") }, fixed(value, 2));
}

function drawCorrelations({ instruments, matrix, n_bars: bars, n_instruments: all, note }) {
  const coins = instruments.map((name) => name.split("/")[0]);
  const names = new Set(coins).size === coins.length ? coins : instruments;
  const of = all > names.length ? `, ${names.length} of ${all} instruments` : "";
  byId("window").textContent = matrix ? `${fixed(bars, 0)} bars${of}` : "";
  show("correlations", matrix ? h("div", { class: "scroll-x" }, h("table", { class: "heats" },
    h("tr", {}, h("th", {}), ...names.map((name) => h("th", { class: "n" }, name))),
    ...matrix.map((row, i) => h("tr", {}, h("th", {}, names[i]), ...row.map(heat))))) : null, h("p", { class: "quiet note" }, note));
}

function drawDeclined({ declined, orders, closes }) {
  byId("refused").textContent = declined.of ? `${fixed(declined.n, 0)} of ${fixed(declined.of, 0)} decisions` : "";
  const most = Math.max(1, ...declined.reasons.map((row) => row.n));
  const said = `${fixed(closes.decided, 0)} of ${fixed(closes.asked, 0)} bars decided; ${fixed(orders.n_failed, 0)} of ${fixed(orders.n, 0)} orders failed.`;
  show("declined", ...declined.reasons.map((row) => h("div", { class: "meter" }, h("span", {}, row.reason), h("span", { class: "quiet" }, fixed(row.n, 0)),
    svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, svg("rect", { class: "track", width: 100, height: 6 }),
      svg("rect", { class: "fill", width: 100 * row.n / most, height: 6 })),
    row.details.length ? h("span", { class: "quiet detail" }, row.details.map((one) => one.detail.replaceAll("_", " ") + ": " + fixed(one.n, 0)).join(" · ")) : null)),
  h("p", { class: "quiet note" }, said));
}

function drawBook(book) {
  if (!book.series) return ["book", "parts", "stress", "correlations", "declined"].forEach((id) => show(id, nothing("No run is followed.")));
  drawStrips(book);
  drawParts(book);
  drawStress(book.stress);
  drawCorrelations(book.correlations);
  drawDeclined(book);
}

async function allTrades() { // page by page, newest first; each begins with the same line of names
  const pages = [];
  for (let address = "/v1/trades?format=csv&limit=5000"; address;) {
    const response = await fetch(address, { headers: { Authorization: "Bearer " + token }, cache: "no-store" });
    if (!response.ok) return null;
    pages.unshift(await response.text());
    address = (/^<(.*)>; rel="next"$/.exec(response.headers.get("Link") || "") || [])[1];
  }
  return pages.map((text, i) => i ? text.slice(text.indexOf("\n") + 1) : text);
}

async function saveTrades() {
  const pages = await allTrades();
  if (!pages) return;
  const link = h("a", { href: URL.createObjectURL(new Blob(pages, { type: "text/csv" })), download: "trades.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}
