"""The GARCH(1,1) variance of a series, fitted by quasi maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexml.errors import DataError
from dexml.risk.recurrence import Floats, filtered

__all__ = ["Garch", "fit_garch", "garch_variance", "variance_over"]

_LEAST = 250
_STARTS = ((0.05, 0.90), (0.10, 0.80), (0.02, 0.97))


@dataclass(frozen=True, slots=True, kw_only=True)
class Garch:
    """Parameters of v[t + 1] = omega + alpha * r[t]^2 + beta * v[t].

    Attributes
    ----------
    omega : float
        In squared returns, positive.
    alpha, beta : float
        At least 0, together below 1.
    start : float
        Variance taken to be known before the first return.
    """

    omega: float
    alpha: float
    beta: float
    start: float


def garch_variance(returns: Floats, model: Garch) -> Floats:
    """Return the variance known just before each return, and last the one known now."""
    return filtered(model.omega + model.alpha * returns * returns, model.beta, model.start)


def variance_over(variance: Floats, model: Garch, holding: int) -> Floats:
    """Return the variance expected of the sum of the next `holding` returns.

    Notes
    -----
    With p = alpha + beta and the long-run variance u = omega / (1 - p), it is
    holding * u + (v - u) * (1 - p^holding) / (1 - p).
    """
    persistence = model.alpha + model.beta
    long_run = model.omega / (1 - persistence)
    weight = (1 - persistence**holding) / (1 - persistence)
    total: Floats = holding * long_run + (variance - long_run) * weight
    return total


def fit_garch(returns: Floats) -> Garch:
    """Fit the model to returns taken about zero.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,)
        Oldest first, finite.

    Raises
    ------
    DataError
        If there are fewer than 250 returns, if they do not vary, or if no start of the search
        ends at a maximum.

    References
    ----------
    Bollerslev (1986), Generalized Autoregressive Conditional Heteroskedasticity, J. Econometrics
    31, eq. 19-23 (likelihood and its gradient); Fiorentini, Calzolari, Panattoni (1996).

    Examples
    --------
    >>> calm = np.random.default_rng(0).normal(0.0, 0.01, 500)
    >>> model = fit_garch(calm)
    >>> bool(0 <= model.alpha + model.beta < 1)
    True
    """
    scale = float(np.sqrt(np.mean(returns * returns))) if returns.size else 0.0
    if returns.size < _LEAST or not np.isfinite(scale) or scale == 0:
        raise DataError(
            "GARCH returns",
            f"must be at least {_LEAST} finite numbers that vary",
            f"{returns.size} of scale {scale:g}",
            "Use the exponentially weighted filter.",
        )
    squares = (returns / scale) ** 2
    ends = [_search(squares, *start) for start in _STARTS]
    good = [end for end in ends if end is not None]
    if not good:
        raise DataError("GARCH likelihood", "must have a maximum", "none found", "Use EWMA.")
    omega, alpha, beta = min(good, key=lambda end: _loss(end, squares)[0])
    unit = scale * scale
    return Garch(omega=omega * unit, alpha=alpha, beta=beta, start=unit)


def _search(squares: Floats, alpha: float, beta: float) -> Floats | None:
    from scipy.optimize import minimize  # half a second, of commands that never fit

    found = minimize(
        _loss,
        np.array([1 - alpha - beta, alpha, beta]),
        args=(squares,),
        jac=True,
        method="SLSQP",
        bounds=[(1e-8, 10.0), (0.0, 1.0), (0.0, 0.9999)],
        constraints={
            "type": "ineq",
            "fun": lambda x: 0.9999 - x[1] - x[2],
            "jac": lambda _: np.array([0.0, -1.0, -1.0]),
        },
        options={"ftol": 1e-12, "maxiter": 500},
    )
    inside = found.success and np.isfinite(found.x).all() and found.x[1] + found.x[2] < 1
    return np.asarray(found.x, dtype=np.float64) if inside else None


def _loss(x: Floats, squares: Floats) -> tuple[float, Floats]:
    """Return the mean of (ln v + r^2 / v) / 2 in units of the mean square, and its gradient."""
    omega, alpha, beta = x
    v = filtered(omega + alpha * squares, beta, 1.0)
    inputs = (np.ones_like(squares), squares, v[:-1])
    slopes = np.array([filtered(one, beta, 0.0)[:-1] for one in inputs])
    known = v[:-1]
    loss = float(np.mean(np.log(known) + squares / known)) / 2
    gradient = slopes @ ((1 - squares / known) / known) / (2 * squares.size)
    return loss, gradient
