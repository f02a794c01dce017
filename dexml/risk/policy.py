"""What to want: enter above the net edge, hold in a band, exit otherwise; replaceable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dexml.errors import ConfigError
from dexml.events import Action, Reason

__all__ = ["POLICIES", "MarketView", "Policy", "PolicyConfig", "Proposal", "net_edge", "policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """When a forecast is worth a trade.

    Attributes
    ----------
    name : str
        Registered policy.
    horizon : int
        Bars ahead that a probability speaks of.
    min_edge : float
        Net expected return over the horizon from which a position is opened; 10 bp is 0.001.
    no_trade_band : float
        A position is held while its expected return is above minus this.
    abstain_band : float
        No entry while the probability is this near to one half.
    rebalance_band : float
        A position grows only if the wanted weight is more than this above the held one.
    cooldown_bars : int
        Bars without entry after an instrument was stopped out.
    max_stops, stop_window_bars : int
        So many stops in so many bars close all entries (stop-loss guard).
    low_profit_trades, low_profit_window_bars, least_profit : int, int, float
        An instrument is not entered while its sales of so many bars are at least so many and their
        returns add up to less than this (low-profit guard).
    """

    name: str = "net_edge"
    horizon: int = 1
    min_edge: float = 0.0005
    no_trade_band: float = 0.0005
    abstain_band: float = 0.02
    rebalance_band: float = 0.05
    cooldown_bars: int = 3
    max_stops: int = 8
    stop_window_bars: int = 24
    low_profit_trades: int = 4
    low_profit_window_bars: int = 168
    least_profit: float = -0.10

    def __post_init__(self) -> None:
        for name in ("min_edge", "no_trade_band", "abstain_band", "rebalance_band"):
            _check_at_least(name, getattr(self, name), 0)
        for name in (
            *("horizon", "max_stops", "stop_window_bars"),
            *("low_profit_trades", "low_profit_window_bars"),
        ):
            _check_at_least(name, getattr(self, name), 1)
        _check_at_least("least_profit", self.least_profit, -1)
        _check_at_least("cooldown_bars", self.cooldown_bars, 0)


def _check_at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ConfigError(
            f"policy.{name}", f"must be at least {least}", value, "Write 10 bp as 0.001."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """What a policy sees of one instrument.

    Attributes
    ----------
    expected_return, cost : float
        Over the horizon and for the round trip at the intended size; fractions.
    weight, target_weight : float
        Held and wanted share of equity.
    """

    probability: float
    expected_return: float
    cost: float
    weight: float
    target_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the policy wants, and why; risk may still refuse it."""

    action: Action
    reason: Reason


Policy = Callable[[MarketView, PolicyConfig], Proposal]
POLICIES: dict[str, Policy] = {}


def policy(name: str) -> Callable[[Policy], Policy]:
    """Register a function as the policy `name`; `PolicyConfig.name` chooses it.

    Examples
    --------
    >>> @policy("never")
    ... def never(view, config):
    ...     return Proposal(action=Action.DECLINE, reason=Reason.ABSTAIN)
    >>> POLICIES.pop("never") is never
    True
    """

    def register(function: Policy) -> Policy:
        POLICIES[name] = function
        return function

    return register


@policy("net_edge")
def net_edge(view: MarketView, config: PolicyConfig) -> Proposal:
    """Enter if the expected return pays the round trip and `min_edge`; hold inside the band."""
    pays = view.expected_return - view.cost >= config.min_edge
    if view.weight > 0:
        return _held(view, config, pays)
    if abs(view.probability - 0.5) < config.abstain_band or view.expected_return <= 0:
        return Proposal(action=Action.DECLINE, reason=Reason.ABSTAIN)
    if not pays:
        return Proposal(action=Action.DECLINE, reason=Reason.COST)
    if view.target_weight <= 0:
        return Proposal(action=Action.DECLINE, reason=Reason.PORTFOLIO)
    return Proposal(action=Action.ENTER, reason=Reason.EDGE)


def _held(view: MarketView, config: PolicyConfig, pays: bool) -> Proposal:
    if view.expected_return < -config.no_trade_band:
        return Proposal(action=Action.EXIT, reason=Reason.EDGE)
    if pays and view.target_weight - view.weight > config.rebalance_band:
        return Proposal(action=Action.INCREASE, reason=Reason.EDGE)
    return Proposal(action=Action.HOLD, reason=Reason.BAND)
