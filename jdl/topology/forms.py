"""The forms of a plan: which form is cheapest, how W is converted to each of them, and back to a matrix.

W is a host `csr_array [n, n]`; the arrays of a plan are created when these functions are called, in the default float
type.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl import plan as plans
from jdl.types import Circulant, Dense, Edges, Groups, Levels, Plan, Server, Slots

__all__ = [
    "FORMS",
    "as_circulant",
    "as_dense",
    "as_edges",
    "as_groups",
    "as_hubs",
    "as_slots",
    "choose",
    "dense_of_links",
    "off_diagonal",
    "reads_of_dense",
    "slots_of_links",
    "to_dense",
]

FORMS = ("auto", "circulant", "dense", "edges", "groups", "hubs", "slots")

# The cost of a form in reads of all rows, measured on two CPU cores in a compiled loop of rounds
# (`benchmarks/forms.py`).
# Slots and rolls read every row once, and once more for each slot, used or not.
#   Hubs: an unused one of the common slots reads the node's own row, which is in the cache: a fifth of a read. A link
#   beyond the common slots: four reads, in the rows that sum it up. Adding the sums of the hubs: two reads of all rows.
#   Groups of any size cost two reads: each row is read once for all members of its group, and written.
#   A dense product on a CPU: 12 reads to centre the messages, to lay them out, and to add what is centred; of small
#   messages, whose copies all lie in the cache, 3. Then 0.12 reads for each of the n rows that are multiplied.
#   On other devices 1/45 for each row. This has not been measured: it is an old rule, and products are cheap there.
READS_PER_SPARE_SLOT = 0.2
READS_PER_HUB_LINK = 4
READS_OF_HUBS = 2
READS_OF_GROUPS = 2
READS_OF_DENSE = 12
READS_OF_SMALL_DENSE = 3
SMALL = 2**16  # numbers in the messages of all nodes together
READS_PER_NODE = 0.12
READS_PER_NODE_ELSEWHERE = 1 / 45

HUB_WIDTH = 16
MOST_HUB_SLOTS = 64


def choose(
    degree: np.ndarray, shifts: tuple[int, ...] | None = None, grouped: bool = False, numbers: int | None = None
) -> str:
    """The form in which a round costs least, by a model in units of a read of all rows.

    The constants above are the model's. On a CPU a dense product costs `12 + 0.12 n` reads, and `3 + 0.12 n` where the
    messages of all nodes are small. Slots and rolls cost `degree + 1`, so that dense is taken where the degree is above
    `11 + 0.12 n`. A tie goes to the form that stores less.

    Args:
      degree: `int[n]`, number of links into each node.
      shifts: cyclic shifts of a circulant W, or None where W is not circulant.
      grouped: whether W averages uniformly within groups.
      numbers: number of scalars in a message; None means many.

    Returns:
      The name of the form: "dense", "slots", "circulant", "groups" or "hubs".

    >>> choose(np.full(1024, 4)), choose(np.full(64, 32)), choose(np.full(1024, 2), shifts=(1, -1))
    ('slots', 'dense', 'circulant')
    >>> choose(np.array([4095] + [1] * 4095)), choose(np.full(1024, 1023), grouped=True)
    ('hubs', 'groups')
    """
    n, most = len(degree), int(degree.max())
    if most == 0:
        return "dense"
    costs = {
        "groups": READS_OF_GROUPS if grouped else np.inf,
        "circulant" if shifts is not None else "slots": 1 + most,
        "hubs": 1 + READS_OF_HUBS + min(hub_reads(degree)) / n,
        "dense": reads_of_dense(n, numbers),
    }
    return min(costs, key=costs.get)


def reads_of_dense(n: int, numbers: int | None = None) -> float:
    """The cost of a dense product of n rows, in reads of all rows. `numbers`: see `choose`."""
    if jax.default_backend() != "cpu":
        return READS_PER_NODE_ELSEWHERE * n
    small = numbers is not None and n * numbers <= SMALL
    return (READS_OF_SMALL_DENSE if small else READS_OF_DENSE) + READS_PER_NODE * n


def hub_reads(degree: np.ndarray) -> np.ndarray:
    """`float[widths]`: number of row reads by the form "hubs" with 1, 2, ... common slots."""
    widths = np.arange(1, max(2, min(degree.max() + 1, MOST_HUB_SLOTS)))
    over = np.array([np.maximum(degree - width, 0).sum() for width in widths])
    held = degree.sum() - over
    return held + READS_PER_SPARE_SLOT * (len(degree) * widths - held) + READS_PER_HUB_LINK * over


def off_diagonal(weights: csr_array) -> csr_array:
    """W without its diagonal; its stored entries are exactly the links."""
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
    return Dense(weights=_array(matrix, dtype), used=_array(matrix != 0, bool))


def as_slots(weights: csr_array, slots: int = 1) -> Slots:
    """W as neighbour slots: `weights: f[n, k]`, k the largest in-degree, or `slots` if that is more.

    With one slot a node this is a permutation of the rows, in which every node is heard by one other: a matching or a
    shift.
    """
    n = weights.shape[0]
    links = off_diagonal(weights)
    degree = np.diff(links.indptr)
    k = max(slots, int(degree.max()))
    dtype = jnp.result_type(float)
    checks.fits(n * k * (dtype.itemsize + 5), f'form="slots" for n={n} and {k} links into one node')
    table, used, senders = _slots_of(degree, links.indices, links.data, np.arange(n), k)
    return Slots(weights=_array(table, dtype), used=_array(used, bool), senders=_array(senders, np.int32))


def slots_of_links(n: int, receivers: np.ndarray, senders: np.ndarray, weights: np.ndarray, slots: int) -> Slots:
    """Links as slots: `slots` for each of n rows, at least as many as the largest in-degree.

    Args:
      n: the number of rows.
      receivers: i[e].
      senders: i[e].
      weights: f[e].
      slots: the number of slots of a row.
    """
    order = np.argsort(receivers, kind="stable")
    degree = np.bincount(receivers, minlength=n)
    table, used, heard = _slots_of(degree, senders[order], weights[order], np.arange(n), slots)
    return Slots(weights=_array(table, weights.dtype), used=_array(used, bool), senders=_array(heard, np.int32))


def dense_of_links(n: int, receivers: np.ndarray, senders: np.ndarray, weights: np.ndarray) -> Dense:
    """Links as a matrix `[n, n]`; the arguments are those of `slots_of_links`."""
    matrix, used = np.zeros((n, n), weights.dtype), np.zeros((n, n), bool)
    np.add.at(matrix, (receivers, senders), weights)
    used[receivers, senders] = True
    return Dense(weights=_array(matrix, weights.dtype), used=_array(used, bool))


def _slots_of(count: np.ndarray, indices: np.ndarray, data: np.ndarray, own: np.ndarray, k: int) -> tuple:
    """A list of links, `count[i]` of them into row i, as tables `[rows, k]`; unused places listen to `own[i]`."""
    row = np.repeat(np.arange(len(own)), count)
    slot = _positions(count)
    table, used = np.zeros((len(own), k)), np.zeros((len(own), k), bool)
    senders = np.repeat(own.astype(np.int32)[:, None], k, axis=1)
    table[row, slot], used[row, slot], senders[row, slot] = data, True, indices
    return table, used, senders


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
    return Circulant(weights=_array(table, jnp.result_type(float)), used=_array(table != 0, bool), shifts=shifts)


def as_edges(weights: csr_array) -> Edges:
    """W as a plain list of links, ordered by receiver."""
    links = off_diagonal(weights).tocoo()
    return Edges(
        weights=_array(links.data, jnp.result_type(float)),
        used=_array(np.ones(links.nnz), bool),
        senders=_array(links.col, np.int32),
        receivers=_array(links.row, np.int32),
    )


def as_hubs(weights: csr_array, width: int | None = None, hub_width: int = HUB_WIDTH) -> Edges:
    """W as slots of moderate width plus separate rows for the hubs, so that no row is padded to the largest degree.

    The first `width` links into a node are its slots. The others are distributed over extra rows of at most `hub_width`
    links. These are summed `hub_width` at a time, level by level, until one row is left for each hub: a star of n nodes
    takes n / 16 + n / 256 + ... extra rows.

    Args:
      weights: W as a `csr_array [n, n]`.
      width: number of slots of every node; by default the cheapest.
      hub_width: largest number of links of an extra row.
    """
    n = weights.shape[0]
    links = off_diagonal(weights)
    degree = np.diff(links.indptr)
    width = 1 + int(np.argmin(hub_reads(degree))) if width is None else width
    place = _positions(degree)
    base, over = place < width, np.maximum(degree - width, 0)

    first = _slots_of(degree - over, links.indices[base], links.data[base], np.arange(n), width)
    hub, nth = _dealt(over, hub_width)  # the hub of each extra row
    count = np.minimum(over[hub] - nth * hub_width, hub_width)
    rest = _slots_of(count, links.indices[~base], links.data[~base], hub, hub_width)
    table, used, senders = (np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(first, rest, strict=True))
    receivers = np.concatenate([np.repeat(np.arange(n), width), np.repeat(hub, hub_width)])

    sums = []
    while len(hub) > len(np.unique(hub)):
        owner, start, total = np.unique(hub, return_index=True, return_counts=True)
        new, nth = _dealt(total, hub_width)
        rows = start[new][:, None] + nth[:, None] * hub_width + np.arange(hub_width)
        sums.append(np.where(rows < (start + total)[new][:, None], rows, len(hub)).astype(np.int32))
        hub = owner[new]
    extra = np.full(n, len(hub), np.int32)
    extra[hub] = np.arange(len(hub))
    return Edges(
        weights=_array(table, jnp.result_type(float)),
        used=_array(used, bool),
        senders=_array(senders, np.int32),
        receivers=_array(receivers, np.int32),
        levels=Levels(
            tuple(_array(rows, np.int32) for rows in sums), _array(extra, np.int32), width=width, hub_width=hub_width
        ),
    )


def _dealt(counts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts divided into pieces of at most `size`: the owner of each piece, and the piece's index within its owner."""
    pieces = -(-counts // size)
    return np.repeat(np.arange(len(counts)), pieces), _positions(pieces)


def _positions(counts: np.ndarray) -> np.ndarray:
    """0 to count - 1 for each of the counts, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def as_groups(groups: np.ndarray) -> Groups:
    """Uniform averages within groups: `members: i32[g, r]`, with r the size of the largest group."""
    groups = np.asarray(groups)
    order = np.argsort(groups, kind="stable")
    size = np.bincount(groups)
    place = _positions(size)
    members = np.repeat(order[place == 0][:, None], size.max(), axis=1)
    used = np.zeros(members.shape, bool)
    members[groups[order], place], used[groups[order], place] = order, True
    return Groups(_array(members, np.int32), _array(used, bool), _array(groups, np.int32))


def _array(values: np.ndarray, dtype: np.dtype | type) -> jax.Array:
    """An array on the device, converted on the host: `jnp.asarray` would compile a program for each shape."""
    return jax.device_put(np.asarray(values, dtype))


def to_dense(round_plan: Plan | Any) -> jax.Array:
    """W of a plan of any form, or of a topology: `f[m, m]`, diagonal included. It also works under `jit`.

    >>> from jdl.topology import ring
    >>> print(3 * to_dense(ring(4).plan("slots")))
    [[1. 1. 0. 1.]
     [1. 1. 1. 0.]
     [0. 1. 1. 1.]
     [1. 0. 1. 1.]]

    Args:
      round_plan: plan of a round, or a `Topology`.
    """
    if not isinstance(round_plan, Plan) and isinstance(getattr(round_plan, "weights", None), csr_array):
        return jnp.asarray(round_plan.weights.toarray(), jnp.result_type(float))  # of a Topology
    checks.require(
        isinstance(round_plan, Plan),
        f"got a {type(round_plan).__name__}, need a Plan or a Topology; try to_dense(topology.plan())",
    )
    need = "got a plan with a server, which has no W; use a plan between peers"
    checks.require(not isinstance(round_plan.links, Server), need)
    links, m = plans.one_by_one(round_plan).links, plans.rows(round_plan)
    matrix = jnp.zeros((m, m), links.weights.dtype).at[plans.receivers(links), plans.senders(links)].add(links.weights)
    return matrix + jnp.diag(round_plan.self_weights)
