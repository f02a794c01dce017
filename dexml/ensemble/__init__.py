"""Several forecasts made into one, learnt from what members said out of fold."""

from dexml.ensemble.bagging import Bag
from dexml.ensemble.calibration import Calibrator, Isotonic, Platt, fit_calibrator
from dexml.ensemble.choosing import COMBINERS, Chosen, Combiner, Ensemble, choose
from dexml.ensemble.logistic import SMALLEST, expit, logit
from dexml.ensemble.meta import Meta
from dexml.ensemble.stacking import Stacker
from dexml.ensemble.voting import Vote, weighted_vote

__all__ = [
    "COMBINERS",
    "SMALLEST",
    "Bag",
    "Calibrator",
    "Chosen",
    "Combiner",
    "Ensemble",
    "Isotonic",
    "Meta",
    "Platt",
    "Stacker",
    "Vote",
    "choose",
    "expit",
    "fit_calibrator",
    "logit",
    "weighted_vote",
]
