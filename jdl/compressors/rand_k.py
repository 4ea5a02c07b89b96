"""Random sparsification."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import floating
from jdl.compressors.top_k import largest
from jdl.types import Key, Message, number, static

__all__ = ["RandK"]


@struct.dataclass
class RandK:
    """Keep, in each array of a message, `k = max(1, round(fraction d))` entries, drawn without replacement.

    Contraction, unless `scaled`: E ||C(x) - x||^2 = (1 - k/d) ||x||^2. `scaled` by d/k it is unbiased instead, with
    E ||C(x) - x||^2 = (d/k - 1) ||x||^2: no contraction, unless more than half of the entries are kept.

    Sends:
      the k numbers alone; which ones they are follows from a key that both ends hold.

    Args:
      fraction: share of the entries of each array that travels, 0 to 1.
      scaled: whether what travels is multiplied by d/k.

    References:
      Stich, Cordonnier, Jaggi 2018, Sparsified SGD with Memory, definition 2.1.
      Wangni, Wang, Liu, Zhang 2018, Gradient Sparsification for Communication-Efficient Distributed Optimization.
    """

    fraction: float = number(0.1, minimum=0, maximum=1)
    scaled: bool = static(False)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        numbers, joined, other_bits = floating(message)
        keys = jax.random.split(key, max(1, len(numbers)))

        def kept(x):
            return jnp.maximum(1, jnp.round(self.fraction * x.size)).astype(jnp.int32)

        def sparse(x, key):
            if not x.size:
                return x
            # The k largest of d random numbers are a sample without replacement, for any traced k.
            chosen = largest(jax.random.uniform(key, (x.size,)), kept(x)).reshape(x.shape)
            factor = (x.size / kept(x)).astype(x.dtype) if self.scaled else jnp.ones((), x.dtype)
            return jnp.where(chosen, factor * x, jnp.zeros_like(x))

        sizes = [kept(x).astype(jnp.float32) * (x.dtype.itemsize * 8) for x in numbers if x.size]
        sent = [sparse(x, key) for x, key in zip(numbers, keys, strict=False)]
        return joined(sent), memory, sum(sizes, start=jnp.float32(other_bits))
