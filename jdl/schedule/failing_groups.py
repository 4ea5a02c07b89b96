"""Members of groups that fail in the middle of a round."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.wrapping import Wrapping
from jdl.types import Groups, Key, Plan, Schedule, ScheduleState, Seen, number, static

__all__ = ["FailingGroups"]


@struct.dataclass
class FailingGroups(Wrapping):
    """Members of groups fail during a round, and the others of the group average exactly without them, or give up.

    Every node fails in a round with some probability, independently of the others. It loses the round: it keeps the
    state with which it began. The rest of its group, M' nodes, averages with W_ij = 1 / M', so that W stays symmetric
    and doubly stochastic. (In `Sleeping`, which takes any links, the weight of a sleeper goes back to each of the
    others, which therefore do not agree.) With `all_or_none`, a group of which a member fails gives up, as an
    all-reduce that does not tolerate failures: all of its members lose the round.

    Sends:
      what the schedule sends, between nodes that take part.

    Args:
      schedule: who talks, in groups: `RandomGroups`, `Moshpit`, or `Fixed(topology.complete(n).plan("groups"))`.
      probability: probability that a node fails in a round, 0 to 1; a leaf, so a sweep over it is one program.
      all_or_none: whether a group gives up when a member fails.

    Raises:
      InputError: if the schedule has other links than groups.

    >>> import jax
    >>> from jdl.schedule import RandomGroups
    >>> groups = FailingGroups(RandomGroups.for_nodes(4, degree=3), probability=1.0)
    >>> print(groups((), 0, jax.random.key(0))[0].self_weights)
    [1. 1. 1. 1.]

    References:
      Ryabinin, Gorbunov, Plokhotnyuk, Pekhimenko, "Moshpit SGD: Communication-Efficient Decentralized Training on
      Heterogeneous Unreliable Devices", NeurIPS 2021: failures as in the authors' simulation, in
      yandex-research/moshpit-sgd, averaging_experiments.
    """

    schedule: Schedule
    probability: float | jax.Array = number(minimum=0, maximum=1)
    all_or_none: bool = static(False)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The groups of the schedule without the nodes that `key` lets fail."""
        inner_key, own_key = jax.random.split(key)
        plan, memory = self.schedule(memory, t, inner_key, seen)
        kind = type(plan.links).__name__
        need = f"got FailingGroups over links in {kind}, need groups: RandomGroups, Moshpit, ...; try Sleeping"
        checks.require(isinstance(plan.links, Groups), need)
        failed = jax.random.bernoulli(own_key, self.probability, (plans.rows(plan),))
        if self.all_or_none:
            broken = jnp.any(plan.links.used & failed[plan.links.members], axis=1)
            failed = broken[plan.links.group]
        there = ~failed if plan.active is None else ~failed & plan.active
        return without(plan, there), memory


def without(plan: Plan, there: jax.Array) -> Plan:
    """Groups among the rows of `there`: bool[m] alone. The others sleep; they are in one more group, of one row."""
    links, dtype = plan.links, plan.self_weights.dtype
    used = links.used & there[links.members]
    order = jnp.argsort(~used, axis=1, stable=True)  # those who are there come first
    members, used = (jnp.take_along_axis(array, order, axis=1) for array in (links.members, used))
    one = jnp.zeros((1, used.shape[1]), bool).at[0, 0].set(~jnp.all(there))
    members = jnp.concatenate([members, jnp.zeros_like(members[:1]) + jnp.argmin(there).astype(jnp.int32)])
    used = jnp.concatenate([used, one])
    members = jnp.where(used, members, members[:, :1])
    group = jnp.where(there, links.group, links.used.shape[0]).astype(jnp.int32)
    share = 1 / jnp.maximum(jnp.sum(used, axis=1), 1).astype(dtype)
    groups = Groups(members=members, used=used, group=group)
    return plan.replace(links=groups, self_weights=share[group], active=there)
