"""What `dexml backfill` does: sources chosen by its options, visited, and reported on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dexml.clock import SystemClock
from dexml.errors import DataError, UsageError

if TYPE_CHECKING:
    from dexml.config import Settings
    from dexml.data.feeds.backfill import BarsReport
    from dexml.data.feeds.trade_history import TradeHistory
    from dexml.data.sources.macro import MacroSource
    from dexml.data.sources.news import NewsSource
    from dexml.data.storage.store import Store

__all__ = ["BackfillOptions", "asked_instrument", "progress", "run_backfill"]

SHOWN_HOLES = 5
ALTERNATIVE_ME = "https://api.alternative.me"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOptions:
    """The options of `dexml backfill`; see its help. Addresses that are None are the real ones."""

    exchange: str
    symbols: tuple[str, ...]
    since: str
    until: str
    url: str | None
    trades: bool
    news: tuple[str, ...]
    newsapi: bool
    newsapi_url: str | None
    series: tuple[str, ...]
    macro_url: str | None
    yahoo_url: str | None
    scorer: str


class Advance(Protocol):
    """Move a progress bar on by one."""

    def __call__(self) -> None: ...


@contextmanager
def progress(console: Console, text: str, total: int) -> Iterator[Advance]:
    """Show a progress bar while the context is open."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)


def run_backfill(
    options: BackfillOptions, settings: Settings, env: Mapping[str, str], console: Console
) -> tuple[dict[str, Any], bool]:
    """Fetch what was asked for into the store.

    Returns
    -------
    result : dict
        `bars` (one for each instrument), `news`, `macro` (new rows), `failed`, `untested`.
    sound : bool
        Whether every source answered.

    Raises
    ------
    UsageError
        If nothing was asked for, or an option breaks its rule.
    """
    from dexml.data.storage.store import Store

    if not (options.exchange or options.news or options.newsapi or options.series):
        raise UsageError(
            "backfill", "must be told what to fetch", "nothing", "Give --exchange or --series."
        )
    for name in options.symbols:
        asked_instrument("--symbols", name)
    news, series = _news(options, settings, env), _series(options)
    store = Store(settings.storage_path)
    reports = _bars(options, settings, store, console) if options.exchange else {}
    result: dict[str, Any] = {
        "bars": [_row(report) for report in reports.values()],
        "store": settings.storage_path,
    }
    failed = {name: one.failed for name, one in reports.items() if one.failed}
    result["untested"] = _untested(options, console)
    result |= _context(store, news, series, failed, console)
    _print_bars(console, reports)
    for name, why in failed.items():
        console.print(f"[red]failed[/red] {name}: {why}", soft_wrap=True)
    return result | {"failed": failed}, not failed


def _bars(
    options: BackfillOptions, settings: Settings, store: Store, console: Console
) -> dict[str, BarsReport]:
    from dexml.data.feeds.backfill import backfill_bars, windows
    from dexml.data.feeds.exchange import ExchangeFeed
    from dexml.data.feeds.trade_history import TradeHistory

    now = SystemClock().now()
    since = _instant("--since", options.since, None)
    until = min(_instant("--until", options.until, now), now)
    if since >= until:
        raise UsageError(
            "--since", "must be before --until", f"{since:%Y-%m-%d %H:%M}", "Give both."
        )
    symbols = options.symbols or settings.data.instruments
    feed = ExchangeFeed(options.exchange, options.url, symbols, settings.data.timeframe)
    history = TradeHistory(feed) if feed.venue.past_trades or options.trades else None
    n_windows = len(list(windows(since, until, settings.data.timeframe)))
    try:
        with progress(console, f"{options.exchange} bars", n_windows) as advance:
            reports = backfill_bars(feed, store, options.exchange, since, until, advance)
        if history is None:
            return reports
        return _older_bars(history, store, options, reports, console)
    finally:
        feed.close()


def _untested(options: BackfillOptions, console: Console) -> list[str]:
    from dexml.data.feeds.venues import is_untested

    if not (options.exchange and is_untested(options.exchange)):
        return []
    told = "is not tested with dexml. Compare some of its bars before you rely on them."
    console.print(f"{options.exchange} {told}", soft_wrap=True)
    return [options.exchange]


def _older_bars(
    history: TradeHistory,
    store: Store,
    options: BackfillOptions,
    reports: dict[str, BarsReport],
    console: Console,
) -> dict[str, BarsReport]:
    from dexml.data.feeds.trade_backfill import add_from_trades, spans_to_build, without_stored

    venue = options.exchange
    reports = {
        name: without_stored(store, venue, history.timeframe, report)
        for name, report in reports.items()
    }
    spans, failed = spans_to_build(history, reports)
    for name, why in failed.items():
        reports[name] = replace(reports[name], failed=reports[name].failed or why)
    for span in spans:
        console.print(str(span) + ("." if options.trades else ": add --trades."), soft_wrap=True)
    if not (options.trades and spans):
        return reports
    with progress(console, "Trades", sum(span.cost.n_requests for span in spans)) as advance:
        return add_from_trades(history, store, venue, spans, reports, advance)


