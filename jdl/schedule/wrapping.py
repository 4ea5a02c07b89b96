"""What schedules share that wrap another one: checks, and the plans in which some links, or all, fall silent."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl import plan as plans
from jdl.schedule.fixed import Fixed
from jdl.topology import Topology
from jdl.topology.forms import reads_of_dense, to_dense
from jdl.types import Dense, Groups, Key, Plan, Schedule, ScheduleState, Server

__all__ = [
    "FOREVER",
    "Wrapping",
    "all_nodes",
    "asleep",
    "check_wrapped",
    "matrix",
    "muted",
    "of_rows",
    "peers_only",
    "remembered",
    "talking",
]

# The round of what never happens.
FOREVER = np.iinfo(np.int32).max


class Wrapping:
    """What a schedule with the field `schedule` has of it, unless it says otherwise: nodes, memory, what it watches."""

    schedule: Schedule

    def __post_init__(self) -> None:
        check_wrapped(self)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.schedule.n

    @property
    def watches(self) -> dict[str, Any]:
        """What the schedule watches."""
        return plans.watched(self.schedule)

    @property
    def seconds_at(self) -> jax.Array:
        """The seconds of a schedule that was planned in time; others have none, and then this has none."""
        return self.schedule.seconds_at

    def init(self, key: Key) -> ScheduleState:
        return self.schedule.init(key)


def matrix(plan: Plan) -> Plan:
    """The same W as a dense matrix, whatever its form. Two links between the same two rows become one."""
    if isinstance(plan.links, Dense):
        return plan
    links, m = plans.one_by_one(plan).links, plans.rows(plan)
    used = jnp.zeros((m, m), bool).at[plans.receivers(links), plans.senders(links)].max(links.used)
    W = to_dense(plan)
    return plan.replace(links=Dense(weights=W - jnp.diag(jnp.diag(W)), used=used & ~jnp.eye(m, dtype=bool)))


def muted(plan: Plan, on: jax.Array) -> Plan:
    """The plan where `on`: bool[] holds; else W = I, and no link is used. All nodes fall silent, or none.

    Averages within groups cannot leave a node to itself, so those become slots, or a matrix where groups are large.
    """
    if isinstance(plan.links, Groups):
        large = plan.links.members.shape[1] > reads_of_dense(plans.rows(plan))
        plan = matrix(plan) if large else plans.one_by_one(plan)
    links = plan.links
    links = links.replace(weights=jnp.where(on, links.weights, 0), used=links.used & on)
    return plan.replace(links=links, self_weights=jnp.where(on, plan.self_weights, 1))


def check_wrapped(outer: Schedule) -> None:
    """Check that `outer.schedule` is a schedule, and none whose messages wait in places.

    Who reads such a place later reads what was to be sent, also if its sender were asleep by then.

    Raises:
      InputError: if it is not.
    """
    # The class is checked: JAX also makes parts whose arrays are other objects, and their properties may fail.
    name, kind = type(outer).__name__, type(outer.schedule)
    need = f"got {name} over a {kind.__name__}, need a schedule; make one, e.g. jdl.schedule.Fixed.of(topology)"
    checks.require(hasattr(kind, "init") and callable(outer.schedule), need)
    late = f"got {name} over {kind.__name__}, whose messages are under way for several rounds, need such as arrive at "
    late += "once; plan absences with away=[(node, 10.0, 20.0)], or let links fail in the network, Lossy or LossyLinks"
    checks.require(not getattr(outer.schedule, "places", 0), late)


def talking(given: Schedule | Topology) -> Schedule:
    """The schedule to wrap: the given one, or that of all links of a topology in every round."""
    return Fixed.of(given) if isinstance(given, Topology) else given


def peers_only(outer: Schedule, plan: Plan) -> Plan:
    """The plan, which must be one between peers.

    Raises:
      InputError: if it has a server.
    """
    name = type(outer).__name__
    need = f"got {name} over a schedule with a server, need one between peers; use more local steps"
    checks.require(not isinstance(plan.links, Server), need)
    return plan


def all_nodes(outer: Schedule, plan: Plan) -> Plan:
    """The plan between peers, in which all nodes must have a row.

    Raises:
      InputError: if it has a server, or rows for some of the nodes alone.
    """
    name = type(outer).__name__
    need = f"got {name} over a schedule whose rounds are for some of the nodes, need rounds of all; leave out {name}"
    peers_only(outer, plan)
    checks.require(plan.participants is None, need)
    return plan


def of_rows(plan: Plan, nodes: jax.Array) -> jax.Array:
    """What is known of each node, `[n, ...]`, for the rows of a plan, `[m, ...]`."""
    return nodes if plan.participants is None else nodes[plan.participants]


def remembered(schedule: Schedule, on: jax.Array, new: ScheduleState, old: ScheduleState) -> ScheduleState:
    """The memory of a schedule after a round in which it is used where `on`: bool[] holds.

    A schedule that watches the nodes remembers what it saw, whether it is used or not: a report is shown once.
    """
    return new if plans.watched(schedule) else jax.tree.map(lambda new, old: jnp.where(on, new, old), new, old)


def asleep(plan: Plan, awake: jax.Array) -> Plan:
    """The plan in which only nodes of `awake`: bool[m] take part, of those that do.

    The weight of a link that falls silent is added to the diagonal: to that of the receiver, or of the sender if W is
    column stochastic.
    """
    plan = plans.one_by_one(plan)
    awake = awake if plan.active is None else awake & plan.active
    keep = awake[plans.receivers(plan.links)] & awake[plans.senders(plan.links)]
    rest = plans.silence(plan, keep)
    return rest.replace(
        # W[i, i] = 1 but for rounding; a sleeper's row is exactly its own.
        self_weights=jnp.where(awake, rest.self_weights, 1).astype(rest.self_weights.dtype),
        active=awake,
        # Receivers keep the weight of what they miss, so columns sum to one only where W is symmetric.
        stochastic="row" if plan.stochastic == "doubly" and not plan.symmetric else plan.stochastic,
    )
