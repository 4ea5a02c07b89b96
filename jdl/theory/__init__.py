"""Predictions of theory for gossip and for learning over it, from the topology alone."""

from jdl.theory.rates import QuadraticRate, best_quadratic_rate, predicted_rounds, quadratic_rate, rounds_to_shrink

__all__ = [
    "QuadraticRate",
    "best_quadratic_rate",
    "predicted_rounds",
    "quadratic_rate",
    "rounds_to_shrink",
]