def _instant(option: str, text: str, default: datetime | None) -> datetime:
    import pandas as pd

    if not text and default is not None:
        return default
    stamp = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    if pd.isna(stamp):
        raise UsageError(option, "must be a day or an instant", repr(text), "Give 2024-01-01.")
    return stamp.to_pydatetime()


def _news(options: BackfillOptions, settings: Settings, env: Mapping[str, str]) -> list[NewsSource]:
    from dexml.data.sources.news import NewsFeed
    from dexml.data.sources.newsapi import ApiKey, NewsApiFeed
    from dexml.data.sources.scorers import scorer_named

    tone = scorer_named(options.scorer)
    names = options.symbols or settings.data.instruments
    sources: list[NewsSource] = [NewsFeed(url, names, tone, name=url) for url in options.news]
    if options.newsapi:
        if not env.get("NEWSAPI_KEY"):
            raise UsageError("NEWSAPI_KEY", "must hold the key of NewsAPI", "unset", "Export it.")
        key = ApiKey(env["NEWSAPI_KEY"])
        sources.append(NewsApiFeed(key, names, options.newsapi_url, scorer=tone))
    return sources


def asked_instrument(option: str, name: str) -> str:
    """Return an instrument that was named on the command line.

    Raises
    ------
    UsageError
        If it does not read BASE/QUOTE.
    """
    from dexml.domain import check_instrument

    try:
        return check_instrument(name)
    except DataError as error:
        raise UsageError(option, error.rule, error.was, error.fix) from error


def _refuse_unknown(options: BackfillOptions, others: list[str]) -> None:
    from dexml.data.sources.macro import FEAR_GREED
    from dexml.data.sources.series import SERIES

    unknown = [name for name in others if name != FEAR_GREED]
    if unknown and options.macro_url is None:
        known = sorted({FEAR_GREED} | {name for name, spec in SERIES.items() if spec.symbol})
        raise UsageError(
            "--series",
            f"must be among {', '.join(known)}, or have a --macro-url",
            ", ".join(unknown),
            "Name one of those, or import a file of it.",
        )


def _series(options: BackfillOptions) -> list[MacroSource]:
    from dexml.data.sources.macro import MacroFeed
    from dexml.data.sources.series import SERIES
    from dexml.data.sources.yahoo import YahooFeed

    at_yahoo = [name for name in options.series if name in SERIES and SERIES[name].symbol]
    others = [name for name in options.series if name not in at_yahoo]
    _refuse_unknown(options, others)
    sources: list[MacroSource] = []
    if others:
        sources.append(MacroFeed(options.macro_url or ALTERNATIVE_ME, others))
    if at_yahoo:
        sources.append(YahooFeed(at_yahoo, options.yahoo_url))
    return sources


def _context(
    store: Store,
    news: list[NewsSource],
    series: list[MacroSource],
    failed: dict[str, str],
    console: Console,
) -> dict[str, Any]:
    from dexml.data.sources.context import Context

    if not news and not series:
        return {"news": 0, "macro": 0}
    with progress(console, "Headlines and series", 1) as advance:
        report = Context(store, news, series).poll()
        advance()
    failed |= report.failed
    console.print(f"{report.n_news} new headlines, {report.n_macro} new values of series.")
    return {"news": report.n_news, "macro": report.n_macro}


def _row(report: BarsReport) -> dict[str, Any]:
    holes = [
        {
            "first": hole.first.isoformat(),
            "last": hole.last.isoformat(),
            "n_bars": hole.n_bars,
            "reason": hole.reason,
        }
        for hole in report.holes
    ]
    return {
        "instrument": report.instrument,
        "rows": report.rows,
        "stored": report.stored,
        "refused": report.refused,
        "aside": report.aside,
        "missing": report.n_missing,
        "holes": holes,
    }


def _print_bars(console: Console, reports: Mapping[str, BarsReport]) -> None:
    if not reports:
        return
    heads = ("instrument", "bars", "new", "refused", "set aside", "missing")
    table = Table(*heads, box=None, pad_edge=False)
    for one in reports.values():
        numbers = (one.rows, one.stored, one.refused, one.aside, one.n_missing)
        table.add_row(one.instrument, *map(str, numbers))
    console.print(table)
    for report in reports.values():
        for hole in report.holes[:SHOWN_HOLES]:
            console.print(
                f"{report.instrument}: {hole.n_bars} bars missing, {hole.first:%Y-%m-%d %H:%M} to "
                f"{hole.last:%Y-%m-%d %H:%M}: {hole.reason}",
                soft_wrap=True,
            )
        if len(report.holes) > SHOWN_HOLES:
            console.print(f"{report.instrument}: {len(report.holes) - SHOWN_HOLES} more holes.")
