"""Random graphs of statistically equivalent links: regular, Erdos-Renyi, stochastic block. Drawn on the host."""

from __future__ import annotations

import itertools
import math

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import drawn
from jdl.topology.topology import Topology

__all__ = ["erdos_renyi", "random_regular", "stochastic_block"]


EDGE_BYTES = 320  # memory per edge in networkx and the draw: 1,280 bytes a node at the peak, measured at degree 4


def random_regular(n: int, degree: int = 4, seed: int = 0) -> Topology:
    """Every node talks to the same number of random nodes: an expander of any size.

    W = 1 / (degree + 1) on the node and its neighbours. The graph is drawn uniformly in the limit of large n. A
    disconnected graph is discarded and drawn again with seed + 1, seed + 2, ..., at most 100 times. For degree >= 3,
    lambda_2 <= (1 + 2 sqrt(degree - 1)) / (degree + 1) + o(1) with high probability: the gap does not close with n.

    Sends:
      `degree` messages per node and round.

    Args:
      n: number of nodes, at least 1.
      degree: number of neighbours of each node, less than n, and even if n is odd.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if no connected graph of this degree exists, or if none was drawn.

    >>> random_regular(16, degree=4, seed=0)
    <random_regular: 16 nodes, 32 edges, degree 4, doubly stochastic, symmetric>

    References:
      Steger, Wormald, "Generating random regular graphs quickly", Combinatorics, Probability and Computing 8, 1999.
      Friedman, "A proof of Alon's second eigenvalue conjecture and related problems", Memoirs of the AMS, 2008.
    """
    import networkx as nx

    n, degree, seed = checks.whole("n", n, 1), checks.whole("degree", degree, 0), checks.whole("seed", seed, 0)
    fewer = f"got degree={degree} with n={n}, a regular graph needs degree < n; try degree={n - 1}"
    checks.require(degree < n, fewer)
    connected = f"got degree={degree} with n={n}, a connected graph needs degree 2 or more; try degree=2"
    checks.require(degree >= min(n - 1, 2), connected)
    even = f"got degree={degree} with n={n}, a regular graph needs n * degree even; try n={n + 1}"
    checks.require(n * degree % 2 == 0, even)
    checks.fits(n * degree * EDGE_BYTES, f"a random regular graph with n={n:,} and degree={degree}")

    def draw(number: int) -> np.ndarray:
        return np.array(nx.random_regular_graph(degree, n, seed=number).edges, int).reshape(-1, 2)

    return drawn("random_regular", n, draw, seed, "try degree=3")


def erdos_renyi(n: int, degree: float | None = None, seed: int = 0) -> Topology:
    """Every pair of nodes is linked with the same probability, independently of all other pairs.

    The probability is p = degree / (n - 1), and the weights are Metropolis weights. A disconnected graph is discarded
    and drawn again with seed + 1, seed + 2, ..., at most 100 times; so the distribution is conditioned on connected
    graphs. Degrees below ln n leave isolated nodes: with degree = ln n + c a draw is connected with probability
    exp(-exp(-c)) for large n. At 2 ln n the gap is near 0.2 from n = 1,000 to 10,000. There is no closed-form spectrum.

    Sends:
      `degree` messages per node and round on average.

    Args:
      n: number of nodes, at least 1.
      degree: mean number of neighbours, at most n - 1; by default 2 ln n.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if 100 draws in a row are disconnected.

    >>> erdos_renyi(100, degree=8, seed=0).n
    100

    References:
      Erdos, Renyi, "On random graphs I", Publicationes Mathematicae 6, 1959.
      Gilbert, "Random graphs", Annals of Mathematical Statistics 30, 1959.
    """
    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    usual = min(n - 1.0, 2 * math.log(n))
    degree = usual if degree is None else degree
    checks.bounded("degree", degree, 0.0, n - 1.0, usual)

    def draw(number: int) -> np.ndarray:
        return pairs_of(np.random.default_rng(number), n, degree / max(1, n - 1))

    return drawn("erdos_renyi", n, draw, seed, f"try degree={enough(n)}")


def stochastic_block(
    n: int, blocks: int = 4, degree: float | None = None, between: float = 1.0, seed: int = 0
) -> Topology:
    """Communities: a pair inside a block is linked with one probability, a pair between blocks with a lower one.

    Node i is in block `i * blocks // n`, so that block sizes differ by at most one. With m = n / blocks nodes in a
    block, the probabilities are degree / (m - 1) inside and between / (n - m) across. The weights are Metropolis
    weights. A disconnected graph is discarded and drawn again with seed + 1, seed + 2, ..., at most 100 times. There is
    no closed-form spectrum; the gap is of the order of between / (degree + between).

    Sends:
      degree + between messages per node and round on average.

    Args:
      n: number of nodes, at least 1.
      blocks: number of communities, at most n.
      degree: mean number of neighbours in the node's own block, at most m - 1; by default 2 ln n, or all if they are
        fewer.
      between: mean number of neighbours in other blocks, at most n - m; unused with one block.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if 100 draws in a row are disconnected.

    >>> stochastic_block(100, blocks=5, degree=8, seed=0).n
    100

    References:
      Holland, Laskey, Leinhardt, "Stochastic blockmodels: first steps", Social Networks 5, 1983.
    """
    n, blocks, seed = checks.whole("n", n, 1), checks.whole("blocks", blocks, 1), checks.whole("seed", seed, 0)
    checks.require(blocks <= n, f"got blocks={blocks} with n={n}, a block needs at least one node; try blocks={n}")
    fellows, strangers = n / blocks - 1, n - n / blocks
    usual = min(fellows, 2 * math.log(n))
    degree = usual if degree is None else degree
    checks.bounded("degree", degree, 0.0, fellows, usual)
    if blocks > 1:
        checks.bounded("between", between, 0.0, strangers, min(1.0, strangers))
    block = np.arange(n) * blocks // n
    starts = np.flatnonzero(np.diff(block, prepend=-1, append=blocks))

    def draw(number: int) -> np.ndarray:
        rng = np.random.default_rng(number)
        inside = [
            start + pairs_of(rng, stop - start, degree / fellows if fellows else 0.0)
            for start, stop in itertools.pairwise(starts)
        ]
        # Every pair is drawn with this probability, then pairs inside a block are dropped: the others stay independent.
        across = pairs_of(rng, n, between / strangers if strangers else 0.0)
        return np.concatenate([*inside, across[block[across[:, 0]] != block[across[:, 1]]]])

    do = f"try degree={enough(n)}, fewer blocks or more between them"
    return drawn("stochastic_block", n, draw, seed, do)


def enough(n: int) -> int:
    """A mean degree at which 19 of 20 random graphs of n nodes have no isolated node: ln n + 3, where n permits it."""
    return min(n - 1, math.ceil(math.log(n) + 3))


def pairs_of(rng: np.random.Generator, n: int, p: float) -> np.ndarray:
    """`int[e, 2]`, pairs of n nodes, each included independently with probability p."""
    total = n * (n - 1) // 2
    count = int(rng.binomial(total, min(1.0, p)))
    if 50 * count > total:  # here NumPy would shuffle all numbers instead of drawing some
        checks.fits(8 * total, f"a random graph with n={n:,} and {count:,} edges")
    # The pairs (0, 1), (0, 2), (1, 2), (0, 3), ... have the numbers 0, 1, 2, 3, ...
    number = rng.choice(total, count, replace=False, shuffle=False) if count else np.empty(0, int)
    second = ((1 + np.sqrt(1 + 8.0 * number)) // 2).astype(int)
    return np.stack([number - second * (second - 1) // 2, second], axis=1)
