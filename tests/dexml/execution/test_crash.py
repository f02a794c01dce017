"""kill -9 of a real process at every point of the journal, and power loss at every byte of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dexml.errors import LedgerError
from dexml.execution.account import AccountBook
from dexml.execution.engine import Engine
from dexml.execution.entries import Closed, Entry, Purpose, Signed
from dexml.execution.journal import FileJournal, Journal
from dexml.execution.nodes import Nodes
from dexml.execution.planning import SwapOrder
from dexml.execution.rpc import Node
from tests.dexml.execution.swap_rig import Rig

LOOKS = 60
_NEVER = 1 << 30


@dataclass
class Doom:
    """Kills its process when it has counted to `fatal`."""

    fatal: int
    count: int = 0

    def tick(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedJournal:
    def __init__(self, journal: Journal, doom: Doom) -> None:
        self._journal, self._doom = journal, doom

    def entries(self) -> Sequence[Entry]:
        return self._journal.entries()

    def append(self, *entries: Entry) -> None:
        self._doom.tick()
        self._journal.append(*entries)
        self._doom.tick()


class DoomedNodes(Nodes):
    doom = Doom(_NEVER)

    def send(self, raw: bytes) -> list[str]:
        self.doom.tick()
        complaints = super().send(raw)
        self.doom.tick()
        return complaints


def _life(rig: Rig, order: SwapOrder, fatal: int, wait: Callable[[Node, int], None]) -> None:
    """Run an engine in this process, which dies at the point `fatal`."""
    doom, node = Doom(fatal), Node(rig.chain.url)
    nodes = DoomedNodes([Node(rig.chain.url)], rig.chain.chain_id)
    nodes.doom = doom
    looks = iter(range(_NEVER))
    with rig.engine(
        nodes,
        lambda journal: DoomedJournal(journal, doom),
        lambda: wait(node, next(looks)),
    ) as engine:
        engine.run(order, LOOKS)


def _killed(work: Callable[[], None]) -> bool:
    """Do work in a child; tell whether it was killed rather than ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return False


def _mine(node: Node, _look: int) -> None:
    node.ask("evm_mine")


def _lose_what_waits_at_first(node: Node, look: int) -> None:
    if look < 3:
        node.ask("anvil_dropAllTransactions")
    node.ask("evm_mine")


def _reorganise_once(node: Node, look: int) -> None:
    node.ask("evm_mine")
    if look == 4:
        node.ask("anvil_reorg", 3, [])


_WORLDS = {
    "calm": _mine,
    "raised": _lose_what_waits_at_first,
    "reorganised": _reorganise_once,
}


@pytest.mark.slow
@pytest.mark.parametrize("world", list(_WORLDS))
def test_killed_at_every_point_it_swaps_exactly_once(rig: Rig, world: str) -> None:
    if world != "calm":
        rig.config = replace(rig.config, patience_blocks=1, confirmations=4)
    order = rig.order("a")
    path, fatal, killed = rig.path, 0, True
    while killed:
        fatal += 1
        rig.path = path.with_name(f"{fatal}.log")
        before = rig.chain.snapshot()
        killed = _killed(lambda at=fatal: _life(rig, order, at, _WORLDS[world]))  # type: ignore[misc]
        _finish(rig, order)
        rig.chain.revert(before)
    assert fatal > 20, "an order has at least so many points"
    print(f"killed at {fatal - 1} points, world {world}")  # noqa: T201


def _finish(rig: Rig, *orders: SwapOrder) -> None:
    with rig.engine() as engine:
        closed = [engine.run(order, LOOKS) for order in orders]
        assert engine.book.families == {}
        assert engine.book.opened == {}
    assert [one for one in closed if one is None or not one.filled] == []
    rig.judge(*(one for one in closed if one is not None))


