"""The nouns of jdl: what a node sees, who talks to whom, what travels, and the protocols of every part.

No logic lives here. Shapes: `n` nodes in all, `m` rows that take part in a round (`m = n` unless a plan names
participants), `k` links per row. `M[m]` is a pytree `M` whose leaves carry a leading axis of length `m`.
`W[i, j]` is the weight that receiver `i` gives to sender `j`. Always.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
from flax import struct

PyTree = Any
Key = jax.Array
Message = PyTree
State = PyTree
ExchangeState = PyTree
ScheduleState = PyTree
Info = dict[str, jax.Array]

__all__ = [
    "Adaptive",
    "Algorithm",
    "Circulant",
    "Continuing",
    "Data",
    "Dense",
    "Divisible",
    "BatchId",
    "Edges",
    "Exchange",
    "Federated",
    "Groups",
    "Info",
    "Key",
    "Levels",
    "ExchangeState",
    "Links",
    "ScheduleState",
    "Message",
    "Neighbours",
    "Node",
    "OfOptions",
    "Oracle",
    "Sized",
    "Passing",
    "PerLink",
    "Plan",
    "Poolable",
    "Problem",
    "Proximal",
    "PyTree",
    "Schedule",
    "Server",
    "Slots",
    "State",
    "Traffic",
    "Wire",
    "number",
    "static",
]


def number(default: Any = dataclasses.MISSING, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """A hyper-parameter that is an array leaf: two values share one program, and a sweep is a `vmap`.

    `minimum` and `maximum` are inclusive bounds, checked once on the host when a simulation is built.
    """
    return struct.field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def static(default: Any, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """A field that changes shapes or control flow: part of the program, hashed, never traced."""
    return struct.field(pytree_node=False, default=default, metadata={"minimum": minimum, "maximum": maximum})


class OfOptions:
    """A read-only property that the class answers as well, for its defaults: `needs` of a method with such options."""

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self.get = get

    def __get__(self, made: Any, kind: type) -> Any:
        return self.get(kind() if made is None else made)


# ---- who talks this round ---------------------------------------------------------------------------------------


@struct.dataclass
class Dense:
    """Every pair may talk. `weights[i, j]` is what receiver `i` gives to sender `j`; the diagonal is zero.

    `used[i, j]` says that a copy travels from `j` to `i` this round, whether or not it arrives.
    """

    weights: jax.Array  # f[m, m]
    used: jax.Array  # bool[m, m]


@struct.dataclass
class Slots:
    """At most `k` links into each node: slot `s` of receiver `i` listens to row `senders[i, s]`.

    Slots without a link have weight zero, and most often point to their own row.
    """

    weights: jax.Array  # f[m, k]
    used: jax.Array  # bool[m, k]
    senders: jax.Array  # i32[m, k], positions among the m rows


@struct.dataclass
class Circulant:
    """Slot `s` of receiver `i` listens to row `(i + shifts[s]) mod n`: mixing is a few rolls, no gather."""

    weights: jax.Array  # f[n, k]
    used: jax.Array  # bool[n, k]
    shifts: tuple[int, ...] = struct.field(pytree_node=False)


@struct.dataclass
class Levels:
    """How a list of links is laid out so that no node has many in one place: the first `m * width` links are slots of
    the m rows, the others slots of extra rows that sum on behalf of hubs; see `jdl.topology.forms.as_hubs`.

    sums: one `i32[v, k]` for each further level: which rows of the level before it (the last one: zeros) it adds up.
    extra: i32[m], the row of the last level that belongs to each node (the last one: zeros).
    """

    sums: tuple[jax.Array, ...]
    extra: jax.Array
    width: int = struct.field(pytree_node=False)
    hub_width: int = struct.field(pytree_node=False)


@struct.dataclass
class Edges:
    """A list of links, in any order: link `l` goes from row `senders[l]` to row `receivers[l]`.

    For graphs whose in-degrees vary, from row to row (then `levels` says how the list is laid out) or from round to
    round (then it is None). Links that are not used have weight zero.
    """

    weights: jax.Array  # f[e]
    used: jax.Array  # bool[e]
    senders: jax.Array  # i32[e]
    receivers: jax.Array  # i32[e]
    levels: Levels | None = None


@struct.dataclass
class Groups:
    """Disjoint groups, in each of which all average: W_ij = 1 / r for the r rows of one group. One group: W = J.

    Its links have no weights of their own; `jdl.plan.one_by_one` names them all, where a link may fail alone.
    """

    members: jax.Array  # i32[g, r], the rows of each group; places that are not used repeat the first
    used: jax.Array  # bool[g, r]
    group: jax.Array  # i32[m], the group of each row


@struct.dataclass
class Server:
    """All rows talk to one server, which averages with `weights`, normalised over the messages that arrive."""

    weights: jax.Array  # f[m]
    used: jax.Array  # bool[m]


Links = Dense | Slots | Circulant | Edges | Groups | Server


@struct.dataclass
class Plan:
    """Who talks this round, and with which weights.

    links: the off-diagonal of W, in the form whose type picks the mixing backend.
    self_weights: f[m], the diagonal of W (unused with a `Server`).
    active: bool[m] or None for everybody. A sleeping node keeps its state; its row and column left the links.
    participants: i32[m] node ids, or None when all n rows take part in order.
    stochastic: "doubly", "row" or "column" stochastic. symmetric: W equals its transpose, so a link carries both ways.
    """

    links: Links
    self_weights: jax.Array
    active: jax.Array | None = None
    participants: jax.Array | None = None
    stochastic: str = struct.field(pytree_node=False, default="doubly")
    symmetric: bool = struct.field(pytree_node=False, default=False)


@struct.dataclass
class Sized:
    """A message, or a part of one, whose size on a link is not that of the numbers in `content`.

    For methods that compress by themselves: neighbours are given `content`, what they decode or the copy of the sender
    that they keep, and a link carries `bits`: f[], zero for nothing at all this round.
    """

    content: Message
    bits: jax.Array


@struct.dataclass
class PerLink:
    """A message, or a part of one, that differs from neighbour to neighbour: leaves `[k, ...]`, one row for each link.

    Row s of `content` goes to the neighbour `node.links.ids[s]`. The inbox is a `PerLink` as well: row s came from that
    neighbour, if `arrived[s]` (bool[k]) says so; a row that did not arrive holds zeros.
    """

    content: Message
    arrived: jax.Array | None = None


@struct.dataclass
class Wire:
    """What the network is given: `own` never passes through it, `sent` does; `bits` is one copy on one link."""

    own: Message  # M[m]
    sent: Message  # M[m]
    bits: jax.Array  # f[m]
    plan: Plan


@struct.dataclass
class Traffic:
    """What each sender put on its links in a round (or, in `RunState`, since the start)."""

    bits: jax.Array  # f[m]
    messages: jax.Array  # f[m]


# ---- what one node sees -----------------------------------------------------------------------------------------


@struct.dataclass
class Data:
    """One node's data this round, for the oracle alone.

    key: folded with (round, id), never the algorithm's. order_key: folded with id, the same in all rounds. t: the
    round.
    """

    problem: Problem
    id: jax.Array
    t: jax.Array
    key: Key
    order_key: Key


@struct.dataclass
class BatchId:
    """Names one minibatch of one node: number `k` of round `t`.

    key: its own, for examples drawn at random. order_key: the node's, the same for all its minibatches, for an order in
    which to visit examples.
    """

    key: Key
    order_key: Key
    t: jax.Array
    k: jax.Array


@struct.dataclass
class Neighbours:
    """The links of one node, in an order that does not change from round to round.

    ids: i32[k]. weights: f[k], what this node gives to each. used: bool[k]; places without a link are not used.
    """

    ids: jax.Array
    weights: jax.Array
    used: jax.Array


@struct.dataclass
class Node:
    """All that an algorithm may see: one node, this round. Built by the simulator; no other node is in reach.

    id, t: i32[], this node and this round. n: i32[], how many nodes there are. key: for the algorithm's own randomness,
    folded with (round, id). common: a key that all nodes share this round, for coins that they toss together.
    self_weight: f[], W[i, i]. degree: i32[], links into this node this round. num_examples: i32[].
    steps: i32[] or None, this round's budget of local steps (None: as many as the algorithm asks for).
    links: its neighbours one by one, for methods that need "per_link"; None for others.
    """

    id: jax.Array
    t: jax.Array
    n: jax.Array
    key: Key
    common: Key
    self_weight: jax.Array
    degree: jax.Array
    num_examples: jax.Array
    steps: jax.Array | None
    links: Neighbours | None
    _data: Data
    _oracle: Oracle

    def grad(self, params: PyTree, k: int | jax.Array = 0) -> tuple[PyTree, PyTree]:
        """Gradient on minibatch `k` of this round, and what the loss returns beside it. Same `k`, same batch."""
        return self._oracle.grad(self._data, params, k)

    def loss(self, params: PyTree, k: int | jax.Array = 0) -> jax.Array:
        """Loss on minibatch `k` of this round."""
        return self._oracle.loss(self._data, params, k)

    def full_grad(self, params: PyTree) -> PyTree:
        """Gradient over all data of this node."""
        return self._oracle.full_grad(self._data, params)

    def hvp(self, params: PyTree, vector: PyTree, k: int | jax.Array = 0) -> PyTree:
        """Hessian of the loss on minibatch `k`, times `vector`."""
        return self._oracle.hvp(self._data, params, vector, k)

    def part_grad(self, params: PyTree, part: int | jax.Array, parts: int) -> PyTree:
        """Gradient on part `part` of this node's data, cut into `parts`; the mean of all is the full gradient."""
        return self._oracle.part_grad(self._data, params, part, parts)

    def prox(self, params: PyTree, step: float | jax.Array) -> PyTree:
        """`argmin_x f_i(x) + ||x - params||^2 / (2 step)` exactly, over all data of this node."""
        return self._oracle.prox(self._data, params, step)


