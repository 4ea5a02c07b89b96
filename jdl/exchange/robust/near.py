"""What a rule is told of the messages at one row: distances, weights, and which of them arrived."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl.types import PyTree

__all__ = ["Near", "clipping", "from_mixture", "mean_of", "of_mixtures", "ranks", "smallest", "usable"]

FEW = 64  # up to this many numbers are ranked by comparing each with each, which is faster than a sort


class Near(NamedTuple):
    """The k messages at one row. Among peers the first is the row's own, which always arrives.

    A message that is not finite, or whose squared norm is not, is at an infinite distance from all others.

    Attributes:
      base: f[k], squared distances from the base: the row's own message; at a server zero, or what a rule remembers.
      squared: f[k, k], squared distances between messages; None for rules that do not ask for them.
      arrived: bool[k], which messages arrived.
      weights: f[k], the weights of W, which sum to one; zero for what did not arrive. Those of a server are normalised.
      extra: what a rule hands to itself, one row of it; None for most.
    """

    base: jax.Array
    squared: jax.Array | None
    arrived: jax.Array
    weights: jax.Array
    extra: PyTree = None


def usable(near: Near) -> jax.Array:
    """bool[k], which messages arrived and are finite."""
    return near.arrived & jnp.isfinite(near.base)


def mean_of(mask: jax.Array, like: jax.Array) -> jax.Array:
    """The coefficients of the mean of the messages in `mask: bool[..., k]`; zeros if there are none."""
    count = jnp.sum(mask, axis=-1, keepdims=True, dtype=like.dtype)
    return mask.astype(like.dtype) / jnp.maximum(count, 1)


def ranks(values: jax.Array, then: jax.Array | None = None) -> jax.Array:
    """i32[..., k], the place of each number in ascending order along the last axis.

    Args:
      values: f[..., k].
      then: f[..., k], which decide at a tie; then the first one wins.
    """
    k = values.shape[-1]
    then = jnp.zeros_like(values) if then is None else then
    if k > FEW:
        order = jnp.lexsort((then, values), axis=-1)
        return jnp.argsort(order, axis=-1).astype(jnp.int32)
    place = jnp.arange(k, dtype=jnp.int32)
    earlier = (place[None, :] < place[:, None]).reshape((1,) * (values.ndim - 1) + (k, k))
    for keys in (then, values):
        mine, other = keys[..., :, None], keys[..., None, :]
        earlier = (other < mine) | ((other == mine) & earlier)
    return jnp.sum(earlier, axis=-1, dtype=jnp.int32)


def smallest(values: jax.Array, mask: jax.Array, count: jax.Array, then: jax.Array | None = None) -> jax.Array:
    """bool[..., k], the `count` smallest of the values in `mask`, all where they are fewer; `then` as in `ranks`."""
    # What is outside ranks last, even behind what is infinite.
    order = jnp.where(mask, jnp.minimum(values, jnp.finfo(values.dtype).max), jnp.inf)
    return mask & (ranks(order, then) < count)


def from_mixture(squared: jax.Array, mixture: jax.Array) -> jax.Array:
    """f[k], the squared distance of each message from the affine combination `sum_l mixture_l x_l`.

    It is sum_l c_l D_jl - c' D c / 2 for coefficients that sum to one. Infinite messages must have none, and are
    infinitely far.

    Args:
      squared: f[k, k], squared distances.
      mixture: f[k], coefficients c that sum to one.

    >>> from_mixture(jnp.array([[0.0, 4.0], [4.0, 0.0]]), jnp.array([0.5, 0.5])).tolist()  # 0 and 2 from their mean 1
    [1.0, 1.0]
    """
    finite = jnp.isfinite(squared)
    to = jnp.sum(jnp.where(finite, squared, 0) * mixture[None, :], axis=-1)
    from_it = jnp.maximum(to - jnp.sum(mixture * to) / 2, 0)
    return jnp.where(jnp.isfinite(jnp.diagonal(squared)), from_it, jnp.inf)


def of_mixtures(squared: jax.Array, mixtures: jax.Array) -> jax.Array:
    """f[q, q], the squared distances between affine combinations of messages.

    Args:
      squared: f[k, k], squared distances between messages.
      mixtures: f[q, k], coefficients, whose rows sum to one. A mixture with an infinite message is infinite.
    """
    infinite = ~jnp.isfinite(jnp.diagonal(squared))
    plain = jnp.where(jnp.isfinite(squared), squared, 0)
    cross = jnp.matmul(jnp.matmul(mixtures, plain, precision="highest"), mixtures.T, precision="highest")
    own = jnp.diagonal(cross)
    between = jnp.maximum(cross - (own[:, None] + own[None, :]) / 2, 0)
    lost = jnp.any((mixtures != 0) & infinite[None, :], axis=1)
    between = jnp.where(lost[:, None] | lost[None, :], jnp.inf, between)
    same = jnp.eye(len(mixtures), dtype=bool) & ~lost[:, None]
    return jnp.where(same, 0, between)


def clipping(squared: jax.Array, tau: jax.Array) -> jax.Array:
    """`min(1, tau / distance)` from squared distances; 1 at distance 0, and 0 for what is infinitely far."""
    distance = jnp.sqrt(squared)
    inside = distance <= tau
    factor = jnp.where(inside, 1, tau / jnp.where(inside, 1, distance))
    return jnp.where(jnp.isfinite(squared), factor, 0)
