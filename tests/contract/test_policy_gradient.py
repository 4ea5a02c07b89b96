"""A policy gradient whose walkers are the oracle's memory, against value iteration in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import ways
from programs.policy_gradient import DISCOUNT, PLACES, Line, Walkers

import jdl

N, GOAL = 8, PLACES - 1
SLIP = np.linspace(0, 0.2, N)


def build(seed=0, lr=1.0, **how):
    problem, graph = Line(jnp.asarray(SLIP, jnp.float32)), jdl.topology.ring(N)
    return jdl.simulation(problem, jdl.algorithms.DPSGD(lr=lr), graph, oracle=[Walkers()], seed=seed, **how)


def mean_return(choose):
    """By iteration, over all nodes: the value of place 0, where `choose` takes the values of both actions to one."""
    values = []
    for slip in SLIP:
        v, start = np.zeros(PLACES), 0.0
        for _ in range(400):
            right, left = np.append(v[1:], 0), np.append(v[0], v[:-1])
            v = DISCOUNT * choose((1 - slip) * left + slip * right, (1 - slip) * right + slip * left)
            v[GOAL] = 1 + start
            start = DISCOUNT * v[0]
        values.append(v[0])
    return np.mean(values)


def test_the_policy_comes_near_the_optimum_of_value_iteration():
    random, best = mean_return(lambda left, right: (left + right) / 2), mean_return(np.maximum)
    simulation = build()
    always_right = jnp.array([[0.0, 50.0]] * PLACES)
    np.testing.assert_allclose(simulation.problem.evaluate(always_right)["loss"], -best, rtol=1e-5)
    values = []
    for rounds in (0, 500):
        values.append(-float(ways.evaluate(simulation, ways.state_after(simulation, rounds))["mean_loss"]))
    print(random, best, values)
    np.testing.assert_allclose(values[0], random, rtol=1e-5)
    assert values[1] > random + 0.9 * (best - random)


def test_walkers_go_on_from_where_they_stood():
    simulation = build()
    before, after = (ways.state_after(simulation, rounds).oracle_state[0] for rounds in (3, 4))
    at, (places, _) = jax.tree.map(np.asarray, after)
    assert np.array_equal(places[:, 0], before[0]) and np.ptp(before[0]) > 0
    steps = np.diff(np.concatenate([places, at[:, None]], axis=1), axis=1)
    goal = places == GOAL
    assert np.all(steps[goal] == -GOAL) and np.all(np.abs(steps[~goal]) <= 1)
    assert np.all(steps[~goal & (places > 0)] != 0)


@ways.of("policy_gradient")
def test_in_all_ways(names):
    ways.check(build, names)
