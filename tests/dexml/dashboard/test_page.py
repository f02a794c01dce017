"""The page in a browser, over the answers of the real application."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from dexml.book.trades import trades_csv
from dexml.book.view import book_view as view_of
from dexml.dashboard.page import page
from tests.dexml.dashboard.test_api import get
from tests.planted_book import BookLedger, trade_rows
from tests.planted_track import planted_state, planted_track

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
PARTS = ("book", "portfolio", "risk", "trades", "decisions", "alerts", "models", "health")
ANSWERING = """<script>
const answers = %s;
window.fetch = async (url) => ({ ok: true, status: 200, json: async () => answers[url.slice(4)] });
location.hash = "token=any";
</script><script>"""
MEASURING = """</script><script>
setTimeout(() => {
  const box = document.querySelector("#decisions .scroll"), edges = box.getBoundingClientRect();
  const rows = [...box.querySelectorAll("tbody tr")].map((row) => row.getBoundingClientRect());
  const cut = rows.filter((row) => row.top < edges.bottom - 1 && row.bottom > edges.bottom + 1);
  const texts = (path) => [...document.querySelectorAll(path)].map((one) => one.textContent);
  const measured = { width: innerWidth, cut: cut.length, rows: rows.length, high: edges.height,
    tiles: texts("#tiles b"), models: texts("#models tbody tr:first-child td.n"),
    paths: texts("#book path, #parts path").length, heats: texts("#correlations .heat"),
    stress: texts("#stress tbody td:nth-child(5)"), names: texts("#stress tbody td:first-child"),
    declined: texts("#declined .meter"), wide: document.documentElement.scrollWidth,
    text: document.body.innerText, images: document.images.length };
  parent.postMessage("MEASURED" + encodeURIComponent(JSON.stringify(measured)) + "END", "*");
}, 1000);
</script>"""
# a window of this browser is at least 500 px wide; a frame can be as narrow as a phone
SAVING = """</script><script>
window.fetch = async (url) => ({ ok: true, text: async () => pages[url][0],
  headers: { get: (name) => name === "Link" ? pages[url][1] : null } });
allTrades().then((parts) => new Blob(parts).text()).then((text) =>
  parent.postMessage("MEASURED" + encodeURIComponent(JSON.stringify(text)) + "END", "*"));
