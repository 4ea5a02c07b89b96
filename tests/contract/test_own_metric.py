"""A metric of one's own against NumPy, from the models at the end, joined with degree and role."""

import jax.numpy as jnp
import numpy as np
import ways
from programs.own_metric import by, drift

import jdl
from jdl.exchange import SignFlip

N = 8
# Two triangles, joined by a path of two nodes.
DEGREE = [2, 2, 3, 2, 2, 3, 2, 2]
HONEST = [True, True, True, False, True, True, True, False]
GROUP = [0, 0, 0, 0, 1, 1, 1, 1]


def parts():
    roles = jdl.roles.of(honest=np.array(HONEST), group=np.array(GROUP))
    problem = jdl.problems.quadratic(nodes=N, dim=3, noise=0.1)
    args = problem, jdl.algorithms.DPSGD(lr=0.2), jdl.topology.barbell(N, path=2), [SignFlip(strength=0.5)]
    return args, {"roles": roles, "metrics": {"drift": drift}}


def build(seed=0, **how):
    args, options = parts()
    return jdl.simulation(*args, **options, seed=seed, **how)


def test_the_metric_is_in_the_history_beside_degree_and_role():
    args, options = parts()
    result = jdl.run(*args, **options, rounds=4, eval_every=2, progress=False)
    models, honest = np.asarray(result.models), np.array(HONEST)
    expected = np.linalg.norm(models - models[honest].mean(axis=0), axis=1)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(result.history.nodes["drift"][-1], expected, rtol=1e-5)
    assert result.history.nodes["drift"].shape == (3, N) and result.history.nodes["drift"][0].max() < 1e-6
    np.testing.assert_allclose(result.history.mean_drift[-1], expected[honest].mean(), rtol=1e-5)
    np.testing.assert_allclose(result.history.max_drift[-1], expected[honest].max(), rtol=1e-5)

    frame = result.nodes
    assert frame["round"].tolist() == np.repeat([0, 2, 4], N).tolist()
    for name, column in (("node", range(N)), ("degree", DEGREE), ("honest", HONEST), ("group", GROUP)):
        assert frame[name].tolist() == [*column] * 3
    for name, column in (("degree", DEGREE), ("honest", HONEST), ("group", GROUP)):
        means = {value: expected[np.array(column) == value].mean() for value in set(column)}
        np.testing.assert_allclose([means[value] for value in by(result, name).index], by(result, name), rtol=1e-5)


def test_the_metric_of_models_by_hand():
    models = {"a": jnp.array([[0.0], [2.0], [7.0]]), "b": jnp.array([0.0, 0.0, 4.0])}

    class Three:
        who = jdl.roles.of(honest=np.array([True, True, False]))

    np.testing.assert_allclose(drift(models, None, Three), [1, 1, np.sqrt(36 + 16)])


@ways.of("own_metric")
def test_in_all_ways(names):
    ways.check(build, names)
