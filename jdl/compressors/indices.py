"""The size of a list of places: which entries of an array are sent."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jdl import checks

__all__ = ["INDICES", "index_of_data", "known_index", "place_bits"]

INDICES = ("elias", "entropy", "log2", "seed")


def known_index(index: str) -> str:
    """The name of a code of places as it is spelled here.

    Raises:
      InputError: if there is no code of this name.
    """
    return checks.known("index", index, INDICES) if isinstance(index, str) else index


def index_of_data(index: str) -> str:
    """As `known_index`, for places that depend on the data, which no seed can tell.

    Raises:
      InputError: if there is no such code.
    """
    return checks.known("index", index, INDICES[:-1]) if isinstance(index, str) else index


def place_bits(sent: jax.Array, index: str) -> jax.Array:
    """The bits that tell a receiver which entries of an array are sent, f[].

    - "log2": an index of ceil(log2 d) bits for each entry.
    - "elias": the distances between neighbouring indices by Elias' gamma code, 2 floor(log2 gap) + 1 bits each. The
      first distance is that to a place before the array.
    - "entropy": d H(k/d) bits, where H is the entropy of a coin. On average, no code of independent places takes fewer,
      and arithmetic coding comes close to it.
    - "seed": none. The places follow from a key that both ends hold, so they must not depend on the data.

    How many entries are sent is not counted: a receiver knows it, or the caller counts it.

    Args:
      sent: which entries are sent, `bool[...]`, not empty.
      index: name of the code.

    >>> place_bits(jnp.asarray([False, True, False, False, False, True]), "elias").item()  # distances 2 and 4: 3 + 5
    8.0
    """
    flat = sent.reshape(-1)
    d = flat.size
    count = jnp.sum(flat, dtype=jnp.int32)
    if index == "log2":
        return (count * math.ceil(math.log2(d))).astype(jnp.float32)
    if index == "elias":
        places = jnp.arange(1, d + 1, dtype=jnp.int32)
        latest = jax.lax.cummax(jnp.where(flat, places, 0))
        gaps = places - jnp.concatenate([jnp.zeros(1, jnp.int32), latest[:-1]])
        floors = 31 - jax.lax.clz(gaps)
        return jnp.sum(jnp.where(flat, 2 * floors + 1, 0), dtype=jnp.int32).astype(jnp.float32)
    if index == "entropy":
        share = count.astype(jnp.float32) / d
        return d * (jax.scipy.special.entr(share) + jax.scipy.special.entr(1 - share)) / math.log(2)
    return jnp.zeros((), jnp.float32)
