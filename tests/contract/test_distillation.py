"""Distillation among peers: its fixed point, its steps by hand, models of two widths, and a node without data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import ways
from programs.distillation import Distillation, narrowed

import jdl

N, HIDDEN, CLASSES, PUBLIC_SHARE = 8, 16, 10, 0.05
WIDTHS = jnp.array([16, 6] * 4)


@functools.cache
def problem(hidden=HIDDEN):
    """Digits of which node 0 has none, and of which 5 percent are public."""
    free = 1437 - round(PUBLIC_SHARE * 1437)
    indices = np.concatenate([np.zeros((1, free // 7), int), np.arange(free // 7 * 7).reshape(7, -1)])
    split = jdl.data.Partition(indices, np.array([0] + [free // 7] * 7))
    return jdl.problems.digits(nodes=N, hidden=hidden, partition=split, public=PUBLIC_SHARE)


def build(seed=0, hidden=HIDDEN, lr=0.5, teach=0.02, **how):
    graph = jdl.topology.ring(N)
    return jdl.simulation(problem(hidden), Distillation(lr=lr, teach=teach), graph, seed=seed, **how)


def test_identical_models_teach_each_other_nothing():
    simulation = build(hidden=0, lr=0.0)
    start, end = ways.init(simulation).nodes, ways.state_after(simulation, 5).nodes
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(end), strict=True))


def test_a_step_of_a_linear_model_by_hand():
    simulation = build(hidden=0, lr=0.0, teach=0.05)
    start = jax.vmap(simulation.problem.init)(jax.random.split(jax.random.key(1), N))
    end = ways.advance(simulation, ways.init(simulation, start), jnp.int32(1)).nodes
    x = np.asarray(simulation.problem.public_x, float).reshape(-1, 64)
    features = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    rows = lambda params: [np.asarray(leaf, float).reshape(N, -1, CLASSES) for leaf in jax.tree.leaves(params)]
    both = lambda params: np.concatenate(rows(params), axis=1)  # bias, kernel
    model = both(start)
    target = np.einsum("ij,jpc->ipc", np.asarray(jdl.topology.to_dense(jdl.topology.ring(N))), features @ model)
    for _ in range(4):
        model = model - 0.05 * np.einsum("pf,npc->nfc", features, features @ model - target) / len(x)
    np.testing.assert_allclose(both(end), model, rtol=1e-4, atol=1e-5)


def test_a_node_without_data_learns_from_logits_and_widths_stay():
    simulation = build()
    assert int(simulation.problem.num_examples[0]) == 0
    start = narrowed(simulation.problem.init(jax.random.key(0)), WIDTHS)
    begun = ways.init(simulation, start)
    state = ways.advance(simulation, begun, jnp.int32(150))
    accuracy = jax.jit(jax.vmap(lambda x: simulation.problem.evaluate(x)["accuracy"]))
    before, after = np.asarray(accuracy(begun.nodes)), np.asarray(accuracy(state.nodes))
    assert before[0] < 0.3 and after[0] > 0.7
    first, last = state.nodes["params"].values()
    for units in (first["bias"][1], first["kernel"][1].T, last["kernel"][1]):  # [HIDDEN, ...], of a narrow node
        assert not np.any(units[6:]) and np.any(units[:6])
    public = simulation.problem.public_x.shape[0]
    np.testing.assert_array_equal(state.traffic.bits[0], 150 * 2 * public * CLASSES * 32)


@ways.of("distillation")
def test_in_all_ways(names):
    ways.check(build, names)
