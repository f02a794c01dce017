"""Nodes that fail, lag, lie and disagree, between the engine and a real chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dexml.errors import ConfigError
from dexml.execution.engine import Engine
from dexml.execution.entries import Closed
from dexml.execution.nodes import Nodes, NodesDisagree, WrongChain
from dexml.execution.planning import SwapOrder
from dexml.execution.rpc import Node, NodeAway
from dexml.simulation.chain.rpc_faults import FaultProxy, RpcFault, Rule
from tests.dexml.execution.swap_rig import Rig

SENDS = frozenset({"eth_sendRawTransaction"})
READS = frozenset({"eth_getBlockByNumber", "eth_getTransactionCount", "eth_getTransactionReceipt"})
LOOKS = 80


@pytest.fixture
def proxies(rig: Rig) -> Iterator[list[FaultProxy]]:
    with ExitStack() as opened:
        yield [opened.enter_context(FaultProxy(rig.chain.url)) for _one in range(3)]


def _stubborn(engine: Engine, order: SwapOrder, rig: Rig) -> Closed:
    """Look until it is final, however often the nodes are away."""
    for _look in range(LOOKS):
        try:
            closed = engine.execute(order)
        except NodeAway:
            closed = None
        if closed is not None:
            return closed
        rig.chain.mine()
    raise AssertionError("the order is never final")


_ON_SENDS = [
    RpcFault.REPLY_LOST,
    RpcFault.REQUEST_LOST,
    RpcFault.REFUSED_THOUGH_DONE,
    RpcFault.TOO_MANY,
    RpcFault.BROKEN,
    RpcFault.GARBAGE,
    RpcFault.NO_RESULT,
]


@pytest.mark.parametrize("fault", _ON_SENDS)
@pytest.mark.parametrize("after", [0, 1])
def test_a_send_that_fails_in_any_way_swaps_once(
    rig: Rig, proxies: list[FaultProxy], fault: RpcFault, after: int
) -> None:
    proxies[0].strike(Rule(fault=fault, methods=SENDS, after=after))
    order = rig.order("a")
    with rig.engine(rig.nodes(proxies[0].url)) as engine:
        closed = _stubborn(engine, order, rig)
    assert closed.filled
    assert proxies[0].struck[fault] == 1
    rig.judge(closed)


@pytest.mark.parametrize("fault", [*_ON_SENDS, RpcFault.NULL])
def test_reads_that_fail_again_and_again_only_delay(
    rig: Rig, proxies: list[FaultProxy], fault: RpcFault
) -> None:
    rules = [Rule(fault=fault, after=3 + 11 * number) for number in range(6)]
    proxies[0].strike(*rules)
    with rig.engine(rig.nodes(proxies[0].url)) as engine:
        closed = _stubborn(engine, rig.order("a"), rig)
    assert sum(proxies[0].struck.values()) == 6
    rig.judge(closed)


def test_a_late_answer_to_a_send_is_no_second_swap(rig: Rig, proxies: list[FaultProxy]) -> None:
    proxies[0].strike(Rule(fault=RpcFault.DELAY, methods=SENDS, times=None, amount=0.3))
    nodes = Nodes([Node(proxies[0].url, limit_s=0.2)], rig.chain.chain_id)
    with rig.engine(nodes) as engine:
        closed = _stubborn(engine, rig.order("a"), rig)
    assert closed.filled
    rig.judge(closed)


def test_a_node_that_lags_behind_two_others_is_not_believed(
    rig: Rig, proxies: list[FaultProxy]
) -> None:
    rig.chain.mine(10)
    proxies[1].strike(Rule(fault=RpcFault.STALE, methods=READS, times=None, amount=8))
    nodes = rig.nodes(*(one.url for one in proxies), quorum=2)
    assert nodes.head() == rig.chain.head()
    with rig.engine(nodes) as engine:
        closed = _stubborn(engine, rig.order("a"), rig)
    assert closed.filled
    rig.judge(closed)


def test_a_stale_nonce_of_the_only_node_makes_no_second_swap(
    rig: Rig, proxies: list[FaultProxy]
) -> None:
    stale = Rule(
        fault=RpcFault.STALE,
        methods=frozenset({"eth_getTransactionCount"}),
        times=None,
        amount=3,
    )
    proxies[0].strike(stale)
    with rig.engine(rig.nodes(proxies[0].url)) as engine:
        closed = [_stubborn(engine, rig.order(name, amount="50"), rig) for name in "abc"]
    assert all(one.filled for one in closed)
    rig.judge(*closed)


def test_two_nodes_of_different_branches_are_not_acted_upon(
    rig: Rig, proxies: list[FaultProxy]
) -> None:
    proxies[1].strike(Rule(fault=RpcFault.FORKED, times=None))
    nodes = rig.nodes(proxies[0].url, proxies[1].url, quorum=2)
    with rig.engine(nodes) as engine:
        with pytest.raises(NodesDisagree, match="must agree, 2 of them"):
            engine.execute(rig.order("a"))
        assert rig.sent() == []
        proxies[1].clear()
        closed = _stubborn(engine, rig.order("a"), rig)
    rig.judge(closed)


def test_a_receipt_that_one_of_two_nodes_denies_is_not_lost(
    rig: Rig, proxies: list[FaultProxy]
) -> None:
    receipts = frozenset({"eth_getTransactionReceipt"})
    proxies[1].strike(Rule(fault=RpcFault.NULL, methods=receipts, times=5))
    nodes = rig.nodes(proxies[0].url, proxies[1].url, quorum=2)
    with rig.engine(nodes) as engine:
        closed = _stubborn(engine, rig.order("a"), rig)
    assert closed.filled
    rig.judge(closed)


def test_a_node_of_another_chain_stops_everything(rig: Rig, proxies: list[FaultProxy]) -> None:
    proxies[0].strike(
        Rule(fault=RpcFault.WRONG_CHAIN, methods=frozenset({"eth_chainId"}), times=None)
    )
    wrong = pytest.raises(WrongChain, match="must be of chain 31337, was 1")
    with rig.engine(rig.nodes(proxies[0].url)) as engine, wrong:
        engine.execute(rig.order("a"))
    assert rig.sent() == []


def test_a_node_that_comes_back_as_another_chain_is_noticed(
    rig: Rig, proxies: list[FaultProxy]
) -> None:
    nodes = rig.nodes(proxies[0].url)
    nodes.head()
    proxies[0].strike(
        Rule(fault=RpcFault.BROKEN),
        Rule(fault=RpcFault.WRONG_CHAIN, methods=frozenset({"eth_chainId"}), times=None),
    )
    with pytest.raises(NodeAway):
        nodes.head()
    with pytest.raises(WrongChain):
        nodes.head()


def test_sends_go_to_the_private_node_only(rig: Rig, proxies: list[FaultProxy]) -> None:
    public, private = proxies[:2]
    nodes = rig.nodes(public.url, senders=[private.url])
    with rig.engine(nodes) as engine:
        closed = _stubborn(engine, rig.order("a"), rig)
    assert closed.filled
    assert public.calls["eth_sendRawTransaction"] == 0
    assert private.calls["eth_sendRawTransaction"] >= 2
    assert set(private.calls) == {"eth_chainId", "eth_sendRawTransaction"}


def test_one_dead_node_of_three_changes_nothing(rig: Rig, proxies: list[FaultProxy]) -> None:
    proxies[2].strike(Rule(fault=RpcFault.REQUEST_LOST, times=None))
    nodes = rig.nodes(*(one.url for one in proxies), quorum=2)
    with rig.engine(nodes) as engine:
        closed = engine.run(rig.order("a"), LOOKS)
    assert closed is not None
    rig.judge(closed)


@pytest.mark.parametrize("quorum", [0, 2])
def test_a_quorum_that_cannot_be_is_refused(rig: Rig, quorum: int) -> None:
    with pytest.raises(ConfigError, match=r"quorum of nodes must be 1\.\.1"):
        rig.nodes(quorum=quorum)
