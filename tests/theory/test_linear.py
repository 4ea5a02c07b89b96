"""Exact prediction of linear methods: derived from the compiled round, held against simulated runs of many seeds.

No method is named here but for options that make it linear, and for what is refused.
"""

import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jdl
from jdl import algorithms, checks, compressors, schedule, topology
from jdl.theory import fitted_rate, predict, stable_rates, stationary
from jdl.theory.linear.rounds import in_double

SEED = int(os.environ["JDL_TEST_SEED"])
N, DIM, ROUNDS, SEEDS = 6, 2, 12, 64
# Of many tests of 64 runs each: one in a hundred thousand fails by chance.
LEVEL = 1e-5

# Options with which a method is linear; without them it takes Adam, top-k or signs.
LINEAR = {
    "BEER": {"compressor": compressors.Identity()},
    "CDProxSGT": {"compressor": compressors.Identity(), "strength": 0.0},
    "DCD": {"compressor": compressors.Identity()},
    "DProxSGT": {"strength": 0.0},
    "DeepSqueeze": {"compressor": compressors.Identity()},
    "DiLoCo": {"optimizer": "sgd"},
    "EF21": {"compressor": compressors.Identity()},
    "EagerDiLoCo": {"optimizer": "sgd"},
    "GossipDiLoCo": {"optimizer": "sgd"},
    "LEAD": {"compressor": compressors.Identity()},
    "StreamingDiLoCo": {"optimizer": "sgd"},
}
# Methods that are not linear on quadratics, whatever their options.
OTHERS = {"AFL", "DAdam", "DFedSAM", "DRFA", "FedOpt", "FedSpeed", "PowerGossip", "QFedAvg", "QGAdam", "DiLoCoX"}
GRAPHS = ("static", "cyclic", "random")


def lazy(order):
    W = topology.ring(N).weights.toarray()[np.ix_(order, order)]
    return topology.from_weights((np.eye(N) + W) / 2)


def talk(graph, needs):
    rings = [lazy(np.arange(N)), lazy(np.array([0, 2, 4, 1, 5, 3]))]
    if "server" in needs:
        servers = {"static": schedule.Sampling(N, N), "cyclic": schedule.CyclicSampling(N, 3)}
        return servers.get(graph, schedule.Sampling(N, 3))
    if "tree" in needs and graph == "static":
        return topology.path(N)
    return {"static": rings[0], "cyclic": rings, "random": schedule.Matching(N)}[graph]


def simulation(name, graph, noise=0.3, **options):
    """A method over a graph, or None where jdl refuses the pair."""
    algorithm = getattr(algorithms, name)(**({"lr": 0.2} | LINEAR.get(name, {}) | options))
    problem = jdl.problems.quadratic(N, DIM, condition=4.0, noise=noise)
    try:
        return jdl.simulation(problem, algorithm, talk(graph, algorithm.needs))
    except checks.InputError:
        return None


def simulated(s, rounds, params, seeds):
    """The models after `rounds` rounds in double precision, f[seed, P], and the history."""
    with in_double():
        s = jax.tree.map(lambda x: jnp.asarray(x, float) if jnp.issubdtype(x.dtype, jnp.floating) else x, s)

        @jax.jit
        @jax.vmap
        def run(key):
            state, history = jdl.simulate(s.replace(key=key), rounds, rounds, jnp.asarray(params, float))
            return jax.tree.leaves(jdl.sim.models(s, state))[0].reshape(-1), history

        return jax.tree.map(np.asarray, run(jax.random.split(jax.random.key(11), seeds)))


def holds(s, graph):
    """The mean and the covariance of 64 runs along random directions are those predicted."""
    params = np.linspace(-1, 2, DIM)
    predicted = predict(s, ROUNDS, eval_every=ROUNDS, params=params, samples=4096)
    models, history = simulated(s, ROUNDS, params, SEEDS)
    directions = np.random.default_rng(1).normal(size=(8, models.shape[1]))
    mean, C = predicted.mean[-1], predicted.covariance[-1]
    spread = np.sqrt(np.einsum("ki,ij,kj->k", directions, C, directions))
    if spread.max() < 1e-9:  # a method on which noise has no effect, such as one with reduced variance
        np.testing.assert_allclose(models, np.broadcast_to(mean, models.shape), atol=1e-9)
        return
    along = (models - mean) @ directions.T / spread
    reach = stats.norm.isf(LEVEL / 2)
    assert np.all(np.abs(along.mean(axis=0)) * np.sqrt(SEEDS) < reach)
    if graph == "random":  # not normally distributed: the error of a mean of squares is their own
        error = (along**2).std(axis=0, ddof=1) / np.sqrt(SEEDS)
        assert np.all(np.abs((along**2).mean(axis=0) - 1) < reach * np.maximum(error, np.sqrt(2 / SEEDS)))
    else:
        low, high = stats.chi2.ppf([LEVEL / 2, 1 - LEVEL / 2], SEEDS - 1)
        totals = (SEEDS - 1) * along.var(axis=0, ddof=1)
        assert np.all((low < totals) & (totals < high))
    for name in ("mean_model_loss", "consensus_distance"):
        values, expected = history[name][:, -1], predicted.columns[name][-1]
        error = max(values.std(ddof=1), predicted.deviations[name][-1]) / np.sqrt(SEEDS)
        assert abs(values.mean() - expected) < reach * error + 1e-12, name


def cases():
    """All methods over all graphs are slow; one of each graph is drawn."""
    names = sorted(set(algorithms.__all__) - OTHERS)
    for graph in GRAPHS:
        drawn = names[(SEED + zlib.crc32(graph.encode())) % len(names)]
        for name in names:
            marks = [] if name == drawn else [pytest.mark.slow]
            yield pytest.param(name, graph, marks=marks, id=f"{name}-{graph}")


@pytest.mark.parametrize(("name", "graph"), list(cases()))
def test_the_mean_and_covariance_of_many_seeds_are_those_predicted(name, graph):
    s = simulation(name, graph)
    if s is None:
        pytest.skip("jdl refuses this method over this graph")
    holds(s, graph)
