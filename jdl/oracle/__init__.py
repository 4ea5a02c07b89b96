"""Oracles: the gradients and losses that a node obtains from its data, and wrappers that add noise to them."""

from jdl import checks
from jdl.oracle.gradient_noise import GradientNoise
from jdl.oracle.minibatch import DataOracle

__all__ = [
    "GradientNoise",
    "DataOracle",
]

checks.renamed(__name__, {"Minibatch": "jdl.oracle.DataOracle"})
