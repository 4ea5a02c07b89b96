"""Who talks this round: the forms of links, and the plan of a round."""

from __future__ import annotations

import jax
from flax import struct

__all__ = ["Circulant", "Dense", "Edges", "Groups", "Levels", "Links", "Mail", "Plan", "Server", "Slots"]


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
      speakers: i32[m, k], the ids of the nodes that send on the links, where several of them send one row of messages;
        None where each row has one sender.
    """

    weights: jax.Array
    used: jax.Array
    senders: jax.Array
    arrived: jax.Array | None = None
    speakers: jax.Array | None = None


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
      speakers: i32[e], see `Slots`.
    """

    weights: jax.Array
    used: jax.Array
    senders: jax.Array
    receivers: jax.Array
    levels: Levels | None = None
    arrived: jax.Array | None = None
    speakers: jax.Array | None = None


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
class Mail:
    """Messages that are under way for several rounds, each in a place of its own until the last receiver has read it.

    A message is put into its place at the end of its round. So a round reads what earlier rounds have put there, and a
    place that is read for the last time can be used again at once.

    Attributes:
      posts: i32[m], the place for the message of each row; `places` where the row sends nothing.
      copies: f[m], to how many receivers it is sent.
      reads: i32[m, k], the place that each link of the plan, which are `Slots`, reads in place of its sender's row.
      places: the number of places.
    """

    posts: jax.Array
    copies: jax.Array
    reads: jax.Array
    places: int = struct.field(pytree_node=False)


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
        of its neighbours' models, each of which travels once over its link.
      steps: i32[m], the largest number of local steps that each row takes, or None for no limit.
      elapsed: f[m], the seconds since each row's last round, or None where rounds have no seconds.
      mail: the messages under way, or None if all that is sent arrives in the same round.
      participants: i32[m], the ids of the nodes that have a row, or None if all n nodes have one, in order.
      workers: only so many rows, the first ones, ever work; no gradient is computed for the others. None if all may.
      stochastic: "doubly", "row" or "column": which sums of W are one.
      symmetric: whether W equals its transpose, so that each link carries messages both ways.
    """

    links: Links
    self_weights: jax.Array
    active: jax.Array | None = None
    works: jax.Array | None = None
    joins: jax.Array | None = None
    steps: jax.Array | None = None
    elapsed: jax.Array | None = None
    mail: Mail | None = None
    participants: jax.Array | None = None
    workers: int | None = struct.field(pytree_node=False, default=None)
    stochastic: str = struct.field(pytree_node=False, default="doubly")
    symmetric: bool = struct.field(pytree_node=False, default=False)