# ---- the protocols ----------------------------------------------------------------------------------------------


@runtime_checkable
class Algorithm(Protocol):
    """A decentralized method, written for one node. A frozen flax dataclass: numbers are leaves, the rest static.

    needs: what must hold of network and data, e.g. {"doubly_stochastic", "grad"}; refused with a sentence if not.
    phases: the (send, recv) method names of each exchange of a round; one pair in most methods.
    A message is any pytree; parts of it may be `Sized` (of a size of their own) or `PerLink` (one for each neighbour).
    """

    needs: frozenset[str]
    phases: tuple[tuple[str, str], ...]

    def init(self, params: PyTree, node: Node) -> State: ...

    # And for each pair of names in `phases`, most often just "send" and "recv":
    #   def send(self, state: State, node: Node) -> tuple[Message, State]
    #   def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]

    def model(self, state: State) -> PyTree: ...


@runtime_checkable
class Federated(Protocol):
    """A method with a server: one copy of the server state, and m of n clients a round.

    phases: the (broadcast, client, server) method names of each exchange of a round; one triple in most methods.
    client: its message is a change (of the model, of a control variate, ...), so that a round in which nothing
    arrives is an aggregate of zero. What it reports, a flat dict of scalars, reaches the server client by client.
    weight: a client's share in the aggregate, normalised over what arrives; the server, which knows its state, sets it.
    init: of one model and n, the number of clients.
    server: `info` holds `participants` (m, those who took part), `n`, `share` (m / n), `t`, a `key`, and of each row
    `ids`, `reports` and `arrived` (whether the client took part; the reports of others mean nothing).
    """

    needs: frozenset[str]
    phases: tuple[tuple[str, str, str], ...]

    def init(self, params: PyTree, n: int) -> State: ...

    def client_init(self, params: PyTree, node: Node) -> State: ...

    # And for each triple of names in `phases`, most often just "broadcast", "client" and "server":
    #   def broadcast(self, server_state: State) -> Message
    #   def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State, Info]
    #   def server(self, server_state: State, aggregate: Message, info: Info) -> State

    def weight(self, server_state: State, node: Node) -> jax.Array: ...

    def model(self, server_state: State) -> PyTree: ...


