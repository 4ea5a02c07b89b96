"""A communication graph with its mixing weights, on the host."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology import forms
from jdl.types import Plan

__all__ = ["Topology", "circulant", "circulant_spectrum", "fourier", "grouped"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """A communication graph with its mixing weights.

    Create one with a function of `jdl.topology`, which checks its properties; `from_graph` and `from_weights` take your
    own graph or matrix.

    Args:
      name: name in tables and plots.
      matrix: W as a `csr_array [n, n]`, or a function that computes it, for a W that is large and rarely needed; read
        it as `weights`. `W[i, j]` is the weight that receiver i gives to sender j, diagonal included.
      stochastic: "doubly", "row" or "column" stochastic.
      symmetric: whether W equals its transpose.
      shifts: set where W is circulant with equal weights: slot s of receiver i listens to `(i + shifts[s]) mod n`.
      groups: `int[n]`, set where W averages uniformly within disjoint groups (all zeros for W = J).
      spectrum: function that returns all n eigenvalues of W from a closed form, in any order; None where no closed form
        is known.
      positions: `float[n, 2]`, coordinates of the nodes in the plane, or None.
    """

    name: str
    matrix: csr_array | Callable[[], csr_array]
    stochastic: str = "doubly"
    symmetric: bool = False
    shifts: tuple[int, ...] | None = None
    groups: np.ndarray | None = None
    spectrum: Callable[[], np.ndarray] | None = None
    positions: np.ndarray | None = None

    @functools.cached_property
    def weights(self) -> csr_array:
        """W as a `csr_array [n, n]`, diagonal included."""
        return self.matrix() if callable(self.matrix) else self.matrix

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.weights.shape[0] if self.groups is None else len(self.groups)

    @functools.cached_property
    def degree(self) -> np.ndarray:
        """`int[n]`, the number of links into each node, not counting its own weight."""
        if self.groups is not None:
            return np.bincount(self.groups)[self.groups] - 1
        return np.diff(forms.off_diagonal(self.weights).indptr)

    @property
    def edges(self) -> np.ndarray:
        """`int[e, 2]`, (sender, receiver) of every link; for a symmetric W each pair once, the smaller id first."""
        links = forms.off_diagonal(self.weights).tocoo()
        pairs = np.stack([links.col, links.row], axis=1)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]] if self.symmetric else pairs
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]

    @property
    def edge_count(self) -> int:
        """The number of rows of `edges`."""
        return int(self.degree.sum()) // (2 if self.symmetric else 1)

    def plan(self, form: str = "auto", numbers: int | None = None) -> Plan:
        """The plan of a round in which every link is used.

        Args:
          form: "auto" for the cheapest (see `forms.choose`), "dense", "slots", "hubs" or "edges"; "circulant" where
            `shifts` is set, "groups" where `groups` is set.
          numbers: number of scalars in a message, for "auto".

        Returns:
          A `Plan` of n rows, with arrays of the default float type.

        Raises:
          InputError: if `form` is unknown, does not fit this W, or needs more memory than there is.

        >>> from jdl.topology import ring
        >>> type(ring(8).plan().links).__name__
        'Circulant'
        """
        form = checks.known("form", form, forms.FORMS)
        if form == "auto":
            form = forms.choose(self.degree, self.shifts, self.groups is not None, numbers)
        promise = {"stochastic": self.stochastic, "symmetric": self.symmetric}
        dtype = jnp.result_type(float)
        if form == "groups":
            need = f'got form="groups" for {self.name!r}, need equal averages within groups; use form="slots"'
            checks.require(self.groups is not None, need)
            return Plan(forms.as_groups(self.groups), jax.device_put((1 / (1 + self.degree)).astype(dtype)), **promise)
        if form == "circulant":
            need = f'got form="circulant" for {self.name!r}, need equal weights along shifts; use form="slots"'
            checks.require(self.shifts is not None, need)
            links = forms.as_circulant(self.weights, self.shifts)
        else:
            make = {"dense": forms.as_dense, "slots": forms.as_slots, "edges": forms.as_edges, "hubs": forms.as_hubs}
            links = make[form](self.weights)
        return Plan(links, jax.device_put(self.weights.diagonal().astype(dtype)), **promise)

    def __repr__(self) -> str:
        low, high = int(self.degree.min()), int(self.degree.max())
        nodes = f"{self.n} node{'s' * (self.n != 1)}"
        count = self.edge_count
        edges = f"{count} {'edge' if self.symmetric else 'directed link'}{'s' * (count != 1)}"
        degree = f"degree {low}" if low == high else f"degree {low} to {high}"
        stochastic = f"{self.stochastic} stochastic" if self.stochastic == "doubly" else f"{self.stochastic}-stochastic"
        return f"<{self.name}: {nodes}, {edges}, {degree}, {stochastic}{', symmetric' * self.symmetric}>"


def circulant(name: str, n: int, shifts: tuple[int, ...]) -> Topology:
    """Every node listens, with equal weights, to the nodes some fixed shifts further on.

    W = (I + sum_s P^shift_s) / (k + 1), where P has a one at (i, i + 1 mod n), is doubly stochastic for any k shifts.
    Its eigenvalues are the discrete Fourier transform of its first row.

    Args:
      name: name in tables and plots.
      n: number of nodes, at least 1.
      shifts: k integers, different from each other and from zero modulo n.

    >>> circulant("lazy walk", 5, shifts=(1,))
    <lazy walk: 5 nodes, 5 directed links, degree 1, doubly stochastic>
    """
    n = checks.whole("n", n, 1)
    steps = [shift % n for shift in shifts]
    need = f"got shifts={shifts}, need shifts that differ from each other and from 0 modulo n={n}; leave some out"
    checks.require(len({0, *steps}) == len(steps) + 1, need)
    receiver = np.repeat(np.arange(n), len(steps) + 1)
    sender = (np.arange(n)[:, None] + np.array([0, *steps])[None, :]).ravel() % n
    share = np.full(sender.shape, 1 / (len(steps) + 1))
    symmetric = {-step % n for step in steps} == set(steps)
    weights = csr_array((share, (receiver, sender)), shape=(n, n))
    return Topology(name, weights, "doubly", symmetric, tuple(shifts), spectrum=circulant_spectrum(weights, symmetric))


def fourier(circulant: csr_array) -> np.ndarray:
    """All eigenvalues of a circulant matrix, `complex[n]`, with that of the constant vector first."""
    return np.fft.fft(circulant[[0], :].toarray()[0])


def circulant_spectrum(weights: csr_array, symmetric: bool) -> Callable[[], np.ndarray]:
    """The `spectrum` of a topology whose W is circulant."""

    def spectrum() -> np.ndarray:
        values = fourier(weights)
        return values.real if symmetric else values

    return spectrum


def grouped(name: str, groups: np.ndarray, positions: np.ndarray | None = None) -> Topology:
    """All nodes of a group average with each other, without links between groups: W_ij = 1 / r in a group of r nodes.

    W is a projection: its eigenvalues are 1 once for each group, and 0. With one group W = J, exact averaging.

    Args:
      name: name in tables and plots.
      groups: `int[n]`, the group of each node, numbered from 0.
      positions: `float[n, 2]`, coordinates for drawing, or None.

    >>> grouped("pairs", np.array([0, 1, 0, 1]))
    <pairs: 4 nodes, 2 edges, degree 1, doubly stochastic, symmetric>
    """
    groups = np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(groups)

    def matrix() -> csr_array:
        links = int((sizes**2).sum())
        checks.fits(12 * links, f"the matrix of {name} with n={len(groups)} and {links:,} links")
        order = np.argsort(groups, kind="stable")
        blocks = np.split(order.astype(np.int32), np.cumsum(sizes)[:-1])
        columns = np.concatenate([blocks[group] for group in groups])
        counts = sizes[groups]
        shares = np.repeat(1 / counts, counts)
        return csr_array((shares, columns, np.concatenate([[0], np.cumsum(counts)])), shape=(len(groups),) * 2)

    def spectrum() -> np.ndarray:
        return (np.arange(len(groups)) < len(sizes)).astype(float)

    return Topology(name, matrix, symmetric=True, groups=groups, spectrum=spectrum, positions=positions)
