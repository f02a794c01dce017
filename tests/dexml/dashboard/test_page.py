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

from dexml.dashboard.page import page
from tests.dexml.dashboard.test_api import get

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
    text: document.body.innerText };
  parent.postMessage("MEASURED" + encodeURIComponent(JSON.stringify(measured)) + "END", "*");
}, 1000);
</script>"""
# a window of this browser is at least 500 px wide; a frame can be as narrow as a phone
FRAME = """<body><iframe src="page.html" width="%d" height="900" frameborder="0"></iframe><script>
window.onmessage = (event) => document.body.append(event.data);
</script>"""


@pytest.fixture(autouse=True)
def _with_a_browser() -> None:
    if BROWSER is None:
        lacking = "chromium is not on this machine"
        pytest.fail(lacking) if os.environ.get("DEXML_REQUIRE_COMPONENTS") else pytest.skip(lacking)


def opened(folder: Path, width: int, **changes: Any) -> dict[str, Any]:
    answers = {part: get(f"/v1/{part}").json() for part in PARTS}
    answers["portfolio"] |= changes
    before, after = page().html.split("<script>")
    script, end = after.split("</script>")
    told = json.dumps(answers).replace("<", "\\u003c")
    html = before + ANSWERING % told + script + MEASURING + end
    (folder / "page.html").write_text(html, "utf-8")
    (folder / "frame.html").write_text(FRAME % width, "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
    command = [str(BROWSER), *flags, "--window-size=1400,1000", f"--user-data-dir={folder}/me"]
    command += ["--dump-dom", (folder / "frame.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    return measured(dom)


def measured(dom: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unquote(dom.rpartition("MEASURED")[2].partition("END")[0]))
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
