"""A model from two functions: one initialises the parameters, one computes the outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax

from jdl.types import Key, PyTree

__all__ = ["Functions"]


@dataclasses.dataclass(frozen=True)
class Functions:
    """A model from two functions, as haiku's `transform` (without its key) and optax's examples have them.

    This is the form of haiku's `transform` (without its key) and of optax's examples. All parameters are learnt. Two
    `Functions` of the same pair are the same model and the same program, so define the functions once, outside of
    loops.

    Args:
      start: function `start(key, x) -> parameters`, which may be any pytree.
      run: function `run(parameters, x) -> outputs`.

    >>> import jax, jax.numpy as jnp
    >>> model = Functions(start=lambda key, x: jnp.zeros(x.shape[-1]), run=lambda w, x: x @ w)
    >>> model.init(jax.random.key(0), jnp.ones((1, 3)))
    {'params': Array([0., 0., 0.], dtype=float32)}
    """

    start: Callable[[Key, jax.Array], PyTree]
    run: Callable[[PyTree, jax.Array], jax.Array]

    def init(self, key: Key, x: jax.Array) -> PyTree:
        """The parameters, as the collection "params"."""
        return {"params": self.start(key, x)}

    def apply(self, variables: PyTree, x: jax.Array) -> jax.Array:
        """The outputs for x."""
        return self.run(variables["params"], x)