@runtime_checkable
class Exchange(Protocol):
    """What my neighbours say: turns what was sent into inboxes. The only place where rows meet.

    init: from zeros (or shapes) of M[n] to the memory that the links keep. needs, breaks: see `Algorithm.needs`;
    the union over the whole stack counts, whatever the order.
    """

    needs: frozenset[str]
    breaks: frozenset[str]

    def init(self, message: Message) -> ExchangeState: ...

    def apply(self, link: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]: ...


@runtime_checkable
class Schedule(Protocol):
    """Who talks, in every round. `n` is the number of nodes it is made for.

    init: what the first round must know of a past that never was; () where rounds are independent of each other.
    The key of a round is the round's own; the one of `init` is drawn once.
    """

    n: int

    def init(self, key: Key) -> ScheduleState: ...

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]: ...


@runtime_checkable
class Adaptive(Schedule, Protocol):
    """A schedule that learns from what happens.

    watches: what it wants to see after a round, among "loss" (f[m], of the model with which each participant began the
    round, on its minibatch 0) and "consensus_distance" (f[], after the round). learn: the memory for the next round.
    """

    watches: frozenset[str]

    def learn(self, memory: ScheduleState, plan: Plan, seen: Info) -> ScheduleState: ...


@runtime_checkable
class Oracle(Protocol):
    """What my data says. Wrappers add gradient noise, clipping, label flips, stragglers.

    offers: the queries it can answer, among "grad", "loss", "full_grad", "hvp", "part_grad" and "prox"; an algorithm's
    `needs` name them.
    steps: this round's budget of local steps of one node, or None for no limit.
    """

    offers: frozenset[str]

    def grad(self, data: Data, params: PyTree, k: int | jax.Array) -> tuple[PyTree, PyTree]: ...

    def loss(self, data: Data, params: PyTree, k: int | jax.Array) -> jax.Array: ...

    def full_grad(self, data: Data, params: PyTree) -> PyTree: ...

    def hvp(self, data: Data, params: PyTree, vector: PyTree, k: int | jax.Array) -> PyTree: ...

    def part_grad(self, data: Data, params: PyTree, part: int | jax.Array, parts: int) -> PyTree: ...

    def prox(self, data: Data, params: PyTree, step: float | jax.Array) -> PyTree: ...

    def steps(self, data: Data) -> jax.Array | None: ...


