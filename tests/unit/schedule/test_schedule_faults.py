"""Disasters, partitions, crashes and nights: who is there, what is left of W, and what mixing then keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import faults, matrix

import jdl
from jdl.checks import InputError
from jdl.schedule import (
    Churn,
    Crashes,
    Disaster,
    Diurnal,
    FinalMerge,
    Fixed,
    Messages,
    Partition,
    Sampling,
    Sleeping,
    Traced,
    Waves,
    Windowed,
)
from jdl.topology import complete, exponential, ring, star

N, T = 8, 6
KEY = jax.random.key(5)
RING = Fixed(ring(N).plan("slots"))
GROUP = np.array([0, 0, 0, 1, 1, 1, 1, 1])
DATA = jdl.problems.quadratic(nodes=N, dim=3)
STARTS = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)


def plans_of(talk, count=T):
    """The plans of the first rounds of a schedule whose memory is that of a fixed graph, and their W."""
    plan = jax.device_get(jax.jit(jax.vmap(lambda t: talk((), t, KEY)[0]))(jnp.arange(count, dtype=jnp.int32)))
    return plan, matrix(plan)


def test_after_a_disaster_survivors_keep_what_w_promises(x64):
    for graph in (ring(N), complete(N), exponential(N)):
        talk = Disaster.of(Fixed.of(graph), round=2, share=0.25, seed=1)
        lost, (plan, W) = np.asarray(talk.lost), plans_of(talk)
        assert lost.sum() == 2 and not (wrong := faults(plan, 1e-14)), wrong
        np.testing.assert_array_equal(plan.active, (np.arange(T) < 2)[:, None] | ~lost)
        full = graph.weights.toarray()
        np.testing.assert_allclose(W[:2], np.broadcast_to(full, (2, N, N)), atol=1e-15)
        off = ~np.eye(N, dtype=bool) & ~lost[:, None] & ~lost[None, :]
        np.testing.assert_allclose(
            W[2:] * ~np.eye(N, dtype=bool), np.broadcast_to(full * off, (T - 2, N, N)), atol=1e-15
        )
        if graph.symmetric:
            np.testing.assert_allclose(
                W[2:, ~lost].sum(axis=1), np.broadcast_to(np.ones(N) - lost, (T - 2, N)), atol=1e-12
            )


def test_relays_work_no_more_and_hubs_are_those_with_most_links():
    plan, W = plans_of(Disaster.of(RING, round=1, share=0.5, relay=True))
    assert np.array_equal(plan.works.sum(axis=1), [N, 4, 4, 4, 4, 4]) and plan.active is None
    np.testing.assert_allclose(W, np.broadcast_to(ring(N).weights.toarray(), W.shape), atol=1e-7)
    assert np.argmax(Disaster.of(Fixed.of(star(N)), round=0, share=1 / N, hubs=True).lost) == 0


def test_groups_apart_keep_themselves_and_heal(x64):
    for graph in (ring(N), exponential(N)):
        plan, W = plans_of(Partition.of(Fixed.of(graph), 1, 4, GROUP))
        assert not (wrong := faults(plan, 1e-14)), wrong
        across, full = GROUP[:, None] != GROUP[None, :], graph.weights.toarray()
        assert not W[1:4, across].any()
        np.testing.assert_allclose(W[[0, 4, 5]], np.broadcast_to(full, (3, N, N)), atol=1e-15)
        off = ~np.eye(N, dtype=bool) & ~across
        np.testing.assert_allclose(W[1:4, off], np.broadcast_to(full[off], (3, off.sum())), atol=1e-15)


init = jax.jit(jdl.sim.init)
advance = jax.jit(lambda s, state, until: jdl.sim.advance(s, state, until)[0])


def models(talk, rounds, lr=0.0, **how):
    simulation = jdl.simulation(DATA, jdl.algorithms.DPSGD(lr=lr), talk, **how)
    return np.asarray(advance(simulation, init(simulation, STARTS), jnp.int32(rounds)).nodes.x)


def test_survivors_keep_their_mean_and_parts_come_to_their_own():
    """One ring; without a failure it is the schedule itself, bit for bit."""
    disaster = Disaster.of(RING, round=3, share=0.25, seed=1)
    lost = np.asarray(disaster.lost)
    before, after = models(disaster, 3), models(disaster, 60)
    np.testing.assert_allclose(after[~lost].mean(axis=0), before[~lost].mean(axis=0), atol=1e-6)
    assert np.array_equal(after[lost], before[lost])
    plain = models(RING, 12, lr=0.1)
    assert np.array_equal(models(disaster.replace(round=jnp.int32(99)), 12, lr=0.1), plain)

    roles = jdl.roles.of(group=GROUP)
    own = models(Partition.of(RING, 0), 400, roles=roles)  # the groups of the roles
    for group in (0, 1):
        here = GROUP == group
        np.testing.assert_allclose(own[here], np.broadcast_to(STARTS[here].mean(axis=0), own[here].shape), atol=1e-5)
    assert np.array_equal(models(Partition.of(RING, 50, group=GROUP), 12, lr=0.1), plain)


def test_nodes_crash_as_often_as_said_and_begin_anew(x64):
    count, length = 300, 30
    plan, _, (_, up, _) = cases.rounds(Crashes(RING, 0.1, 0.3, anew=True), count, KEY, length)
    plan_faults = faults(plan, 1e-14)
    assert not plan_faults, plan_faults
    up = np.asarray(up)
    assert np.array_equal(plan.active, up) and up[:, 0].all()
    assert np.array_equal(plan.joins[:, 1:], up[:, 1:] & ~up[:, :-1]) and not plan.joins[:, 0].any()
    was, now = up[:, :-1].reshape(-1), up[:, 1:].reshape(-1)
    assert cases.often(np.mean(~now[was]), 0.1, was.sum()) and cases.often(np.mean(now[~was]), 0.3, (~was).sum())


def test_a_topology_is_a_schedule_to_those_that_wrap_one():
    graph, fixed = ring(N), Fixed.of(ring(N))
    for make in (lambda s: Disaster.of(s, 1, hubs=True), lambda s: Partition.of(s, 1, 2), Diurnal.of, Churn.of):
        ours, theirs = make(graph), make(fixed)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        assert all(map(np.array_equal, jax.tree.leaves(ours), jax.tree.leaves(theirs)))


def test_a_day_has_its_hours():
    plan, _ = plans_of(Diurnal.of(RING, period=4, share=0.5, spread=1.0, seed=2), 8)
    phase = np.random.default_rng(2).random(N)
    np.testing.assert_array_equal(plan.active, (np.arange(8)[:, None] / 4 + phase[None]) % 1 < 0.5)


def test_a_table_repeats():
    table = np.random.default_rng(0).random((3, N)) < 0.6
    plan, _ = plans_of(Traced(RING, jnp.asarray(table)), 7)
    np.testing.assert_array_equal(plan.active, table[np.arange(7) % 3])


def test_refusals():
    served = Sampling(N, 2)
    for make, words in (
        (lambda: Disaster.of(RING, round=1, share=1.0), "all of 8 nodes, need one that is left"),
        (lambda: Partition.of(RING, 3, 3), "got start=3 and end=3, need a later end"),
        (lambda: Partition.of(RING, group=[0, 1]), r"got group of shape \(2,\)"),
        (lambda: Crashes(ring(N)), "got Crashes over a Topology, need a schedule"),
        *(
            (lambda make=make: plans_of(make(served)), "schedule with a server, need one between peers")
            for make in (lambda s: Disaster.of(s, 1), lambda s: Partition.of(s, group=GROUP), Diurnal.of)
        ),
    ):
        with pytest.raises(InputError, match=words):
            make()


def test_absences_are_those_of_the_nodes_of_a_wave():
    """Rows of waves are some of the nodes: who is away is looked up by their ids."""
    waves = Waves.pairs(ring(N), horizon=20.0, width=2)
    there = np.random.default_rng(2).random((3, N)) < 0.5
    for talk, awake in (
        (Traced(waves, jnp.asarray(there)), there),
        (Diurnal(waves, phase=jnp.where(there[0], 0.1, 0.6), period=1.0, share=0.5), there[:1]),
    ):
        full, plan = (jax.device_get(jax.vmap(lambda t, s=s: s((), t, KEY)[0])(jnp.arange(9))) for s in (waves, talk))
        up = awake[np.arange(9) % len(awake)][np.arange(9)[:, None], full.participants]
        assert np.array_equal(plan.active, full.active & up) and 0 < plan.active.sum() < full.active.sum()
    talk = Crashes(waves, fail=1.0)
    _, memory = talk(talk.init(KEY), 0, KEY)
    assert not talk(memory, 1, KEY)[0].active.any()
    for part in (Crashes(waves, anew=True), Churn.of(waves, joins={1: 2}), FinalMerge(waves, at=2)):
        with pytest.raises(InputError, match="rounds are for some of the nodes"):
            part(part.init(KEY), 0, KEY)


def test_messages_under_way_are_not_wrapped():
    """What a schedule that wraps it leaves out would be under way already."""
    messages = Messages.push(ring(N), horizon=5.0)
    for wrap in (lambda s: Sleeping(s, 0.1), Crashes, lambda s: Partition.of(s, 1), Windowed):
        with pytest.raises(InputError, match="over Messages, whose messages are under way"):
            wrap(messages)
