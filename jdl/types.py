"""The types that every part of jdl shares: plans, messages, what a node sees, and the protocol of each kind of part.

No logic lives here. Shapes: `n` is the number of nodes, `m` the number of rows that take part in a round (`m = n`
unless a plan names participants), `k` the number of links per row. `M[m]` is a pytree `M` whose leaves have a leading
axis of length `m`. `W[i, j]` is the weight that receiver `i` gives to sender `j`, everywhere in jdl.
"""

from __future__ import annotations

import dataclasses
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
    "Algorithm",
    "BatchId",
    "Circulant",
    "Data",
    "Delivery",
    "Dense",
    "Each",
    "Edges",
    "Examples",
    "Exchange",
    "ExchangeState",
    "FULL",
    "Federated",
    "Full",
    "Groups",
    "Info",
    "Key",
    "Levels",
    "Links",
    "Message",
    "Minibatch",
    "Neighbours",
    "Node",
    "Oracle",
    "PUBLIC",
    "Part",
    "PerLink",
    "Plan",
    "Posted",
    "Problem",
    "Public",
    "Push",
    "PyTree",
    "Query",
    "Reports",
    "Roles",
    "Schedule",
    "ScheduleState",
    "Seen",
    "Server",
    "Sized",
    "Slots",
    "State",
    "Traffic",
    "Which",
    "Wire",
    "Wrapper",
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


# ---- who talks this round ---------------------------------------------------------------------------------------


@struct.dataclass
class Dense:
    """Links in a full matrix, for graphs in which any pair may talk.

    Attributes:
      weights: f[m, m], where `weights[i, j]` is what receiver `i` gives to sender `j`. The diagonal is zero.
      used: bool[m, m], whether a copy travels from `j` to `i` this round, even if it does not arrive.
      arrived: bool[m, m], which of these copies arrive; None if all do.
    """

    weights: jax.Array
    used: jax.Array
    arrived: jax.Array | None = None


@struct.dataclass
class Slots:
    """At most `k` links into each node: slot `s` of receiver `i` listens to row `senders[i, s]`.

    Attributes:
      weights: f[m, k]. A slot without a link has weight zero, and usually points to its own row.
      used: bool[m, k], whether a copy travels on the link this round.
      senders: i32[m, k], positions among the m rows.
      arrived: bool[m, k], which of the copies arrive; None if all do.
    """

    weights: jax.Array
    used: jax.Array
    senders: jax.Array
    arrived: jax.Array | None = None


@struct.dataclass
class Circulant:
    """Slot `s` of receiver `i` listens to row `(i + shifts[s]) mod n`: mixing is a few rolls and needs no gather.

    Attributes:
      weights: f[n, k].
      used: bool[n, k].
      shifts: the shift of each slot.
      arrived: bool[n, k], which of the copies arrive; None if all do.
    """

    weights: jax.Array
    used: jax.Array
    shifts: tuple[int, ...] = struct.field(pytree_node=False)
    arrived: jax.Array | None = None


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
      arrived: bool[e], which of the copies arrive; None if all do.
    """

    weights: jax.Array
    used: jax.Array
    senders: jax.Array
    receivers: jax.Array
    levels: Levels | None = None
    arrived: jax.Array | None = None


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
      weights: f[s], the weight of each row of the messages.
      used: bool[s], whether the row sends a copy.
      arrived: bool[s], which of these copies arrive; None if all do.
    """

    weights: jax.Array
    used: jax.Array
    arrived: jax.Array | None = None


Links = Dense | Slots | Circulant | Edges | Groups | Server


