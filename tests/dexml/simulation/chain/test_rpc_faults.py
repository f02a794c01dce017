from __future__ import annotations

from collections.abc import Iterator

import pytest

from dexml.execution.rpc import Node, NodeAway
from dexml.simulation.chain import LocalChain
from dexml.simulation.chain.rpc_faults import FaultProxy, RpcFault, Rule


@pytest.fixture
def proxy(chain: LocalChain) -> Iterator[FaultProxy]:
    with FaultProxy(chain.url) as proxy:
        yield proxy


def test_without_a_rule_it_forwards(chain: LocalChain, proxy: FaultProxy) -> None:
    assert Node(proxy.url).block() == chain.head()
    assert proxy.struck == {}


@pytest.mark.parametrize(
    "fault",
    [
        RpcFault.REPLY_LOST,
        RpcFault.REQUEST_LOST,
        RpcFault.TOO_MANY,
        RpcFault.BROKEN,
        RpcFault.GARBAGE,
        RpcFault.NO_RESULT,
    ],
)
def test_what_is_no_answer_is_a_node_that_is_away(proxy: FaultProxy, fault: RpcFault) -> None:
    node = Node(proxy.url)
    proxy.strike(Rule(fault=fault))
    with pytest.raises(NodeAway):
        node.chain_id()
    assert node.chain_id() == LocalChain.chain_id
    assert proxy.struck == {fault: 1}


def test_nothing_is_asked_twice_by_itself(proxy: FaultProxy) -> None:
    proxy.strike(Rule(fault=RpcFault.REPLY_LOST))
    with pytest.raises(NodeAway):
        Node(proxy.url).send(b"\x02")
    assert proxy.calls["eth_sendRawTransaction"] == 1


def test_a_delayed_answer_is_late(proxy: FaultProxy) -> None:
    proxy.strike(Rule(fault=RpcFault.DELAY, amount=1.0))
    with pytest.raises(NodeAway, match="Timeout"):
        Node(proxy.url, limit_s=0.1).chain_id()


def test_a_stale_node_is_some_blocks_behind(chain: LocalChain, proxy: FaultProxy) -> None:
    chain.mine(5)
    proxy.strike(Rule(fault=RpcFault.STALE, times=None, amount=4))
    found = Node(proxy.url).block()
    assert found is not None
    assert chain.head().number - found.number == 4


def test_a_forked_node_has_other_blocks(chain: LocalChain, proxy: FaultProxy) -> None:
    proxy.strike(Rule(fault=RpcFault.FORKED))
    found = Node(proxy.url).block()
    assert found is not None
    assert found.hash != chain.head().hash


def test_a_rule_waits_for_its_turn(proxy: FaultProxy) -> None:
    proxy.strike(Rule(fault=RpcFault.WRONG_CHAIN, methods=frozenset({"eth_chainId"}), after=1))
    node = Node(proxy.url)
    assert [node.chain_id() for _one in range(3)] == [LocalChain.chain_id, 1, LocalChain.chain_id]


def test_the_key_of_an_address_is_never_shown(proxy: FaultProxy) -> None:
    node = Node(f"{proxy.url}/v3/CANARY")
    proxy.strike(Rule(fault=RpcFault.REQUEST_LOST))
    with pytest.raises(NodeAway) as away:
        node.chain_id()
    assert "CANARY" not in f"{away.value} {node!r} {away.value.__cause__}"
