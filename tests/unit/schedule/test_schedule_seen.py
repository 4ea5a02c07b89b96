"""Schedules that watch the nodes: what wrappers pass on, and neighbours that are chosen by affinity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from flax import struct
from plan_reading import faults

import jdl
from jdl.checks import InputError
from jdl.engine import sim as simulator
from jdl.engine.rounds import plan_at
from jdl.schedule import Affinity, Churn, EventTriggered, FinalMerge, Fixed, Sleeping, Windowed
from jdl.topology import ring
from jdl.types import Each, Schedule, Seen

KEY = jax.random.key(4)


@struct.dataclass
class Recorder:
    """A fixed schedule that remembers what it saw."""

    inner: Schedule
    watches = frozenset({"loss"})

    @property
    def n(self):
        return self.inner.n

    def init(self, key):
        return jnp.zeros(self.n)

    def __call__(self, memory, t, key, seen=None):
        return self.inner((), t, key)[0], memory if seen is None else seen.values["loss"]


def test_wrappers_pass_on_what_was_seen_in_all_rounds():
    inner, losses = Recorder(Fixed.of(ring(4))), jnp.arange(4.0)
    seen = Seen({"loss": losses, "consensus_distance": jnp.float32(0)}, jnp.ones(4, bool), None)
    wrappers = {
        "never": Windowed(inner, until=0),
        "merge": FinalMerge(inner, at=9),
        "sleeping": Sleeping(inner, 0.5),
        "apart": EventTriggered(inner, 0.1),
        "churn": Churn.of(inner, joins={1: 2}),
        "twice": Sleeping(Windowed(EventTriggered(inner, 0.1), every=2), 0.5),
    }

    @jax.jit
    def memories(seen):
        return {name: talk(talk.init(KEY), jnp.int32(0), KEY, seen)[1] for name, talk in wrappers.items()}

    for name, memory in memories(seen).items():
        np.testing.assert_array_equal(jax.tree.leaves(memory)[0], losses, err_msg=name)
        watched = {"loss", "consensus_distance"} if name in ("apart", "twice") else {"loss"}
        assert set(wrappers[name].watches) == watched, name
    for name, memory in memories(None).items():
        np.testing.assert_array_equal(jax.tree.leaves(memory)[0], 0, err_msg=name)
    assert Sleeping(Windowed(Affinity(6, 2), every=2), 0.1).watches == Affinity(6, 2).watches
    assert not Sleeping(Fixed.of(ring(4)), 0.1).watches


# ---- affinity ----------------------------------------------------------------------------------------------------


def given(n, affinity, neighbours, heard=True):
    heard = jnp.broadcast_to(jnp.asarray(heard), (n,))
    return Seen({"affinity": jnp.asarray(affinity), "neighbours": jnp.asarray(neighbours, jnp.int32)}, heard, None)


def test_means_move_by_what_is_heard(x64):
    n, who = 4, np.array([[1, 2], [2, -1], [0, 1], [0, 2]])
    talk = Affinity(n, degree=2, decay=0.25)
    call = jax.jit(lambda memory, seen: talk(memory, 0, KEY, seen)[1])
    first = np.array([[1.0, 2], [3, 100], [5, 6], [7, 8]])
    memory = call(talk.init(KEY), given(n, first, who, [True, True, False, True]))
    expected = np.full((n, n), -np.inf)
    expected[0, [1, 2]], expected[1, 2], expected[3, [0, 2]] = [1, 2], 3, [7, 8]
    np.testing.assert_array_equal(memory, expected)
    memory = call(memory, given(n, -first, who))
    expected[0, [1, 2]], expected[1, 2], expected[3, [0, 2]] = [-0.5, -1], -1.5, [-3.5, -4]
    expected[2, [0, 1]] = [-5, -6]
    np.testing.assert_allclose(memory, expected, rtol=1e-14)


def test_the_highest_are_chosen_and_the_rest_is_random(x64):
    n, degree, count = 6, 2, 4000
    means = np.random.default_rng(0).standard_normal((n, n))
    np.fill_diagonal(means, -np.inf)
    means[0] = -np.inf  # nothing is known to node 0,
    means[1] = [-np.inf, -np.inf, -np.inf, -np.inf, 2.0, -np.inf]  # and node 1 knows node 4 alone
    talk = Affinity(n, degree)

    @jax.jit
    @jax.vmap
    def plans_of(key, explore):
        return talk.replace(explore=explore)(jnp.asarray(means), 0, key)[0]

    keys = jax.random.split(KEY, count)
    for explore in (0.0, 1.0):
        plan = jax.device_get(plans_of(keys, jnp.full(count, explore)))
        assert not (wrong := faults(plan, 1e-14)), wrong
        counts = np.zeros((n, n))
        np.add.at(counts, (np.arange(n)[None, :, None], plan.links.senders), 1)
        assert np.all(plan.links.senders[..., 0] != plan.links.senders[..., 1])
        shares, uniform = counts / count, (degree / (n - 1)) * ~np.eye(n, dtype=bool)
        assert cases.often(shares[0], uniform[0], count)
        if explore:
            assert cases.often(shares, uniform, count)
        else:
            best = np.argsort(-means[2:], axis=1)[:, :degree]
            expected = np.zeros((n, n))
            np.put_along_axis(expected[2:], best, 1.0, axis=1)
            np.testing.assert_array_equal(shares[2:], expected[2:])
            assert shares[1, 4] == 1 and cases.often(shares[1, [0, 2, 3, 5]], np.full(4, 1 / 4), count)


@struct.dataclass
class Similarity:
    """Models that stay what they are, and how near those of the neighbours are."""

    needs = frozenset({"peers", "links", "each"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        return Each(state), state

    def recv(self, state, inbox, node):
        affinity = -jnp.sum((inbox.content - state[None]) ** 2, axis=1)
        return state, {"affinity": affinity, "neighbours": jnp.where(inbox.arrived, inbox.ids, -1)}

    def model(self, state):
        return state


def test_nodes_find_their_own_cluster():
    """Three planted clusters of four; in every second round all are silent, and nothing is learnt from silence."""
    n, cluster = 12, np.arange(12) % 3
    x = np.float32(3 * np.eye(3)[cluster] + 0.1 * np.random.default_rng(1).standard_normal((n, 3)))
    talk = Windowed(Affinity(n, degree=3, explore=0.5), every=2)
    built = jdl.simulation(jdl.problems.quadratic(nodes=n, dim=3), Similarity(), talk, mapping="vmap")

    @jax.jit
    def run(built, x):
        state = simulator.advance(built, simulator.init(built, x), 200)[0]
        settled = built.replace(schedule=built.schedule.schedule.replace(explore=0.0))
        return plan_at(settled, state)

    plan, means = jax.device_get(run(built, x))
    others = (cluster[:, None] == cluster[None, :]) & ~np.eye(n, dtype=bool)
    for i in range(n):
        np.testing.assert_array_equal(np.sort(plan.links.senders[i]), np.flatnonzero(others[i]))
    distance = np.square(x[:, None] - x[None, :]).sum(axis=-1)
    known = np.isfinite(means)
    assert known[others].all() and not np.diag(known).any()
    np.testing.assert_allclose(means[known], -distance[known], rtol=1e-4)


def test_refusals():
    with pytest.raises(InputError, match="got degree=4 with n=4, a node has n - 1 others"):
        Affinity(4, 4)
    with pytest.raises(InputError, match="watches 'affinity', DPSGD reports"):
        jdl.run(
            problem=jdl.problems.quadratic(nodes=4, dim=2), algorithm=jdl.algorithms.DPSGD(), topology=Affinity(4, 2)
        )