@struct.dataclass
class Plan:
    """Who talks this round, and with which weights.

    Attributes:
      links: the off-diagonal part of W. The type of this field selects the mixing backend.
      self_weights: f[m], the diagonal of W. It is unused with a `Server`.
      active: bool[m], or None if all rows are awake. A sleeping node keeps its state, and its row and column are
        removed from the links.
      works: bool[m], or None if all rows work. A node that does not work talks only: its gradients are zero and its
        budget of local steps is 0.
      joins: bool[m], or None if nobody joins. A node that joins begins anew: its state is made from the weighted mean
        of its neighbours' models, over links that carry these models once.
      participants: i32[m], the ids of the nodes that have a row, or None if all n nodes have one, in order.
      stochastic: "doubly", "row" or "column": which sums of W are one.
      symmetric: whether W equals its transpose, so that each link carries messages both ways.
    """

    links: Links
    self_weights: jax.Array
    active: jax.Array | None = None
    works: jax.Array | None = None
    joins: jax.Array | None = None
    participants: jax.Array | None = None
    stochastic: str = struct.field(pytree_node=False, default="doubly")
    symmetric: bool = struct.field(pytree_node=False, default=False)


# ---- what is sent, and what arrives -----------------------------------------------------------------------------


@struct.dataclass
class Sized:
    """A message, or a part of one, that states its own size, for methods that compress by themselves.

    Neighbours are given `content`: what they decode, or the copy of the sender that they keep.

    Attributes:
      content: a pytree of arrays, or another kind of part around one.
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
class Each:
    """A message, or a part of one, that is not averaged: the copy of every neighbour arrives by itself.

    It may hold numbers of any type. The inbox is an `Each` as well, whose rows are the links into the node, in the
    order of `node.links`; to a server, they are the messages of this round's clients.

    Attributes:
      content: as it is sent, without an axis of links; in the inbox leaves `[k, ...]`, zeros where nothing arrived.
      ids: i32[k], set in the inbox: who sent each row.
      weights: f[k], set in the inbox: W_ij, or the weight of a client before normalisation; zero where nothing arrived.
      arrived: bool[k], set in the inbox: which rows arrived.
      age: i32[k], set in the inbox: the number of rounds for which each message was on its way.
    """

    content: Message
    ids: jax.Array | None = None
    weights: jax.Array | None = None
    arrived: jax.Array | None = None
    age: jax.Array | None = None


@struct.dataclass
class Posted:
    """An `Each` part on its way from an exchange to the nodes: each node takes its own rows when its turn comes.

    So memory holds the k messages of the nodes that are computed at the same time, and not of all m.

    Attributes:
      content: leaves `[s, ...]`, the messages of all senders.
      rows: i32[m, k], the senders' rows of each receiver.
      inbox: the `Each` of all receivers, `[m, k]`, without content.
    """

    content: Message
    rows: jax.Array
    inbox: Each


@struct.dataclass
class Push:
    """A message, or a part of one, that is mixed by weights whose columns sum to one, so that its sum is kept.

    These are the weights of the plan where its columns sum to one; otherwise each sender divides its content in equal
    shares among itself and its out-neighbours, W_ij = 1 / (1 + out_degree_j). The share of a lost message stays with
    its sender.

    Attributes:
      content: a pytree of real numbers. The inbox holds the sums, without this mark.
    """

    content: Message


@struct.dataclass
class Roles:
    """Who is who, for as long as a simulation lasts. Attacks, oracles, metrics and schedules read the same roles.

    Attributes:
      honest: bool[n], which nodes follow the protocol.
      group: i32[n], the group (cluster, region, committee) of each node.
    """

    honest: jax.Array
    group: jax.Array


@struct.dataclass
class Wire:
    """The input of an exchange. Links index the s rows of `sent`, which are the m rows of the round unless said.

    Attributes:
      own: M[m], each row's own message, which does not pass through the network.
      sent: M[s], the messages as they are sent.
      bits: f[s], the size of one copy on one link, in bits. A row of zero bits is not sent.
      plan: who talks.
      origin: i32[s], the node that sent each row, -1 for the server.
      age: i32[s], the number of rounds since each row was sent; None if all are of this round.
      roles: who is who, of all n nodes.
    """

    own: Message
    sent: Message
    bits: jax.Array
    plan: Plan
    origin: jax.Array
    age: jax.Array | None = None
    roles: Roles | None = None


@struct.dataclass
class Delivery:
    """What went over the links in one exchange, and what arrived. The engine computes from it all that follows.

    An exchange returns a tuple of them, one for each part of the message that takes links of its own.

    Attributes:
      plan: its links say where copies went (`used`) and which of them arrived (`arrived`).
      bits: f[s], what each row put on each of its links, all copies together. A row of zero bits was not sent.
      copies: f[s] or f[], the number of copies on each link.
      origin: i32[s], the node that sent each row, -1 for the server.
      sent: M[s], the messages as they were on the links, for those who look at them (`jdl.sim.wires`).
    """

    plan: Plan
    bits: jax.Array
    copies: jax.Array
    origin: jax.Array
    sent: Message = None


@struct.dataclass
class Traffic:
    """What each sender put on its links: in a round, or, in `RunState`, since the start.

    Attributes:
      bits: f[m].
      messages: f[m], the number of copies.
    """

    bits: jax.Array
    messages: jax.Array


@struct.dataclass
class Reports:
    """What the rows of a round reported.

    Attributes:
      values: for each name f[m] or f[m, ...]. Rows that are not present hold nothing of meaning.
      present: bool[m], which rows took part: they were awake, and their report arrived at the server if there is one.
      ids: i32[m], the node of each row.
    """

    values: Info
    present: jax.Array
    ids: jax.Array


@struct.dataclass
class Seen:
    """What a schedule is told of the rounds before.

    Attributes:
      values: what the schedule `watches`, by name. "consensus_distance" is f[], after the last round. Everything else
        is f[n] or f[n, ...]: what each node last reported, zeros before it did. "loss" is reported by every method: the
        loss, on minibatch 0, of the model with which the node began its round.
      heard: bool[n], which nodes reported in the last round.
      roles: who is who.
    """

    values: Info
    heard: jax.Array
    roles: Roles


# ---- which data -------------------------------------------------------------------------------------------------


@struct.dataclass
class Minibatch:
    """Minibatch `k` of this round of the node's own examples. One `k` names one batch."""

    k: int | jax.Array = 0


