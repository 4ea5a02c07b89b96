"""Random sparsification."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import rng
from jdl.compressors.compressor import Sparsifier
from jdl.compressors.indices import known_index, place_bits
from jdl.compressors.top_k import kept_of, largest
from jdl.types import Key, number, static

__all__ = ["RandK"]


@struct.dataclass
class RandK(Sparsifier):
    """Keep, in each array of a message, `k = max(1, round(fraction d))` entries, drawn without replacement.

    Contraction, unless `scaled`: E ||C(x) - x||^2 = (1 - k/d) ||x||^2. With `scaled`, it is multiplied by d/k and
    unbiased instead, with E ||C(x) - x||^2 = (d/k - 1) ||x||^2: no contraction, unless more than half of the entries
    are kept.

    Sends:
      the k numbers alone; which ones they are follows from a key that both ends hold, unless `index` names a code.

    Args:
      fraction: share of the entries of each array that travels, 0 to 1.
      scaled: whether what travels is multiplied by d/k.
      index: code of the places: "seed" (free), or one for ends without a common key: "log2" (ceil(log2 d) bits each),
        "elias" (gaps), "entropy" (a lower bound).

    Raises:
      InputError: if there is no such code.

    References:
      Stich, Cordonnier, Jaggi 2018, Sparsified SGD with Memory, definition 2.1.
      Wangni, Wang, Liu, Zhang 2018, Gradient Sparsification for Communication-Efficient Distributed Optimization.
      Konecny, McMahan, Yu, Richtarik, Suresh, Bacon 2016, Federated Learning: Strategies for Improving Communication
      Efficiency (random masks whose seed is sent; `scaled`, their subsampling).
    """

    fraction: float = number(0.1, minimum=0, maximum=1)
    scaled: bool = static(False)
    index: str = static("seed")

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", known_index(self.index))

    def choose(self, x: jax.Array, key: Key) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What is kept of one array, which entries these are, and the bits that say so."""
        k = kept_of(self.fraction, x)
        # The k largest of d random numbers are a sample without replacement, for any traced k.
        sent = largest(rng.uniform(key, (x.size,)), k).reshape(x.shape)
        factor = (x.size / k).astype(x.dtype) if self.scaled else jnp.ones((), x.dtype)
        return jnp.where(sent, factor * x, jnp.zeros_like(x)), sent, place_bits(sent, self.index)

    def relative_error(self, d: int) -> float:
        """E ||C(x) - x||^2 / ||x||^2 for an array of d entries: below 1, it contracts."""
        k = min(d, max(1, round(float(self.fraction) * d)))
        return d / k - 1 if self.scaled else 1 - k / d
