"""Predictions of theory for gossip and for learning over it, from the topology alone."""

from jdl.theory.beside import Factors, factors_beside
from jdl.theory.fitted import FittedRate, fitted_rate
from jdl.theory.linear import Prediction, StableRates, Stationary, predict, stable_rates, stationary
from jdl.theory.rates import QuadraticRate, best_quadratic_rate, predicted_rounds, quadratic_rate, rounds_to_shrink

__all__ = [
    "Factors",
    "FittedRate",
    "Prediction",
    "QuadraticRate",
    "StableRates",
    "Stationary",
    "best_quadratic_rate",
    "factors_beside",
    "fitted_rate",
    "predict",
    "predicted_rounds",
    "quadratic_rate",
    "rounds_to_shrink",
    "stable_rates",
    "stationary",
]
