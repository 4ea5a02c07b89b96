"""What a model is measured by, one example at a time: cross-entropy for classes and tokens, squares for numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["losses", "right"]


def losses(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The loss of each example: f[B].

    Whole targets are classes, `-log softmax(outputs)[target]` for outputs f[B, ..., classes] and targets i32[B, ...],
    averaged over the axes between (the tokens of a text). Real targets are numbers, `(outputs - targets)^2` for targets
    f[B, ...] and outputs of this shape or f[B, ..., 1], averaged over all axes but the first. Outputs of less than 32
    bits are measured in 32: a mean in bfloat16 moves in steps of 2^-8.

    >>> losses(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 0.0]))
    Array([0., 4.], dtype=float32)
    """
    outputs = _wide(outputs)
    if jnp.issubdtype(targets.dtype, jnp.floating):
        # Reshaped: [B, 1] less [B] would be a table of all differences.
        each = jnp.square(outputs.reshape(targets.shape).astype(targets.dtype) - targets)
        return jnp.mean(each, axis=tuple(range(1, each.ndim)))
    # A product with the one-hot target fuses into the pass over the outputs; a gather, backward a scatter, does not.
    one_hot = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    each = jax.nn.logsumexp(outputs, axis=-1) - jnp.sum(one_hot * outputs, axis=-1)
    return jnp.mean(each, axis=tuple(range(1, each.ndim)))


def right(outputs: jax.Array, targets: jax.Array) -> jax.Array | None:
    """The share of each example's targets that has the largest output: f[B]; None for real targets."""
    if jnp.issubdtype(targets.dtype, jnp.floating):
        return None
    hits = (jax.lax.argmax(outputs, outputs.ndim - 1, jnp.int32) == targets).astype(_wide(outputs).dtype)
    return jnp.mean(hits, axis=tuple(range(1, hits.ndim)))


def _wide(outputs: jax.Array) -> jax.Array:
    """Outputs in float32 at least, whatever the model computes in."""
    return outputs if jnp.finfo(outputs.dtype).bits >= 32 else outputs.astype(jnp.float32)