@struct.dataclass
class Full:
    """All examples of the node."""


@struct.dataclass
class Part:
    """Part `index` of `parts` of the node's examples. The mean of the gradients over all parts is the full gradient."""

    index: int | jax.Array
    parts: int = struct.field(pytree_node=False)


@struct.dataclass
class Public:
    """Minibatch `k` of this round of the public inputs, the same for all nodes."""

    k: int | jax.Array = 0


FULL = Full()
PUBLIC = Public
# A number k is short for Minibatch(k).
Which = int | jax.Array | Minibatch | Full | Part | Public


@struct.dataclass
class Query:
    """What is asked of the data.

    Attributes:
      which: the examples.
      weights: f[B], a factor on the loss of each example, or None for ones. The mean stays one over the real examples.
      of: the name of the loss: a method of the problem, `(params, batch) -> (f[], second output)`.
    """

    which: Minibatch | Full | Part | Public
    weights: jax.Array | None = None
    of: str = struct.field(pytree_node=False, default="loss")


@struct.dataclass
class Examples:
    """The losses of the examples of a batch, one by one.

    Attributes:
      loss: f[B].
      place: i32[B], the place of each example among the node's own, an index into f[`node.width`].
      group: i32[B], its class.
      real: bool[B], which are examples and not padding.
    """

    loss: jax.Array
    place: jax.Array
    group: jax.Array
    real: jax.Array


@struct.dataclass
class Data:
    """One node's data in one round. Only the oracle reads it.

    Attributes:
      problem: the data of all nodes.
      id: i32[], the node, or -1 for the server's desk.
      t: i32[], the round.
      count: i32[], the number of rounds before this one in which the node took part.
      key: a random key folded with (round, id). It differs from the algorithm's key.
      order_key: a random key folded with id, the same in all rounds.
      public_key: a random key folded with the round, the same for all nodes.
      honest: bool[], whether the node follows the protocol.
      group: i32[], the group of the node.
      works: bool[], or None if all nodes work.
      memory: what the oracle remembers of this node.
    """

    problem: Problem
    id: jax.Array
    t: jax.Array
    count: jax.Array
    key: Key
    order_key: Key
    public_key: Key
    honest: jax.Array
    group: jax.Array
    works: jax.Array | None = None
    memory: PyTree = ()


