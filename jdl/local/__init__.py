"""Local work of one node: optimizers without a learning rate, H local steps, proximal operators, and stale models."""

from jdl.local import proximal
from jdl.local.moments import moments, with_moments
from jdl.local.parts import places
from jdl.local.stale import DISCOUNTS, Pulled, discount, staleness
from jdl.local.steps import (
    OPTIMIZERS,
    SUMMED,
    Decay,
    Gradient,
    Optimizer,
    client_weight,
    local_steps,
    rate,
    steps_done,
    transform,
)

__all__ = [
    "DISCOUNTS",
    "OPTIMIZERS",
    "SUMMED",
    "Decay",
    "Gradient",
    "Optimizer",
    "Pulled",
    "client_weight",
    "discount",
    "local_steps",
    "moments",
    "places",
    "proximal",
    "rate",
    "staleness",
    "steps_done",
    "transform",
    "with_moments",
]
