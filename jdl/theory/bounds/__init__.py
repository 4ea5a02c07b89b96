"""Rates and bounds on step sizes from the literature, one file a family of methods; see `jdl/theory/README.md`.

Every function states its theorem, its assumptions, where it is from, and how it was verified.
"""

from jdl.theory.bounds.choco import ChocoGossip, ChocoSGD, choco_gossip, choco_sgd
from jdl.theory.bounds.consensus_distance import consensus_distance
from jdl.theory.bounds.d2 import d2_largest_rate, d2_rate, exact_diffusion, exact_diffusion_largest_rate
from jdl.theory.bounds.dsgd import DSGD, DSGDSpeedup, dsgd, dsgd_largest_rate, dsgd_speedup
from jdl.theory.bounds.extra import ExtraLargestRate, extra_largest_rate, extra_rate
from jdl.theory.bounds.fedavg import fedavg, fedavg_rate
from jdl.theory.bounds.gradient_tracking import (
    gradient_tracking,
    gradient_tracking_largest_rate,
    stochastic_tracking_largest_rate,
)
from jdl.theory.bounds.local_sgd import (
    local_sgd,
    local_sgd_identical,
    local_sgd_largest_rate,
    local_sgd_order,
    minibatch_sgd_order,
)
from jdl.theory.bounds.push_sum import PushSum, push_sum, push_sum_worst_case
from jdl.theory.bounds.scaffold import scaffold, scaffold_largest_rate, scaffold_rounds
from jdl.theory.bounds.unified import Mixing, Order, dsgd_rounds, mixing

__all__ = [
    "DSGD",
    "ChocoGossip",
    "ChocoSGD",
    "DSGDSpeedup",
    "ExtraLargestRate",
    "Mixing",
    "Order",
    "PushSum",
    "choco_gossip",
    "choco_sgd",
    "consensus_distance",
    "d2_largest_rate",
    "d2_rate",
    "dsgd",
    "dsgd_largest_rate",
    "dsgd_rounds",
    "dsgd_speedup",
    "exact_diffusion",
    "exact_diffusion_largest_rate",
    "extra_largest_rate",
    "extra_rate",
    "fedavg",
    "fedavg_rate",
    "gradient_tracking",
    "gradient_tracking_largest_rate",
    "local_sgd",
    "local_sgd_identical",
    "local_sgd_largest_rate",
    "local_sgd_order",
    "minibatch_sgd_order",
    "mixing",
    "push_sum",
    "push_sum_worst_case",
    "scaffold",
    "scaffold_largest_rate",
    "scaffold_rounds",
    "stochastic_tracking_largest_rate",
]
