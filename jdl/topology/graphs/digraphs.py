"""Directed graphs in which every node has equal in- and out-degree: exponential, de Bruijn, Kautz."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array, eye_array

from jdl import checks
from jdl.topology.topology import Topology, circulant

__all__ = ["de_bruijn", "exponential", "kautz"]


def exponential(n: int) -> Topology:
    """Every node listens to the nodes 1, 2, 4, 8, ... places further on; the graph is directed.

    W = (I + sum_{j < tau} P^(2^j)) / (tau + 1) with the cyclic shift P and tau = ceil(log2 n). Its eigenvalues are the
    discrete Fourier transform of its first row. For n = 2^tau, lambda_2 = (tau - 1) / (tau + 1): the gap closes only
    like 1 / log n, at log n messages.

    Sends:
      ceil(log2 n) messages per node and round.

    Args:
      n: number of nodes, at least 1.

    >>> exponential(8)
    <exponential: 8 nodes, 24 directed links, degree 3, doubly stochastic>

    References:
      Ying, Yuan, Chen, Hu, Pan, Yin, "Exponential Graph is Provably Efficient for Decentralized Deep Training",
      NeurIPS 2021 (the spectral gap of the static graph).
      Assran, Loizou, Ballas, Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML 2019.
    """
    n = checks.whole("n", n, 1)
    return circulant("exponential", n, tuple(2**j for j in range((n - 1).bit_length())))


def de_bruijn(n: int, degree: int = 2) -> Topology:
    """Node i sends to nodes degree i + s modulo n, s < degree, which appends a digit to its number; directed.

    Numbers have k = log_degree(n) digits, so a message reaches every node in k steps. W = (I + A) / (degree + 1), where
    A keeps the loops of the graph: the `degree` nodes whose digits are all equal hear themselves, and give their own
    model the weight 2 / (degree + 1). A^k has all entries 1, so W has the eigenvalue 1 once and 1 / (degree + 1) for
    n - 1 times: the rate over many rounds does not depend on n. W is not normal, so one round may contract less; its
    second singular value is the bound.

    Sends:
      `degree` messages per node and round, one less from the nodes with a loop.

    Args:
      n: number of nodes, a power of `degree`.
      degree: number of nodes to which each node sends, at least 2.

    Raises:
      InputError: if n is not a power of `degree`; the message names the nearest one.

    >>> de_bruijn(8)
    <de_bruijn: 8 nodes, 14 directed links, degree 1 to 2, doubly stochastic>

    References:
      de Bruijn, "A combinatorial problem", Proceedings of the Koninklijke Nederlandse Akademie 49, 1946.
    """
    n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 2)
    need = f"got n={n} with degree={degree}, a de Bruijn graph needs a power of {degree}"
    one_of(n, (degree**k for k in itertools.count()), need)
    node = np.repeat(np.arange(n), degree)
    receiver = (degree * node + np.tile(np.arange(degree), n)) % n

    def spectrum() -> np.ndarray:
        return np.where(np.arange(n) == 0, 1, 1 / (degree + 1))

    return regular("de_bruijn", n, degree, node, receiver, spectrum)


def kautz(n: int, degree: int = 2) -> Topology:
    """Node i sends to nodes -(degree i + s) modulo n, s = 1 ... degree: like de Bruijn without loops; directed.

    Among all known graphs of this degree in which k steps reach every node, it is the largest for almost every k:
    n = (degree + 1) degree^(k - 1). W = (I + A) / (degree + 1). A^k + A^(k - 1) has all entries 1, so W has the
    eigenvalues 1; 0 for `degree` times; and 1 / (degree + 1) for the others: the rate over many rounds does not depend
    on n. W is not normal, so one round may contract less; its second singular value is the bound. k = 1 is the complete
    graph.

    Sends:
      `degree` messages per node and round.

    Args:
      n: number of nodes, (degree + 1) times a power of `degree`.
      degree: number of nodes to which each node sends, at least 2.

    Raises:
      InputError: if n is not such a number; the message names the nearest one.

    >>> kautz(12)
    <kautz: 12 nodes, 24 directed links, degree 2, doubly stochastic>

    References:
      Imase, Itoh, "Design to minimize diameter on building-block network", IEEE Transactions on Computers C-30, 1981
      (the rule in numbers).
    """
    n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 2)
    need = f"got n={n} with degree={degree}, a Kautz graph needs {degree + 1} times a power of {degree}"
    one_of(n, ((degree + 1) * degree**k for k in itertools.count()), need)
    node = np.repeat(np.arange(n), degree)
    receiver = -(degree * node + np.tile(np.arange(1, degree + 1), n)) % n

    def spectrum() -> np.ndarray:
        return np.array([1] + [0] * degree + [1 / (degree + 1)] * (n - degree - 1))

    return regular("kautz", n, degree, node, receiver, spectrum)


def one_of(n: int, valid: Iterator[int], need: str) -> None:
    """Check that n is among the valid numbers, which are listed in ascending order.

    Raises:
      InputError: if it is not; the message names the nearest valid number, the larger one of two.
    """
    below = 0
    for number in valid:
        if number >= n:
            break
        below = number
    nearest = below if below and n - below < number - n else number
    checks.require(n == number, f"{need}; try n={nearest}")


def regular(name: str, n: int, degree: int, sender: np.ndarray, receiver: np.ndarray, spectrum: Callable) -> Topology:
    """The topology W = (I + A) / (degree + 1) of a regular digraph; a link listed twice counts twice."""
    links = csr_array((np.ones(len(sender)), (receiver, sender)), shape=(n, n))
    weights = csr_array((links + eye_array(n)) / (degree + 1))
    symmetric = (weights != weights.T).nnz == 0  # true with one digit, where the graph is complete
    return Topology(name, weights, "doubly", symmetric, spectrum=spectrum)
