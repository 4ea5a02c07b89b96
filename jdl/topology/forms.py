"""The forms of a plan: which one is cheapest, how W becomes each of them, and the way back to a matrix.

W is a host `csr_array [n, n]`; arrays of a plan are made when these functions are called, in the default float type.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from jdl import checks, plan
from jdl.types import Circulant, Dense, Links, Plan, Server, Slots

__all__ = ["FORMS", "as_circulant", "as_dense", "as_slots", "choose", "off_diagonal", "to_dense"]

FORMS = ("auto", "circulant", "dense", "slots")

# Measured on two CPU cores for n = 4096 rows of 10 000 float32, against one plain copy of the rows (DESIGN, section 2):
#   neighbour slots and rolls, degree 4: 1.2 copies. Each row is read degree + 1 times, so 1.2 / 5 copies a read.
#   dense product: 22 copies for 4096 multiply-adds a number, so 22 / 4096 copies a node.
# No form is cheaper than the copy itself, which reads and writes every row once.
COPIES_PER_READ = 1.2 / 5
COPIES_PER_NODE = 22 / 4096


def choose(n: int, degree: int, shifts: tuple[int, ...] | None = None) -> str:
    """The cheapest form for n nodes of at most `degree` links in: "circulant", "slots" or "dense".

    Dense costs `max(1, 0.0054 n)` copies of the rows, the others `max(1, 0.24 (degree + 1))`, so dense wins up to
    n = 45 (degree + 1), from degree 4 on; a tie goes to the form that stores less. A plan without links is dense.

    >>> choose(1024, degree=4), choose(64, degree=8), choose(1024, degree=2, shifts=(1, -1))
    ('slots', 'dense', 'circulant')
    """
    if degree == 0 or max(1, COPIES_PER_NODE * n) < max(1, COPIES_PER_READ * (degree + 1)):
        return "dense"
    return "slots" if shifts is None else "circulant"


def off_diagonal(weights: csr_array) -> csr_array:
    """W without its diagonal; what is stored are exactly the links."""
    links = weights.tocoo()
    real = (links.row != links.col) & (links.data != 0)
    entries = (links.data[real], (links.row[real], links.col[real]))
    return csr_array(entries, shape=weights.shape)


def as_dense(weights: csr_array) -> Dense:
    """W as a matrix: `weights: f[n, n]` with a zero diagonal."""
    n = weights.shape[0]
    dtype = jnp.result_type(float)
    checks.fits(n * n * (dtype.itemsize + 1), f'form="dense" for n={n}')
    matrix = off_diagonal(weights).toarray()
    return Dense(weights=jnp.asarray(matrix, dtype), used=jnp.asarray(matrix != 0))


def as_slots(weights: csr_array, slots: int = 1) -> Slots:
    """W as neighbour slots: `weights: f[n, k]`, k the largest in-degree, or `slots` if that is more."""
    n = weights.shape[0]
    links = off_diagonal(weights)
    degree = np.diff(links.indptr)
    k = max(slots, int(degree.max()))
    dtype = jnp.result_type(float)
    checks.fits(n * k * (dtype.itemsize + 5), f'form="slots" for n={n} and {k} links into one node')
    receiver = np.repeat(np.arange(n), degree)
    slot = np.arange(links.nnz) - np.repeat(links.indptr[:-1], degree)
    table, used = np.zeros((n, k)), np.zeros((n, k), bool)
    senders = np.repeat(np.arange(n, dtype=np.int32)[:, None], k, axis=1)
    table[receiver, slot], used[receiver, slot], senders[receiver, slot] = links.data, True, links.indices
    return Slots(weights=jnp.asarray(table, dtype), used=jnp.asarray(used), senders=jnp.asarray(senders))


def as_circulant(weights: csr_array, shifts: tuple[int, ...]) -> Circulant:
    """W as rolls: `weights: f[n, k]`, where slot s of receiver i listens to `(i + shifts[s]) mod n`."""
    n = weights.shape[0]
    links = off_diagonal(weights).tocoo()
    slot_of = np.full(n, -1)
    slot_of[np.array(shifts, int) % n] = np.arange(len(shifts))
    slot = slot_of[(links.col - links.row) % n]
    missed = f"got shifts={shifts}, which leave out some links of W; name every shift, or use shifts=None"
    checks.require(bool(np.all(slot >= 0)), missed)
    table = np.zeros((n, len(shifts)))
    table[links.row, slot] = links.data
    return Circulant(weights=jnp.asarray(table, jnp.result_type(float)), used=jnp.asarray(table != 0), shifts=shifts)


def to_dense(round_plan: Plan) -> jax.Array:
    """W of a plan, of whatever form: `f[m, m]`, diagonal included. Works under `jit` too.

    >>> from jdl.topology import ring
    >>> print(3 * to_dense(ring(4).plan("slots")))
    [[1. 1. 0. 1.]
     [1. 1. 1. 0.]
     [0. 1. 1. 1.]
     [1. 0. 1. 1.]]
    """
    links: Links = round_plan.links
    need = "got a plan with a server, which has no W; use a plan between peers"
    checks.require(not isinstance(links, Server), need)
    m = plan.rows(round_plan)
    row = jnp.arange(m, dtype=jnp.int32)[:, None]
    matrix = jnp.zeros((m, m), links.weights.dtype).at[row, plan.senders(links)].add(links.weights)
    return matrix + jnp.diag(round_plan.self_weights)
