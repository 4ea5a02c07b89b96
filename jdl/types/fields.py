"""Names for common types, and the two kinds of fields of a part."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from flax import struct

__all__ = ["ExchangeState", "Info", "Key", "Message", "PyTree", "ScheduleState", "State", "number", "static"]

PyTree = Any
Key = jax.Array
Message = PyTree
State = PyTree
ExchangeState = PyTree
ScheduleState = PyTree
Info = dict[str, jax.Array]


def number(default: Any = dataclasses.MISSING, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """Declare a hyper-parameter that is an array leaf: two values share one program, and a sweep over it is a `vmap`.

    Args:
      default: the default value; without one the field is required.
      minimum: the smallest value allowed, inclusive. It is checked on the host when a simulation is built.
      maximum: the largest value allowed, inclusive.
    """
    return struct.field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def static(default: Any = dataclasses.MISSING, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """Declare a field that changes shapes or control flow. It is a part of the program: hashed, never traced.

    Args:
      default: the default value.
      minimum: the smallest value allowed, inclusive. It is checked on the host when a simulation is built.
      maximum: the largest value allowed, inclusive.
    """
    return struct.field(pytree_node=False, default=default, metadata={"minimum": minimum, "maximum": maximum})
