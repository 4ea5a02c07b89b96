"""The protocol of each kind of part."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax

from jdl.types.fields import ExchangeState, Key, Message, PyTree, ScheduleState, State
from jdl.types.links import Plan
from jdl.types.messages import Delivery, Seen, Wire
from jdl.types.node import Node
from jdl.types.queries import BatchId, Data, Examples, Which

__all__ = ["Algorithm", "Exchange", "Federated", "Oracle", "Problem", "Schedule", "Wrapper"]


@runtime_checkable
class Algorithm(Protocol):
    """A decentralized method, written for one node: a frozen flax dataclass whose numbers are array leaves.

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
    lost or falsified, like the rest. A report of one number under a name of its own, `{"loss": Each(loss)}`, is also a
    column of the history: the mean over the reports that arrived.

    The server's method is given the aggregate, and `info` of what arrived: `participants` (m, the number of messages
    that arrived), `n`, `participation` (m / n), `t`, a `key`, and for each row its `ids` and `arrived`. Methods that
    need "public" are also given `desk`, a `Node` that answers queries about public data.

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

    The engine calls it only for messages that hold arrays.

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
      watches: names of what the schedule is to see: "loss", "consensus_distance", or what the method reports; or a dict
        from these names to the shape of what one node reports. It may be left out if there are none.
      provides: words of `needs` that hold for all plans of the schedule together, of "fixed_links" and "tree", and
        "server" for a schedule that is made for a server alone. It may be left out if there are none.
      seconds_at: f[T + 1], the seconds that have passed after the first t rounds, where events were planned in time;
        there are T rounds. It may be left out, as may `waited_at`, f[T + 1], for how long all nodes together have not
        computed by then.
      places: the number of places for messages under way, see `Mail`, and `sums`: whether their plans are column
        stochastic. They may be left out if all that is sent arrives in the same round.
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
      init: gives what the oracle remembers of each node before the first round, leaves `[n, ...]`; () for an oracle
        without memory. Its key is drawn once.
      begin: is called once a round for each node that takes part. It takes the node's memory, its data and the model
        with which the node begins the round, and gives the memory with which the queries of this round are answered.
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

    def width(self, data: Data) -> int: ...

    def steps(self, data: Data) -> jax.Array | None: ...


class Wrapper(Protocol):
    """Changes some answers of an oracle. `oracle=[A(), B()]` asks A first, which asks B, which asks the data.

    A wrapper is a frozen dataclass with those of the following methods that it changes, and no others. Each is given
    `inner`, the same method of the next one in the list, which is called without `inner`. In `grad`, `inner.objective`
    is the loss that the whole list defines, for directions that are computed from losses alone. A wrapper with a memory
    has `init` and `begin` as well, and finds its own memory in `data.memory`. `needs` may name what the wrapper asks of
    the problem, and `breaks` the queries that it cannot answer.

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
      by_node: the names of fields with a row for each node. In a round of all nodes the engine asks for the data of
        each by a copy, made by `replace`, in which these fields are `[1, ...]`, its own row: rows looked up by id would
        be copied in every round. It may be left out.
      init: draws the parameters of one model.
      batch: the minibatch of one node with this name.
      full_batch: all data of one node.
      loss: the loss on a batch, f[], and a second output, any pytree.
      evaluate: the metrics of one model: "loss" and, where it makes sense, "accuracy". Without `id` they are those of
        the test set, or of the global objective. With `id` they are those of the data that node `id` meets; a problem
        that can compute these offers "own".
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
