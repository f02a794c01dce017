"""The page: one document with its style and script inside, allowed to run nothing else."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Page", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A document and the content security policy that fits it to the byte."""

    html: str
    policy: str


@cache
def page() -> Page:
    """Return the page, with no data in it; the script fetches that with the reader's token.

    Examples
    --------
    >>> "http://" in page().html.replace("http://www.w3.org/2000/svg", "")
    False
    """
    folder = files("dexml.dashboard")
    names = ("style.css", "page.js", "book.js")
    style, *scripts = ((folder / name).read_text("utf-8") for name in names)
    script = "".join(scripts)
    html = (folder / "index.html").read_text("utf-8")
    html = html.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html=html, policy=policy)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
