"""Quantisation by clusters of the entries."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Quantiser, number_bits, shares
from jdl.types import Key, static

__all__ = ["KMeans", "huffman_bits"]


@struct.dataclass
class KMeans(Quantiser):
    """Cluster the entries of an array by Lloyd's k-means, and decode each entry as the centre of its cluster.

    The centres start at quantiles of the entries. Then, `iterations` times, each entry goes to the nearest centre, and
    each centre to the mean of its entries. An array with no more entries than clusters arrives as it is.

    Sends:
      the cluster of each entry by a Huffman code, whose size for one entry lies between the entropy of the clusters and
      one bit more; the centres as numbers of the array's own type; and the length of each code word.

    Args:
      clusters: number of clusters of each array, 2 to 64.
      iterations: number of Lloyd's iterations, at least 0.
    """

    clusters: int = static(3, minimum=2, maximum=64)
    iterations: int = static(10, minimum=0)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits."""
        share, top = shares(jnp.where(sent, x, jnp.zeros_like(x)))
        flat, taken = share.reshape(-1), sent.reshape(-1)
        number = jnp.sum(taken, dtype=jnp.int32)
        clusters = min(self.clusters, x.size)
        ranked = jnp.sort(jnp.where(taken, flat, jnp.asarray(jnp.inf, flat.dtype)))  # what is not sent comes last
        # The middle rank of each of as many equal parts, in pieces that fit 32 bits.
        part = jnp.arange(clusters, dtype=jnp.int32)
        rank = part * (number // clusters) + (part * (number % clusters) + number // 2 % clusters) // clusters
        rank = rank + (number // clusters) // 2
        start = jnp.take(ranked, jnp.clip(rank, 0, jnp.maximum(number - 1, 0)))
        start = jnp.where(jnp.isinf(start), jnp.zeros_like(start), start)

        def nearest(centres):
            return jnp.searchsorted((centres[:-1] + centres[1:]) / 2, flat).astype(jnp.int32)  # centres are in order

        def over(place, values):
            """The sum of the values in each cluster."""
            inside = taken[None] & (place[None] == part[:, None])
            return jnp.sum(jnp.where(inside, values[None], jnp.zeros((), values.dtype)), axis=1)

        def step(_, centres):
            place = nearest(centres)
            counts = over(place, jnp.ones_like(flat))
            return jnp.where(counts > 0, over(place, flat) / jnp.maximum(counts, 1), centres)

        centres = jax.lax.fori_loop(0, self.iterations, step, start)
        place = nearest(centres)
        counts = over(place, jnp.ones(flat.shape, jnp.int32)).astype(jnp.float32)
        decoded = jnp.take(centres, place) * top
        decoded = jnp.where(jnp.isnan(top), top, decoded)
        decoded = jnp.where(taken, decoded, jnp.zeros_like(decoded)).reshape(x.shape).astype(x.dtype)
        return decoded, huffman_bits(counts) + clusters * (number_bits(x) + math.ceil(math.log2(clusters)))


def huffman_bits(counts: jax.Array) -> jax.Array:
    """The size in bits of symbols that occur as often as `counts` says, by Huffman's code for these counts.

    One symbol alone takes no bits, since the lengths of the code words say that there is no other.

    >>> huffman_bits(jnp.float32([5, 0, 2, 1])).item()  # code words of 1, 2 and 2 bits
    11.0
    """

    def join(_, state):
        # The two lightest trees become one. Its weight is what the bit that tells them apart costs.
        trees, bits = state
        one = jnp.argmin(trees)
        rest = trees.at[one].set(jnp.inf)
        other = jnp.argmin(rest)
        both = trees[one] + trees[other]
        joined = jnp.isfinite(both) & (one != other)
        return jnp.where(joined, rest.at[other].set(both), trees), bits + jnp.where(joined, both, 0)

    trees = jnp.where(counts > 0, counts, jnp.inf)  # a symbol that does not occur has no code word
    return jax.lax.fori_loop(0, counts.size - 1, join, (trees, jnp.zeros((), counts.dtype)))[1]