@struct.dataclass
class BatchId:
    """The name of one minibatch of one node.

    Attributes:
      key: the minibatch's own key, for examples drawn at random.
      order_key: the node's key, the same for all of its minibatches, for an order in which examples are visited.
      t: i32[], the round.
      count: i32[], the number of rounds before this one in which the node took part.
      k: i32[], the number of the minibatch in its round.
    """

    key: Key
    order_key: Key
    t: jax.Array
    count: jax.Array
    k: jax.Array


# ---- what one node sees -----------------------------------------------------------------------------------------


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
      id: i32[], this node; -1 for the server's desk.
      t: i32[], this round, from 0.
      n: i32[], the number of nodes.
      key: for the algorithm's own randomness, folded with (round, id) and the phase of the round.
      common: a key that all nodes share this round, for random choices that they make together.
      self_weight: f[], W[i, i].
      degree: i32[], the number of links into this node this round.
      out_degree: i32[], the number of links on which this node sends this round.
      num_examples: i32[].
      steps: i32[], this round's budget of local steps, or None for as many as the algorithm asks for.
      works: bool[], whether the node computes this round; one that does not has gradients of zero and a budget of 0.
      links: the node's neighbours one by one, for methods that need "per_link" or "each"; None for others.
    """

    id: jax.Array
    t: jax.Array
    n: jax.Array
    key: Key
    common: Key
    self_weight: jax.Array
    degree: jax.Array
    out_degree: jax.Array
    num_examples: jax.Array
    steps: jax.Array | None
    works: jax.Array
    links: Neighbours | None
    _data: Data
    _oracle: Oracle

    def grad(
        self, params: PyTree, which: Which = 0, of: str = "loss", weights: jax.Array | None = None
    ) -> tuple[PyTree, PyTree]:
        """The gradient of a loss on some of this node's data, and the second output of the loss.

        Args:
          params: the model.
          which: the examples: a number k for minibatch k of this round, `FULL`, `Part(i, parts)` or `PUBLIC(k)`.
          of: the name of the loss, a method of the problem.
          weights: f[B], a factor on the loss of each example, or None.
        """
        return self._oracle.grad(self._data, params, which, of, weights)

    def loss(self, params: PyTree, which: Which = 0, of: str = "loss") -> jax.Array:
        """The loss on some of this node's data, f[]; see `grad`."""
        return self._oracle.loss(self._data, params, which, of)

    def losses(self, params: PyTree, which: Which = 0) -> Examples:
        """The loss of each example of a batch, with the name of the example; see `grad`."""
        return self._oracle.losses(self._data, params, which)

    def hvp(self, params: PyTree, vector: PyTree, which: Which = 0, of: str = "loss") -> PyTree:
        """The Hessian of the loss on some of this node's data, times `vector`; see `grad`."""
        return self._oracle.hvp(self._data, params, vector, which, of)

    def predict(self, params: PyTree, inputs: PyTree) -> PyTree:
        """The outputs of a model, such as logits, to be differentiated through."""
        return self._oracle.predict(self._data, params, inputs)

    def inputs(self, which: Which = 0) -> PyTree:
        """The inputs of some data, without labels; `PUBLIC(k)` names the public ones that all nodes have."""
        return self._oracle.inputs(self._data, which)

    def batch(self, which: Which = 0) -> PyTree:
        """Some of this node's data, as the problem hands them out."""
        return self._oracle.batch(self._data, which)

    def held_out(self, params: PyTree) -> dict[str, jax.Array]:
        """The metrics of a model on the examples that this node keeps aside and never trains on: "loss", "accuracy"."""
        return self._oracle.held_out(self._data, params)

    def prox(self, params: PyTree, step: float | jax.Array) -> PyTree:
        """`argmin_x f_i(x) + ||x - params||^2 / (2 step)`, exactly, over all data of this node."""
        return self._oracle.prox(self._data, params, step)

    @property
    def width(self) -> int:
        """The number of places for examples of a node, for a state of an algorithm that keeps a number for each."""
        return self._oracle.width(self._data)


