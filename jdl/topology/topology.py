"""A communication graph with its mixing weights, on the host."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology import forms
from jdl.types import Plan

__all__ = ["Topology", "circulant"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """Who may talk to whom, and with which weights.

    name: how tables and plots call it.
    weights: `csr_array [n, n]`; `W[i, j]` is the weight that receiver i gives to sender j, diagonal included.
    kind: "doubly", "row" or "column" stochastic. symmetric: W equals its transpose.
    shifts: set where W is circulant: slot s of receiver i listens to `(i + shifts[s]) mod n`.

    Make one with a function of `jdl.topology`, which checks what it claims; `from_graph` and `from_weights` take yours.
    """

    name: str
    weights: csr_array
    kind: str = "doubly"
    symmetric: bool = False
    shifts: tuple[int, ...] | None = None

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.weights.shape[0]

    @property
    def degree(self) -> np.ndarray:
        """`int[n]`, the links into each node, its own weight not counted."""
        return np.diff(forms.off_diagonal(self.weights).indptr)

    @property
    def edges(self) -> np.ndarray:
        """`int[e, 2]`, (sender, receiver) of every link; of a symmetric W each pair once, the smaller id first."""
        links = forms.off_diagonal(self.weights).tocoo()
        pairs = np.stack([links.col, links.row], axis=1)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]] if self.symmetric else pairs
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]

    def plan(self, form: str = "auto") -> Plan:
        """The plan of a round in which every link is used.

        Args:
          form: "dense", "slots" or "circulant" (where `shifts` is set); "auto" takes the cheapest, see `forms.choose`.

        Returns:
          A `Plan` of n rows, with arrays of the default float type.

        Raises:
          InputError: if `form` is unknown, needs a circulant W, or needs more memory than there is.

        >>> from jdl.topology import ring
        >>> type(ring(8).plan().links).__name__
        'Circulant'
        """
        form = checks.known("form", form, forms.FORMS)
        if form == "auto":
            form = forms.choose(self.n, int(self.degree.max()), self.shifts)
        if form == "circulant":
            need = f'got form="circulant" for {self.name!r}, need equal weights along shifts; use form="slots"'
            checks.require(self.shifts is not None, need)
            links = forms.as_circulant(self.weights, self.shifts)
        else:
            links = forms.as_dense(self.weights) if form == "dense" else forms.as_slots(self.weights)
        self_weights = jnp.asarray(self.weights.diagonal(), jnp.result_type(float))
        return Plan(links=links, self_weights=self_weights, kind=self.kind, symmetric=self.symmetric)

    def __repr__(self) -> str:
        low, high = int(self.degree.min()), int(self.degree.max())
        nodes = f"{self.n} node{'s' * (self.n != 1)}"
        count = len(self.edges)
        edges = f"{count} {'edge' if self.symmetric else 'directed link'}{'s' * (count != 1)}"
        degree = f"degree {low}" if low == high else f"degree {low} to {high}"
        stochastic = f"{self.kind} stochastic" if self.kind == "doubly" else f"{self.kind}-stochastic"
        return f"<{self.name}: {nodes}, {edges}, {degree}, {stochastic}{', symmetric' * self.symmetric}>"


def circulant(name: str, n: int, shifts: tuple[int, ...]) -> Topology:
    """Every node listens, with equal weights, to the nodes some fixed shifts further on.

    W = (I + sum_s P^shift_s) / (k + 1), where P has a one at (i, i + 1 mod n): doubly stochastic for any k shifts.

    Args:
      name: how tables and plots call it.
      n: number of nodes, at least 1.
      shifts: k whole numbers, different from each other and from zero modulo n.

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
    return Topology(name, weights, "doubly", symmetric, tuple(shifts))
