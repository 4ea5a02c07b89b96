"""The largest entries, clustered and entropy-coded."""

from __future__ import annotations

import jax
from flax import struct

from jdl.compressors.chain import Chain
from jdl.compressors.indices import index_of_data
from jdl.compressors.k_means import KMeans
from jdl.compressors.top_k import TopK
from jdl.types import Key, Message, number, static

__all__ = ["FedZip"]


@struct.dataclass
class FedZip:
    """Keep the largest entries of each array, cluster them by k-means, and encode clusters and places without loss.

    It is `Chain(TopK(fraction, index), KMeans(clusters, iterations))`. What is left out is the tail of the entries, and
    what is kept is decoded as the centre of its cluster.

    Sends:
      for each entry kept, its cluster by a Huffman code and its place; the centres, and the lengths of the code words.

    Args:
      fraction: share of the entries of each array that travels, 0 to 1.
      clusters: number of clusters of the entries kept, 2 to 64.
      iterations: number of iterations of k-means, at least 0.
      index: code of the places: "log2" (ceil(log2 d) bits each), "elias" (gaps), "entropy" (a lower bound).

    Raises:
      InputError: if there is no such code.

    References:
      Malekijoo, Fadaeieslam, Malekijou, Homayounfar, Alizadeh-Shabdiz, Rawassizadeh 2021, FEDZIP: A Compression
      Framework for Communication-Efficient Federated Learning.
    """

    fraction: float = number(0.1, minimum=0, maximum=1)
    clusters: int = static(3, minimum=2, maximum=64)
    iterations: int = static(10, minimum=0)
    index: str = static("elias")

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", index_of_data(self.index))

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        chain = Chain(TopK(self.fraction, self.index), KMeans(self.clusters, self.iterations))
        sent, _, bits = chain(((), ()), message, key)
        return sent, memory, bits