@runtime_checkable
class Problem(Protocol):
    """Data of n nodes and a loss, as a pytree: arrays are leaves, so two data sets of one shape share a program.

    num_examples: i32[n], zero for a node without data (its gradient is zero; it still takes part in gossip).
    evaluate: the global metrics of one model, on the test set or on the global objective; keys "loss" and,
    where it makes sense, "accuracy". optimum: the global minimum, or None where it is not known.
    """

    num_examples: jax.Array

    @property
    def n(self) -> int: ...

    @property
    def optimum(self) -> Any | None: ...

    def init(self, key: Key) -> PyTree: ...

    def batch(self, id: jax.Array, draw: BatchId) -> PyTree: ...

    def full_batch(self, id: jax.Array) -> PyTree: ...

    def loss(self, params: PyTree, batch: PyTree) -> tuple[jax.Array, PyTree]: ...

    def evaluate(self, params: PyTree) -> dict[str, jax.Array]: ...


@runtime_checkable
class Poolable(Protocol):
    """A problem that can hand all its data to one node (n = 1), for the centralised reference."""

    def pooled(self) -> Problem: ...


@runtime_checkable
class Divisible(Protocol):
    """A problem whose data can be visited part by part: the batch of one part, and its share of the node's examples."""

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[PyTree, jax.Array]: ...


@runtime_checkable
class Passing(Protocol):
    """A problem whose minibatches make passes over a node's examples: how many there are in a pass, i32[]."""

    def batches(self, id: jax.Array) -> jax.Array: ...


@runtime_checkable
class Continuing(Protocol):
    """A problem that may go on where the round before ended: so many minibatches a round, or None if it starts anew."""

    @property
    def advances(self) -> int | None: ...


@runtime_checkable
class Proximal(Protocol):
    """A problem whose proximal operator has a closed form: `argmin_x f_id(x) + ||x - params||^2 / (2 step)`."""

    def prox(self, id: jax.Array, params: PyTree, step: jax.Array) -> PyTree: ...