# ---- the protocols ----------------------------------------------------------------------------------------------


@runtime_checkable
class Algorithm(Protocol):
    """A decentralized method, written for one node: a frozen flax dataclass whose numbers are leaves, the rest static.

    A message is any pytree. Parts of it may be `Sized` (they state their size), `PerLink` (they differ from neighbour
    to neighbour), `Each` (they arrive one by one) or `Push` (their sum is kept).

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
    nothing arrives is zero. What a client reports of itself is an `Each` part of its message: it is counted, and may be
    lost or falsified, as the rest. A report of one number under a name of its own, `{"loss": Each(loss)}`, is a column
    of the history as well: the mean over the reports that arrived.

    The server's method is given the aggregate, and `info` of what arrived: `participants` (m, the number of messages
    that arrived), `n`, `participation` (m / n), `t`, a `key`, row by row `ids` and `arrived`, and for methods that
    need "public" `desk`, a `Node` that answers about public data.

    Attributes:
      needs: see `Algorithm`. It contains "server".
      phases: the names of the (broadcast, client, server) methods of each exchange of a round; one triple in most
        methods.
      init: takes one model and n, the number of clients, and gives the server's state.
      client_init: gives the state of a client.
      weight: a client's weight in the aggregate, f[], before normalisation over what arrives. The server, which knows
        its state, sets it; it travels with the message.
      model: the server's model.
      personal: the model with which a client serves its own user, from the server's state and the client's. It may be
        left out, and is the server's model then.
    """

    needs: frozenset[str]
    phases: tuple[tuple[str, str, str], ...]

    def init(self, params: PyTree, n: int) -> State: ...

    def client_init(self, params: PyTree, node: Node) -> State: ...

    # And for each triple of names in `phases`, most often just "broadcast", "client" and "server":
    #   def broadcast(self, server_state: State) -> Message
    #   def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State]
    #   def server(self, server_state: State, aggregate: Message, info: Info) -> State

    def weight(self, server_state: State, node: Node) -> jax.Array: ...

    def model(self, server_state: State) -> PyTree: ...


@runtime_checkable
class Exchange(Protocol):
    """Turns the messages that nodes send into inboxes. It is the only place where rows of different nodes meet.

    The engine calls it only for messages that hold something.

    Attributes:
      needs: see `Algorithm`. A stack of exchanges needs what any of them needs, whatever their order.
      breaks: words of `needs` that do not hold in a network with this exchange. A stack breaks what any of them breaks.
      init: takes messages M[n] (zeros, or only their shapes), and gives the exchange's state before the first round.
      apply: takes the state, the messages and a key of this round, and gives the inboxes M[m], the next state, and what
        went over the links.
    """

    needs: frozenset[str]
    breaks: frozenset[str]

    def init(self, message: Message) -> ExchangeState: ...

    def apply(
        self, state: ExchangeState, wire: Wire, key: Key
    ) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]: ...


@runtime_checkable
class Schedule(Protocol):
    """Who talks, in every round.

    Attributes:
      n: the number of nodes for which the schedule is made.
      init: the schedule's memory before the first round; () if rounds do not depend on each other. Its key is drawn
        once.
      __call__: takes the memory, the round, a key of this round and what was seen so far, and gives the plan and the
        next memory.
      watches: names of what the schedule is to see: "loss", "consensus_distance", or what the method reports. It may be
        left out if there are none.
      provides: words of `needs` that hold for all plans of the schedule together, of "fixed_links" and "tree". It may
        be left out if there are none.
    """

    n: int

    def init(self, key: Key) -> ScheduleState: ...

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]: ...


