"""EquiTopo: random cyclic shifts, with a consensus rate that does not depend on the number of nodes."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.topology import Topology, circulant_spectrum

__all__ = ["equistatic"]


def equistatic(n: int, degree: int | None = None, directed: bool = False, seed: int = 0) -> Topology:
    """Every node talks, with equal weights, to the nodes at some random cyclic shifts.

    W = I / n + ((n - 1) / n) (sum over the shifts u of P^u) / degree, with the cyclic shift P: the mean of the basis
    matrices ((n - 1) P^u + I) / n. In the undirected graph (U-EquiStatic) shifts come in pairs u and -u; in the
    directed one (D-EquiStatic) they are arbitrary. W is circulant and doubly stochastic. The mean of the squared moduli
    of the eigenvalues other than the first is (n - 1 - degree) / (n degree) for every draw, and W = J for
    degree = n - 1.

    The spectral norm of W - J is below epsilon with probability 1 - p for a degree of at least 8 ln(2n / p) / (3
    epsilon^2), twice that if undirected: log n messages keep the gap open. With few shifts it closes as n grows.

    Unlike in the paper, shifts are drawn without replacement, so that every node has exactly `degree` neighbours, and
    they are drawn again until the graph is connected.

    Sends:
      `degree` messages per node and round.

    Args:
      n: number of nodes, at least 1.
      degree: number of nodes to which each one listens, below n, and even if undirected with odd n; by default
        ceil(log2 n), as in the exponential graph, plus one if that is odd and undirected.
      directed: whether nodes listen to other nodes than those to which they send.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if no connected graph of this degree exists.

    >>> equistatic(17)
    <equistatic: 17 nodes, 51 edges, degree 6, doubly stochastic, symmetric>
    >>> equistatic(17, degree=4, directed=True, seed=1)
    <equistatic: 17 nodes, 68 directed links, degree 4, doubly stochastic>

    References:
      Song, Li, Jin, Shi, Yan, Yin, Yuan, "Communication-Efficient Topologies for Decentralized Learning with O(1)
      Consensus Rate", NeurIPS 2022, theorems 1 and 2.
    """
    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    if degree is None:
        usual = (n - 1).bit_length()
        degree = min(n - 1, usual if directed else usual + usual % 2)
    degree = checks.whole("degree", degree, 0)
    fewer = f"got degree={degree} with n={n}, cyclic shifts need degree < n; try degree={n - 1}"
    checks.require(degree < n, fewer)
    least = min(n - 1, 1 if directed else 2)
    linked = f"got degree={degree} with n={n}, a connected graph needs degree {least} or more; try degree={least}"
    checks.require(degree >= least, linked)
    even = (
        f"got degree={degree} with n={n}, shifts both ways need an even degree where n is odd; try degree={degree + 1}"
    )
    checks.require(directed or degree % 2 == 0 or n % 2 == 0, even)

    rng = np.random.default_rng(seed)
    shifts = _draw(n, degree, directed, rng)
    while math.gcd(n, *shifts) > 1:
        shifts = _draw(n, degree, directed, rng)
    receiver = np.repeat(np.arange(n), degree + 1)
    sender = (np.arange(n)[:, None] + np.array([0, *shifts])[None, :]).ravel() % n
    share = np.tile([1 / n, *[(n - 1) / (n * max(degree, 1))] * degree], n)
    weights = csr_array((share, (receiver, sender)), shape=(n, n))
    symmetric = {-shift % n for shift in shifts} == set(shifts)
    return Topology("equistatic", weights, "doubly", symmetric, shifts, spectrum=circulant_spectrum(weights, symmetric))


def _draw(n: int, degree: int, directed: bool, rng: np.random.Generator) -> tuple[int, ...]:
    """`degree` different shifts from 1 to n - 1; if undirected, -u mod n with every u (n / 2 is its own inverse)."""
    if directed:
        return tuple((1 + rng.choice(n - 1, degree, replace=False)).tolist()) if degree else ()
    pairs = (1 + rng.choice((n - 1) // 2, degree // 2, replace=False)).tolist() if degree > 1 else []
    return (*(shift for u in pairs for shift in (u, n - u)), *([n // 2] if degree % 2 else []))