def test_a_crash_in_front_of_another_order_resolves_it_first(rig: Rig) -> None:
    first, second = rig.order("a"), rig.order("b")
    with rig.engine() as engine:
        while not _swap_sent(engine):
            engine.execute(first)
            rig.chain.mine(0 if _swap_sent(engine) else 1)
    with rig.engine() as engine:
        assert engine.execute(second) is None
        assert second.mark not in engine.book.opened, "the first is not resolved yet"
        rig.chain.mine()
        closed = [engine.run(order, LOOKS) for order in (second, first)]
    rig.judge(*(one for one in closed if one is not None))


def _swap_sent(engine: Engine) -> bool:
    return any(family.swaps for family in engine.book.families.values())


@pytest.mark.slow
@pytest.mark.parametrize("pending", [True, False])
def test_a_journal_that_lost_any_number_of_lines_swaps_exactly_once(
    rig: Rig, pending: bool
) -> None:
    # worse than a power loss, which takes only what was not synced: the disk forgot synced lines
    order, lines, kept = rig.order("a"), 1, 0
    path = rig.path
    while kept <= lines:
        rig.path = path.with_name(f"{kept}.log")
        before = rig.chain.snapshot()
        with rig.engine() as engine:
            if pending:
                while not _swap_sent(engine):
                    engine.execute(order)
                    rig.chain.mine(0 if _swap_sent(engine) else 1)
            else:
                engine.run(order, LOOKS)
        content = rig.path.read_bytes().splitlines(keepends=True)
        lines = len(content)
        rig.path.write_bytes(b"".join(content[:kept]))
        _finish(rig, order)
        rig.chain.revert(before)
        kept += 1
    assert lines >= 5


def _entries(path: Path) -> list[Entry]:
    with FileJournal(path) as journal:
        return list(journal.entries())


@pytest.fixture
def whole(rig: Rig) -> tuple[Path, list[Entry]]:
    """The journal of an order that was carried out, and its entries."""
    with rig.engine() as engine:
        assert engine.run(rig.order("a"), LOOKS) is not None
    return rig.path, rig.entries()


def test_cut_at_any_byte_a_journal_is_the_lines_before(
    whole: tuple[Path, list[Entry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _file: None)  # thousands; the disk is not judged here
    path, entries = whole
    content = path.read_bytes()
    cut = path.with_name("cut.log")
    for length in range(len(content) + 1):
        cut.write_bytes(content[:length])
        complete = content[:length].count(b"\n")
        assert _entries(cut) == entries[:complete]
        assert cut.read_bytes() == b"".join(content.splitlines(keepends=True)[:complete])
        AccountBook(entries[:complete])
    print(f"cut at {len(content) + 1} bytes")  # noqa: T201


def test_after_a_torn_end_new_entries_follow_the_sound_ones(
    whole: tuple[Path, list[Entry]],
) -> None:
    path, entries = whole
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    with FileJournal(path) as journal:
        assert list(journal.entries()) == entries[:-1]
        journal.append(entries[-1])
    assert path.read_bytes() == content


def test_a_changed_byte_before_the_end_is_damage(whole: tuple[Path, list[Entry]]) -> None:
    path, _kept = whole
    content = path.read_bytes()
    last_line = content.rstrip(b"\n").rfind(b"\n")
    for at in range(0, last_line, 41):
        spoilt = bytearray(content)
        spoilt[at] ^= 1
        path.write_bytes(bytes(spoilt))
        with pytest.raises(LedgerError, match="must fit the line before it"):
            _entries(path)


def test_no_byte_is_sent_before_it_is_durable(rig: Rig) -> None:
    sent: list[tuple[str, bool]] = []

    class Watching(Nodes):
        def send(self, raw: bytes) -> list[str]:
            sent.append((raw.hex(), raw.hex().encode() in rig.path.read_bytes()))
            return super().send(raw)

    with rig.engine(Watching([Node(rig.chain.url)], rig.chain.chain_id)) as engine:
        closed = engine.run(rig.order("a"), LOOKS)
    assert isinstance(closed, Closed)
    signed = [one for one in rig.entries() if isinstance(one, Signed)]
    assert {raw for raw, _durable in sent} == {one.raw for one in signed}
    assert all(durable for _raw, durable in sent)
    assert {one.purpose for one in signed} == {Purpose.APPROVE, Purpose.SWAP}
