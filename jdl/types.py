"""The types that every part of jdl shares: plans, messages, what a node sees, and the protocol of each kind of part.

No logic lives here. Shapes: `n` is the number of nodes, `m` the number of rows that take part in a round (`m = n`
unless a plan names participants), `k` the number of links per row. `M[m]` is a pytree `M` whose leaves have a leading
axis of length `m`. `W[i, j]` is the weight that receiver `i` gives to sender `j`, everywhere in jdl.
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
    """Declare a hyper-parameter that is an array leaf: two values share one program, and a sweep over it is a `vmap`.

    Args:
      default: the default value; without one the field is required.
      minimum: the smallest value allowed, inclusive. It is checked on the host when a simulation is built.
      maximum: the largest value allowed, inclusive.
    """
    return struct.field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def static(default: Any = dataclasses.MISSING, *, minimum: float | None = None, maximum: float | None = None) -> Any:
    """Declare a field that changes shapes or control flow. It is a part of the program: hashed, never traced.

    Args:
      default: the default value.
      minimum: the smallest value allowed, inclusive. It is checked on the host when a simulation is built.
      maximum: the largest value allowed, inclusive.
    """
    return struct.field(pytree_node=False, default=default, metadata={"minimum": minimum, "maximum": maximum})


class OfOptions:
    """A read-only property, such as `needs`, that can be read from the class too; it has the default options then."""

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self.get = get

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.get(owner() if instance is None else instance)


# ---- who talks this round ---------------------------------------------------------------------------------------


@struct.dataclass
class Dense:
    """Links in a full matrix, for graphs in which any pair may talk.

    Attributes:
      weights: f[m, m], where `weights[i, j]` is what receiver `i` gives to sender `j`. The diagonal is zero.
      used: bool[m, m], whether a copy travels from `j` to `i` this round, even if it does not arrive.
    """

    weights: jax.Array
    used: jax.Array


@struct.dataclass
class Slots:
    """At most `k` links into each node: slot `s` of receiver `i` listens to row `senders[i, s]`.

    Attributes:
      weights: f[m, k]. A slot without a link has weight zero, and usually points to its own row.
      used: bool[m, k], whether a copy travels on the link this round.
      senders: i32[m, k], positions among the m rows.
    """

    weights: jax.Array
    used: jax.Array
    senders: jax.Array


@struct.dataclass
class Circulant:
    """Slot `s` of receiver `i` listens to row `(i + shifts[s]) mod n`: mixing is a few rolls and needs no gather.

    Attributes:
      weights: f[n, k].
      used: bool[n, k].
      shifts: the shift of each slot.
    """

    weights: jax.Array
    used: jax.Array
    shifts: tuple[int, ...] = struct.field(pytree_node=False)


@struct.dataclass
class Levels:
    """The layout of a list of links in which every row has the same few slots; see `jdl.topology.forms.as_hubs`.

    The first `m * width` links are slots of the m rows. The others are slots of extra rows, whose sums are added up
    level by level for hubs, which have more links than slots.

    Attributes:
      sums: i32[v, k] for each further level: the rows of the level before it that it adds up. The last index means
        zeros.
      extra: i32[m], the row of the last level that belongs to each node. The last index means zeros.
      width: the number of slots of each of the m rows.
      hub_width: the number of slots of each extra row.
    """

    sums: tuple[jax.Array, ...]
    extra: jax.Array
    width: int = struct.field(pytree_node=False)
    hub_width: int = struct.field(pytree_node=False)


@struct.dataclass
class Edges:
    """A list of links: link `l` goes from row `senders[l]` to row `receivers[l]`. The order does not matter.

    This form is for graphs whose in-degrees vary: from row to row, and then `levels` describes the layout of the list,
    or from round to round, and then `levels` is None. Links that are not used have weight zero.

    Attributes:
      weights: f[e].
      used: bool[e].
      senders: i32[e].
      receivers: i32[e].
      levels: the layout, or None.
    """

    weights: jax.Array
    used: jax.Array
    senders: jax.Array
    receivers: jax.Array
    levels: Levels | None = None


@struct.dataclass
class Groups:
    """Disjoint groups whose members average: W_ij = 1 / r for the r members of one group.

    With a single group all entries of W are 1 / m. These links have no weights of their own. If single links can fail,
    `jdl.plan.one_by_one` turns the groups into a list of all links.

    Attributes:
      members: i32[g, r], the rows of each group. Places that are not used repeat the first member.
      used: bool[g, r], which places are used.
      group: i32[m], the group of each row.
    """

    members: jax.Array
    used: jax.Array
    group: jax.Array


@struct.dataclass
class Server:
    """All rows talk to one server, which averages with `weights`, normalised over the messages that arrive.

    Attributes:
      weights: f[m].
      used: bool[m], whether the row takes part.
    """

    weights: jax.Array
    used: jax.Array


Links = Dense | Slots | Circulant | Edges | Groups | Server


@struct.dataclass
class Plan:
    """Who talks this round, and with which weights.

    Attributes:
      links: the off-diagonal part of W. The type of this field selects the mixing backend.
      self_weights: f[m], the diagonal of W. It is unused with a `Server`.
      active: bool[m], or None if all rows are awake. A sleeping node keeps its state, and its row and column are
        removed from the links.
      participants: i32[m], the ids of the nodes that have a row, or None if all n nodes have one, in order.
      stochastic: "doubly", "row" or "column": which sums of W are one.
      symmetric: whether W equals its transpose, so that each link carries messages both ways.
    """

    links: Links
    self_weights: jax.Array
    active: jax.Array | None = None
    participants: jax.Array | None = None
    stochastic: str = struct.field(pytree_node=False, default="doubly")
    symmetric: bool = struct.field(pytree_node=False, default=False)


@struct.dataclass
class Sized:
    """A message, or a part of one, that states its own size, for methods that compress by themselves.

    Neighbours are given `content`: what they decode, or the copy of the sender that they keep.

    Attributes:
      content: a pytree of arrays.
      bits: f[], the size of one copy on one link, in bits. Zero means that nothing is sent this round.
    """

    content: Message
    bits: jax.Array


@struct.dataclass
class PerLink:
    """A message, or a part of one, that differs from neighbour to neighbour.

    Attributes:
      content: leaves `[k, ...]`. Row s goes to the neighbour `node.links.ids[s]`. The inbox is a `PerLink` as well: its
        row s came from that neighbour, and holds zeros if nothing arrived.
      arrived: bool[k], set in the inbox: which rows arrived.
    """

    content: Message
    arrived: jax.Array | None = None


@struct.dataclass
class Wire:
    """The input of an exchange.

    Attributes:
      own: M[m], each row's own message, which does not pass through the network.
      sent: M[m], each row's message as it is sent.
      bits: f[m], the size of one copy on one link, in bits.
      plan: who talks.
    """

    own: Message
    sent: Message
    bits: jax.Array
    plan: Plan


@struct.dataclass
class Traffic:
    """What each sender put on its links: in a round, or, in `RunState`, since the start.

    Attributes:
      bits: f[m].
      messages: f[m], the number of copies.
    """

    bits: jax.Array
    messages: jax.Array


# ---- what one node sees -----------------------------------------------------------------------------------------


@struct.dataclass
class Data:
    """One node's data in one round. Only the oracle reads it.

    Attributes:
      problem: the data of all nodes.
      id: i32[], the node.
      t: i32[], the round.
      key: a random key folded with (round, id). It differs from the algorithm's key.
      order_key: a random key folded with id, the same in all rounds.
    """

    problem: Problem
    id: jax.Array
    t: jax.Array
    key: Key
    order_key: Key


@struct.dataclass
class BatchId:
    """The name of one minibatch of one node.

    Attributes:
      key: the minibatch's own key, for examples drawn at random.
      order_key: the node's key, the same for all of its minibatches, for an order in which examples are visited.
      t: i32[], the round.
      k: i32[], the number of the minibatch in its round.
    """

    key: Key
    order_key: Key
    t: jax.Array
    k: jax.Array


@struct.dataclass
class Neighbours:
    """The links of one node, in an order that is the same in every round.

    Attributes:
      ids: i32[k], the neighbours.
      weights: f[k], what this node gives to each.
      used: bool[k], which places hold a link.
    """

    ids: jax.Array
    weights: jax.Array
    used: jax.Array


@struct.dataclass
class Node:
    """All that an algorithm may see: one node in one round. The simulator builds it; no other node is in reach.

    Attributes:
      id: i32[], this node.
      t: i32[], this round, from 0.
      n: i32[], the number of nodes.
      key: for the algorithm's own randomness, folded with (round, id).
      common: a key that all nodes share this round, for random choices that they make together.
      self_weight: f[], W[i, i].
      degree: i32[], the number of links into this node this round.
      num_examples: i32[].
      steps: i32[], this round's budget of local steps, or None for as many as the algorithm asks for.
      links: the node's neighbours one by one, for methods that need "per_link"; None for others.
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
        """The gradient on minibatch `k` of this round, and the second output of the loss. One `k` names one batch."""
        return self._oracle.grad(self._data, params, k)

    def loss(self, params: PyTree, k: int | jax.Array = 0) -> jax.Array:
        """The loss on minibatch `k` of this round."""
        return self._oracle.loss(self._data, params, k)

    def full_grad(self, params: PyTree) -> PyTree:
        """The gradient over all data of this node."""
        return self._oracle.full_grad(self._data, params)

    def hvp(self, params: PyTree, vector: PyTree, k: int | jax.Array = 0) -> PyTree:
        """The Hessian of the loss on minibatch `k`, times `vector`."""
        return self._oracle.hvp(self._data, params, vector, k)

    def part_grad(self, params: PyTree, part: int | jax.Array, parts: int) -> PyTree:
        """The gradient on part `part` of `parts` of this node's data. The mean over all parts is the full gradient."""
        return self._oracle.part_grad(self._data, params, part, parts)

    def prox(self, params: PyTree, step: float | jax.Array) -> PyTree:
        """`argmin_x f_i(x) + ||x - params||^2 / (2 step)`, exactly, over all data of this node."""
        return self._oracle.prox(self._data, params, step)


