"""The focal loss, what a class weighs, and the probability that such a loss makes a network say.

Neither the focal loss nor class weights are proper: the best network for them does not say the
probability of label 1. Both shift it by a known function, which `posterior` undoes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dexml.ensemble import expit
from dexml.errors import ModelError
from dexml.models.sequence.config import ClassBalancingConfig

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["class_weights", "focal_loss", "posterior"]

Floats = NDArray[np.float64]
Weights = tuple[float, float]


def class_weights(y: ArrayLike, config: ClassBalancingConfig) -> Weights:
    """Return what a window of class 0 and of class 1 weighs; a window weighs 1 on average.

    Parameters
    ----------
    y : array-like, shape (n,)
        Labels of the training windows, 0 or 1.

    Raises
    ------
    ModelError
        If a class is absent.

    Notes
    -----
    balanced: w_c = n / (2 n_c). effective_number: w_c in proportion to (1 - b) / (1 - b^n_c).

    References
    ----------
    Cui, Jia, Lin, Song and Belongie (2019), Class-Balanced Loss Based on Effective Number of
    Samples, equation 7.

    Examples
    --------
    >>> class_weights([0, 0, 0, 1], ClassBalancingConfig())
    (0.6666666666666666, 2.0)
    """
    labels = np.asarray(y, dtype=np.float64)
    ones, n = float(labels.sum()), float(len(labels))
    if not 0 < ones < n:
        raise ModelError(
            "training windows", "must hold both classes", f"{len(labels)} windows", "Give more."
        )
    if config.method == "none":
        return 1.0, 1.0
    counts = np.array([n - ones, ones])
    raw = 1.0 / counts
    if config.method == "effective_number":
        raw = (1.0 - config.beta) / (1.0 - config.beta**counts)
    weights = raw * n / np.sum(raw * counts)
    return float(weights[0]), float(weights[1])


def focal_loss(logits: Tensor, y: Tensor, weights: Tensor, gamma: float) -> Tensor:
    """Return the mean focal loss of log-odds.

    Parameters
    ----------
    logits, y : Tensor, shape (n,)
        Log-odds of label 1, and labels 0.0 or 1.0.
    weights : Tensor, shape (2,)
        Of class 0 and class 1.
    gamma : float
        At least 0.

    Notes
    -----
    With q = expit(x) the probability given to the label that came true, and w its weight,
    the loss of a row is -w (1 - q)^gamma log q. It is computed from log-odds: no overflow.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar (2017), Focal Loss for Dense Object Detection, equation 5.
    """
    from torch.nn.functional import logsigmoid

    true = logits * (2.0 * y - 1.0)
    log_q, log_rest = logsigmoid(true), logsigmoid(-true)
    weight = weights[0] + (weights[1] - weights[0]) * y
    return -(weight * (gamma * log_rest).exp() * log_q).mean()


def posterior(logits: ArrayLike, gamma: float, weights: Weights) -> Floats:
    """Return the probability of label 1 that makes a network say `logits` under the loss.

    It is kept 1e-6 away from 0 and 1.

    Parameters
    ----------
    logits : array-like, shape (n,)
        Log-odds that minimise the expected loss.
    gamma : float
    weights : tuple of two floats
        Those of the training.

    Notes
    -----
    The expected loss eta w1 l(q) + (1 - eta) w0 l(1 - q), l(q) = -(1 - q)^gamma log q, is least
    where eta w1 d(q) = (1 - eta) w0 d(1 - q), d(q) = (1 - q)^gamma / q - gamma (1 - q)^(gamma - 1)
    log q. So log-odds of eta = log w0 - log w1 + log d(1 - q) - log d(q).

    References
    ----------
    Charoenphakdee, Vongkulbhisal, Chairatanakul and Sugiyama (2021), On Focal Loss for
    Class-Posterior Probability Estimation: A Theoretical Perspective, theorem 11.

    Examples
    --------
    >>> posterior([0.0, 2.0], gamma=0.0, weights=(1.0, 1.0)).round(4).tolist()
    [0.5, 0.8808]
    """
    # Beyond, the probability is within 1e-6 of 0 or 1 whatever the loss, and powers overflow.
    x = np.clip(np.asarray(logits, dtype=np.float64), -30.0, 30.0)
    odds = _log_slope(-x, gamma) - _log_slope(x, gamma) + np.log(weights[0]) - np.log(weights[1])
    return expit(odds)


def _log_slope(x: Floats, gamma: float) -> Floats:
    # log d(q) without (1 - q)^(gamma - 1), which would overflow for gamma below 1
    log_q, log_rest = -np.logaddexp(0.0, -x), -np.logaddexp(0.0, x)
    inner = np.exp(log_rest - log_q) - gamma * log_q
    return np.asarray((gamma - 1.0) * log_rest + np.log(inner))