@runtime_checkable
class Oracle(Protocol):
    """Answers a node's queries about its data; see `Node`, whose methods of the same names ask them.

    Attributes:
      offers: the queries and selections that it answers, in the words of `Algorithm.needs`.
      init: what the oracle remembers of each node before the first round, leaves `[n, ...]`, () without a memory; its
        key is drawn once.
      begin: once a round for each node that takes part: takes its memory, its data and the model with which it begins
        the round, and gives the memory with which the queries of this round are answered.
      steps: the budget of local steps of one node this round, i32[], or None for no limit.
    """

    offers: frozenset[str]

    def init(self, problem: Problem, key: Key) -> PyTree: ...

    def begin(self, memory: PyTree, data: Data, model: PyTree) -> PyTree: ...

    def batch(self, data: Data, which: Which) -> PyTree: ...

    def inputs(self, data: Data, which: Which) -> PyTree: ...

    def grad(
        self, data: Data, params: PyTree, which: Which, of: str, weights: jax.Array | None
    ) -> tuple[PyTree, PyTree]: ...

    def loss(self, data: Data, params: PyTree, which: Which, of: str) -> jax.Array: ...

    def losses(self, data: Data, params: PyTree, which: Which) -> Examples: ...

    def hvp(self, data: Data, params: PyTree, vector: PyTree, which: Which, of: str) -> PyTree: ...

    def predict(self, data: Data, params: PyTree, inputs: PyTree) -> PyTree: ...

    def held_out(self, data: Data, params: PyTree) -> dict[str, jax.Array]: ...

    def prox(self, data: Data, params: PyTree, step: float | jax.Array) -> PyTree: ...

    def steps(self, data: Data) -> jax.Array | None: ...


class Wrapper(Protocol):
    """Changes some answers of an oracle. `oracle=[A(), B()]` asks A first, which asks B, which asks the data.

    A wrapper is a frozen dataclass with those of the following methods that it changes, and no others. Each is given
    `inner`, the same method of the next one in the list, without `inner` itself; that of `grad` has the whole loss as
    `inner.objective`, for directions without a gradient. A wrapper that remembers has `init` and `begin` as well;
    `data.memory` is its own memory then. `needs` may name what it asks of the problem, and `breaks` the queries that it
    cannot answer.

        def batch(self, inner, data: Data, query: Query) -> PyTree                             # which examples
        def objective(self, inner, data: Data, params, batch, query: Query) -> (f[], aux)      # which loss
        def grad(self, inner, data: Data, params, batch, query: Query) -> (gradient, aux)      # which direction
        def steps(self, inner, data: Data) -> i32[] | None                                     # how many of them
        def init(self, problem: Problem, key: Key) -> memory, leaves [n, ...]
        def begin(self, memory, data: Data, model) -> memory
    """


@runtime_checkable
class Problem(Protocol):
    """The data of n nodes and a loss, as a pytree: arrays are leaves, so that data sets of one shape share a program.

    Attributes:
      num_examples: i32[n]. It is zero for a node without data, whose gradient is zero and which still takes part in
        gossip.
      n: the number of nodes.
      optimum: the global minimum, or None if it is not known.
      offers: what the problem answers beyond `batch`, `full_batch`, `loss` and `evaluate`; see `jdl.problems.offers`.
        It may be left out if there is nothing.
      init: draws the parameters of one model.
      batch: the minibatch of one node with this name.
      full_batch: all data of one node.
      loss: the loss on a batch, f[], and a second output, any pytree.
      evaluate: the metrics of one model: "loss" and, where it makes sense, "accuracy". Without `id` on the test set, or
        of the global objective. With `id`, as node `id` meets them; a problem that can tell offers "own".
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

    def evaluate(self, params: PyTree, id: jax.Array | None = None) -> dict[str, jax.Array]: ...
