"""Linear sketches of arrays, of which the largest entries are recovered."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import rng
from jdl.compressors.compressor import by_array, number_bits
from jdl.compressors.top_k import kept_of, largest
from jdl.types import Key, Message, number, static

__all__ = ["CountSketch"]


@struct.dataclass
class CountSketch:
    """Count sketch: send sums of entries with random signs, and decode the largest entries from them.

    In each of `rows` rows, entry i is added with a random sign s_r(i) to a random one of `columns` sums. Its estimate
    is the median over the rows of s_r(i) times its sum. The `max(1, round(fraction d))` estimates of largest
    magnitude are decoded. An entry that meets no other large one in most rows is found exactly; the error of the others
    is about ||x|| / sqrt(columns). Arrays that are no larger than their sketch are sent whole.

    Hash tables follow from `seed`, and are the same for all senders and rounds. `sketch` is linear, so a server may sum
    sketches before it decodes by `estimates`.

    Sends:
      rows x columns numbers for each larger array.

    Args:
      rows: number of rows, odd, at least 1.
      columns: number of sums of a row, at least 1.
      fraction: share of the entries of each array that is decoded, 0 to 1.
      seed: seed of the hash tables.

    References:
      Charikar, Chen, Farach-Colton 2002, Finding Frequent Items in Data Streams (the sketch).
      Rothchild et al. 2020, FetchSGD: Communication-Efficient Federated Learning with Sketching (there momentum and the
      error are kept in the sketch, by the server).
    """

    rows: int = static(5, minimum=1)
    columns: int = static(1000, minimum=1)
    fraction: float = number(0.01, minimum=0, maximum=1)
    seed: int = static(0, minimum=0)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        def encode(x, key):
            if x.size <= self.rows * self.columns:
                return x, x.size * number_bits(x)
            estimated = self.estimates(self.sketch(x), x.size)
            kept = largest(estimated, kept_of(self.fraction, x))
            decoded = jnp.where(kept, estimated, jnp.zeros_like(estimated))
            return decoded.reshape(x.shape), self.rows * self.columns * number_bits(x)

        sent, bits = by_array(encode, message, key)
        return sent, memory, bits

    def sketch(self, x: jax.Array) -> jax.Array:
        """The sketch of an array, f[rows, columns]."""
        columns, signs = self._tables(x.size, x.dtype)
        add = lambda column, sign: jnp.zeros(self.columns, x.dtype).at[column].add(sign * x.reshape(-1))
        return jax.vmap(add)(columns, signs)

    def estimates(self, sketch: jax.Array, size: int) -> jax.Array:
        """An estimate of every entry of an array of this size, f[size]."""
        columns, signs = self._tables(size, sketch.dtype)
        rows = list(jax.vmap(lambda row, column, sign: sign * row[column])(sketch, columns, signs))
        # Neighbours are put in order, by turns; after as many turns as rows all are. A sort of a short axis is slow.
        for turn in range(self.rows):
            for i in range(turn % 2, self.rows - 1, 2):
                rows[i], rows[i + 1] = jnp.minimum(rows[i], rows[i + 1]), jnp.maximum(rows[i], rows[i + 1])
        low, high = rows[(self.rows - 1) // 2], rows[self.rows // 2]
        return low / 2 + high / 2

    def _tables(self, size: int, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
        """The column and the sign of each entry in each row."""
        one, other = jax.random.split(jax.random.fold_in(jax.random.key(self.seed), size))
        columns = rng.integers(one, self.rows * size, jnp.int32(self.columns)).reshape(self.rows, size)
        signs = jnp.where(rng.uniform(other, (self.rows, size)) < 0.5, 1, -1)
        return columns, signs.astype(dtype)
