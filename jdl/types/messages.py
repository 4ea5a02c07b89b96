"""What is sent, and what arrives: kinds of message parts, the wire, deliveries and reports."""

from __future__ import annotations

from collections.abc import Callable

import jax
from flax import struct

from jdl.types.fields import Info, Message
from jdl.types.links import Plan

__all__ = ["Delivery", "Each", "PerLink", "Posted", "Push", "Reports", "Roles", "Seen", "Sized", "Traffic", "Wire"]


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
      content: a pytree of real numbers. The inbox holds the weighted sums as plain arrays, without this class.
    """

    content: Message


@struct.dataclass
class Roles:
    """Which nodes are honest, and which group each node is in; roles do not change during a simulation.

    Attacks, oracles, metrics and schedules read the same roles.

    Attributes:
      honest: bool[n], which nodes follow the protocol.
      group: i32[n], the group (cluster, region, committee) of each node.
    """

    honest: jax.Array
    group: jax.Array


@struct.dataclass
class Wire:
    """The input of an exchange. Links index the s rows of `sent`.

    These are the m rows of the round, unless an exchange before this one keeps a mailbox of late messages.

    Attributes:
      own: M[m], each row's own message, which does not pass through the network.
      sent: M[s], the messages as they are sent.
      bits: f[s], the size of one copy on one link, in bits. A row of zero bits is not sent.
      plan: who talks.
      origin: i32[s], the node that sent each row, -1 for the server.
      age: i32[s], the number of rounds since each row was sent; None if all are of this round.
      roles: the roles of all n nodes, or None.
      losses: for rules that need "models": from models `[m, ...]`, one for each row, or the list of their arrays, to
        f[m], the loss of each on minibatch 0 of its row's node. At a server the losses of any number of models on
        public minibatch 0, if the problem offers "public". None elsewhere, and on the way down.
      reference: for rules that need "reference": what the server sent to its clients in this exchange. None elsewhere.
    """

    own: Message
    sent: Message
    bits: jax.Array
    plan: Plan
    origin: jax.Array
    age: jax.Array | None = None
    roles: Roles | None = None
    losses: Callable[[Message], jax.Array] | None = struct.field(pytree_node=False, default=None)
    reference: Message | None = None


@struct.dataclass
class Delivery:
    """What went over the links in one exchange, and what arrived.

    The engine computes from it the traffic, what a server is told, and whose reports count.
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
      values: for each name f[m] or f[m, ...]. Values of rows that are not present have no meaning.
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
        is f[n] or f[n, ...]: what each node last reported, zeros before its first report. "loss" may be watched with
        every method: if the method reports none itself, it is the loss on minibatch 0 of the model with which the node
        began its round.
      heard: bool[n], which nodes reported in the last round.
      roles: the roles of all n nodes.
    """

    values: Info
    heard: jax.Array
    roles: Roles