</script>"""
FRAME = """<body><iframe src="page.html" width="%d" height="900" frameborder="0"></iframe><script>
window.onmessage = (event) => document.body.append(event.data);
</script>"""


@pytest.fixture(autouse=True)
def _with_a_browser() -> None:
    if BROWSER is None:
        lacking = "chromium is not on this machine"
        pytest.fail(lacking) if os.environ.get("DEXML_REQUIRE_COMPONENTS") else pytest.skip(lacking)


def opened(
    folder: Path,
    width: int,
    told: dict[str, Any] | None = None,
    risk: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    answers = {part: get(f"/v1/{part}").json() for part in PARTS}
    answers["book"] = answers["book"] if told is None else told
    answers["portfolio"] |= changes
    answers["risk"] |= risk or {}
    before, after = page().html.split("<script>")
    script, end = after.split("</script>")
    answered = json.dumps(answers).replace("<", "\\u003c")
    html = before + ANSWERING % answered + script + MEASURING + end
    return measured(shown(folder, html, width))


def shown(folder: Path, html: str, width: int) -> str:
    (folder / "page.html").write_text(html, "utf-8")
    (folder / "frame.html").write_text(FRAME % width, "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
    command = [str(BROWSER), *flags, "--window-size=1400,1000", f"--user-data-dir={folder}/me"]
    command += ["--dump-dom", (folder / "frame.html").as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def measured(dom: str) -> Any:
    found: Any = json.loads(unquote(dom.rpartition("MEASURED")[2].partition("END")[0]))
    return found


@pytest.mark.parametrize("width", [390, 1280])
def test_no_row_of_the_decisions_is_cut_in_half(tmp_path: Path, width: int) -> None:
    seen = opened(tmp_path, width)
    assert (seen["width"], seen["rows"], seen["cut"]) == (width, 60, 0)
    assert 200 < seen["high"] < 331
    assert "60 newest of 60" in seen["text"]


def test_what_rounds_to_nothing_has_no_sign(tmp_path: Path) -> None:
    changes = {"return": -0.000001, "buy_and_hold_return": 0.00004}
    seen = opened(tmp_path, 1280, **changes)
    assert seen["tiles"][1:4] == ["0.00%", "0.00%", "0.00%"]
    assert "-0.00" not in seen["text"]


def test_the_edge_that_was_reached_is_the_one_that_was_measured(tmp_path: Path) -> None:
    cells = opened(tmp_path, 1280)["models"]
    assert cells[:5] == ["50.7%", "54.1%", "62.4%", "66.8%", "71%"]  # counted: 73% of the way


@pytest.mark.parametrize("width", [390, 1280])
def test_the_book_is_drawn_with_the_figures_of_its_view(tmp_path: Path, width: int) -> None:
    view = get("/v1/book").json()
    seen = opened(tmp_path, width)
    assert seen["paths"] == 4 + 5  # exposure, loss, VaR, drawdown; and a band for each part
    assert seen["names"] == [row["scenario"] for row in view["stress"]["rows"]]
    totals = [float(text.rstrip("%").replace(",", "")) / 100 for text in seen["stress"]]
    assert totals == pytest.approx([row["total"] for row in view["stress"]["rows"]], abs=6e-5)
    matrix = [value for row in view["correlations"]["matrix"] for value in row]
    assert [float(text) for text in seen["heats"]] == pytest.approx(matrix, abs=6e-3)
    assert seen["declined"][0] == "risk120concentration, value at risk: 60 · value at risk: 60"
    assert "300 of 300 bars decided; 1 of 2 orders failed." in seen["text"]
    assert "Too few days to test: 100 are needed" in seen["text"]
    assert seen["wide"] <= width  # nothing reaches beyond the window


@pytest.mark.parametrize("n_closes", [0, 1])
def test_a_book_that_has_hardly_begun_is_words_and_not_an_error(
    tmp_path: Path, n_closes: int
) -> None:
    view = view_of(planted_track(n_closes), planted_state(1))
    seen = opened(tmp_path, 1280, told=view)
    assert (seen["paths"], seen["heats"]) == (0, [])
    assert "The book's way begins with the second closed bar." in seen["text"]
    assert "Two instruments with 20 returns are needed: 1 of 1." in seen["text"]


def test_without_a_run_the_book_says_so_and_the_rest_is_shown(tmp_path: Path) -> None:
    seen = opened(tmp_path, 1280, told={})
    assert seen["text"].count("No run is followed.") == 5
    assert seen["rows"] == 60


def test_text_of_the_journal_never_becomes_markup(tmp_path: Path) -> None:
    view = get("/v1/book").json()
    bad = "<img src=x>"
    view["declined"]["reasons"][0] |= {"reason": bad}
    view["correlations"]["note"] = view["stress"]["rows"][0]["scenario"] = bad
    seen = opened(tmp_path, 1280, told=view)
    assert seen["images"] == 0
    assert seen["names"][0] == bad


def test_a_tail_that_nobody_could_measure_yet_is_not_shown_as_a_loss_of_everything(
    tmp_path: Path,
) -> None:
    text = opened(tmp_path, 1280, risk={"value_at_risk": None})["text"]
    assert "VaR, 1 day 95%\nnot measured yet" in text
    assert "100.0% of" not in text


def test_the_button_saves_every_trade_however_many_pages_they_take(tmp_path: Path) -> None:
    rows = [row | {"intent_id": f"i{k}"} for k in range(12_001) for row in trade_rows()[:1]]
    pages, address = {}, "/v1/trades?format=csv&limit=5000"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BookLedger, "trades", lambda _self, _run: rows)
        while address:
            answer = get(address)
            pages[address] = (answer.text, answer.headers.get("link"))
            address = answer.links.get("next", {}).get("url", "")
    before, after = page().html.split("<script>")
    script, end = after.split("</script>")
    told = f"<script>const pages = {json.dumps(pages)};</script><script>"
    saved = measured(shown(tmp_path, before + told + script + SAVING + end, 1280))
    assert len(pages) == 3
    assert saved == trades_csv(rows)
