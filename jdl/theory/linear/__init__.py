"""Exact prediction of linear methods on quadratic problems, derived from the compiled round."""

from jdl.theory.linear.predict import Prediction, predict
from jdl.theory.linear.stable import StableRates, stable_rates
from jdl.theory.linear.stationary import Stationary, stationary

__all__ = ["Prediction", "StableRates", "Stationary", "predict", "stable_rates", "stationary"]
