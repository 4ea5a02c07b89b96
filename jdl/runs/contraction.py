"""Codecs that add more noise than a method can bear, which keeps copies or errors of what was compressed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax

from jdl import checks
from jdl.algorithms import BEER, EF21
from jdl.compressors import ErrorFeedback
from jdl.engine.state import Simulation
from jdl.exchange import Choco
from jdl.exchange.stack import layers
from jdl.runs.memory import shapes_of_model

__all__ = ["expanding", "say_expanding"]

# Parts that compress what they have compressed wrongly before: it grows unless C contracts.
NEEDY = (BEER, Choco, EF21, ErrorFeedback)


def expanding(simulation: Simulation) -> str | None:
    """What is wrong with a codec that does not contract, where a part needs one; None if nothing is known to be.

    A codec of whose error a bound is known says so by a method `relative_error(d)`: that of E ||C(x) - x||^2 / ||x||^2
    over arrays of d entries.

    Args:
      simulation: the composed simulation.
    """
    sizes = [leaf.size for leaf in jax.tree.leaves(shapes_of_model(simulation.problem))]
    for part, codec in _pairs(simulation):
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(codec)):  # its numbers are not known yet
            continue
        errors = [(codec.relative_error(d), d) for d in sizes if d]
        error, d = max(errors, default=(0.0, 0))
        if error >= 1:
            name, kind = type(part).__name__, type(codec)
            flag = next((field.name for field in dataclasses.fields(codec) if field.name in REMEDIES), None)
            do = f"{REMEDIES[flag]} in {kind.__name__}, or TopK()" if flag else "TopK()"
            return (
                f"{name} needs a codec that contracts, whose squared error is below 1 of the squared message: that of "
                f"{_spelled(codec)} is up to {error:.3g} for an array of {d:,} numbers; try {do}"
            )
    return None


# The option of a codec by which it contracts.
REMEDIES = {"contractive": "contractive=True", "scaled": "scaled=False"}


def say_expanding(simulation: Simulation) -> None:
    """Note such a codec: a run with it may diverge at any rate."""
    found = expanding(simulation)
    if found is not None:
        checks.note(f"a run may diverge at any rate: {found}")


def _pairs(simulation: Simulation) -> Iterator[tuple[Any, Any]]:
    """The parts that need a contraction, each with its codec, where that knows its error."""
    several = [simulation.algorithm, *layers(simulation.exchange)]
    several += [] if simulation.exchange_down is None else layers(simulation.exchange_down)
    several += [layer.compressor for layer in several if isinstance(getattr(layer, "compressor", None), ErrorFeedback)]
    for part in several:
        if isinstance(part, NEEDY) and hasattr(part.compressor, "relative_error"):
            yield part, part.compressor


def _spelled(codec: Any) -> str:
    """The codec with its numbers."""
    values = {field.name: getattr(codec, field.name) for field in dataclasses.fields(codec)}
    numbers = {name: value for name, value in values.items() if name not in REMEDIES and not isinstance(value, str)}
    return f"{type(codec).__name__}({', '.join(f'{name}={float(value):.3g}' for name, value in numbers.items())})"
