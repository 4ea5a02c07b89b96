"""What a node's data say: gradients and losses on its minibatches, and wrappers that disturb them."""

from jdl import checks
from jdl.oracle.gradient_noise import GradientNoise
from jdl.oracle.minibatch import DataOracle

__all__ = [
    "GradientNoise",
    "DataOracle",
]

checks.renamed(__name__, {"Minibatch": "jdl.oracle.DataOracle"})
