"""The loss and the accuracy of each example: cross-entropy for classes and tokens, squared error for numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["losses", "right"]


def losses(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Compute the loss of each example.

    Integer targets are classes or tokens: the loss is `-log softmax(outputs)[target]`, averaged over all axes between
    the first and the last (the tokens of a text). Real targets are numbers: the loss is `(outputs - targets)^2`,
    averaged over all axes but the first. Losses are computed in float32 at least, since a mean in bfloat16 has steps of
    2^-8.

    Args:
      outputs: f[B, ..., classes] for integer targets; f[B, ...] or f[B, ..., 1] for real targets.
      targets: i32[B, ...] or f[B, ...].

    Returns:
      f[B].

    >>> losses(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 0.0]))
    Array([0., 4.], dtype=float32)
    """
    outputs = _wide(outputs)
    if jnp.issubdtype(targets.dtype, jnp.floating):
        # Without the reshape, [B, 1] minus [B] would be a table of all B x B differences.
        each = jnp.square(outputs.reshape(targets.shape).astype(targets.dtype) - targets)
        return jnp.mean(each, axis=tuple(range(1, each.ndim)))
    # A product with the one-hot target fuses into the pass over the outputs; a gather, backward a scatter, does not.
    one_hot = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    each = jax.nn.logsumexp(outputs, axis=-1) - jnp.sum(one_hot * outputs, axis=-1)
    return jnp.mean(each, axis=tuple(range(1, each.ndim)))


def right(outputs: jax.Array, targets: jax.Array) -> jax.Array | None:
    """Compute the accuracy of each example: the share of its targets whose output is the largest.

    Args:
      outputs: f[B, ..., classes].
      targets: i32[B, ...] or f[B, ...].

    Returns:
      f[B], or None for real targets.
    """
    if jnp.issubdtype(targets.dtype, jnp.floating):
        return None
    hits = (jax.lax.argmax(outputs, outputs.ndim - 1, jnp.int32) == targets).astype(_wide(outputs).dtype)
    return jnp.mean(hits, axis=tuple(range(1, hits.ndim)))


def _wide(outputs: jax.Array) -> jax.Array:
    """The outputs in float32 or a wider type, whatever type the model computes in."""
    return outputs if jnp.finfo(outputs.dtype).bits >= 32 else outputs.astype(jnp.float32)
