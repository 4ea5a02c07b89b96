"""Local work of one node: optimizers without a learning rate, H local steps, and proximal operators."""

from jdl.local import proximal
from jdl.local.moments import moments, with_moments
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
    "OPTIMIZERS",
    "SUMMED",
    "Decay",
    "Gradient",
    "Optimizer",
    "client_weight",
    "local_steps",
    "moments",
    "proximal",
    "rate",
    "steps_done",
    "transform",
    "with_moments",
]
