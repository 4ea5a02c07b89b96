"""AD-PSGD against D-PSGD over the same matchings, and wave by wave against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import ways
from programs.ad_psgd import ADPSGD, Waves

import jdl

N, DIM, LR = 8, 3, 0.2


def build(seed=0, pairs=2, both=False, algorithm=None, **how):
    problem = jdl.problems.quadratic(nodes=N, dim=DIM)
    algorithm = ADPSGD(lr=LR, delay=2) if algorithm is None else algorithm
    return jdl.simulation(problem, algorithm, Waves(N, pairs, both), seed=seed, **how)


def test_without_delay_and_with_all_at_work_it_is_d_psgd_over_the_same_matchings():
    models = []
    for algorithm in (ADPSGD(lr=LR), jdl.algorithms.DGD(lr=LR)):  # DGD is the order of Lian et al. 2017
        simulation = build(pairs=N // 2, both=True, algorithm=algorithm)
        models.append(jdl.sim.models(simulation, ways.state_after(simulation, 6)))
    np.testing.assert_allclose(*models, rtol=1e-5, atol=1e-6)
    assert np.abs(models[0] - models[0][:1]).max() > 1e-2


def test_the_passive_node_averages_and_the_active_one_steps_by_a_stale_gradient():
    simulation = build()
    idle = simulation.replace(algorithm=simulation.algorithm.replace(lr=jnp.float32(0)))
    A, b = np.asarray(simulation.problem.A), np.asarray(simulation.problem.b)
    plan_of = jax.jit(lambda state: jdl.sim.wires(simulation, state)[0].plan)
    state = ways.init(simulation, jax.random.normal(jax.random.key(1), (N, DIM)))
    had = [[x] * 3 for x in np.asarray(state.nodes[:, 0])]  # the models that each node had, one for each of its waves
    for t in range(8):
        plan, old = plan_of(state), np.asarray(state.nodes[:, 0])
        averaged = np.asarray(ways.advance(idle, state, jnp.int32(t + 1)).nodes[:, 0])
        state = ways.advance(simulation, state, jnp.int32(t + 1))
        new, active, awake = np.asarray(state.nodes[:, 0]), np.asarray(plan.works), np.asarray(plan.active)
        assert active.sum() == 2 and awake.sum() == 4 and np.all(awake[active])
        assert np.array_equal(new[~awake], old[~awake])
        assert np.array_equal(new[~active], averaged[~active])
        pair = np.asarray(plan.links.senders[:, 0])
        np.testing.assert_allclose(averaged[awake], (old[awake] + old[pair][awake]) / 2, rtol=1e-6, atol=1e-7)
        stale = np.stack([models[-3] for models in had])
        gradient = np.where(active[:, None], np.einsum("nij,nj->ni", A, stale) - b, 0)
        np.testing.assert_allclose(new, averaged - LR * gradient, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(new.mean(0), old.mean(0) - LR / N * gradient.sum(0), rtol=1e-5, atol=1e-6)
        for i in np.flatnonzero(awake):
            had[i].append(new[i])


@ways.of("ad_psgd")
def test_in_all_ways(names):
    ways.check(build, names)