# ---- the protocols ----------------------------------------------------------------------------------------------


@runtime_checkable
class Algorithm(Protocol):
    """A decentralized method, written for one node: a frozen flax dataclass whose numbers are leaves, the rest static.

    A message is any pytree. Parts of it may be `Sized` (they state their size) or `PerLink` (they differ from neighbour
    to neighbour).

    Attributes:
      needs: what must hold of the network and the data, e.g. {"doubly_stochastic", "grad"}. A simulation in which it
        does not hold is refused.
      phases: the names of the (send, recv) methods of each exchange of a round; one pair in most methods.
      draws_per_round: the number of minibatches that a node draws in a round, usually the number of local steps; None
        if this number varies. It may be left out, and is 1 then. Data that are visited in order over the rounds rely
        on it.
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

    A client's message is a change (of the model, of a control variate, ...), so that the aggregate of a round in which
    nothing arrives is zero. A client also returns a flat dict of scalars, its report, which reaches the server client
    by client. The server's method is given `info`: `participants` (m, how many took part), `n`, `participation` (m /
    n), `t`, a `key`, and, row by row, `ids`, `reports` and `arrived` (whether the client took part; the reports of
    others mean nothing).

    Attributes:
      needs: see `Algorithm`.
      phases: the names of the (broadcast, client, server) methods of each exchange of a round; one triple in most
        methods.
      init: takes one model and n, the number of clients, and gives the server's state.
      client_init: gives the state of a client.
      weight: a client's weight in the aggregate, f[], before normalisation over what arrives. The server, which knows
        its state, sets it.
      model: the model to evaluate.
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
    """Turns the messages that nodes send into inboxes. It is the only place where rows of different nodes meet.

    Attributes:
      needs: see `Algorithm`. A stack of exchanges needs what any of them needs, whatever their order.
      breaks: words of `needs` that do not hold in a network with this exchange. A stack breaks what any of them breaks.
      init: takes messages M[n] (zeros, or only their shapes), and gives the exchange's state before the first round.
      apply: takes the state, the messages and a key of this round, and gives the inboxes M[m], the next state, and the
        traffic.
    """

    needs: frozenset[str]
    breaks: frozenset[str]

    def init(self, message: Message) -> ExchangeState: ...

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]: ...


@runtime_checkable
class Schedule(Protocol):
    """Who talks, in every round.

    Attributes:
      n: the number of nodes for which the schedule is made.
      init: the schedule's memory before the first round; () if rounds do not depend on each other. Its key is drawn
        once.
      __call__: takes the memory, the round and a key of this round, and gives the plan and the next memory.
    """

    n: int

    def init(self, key: Key) -> ScheduleState: ...

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]: ...


@runtime_checkable
class Adaptive(Schedule, Protocol):
    """A schedule that reacts to what happens in a round.

    Attributes:
      watches: what it is given after a round, among "loss" (f[m], the loss on minibatch 0 of the model with which each
        participant began the round) and "consensus_distance" (f[], after the round).
      learn: takes the memory, the plan and these values, and gives the memory for the next round.
    """

    watches: frozenset[str]

    def learn(self, memory: ScheduleState, plan: Plan, seen: Info) -> ScheduleState: ...


@runtime_checkable
class Oracle(Protocol):
    """Answers a node's queries about its data, such as gradients. Wrappers can change the answers (gradient noise).

    Attributes:
      offers: the queries that it answers, among "grad", "loss", "full_grad", "hvp", "part_grad" and "prox". An
        algorithm's `needs` name them.
      steps: the budget of local steps of one node this round, i32[], or None for no limit.
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
    """The data of n nodes and a loss, as a pytree: arrays are leaves, so that data sets of one shape share a program.

    Attributes:
      num_examples: i32[n]. It is zero for a node without data, whose gradient is zero and which still takes part in
        gossip.
      n: the number of nodes.
      optimum: the global minimum, or None if it is not known.
      init: draws the parameters of one model.
      batch: the minibatch of one node with this name.
      full_batch: all data of one node.
      loss: the loss on a batch, f[], and a second output, any pytree.
      evaluate: the global metrics of one model, on the test set or of the global objective: "loss" and, where it makes
        sense, "accuracy".
    """

    num_examples: jax.Array

    @property
    def n(self) -> int: ...

    @property
    def optimum(self) -> Any | None: ...

    def init(self, key: Key) -> PyTree: ...

    def batch(self, id: jax.Array, batch_id: BatchId) -> PyTree: ...

    def full_batch(self, id: jax.Array) -> PyTree: ...

    def loss(self, params: PyTree, batch: PyTree) -> tuple[jax.Array, PyTree]: ...

    def evaluate(self, params: PyTree) -> dict[str, jax.Array]: ...


@runtime_checkable
class Poolable(Protocol):
    """A problem that can give all its data to one node (n = 1), for the centralised reference."""

    def pooled(self) -> Problem: ...


@runtime_checkable
class Divisible(Protocol):
    """A problem with data in parts: `part` gives the batch of one part, and its share of the node's examples."""

    def part(self, id: jax.Array, part: jax.Array, parts: int) -> tuple[PyTree, jax.Array]: ...


@runtime_checkable
class Passing(Protocol):
    """A problem whose minibatches make passes over a node's examples: `batches` gives their number in a pass, i32[]."""

    def batches(self, id: jax.Array) -> jax.Array: ...


@runtime_checkable
class Continuing(Protocol):
    """A problem whose order of examples goes on over the rounds, by `advances` minibatches a round.

    `advances` is None if every round begins a new order.
    """

    @property
    def advances(self) -> int | None: ...


@runtime_checkable
class Proximal(Protocol):
    """A problem whose proximal operator has a closed form: `argmin_x f_id(x) + ||x - params||^2 / (2 step)`."""

    def prox(self, id: jax.Array, params: PyTree, step: jax.Array) -> PyTree: ...
