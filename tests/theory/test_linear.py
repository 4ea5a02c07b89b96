"""Exact prediction of linear methods: derived from the compiled round, held against simulated runs of many seeds.

No method is named here but for options that make it linear, and for what is refused.
"""

import os
import zlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jdl
from jdl import algorithms, checks, compressors, schedule, topology
from jdl.rng import key_of
from jdl.theory import Prediction, factors_beside, fitted_rate, predict, stable_rates, stationary
from jdl.theory.linear.repeats import outcomes_change
from jdl.theory.linear.rounds import linear_rounds
from jdl.theory.linear.timely import depends
from jdl.theory.linear.traced import in_double

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
    "DiNNO": {"optimizer": "sgd"},
    "ECD": {"compressor": compressors.Identity()},
    "EF21": {"compressor": compressors.Identity()},
    "EagerDiLoCo": {"optimizer": "sgd"},
    "GossipDiLoCo": {"optimizer": "sgd"},
    "GTSAGA": {"parts": 2},  # a random part at each node: few, for few matrices
    "LEAD": {"compressor": compressors.Identity()},
    "MuLoCo": {"optimizer": "sgd"},
    "StreamingDiLoCo": {"optimizer": "sgd"},
}
# Methods that are not linear on quadratics, whatever their options.
OTHERS = {"AFL", "DAdam", "DFedSAM", "DRFA", "DiLoCoX", "FedOpt", "FedSpeed", "PowerGossip", "QFedAvg", "QGAdam"}
OTHERS |= {"PENS"}  # who is kept depends on losses
OTHERS |= {"CDFL", "DeMo", "FetchSGD", "GTAdam", "ScaledLocalSGD", "SparseLoCo"}
# The state has a number that depends on earlier draws: the round of the last meeting, the share of clients heard of.
OTHERS |= {"Scaffnew", "FedAMD"}
GRAPHS = ("static", "cyclic", "random")
# Clients that remember in which round they were last asked, or which version of the model they were told then.
REMEMBERS = {("FedBuff", "random"), ("StreamingDiLoCo", "random")}


def lazy(order):
    W = topology.ring(N).weights.toarray()[np.ix_(order, order)]
    return topology.from_weights((np.eye(N) + W) / 2)


def talk(graph, needs):
    rings = [lazy(np.arange(N)), lazy(np.array([0, 2, 4, 1, 5, 3]))]
    if "server" in needs:
        servers = {"static": schedule.Sampling(N, N), "cyclic": schedule.CyclicSampling(N, 3)}
        return servers.get(graph, schedule.Sampling(N, 3))
    if "tree" in needs and graph == "static":
        return topology.chain(N)
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
        s = jax.tree.map(lambda x: jnp.asarray(x, float) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x, s)

        @jax.jit
        @jax.vmap
        def run(key):
            state, history = jdl.simulate(s.replace(key=key), rounds, rounds, jnp.asarray(params, float))
            return jax.tree.leaves(jdl.sim.models(s, state))[0].reshape(-1), history

        return jax.tree.map(np.asarray, run(jax.random.split(jax.random.key(11), seeds)))


def holds(s, graph):
    """The mean and the covariance of 64 runs along random directions are those predicted, and so are two columns.

    Over random graphs a mean of squares has heavy tails, and 64 runs do not say its deviation; 1,024 runs do.
    """
    params = np.linspace(-1, 2, DIM)
    predicted = predict(s, ROUNDS, eval_every=ROUNDS, params=params, samples=2048)
    models, history = simulated(s, ROUNDS, params, SEEDS if graph != "random" else 16 * SEEDS)
    models = models[:SEEDS]
    directions = np.random.default_rng(1).normal(size=(8, models.shape[1]))
    mean, C = predicted.mean[-1], predicted.covariance[-1]
    squares = np.einsum("ki,ij,kj->k", directions, C, directions)
    spread = np.sqrt(np.maximum(squares, 0))
    if (
        squares.max() < 1e-15
    ):  # rounding of zero: a method on which noise has no effect, such as one with reduced variance
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
        assert abs(values[:SEEDS].mean() - expected) < reach * error + 1e-12, name


def turn(names, of):
    """The method whose turn it is. Products of random parts take ten times as long: those are always slow."""
    quick = [name for name in names if name != "GTSAGA"]
    return quick[(SEED + zlib.crc32(of.encode())) % len(quick)]


def cases():
    """All methods over all graphs are slow; one of each graph is drawn."""
    names = sorted(set(algorithms.__all__) - OTHERS)
    for graph in GRAPHS:
        drawn = turn(names, graph)
        for name in names:
            marks = [] if name == drawn else [pytest.mark.slow]
            yield pytest.param(name, graph, marks=marks, id=f"{name}-{graph}")


@pytest.mark.parametrize(("name", "graph"), list(cases()))
def test_the_mean_and_covariance_of_many_seeds_are_those_predicted(name, graph):
    s = simulation(name, graph)
    if s is None:
        pytest.skip("jdl refuses this method over this graph")
    if (name, graph) in REMEMBERS:
        with pytest.raises(checks.InputError, match="depends on draws of earlier rounds"):
            predict(s, ROUNDS)
    else:
        holds(s, graph)


# ---- rates of convergence ----------------------------------------------------------------------------------------

CONSTANT = ("static", "cyclic")


# Rounds are random without noise as well, so that a run stays at a distance from the fixed point of the mean.
RESTLESS = {"SPARTA"}


def pairs(graphs):
    names = sorted(set(algorithms.__all__) - OTHERS - RESTLESS)
    for graph in graphs:
        drawn = turn(names, f"{graph} rates")
        for name in names:
            marks = [] if name == drawn and graph == graphs[SEED % 2] else [pytest.mark.slow]
            yield pytest.param(name, graph, marks=marks, id=f"{name}-{graph}")


def distances(s, rounds, target):
    """Squared distances of the models to a point, without noise, in double precision, f[rounds + 1]."""
    with in_double():
        s = jax.tree.map(lambda x: jnp.asarray(x, float) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x, s)

        @jax.jit
        def run():
            def body(state, _):
                after, _ = jdl.sim.step(s, state)
                return after, jnp.sum((jax.tree.leaves(jdl.sim.models(s, after))[0].reshape(-1) - target) ** 2)

            return jax.lax.scan(body, jdl.sim.init(s, jnp.asarray(np.linspace(-1, 2, DIM))), None, rounds)[1]

        return np.asarray(run())


@pytest.mark.parametrize(("name", "graph"), list(pairs(CONSTANT)))
def test_the_fitted_rate_is_the_predicted_spectral_radius(name, graph):
    """Without noise the squared distance to the fixed point shrinks by the square of the spectral radius."""
    s = simulation(name, graph, noise=0.0)
    if s is None:
        pytest.skip("jdl refuses this method over this graph")
    try:
        long_run = stationary(s, params=np.linspace(-1, 2, DIM))
    except checks.InputError as error:
        pytest.skip(str(error))
    factor = long_run.spectral_radius**2
    if abs(long_run.mean_square_radius - factor) > 1e-9:
        pytest.skip("its coins make rounds random, so that one path has no constant rate")
    period = 2 if graph == "cyclic" else 1
    rounds = min(int(np.log(1e-18) / np.log(max(factor, 1e-3))) + 40, 20_000) // 2 * 2
    curve = distances(s, rounds, long_run.fixed_point)[period - 1 :: period]
    when = np.arange(len(curve)) * period
    floor = max(1e-18 * max(curve[0], 1.0), 100 * curve[-1])
    sunk = np.flatnonzero(curve <= floor)
    end = sunk[0] if sunk.size else len(curve)
    if end < 40:  # so fast that nothing is left to fit
        assert factor < 0.85
        return
    window = {"level": 0.999, "floor": floor, "first": int(when[int(0.7 * end)]), "last": int(when[end - 1])}
    fit = fitted_rate(curve, when, **window)
    # The curve of the predicted mean over the same rounds: float64 ends before the second largest eigenvalue has died
    # out where it is near the largest, and then the slope of both is still a little steeper than the radius.
    expected = fitted_rate(predicted_distances(s, rounds, long_run.fixed_point)[period - 1 :: period], when, **window)
    assert fit.factor == pytest.approx(expected.factor, abs=2e-3 * (1 - factor))
    slack = 0.06 * (1 - factor)
    assert fit.low - 0.003 * (1 - factor) <= factor <= fit.high + slack, (fit, factor)


def predicted_distances(s, rounds, target):
    linear = linear_rounds(s, 64)
    x, curve = linear.start(np.linspace(-1, 2, DIM)), []
    for t in range(rounds):
        law = linear.law(t)
        x = law.mean_A @ x + law.mean_b
        after = linear.law(t + 1)
        curve.append(np.sum((after.M @ x + after.c - target) ** 2))
    return np.array(curve)


@pytest.mark.parametrize(("name", "graph"), list(pairs(CONSTANT)))
def test_one_per_cent_beyond_the_interval_of_stable_rates_runs_diverge(name, graph):
    s = simulation(name, graph, noise=0.0)
    if s is None or "lr" not in s.algorithm.__dataclass_fields__:
        pytest.skip("jdl refuses this method over this graph, or it has no rate")
    try:
        high = stable_rates(s).high
    except checks.InputError as error:  # DeltaSGD is linear up to a rate, its own choice of steps begins beyond
        assert "stable at no lr" in str(error) or "do not repeat" in str(error) or name == "DeltaSGD"
        pytest.skip(str(error))
    if not np.isfinite(high):
        pytest.skip("no rate is too large")
    at = lambda rate: s.replace(algorithm=s.algorithm.replace(lr=rate))
    long_run = stationary(at(0.99 * high), params=np.linspace(-1, 2, DIM))
    if abs(long_run.mean_square_radius - long_run.spectral_radius**2) > 1e-9:
        pytest.skip("its coins make rounds random: a path may shrink where the mean square grows")
    target = long_run.fixed_point
    # Over a cycle the fixed point is that after a whole number of periods.
    inside, outside = (distances(at(factor * high), 6_000, target)[1::2] for factor in (0.99, 1.01))
    assert inside[-500:].max() < 1e-2 * inside[:50].max()
    # Where the radius at 1.01 times the rate is barely above 1, the distance grows slowly, but in every round.
    large = not outside[-500:].max() < 1e3 * outside[:50].max()  # also where it is not finite
    assert large or np.all(np.diff(outside[-500:]) > 0)


# ---- closed forms and brute force --------------------------------------------------------------------------------


def test_the_long_run_of_dpsgd_is_that_of_its_matrix():
    """By brute force in NumPy: x <- (W x I)(x - lr (A x - b - noise)) for all nodes at once."""
    s = simulation("DPSGD", "static")
    W, p = lazy(np.arange(N)).weights.toarray(), s.problem
    mix = np.kron(W, np.eye(DIM))
    H = np.zeros((N * DIM, N * DIM))
    for i, block in enumerate(np.asarray(p.A, float)):
        H[i * DIM : (i + 1) * DIM, i * DIM : (i + 1) * DIM] = block
    b, lr, sigma = np.asarray(p.b, float).reshape(-1), float(s.algorithm.lr), float(p.noise)
    step = lambda lr: mix @ (np.eye(N * DIM) - lr * H)
    radius = lambda lr: np.abs(np.linalg.eigvals(step(lr))).max()
    found = stationary(s)
    assert found.spectral_radius == pytest.approx(radius(lr), rel=1e-6)
    np.testing.assert_allclose(
        found.fixed_point, np.linalg.solve(np.eye(N * DIM) - step(lr), lr * mix @ b), rtol=1e-5, atol=1e-6
    )
    C = np.zeros_like(H)
    for _ in range(3_000):
        C = step(lr) @ C @ step(lr).T + (lr * sigma) ** 2 * mix @ mix.T
    np.testing.assert_allclose(found.covariance, C, rtol=1e-5, atol=1e-9)
    low, high = stable_rates(s)
    assert low == 0 and radius(high * (1 - 1e-6)) < 1 < radius(high * (1 + 1e-6))


def test_conserved_sums_do_not_count_as_rates():
    """Gradient tracking keeps the sum of its trackers: along it the matrix of a round has eigenvalue 1."""
    found = stationary(simulation("GradientTracking", "static"))
    assert found.spectral_radius < 0.99 and found.states == 3 * N * DIM - DIM


REFUSED = {  # one is drawn
    "the compressor TopK": {"network": [compressors.TopK(0.5)]},
    "the exchange CoordinateMedian": {"network": [jdl.exchange.CoordinateMedian()]},
    "the algorithm DAdam": {"algorithm": algorithms.DAdam()},
    "the problem Logistic": {"problem": jdl.problems.logistic},
    "the optimizer adam of DPSGD": {"algorithm": algorithms.DPSGD(optimizer="adam")},
}


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, marks=[] if i == SEED % len(REFUSED) else [pytest.mark.slow])
        for i, part in enumerate(REFUSED)
    ],
)
def test_what_is_not_affine_is_named(part):
    given = dict(REFUSED[part])
    problem = given.pop("problem", lambda n: jdl.problems.quadratic(n, DIM))(N)
    algorithm = given.pop("algorithm", algorithms.DPSGD())
    s = jdl.simulation(problem, algorithm, lazy(np.arange(N)), **given)
    with pytest.raises(checks.InputError, match=f"got {part}"):
        predict(s, 5)


def test_a_program_tells_rounds_by_their_number_and_not_by_its_keys():
    def loop(t, x):
        return jax.lax.scan(lambda carry, _: ((carry[1], carry[1] + t.astype(x.dtype)), None), (x, x), None, length=3)[
            0
        ][0]

    draw = lambda t, key: jax.random.normal(key_of(key, "data", t, 1), (2,))
    t, x, key = jnp.float32(3), jnp.float32(1), jax.random.key(0)
    assert not depends(draw, jnp.int32(3), key)
    assert depends(loop, t, x) and depends(jax.jit(loop), t, x)
    assert depends(lambda t, x: jax.lax.cond(t > 2, lambda x: x, lambda x: -x, x), t, x)
    assert depends(lambda t, x: jax.lax.while_loop(lambda x: x < t.astype(x.dtype), lambda x: 2 * x, x), t, x)
    assert not depends(lambda t, x: jax.lax.cond(x > 2, lambda x, t: x, lambda x, t: -x, x, t), t, x)


def test_a_slow_change_shows_in_the_values_of_random_rounds():
    outcomes = np.random.default_rng(0).integers(0, 3, size=(64, 128, 1))
    constant, slow = (1.0 + outcomes) * np.ones((64, 1, 4)), (1.0 + outcomes) * np.ones((64, 1, 4))
    slow *= (1 - 1e-5 * np.arange(64))[:, None, None]
    assert not outcomes_change(constant) and outcomes_change(slow)


@pytest.mark.slow
@pytest.mark.parametrize("graph", ["static", "random"])
def test_a_rate_that_changes_late_or_slowly_is_not_taken_for_constant(graph):
    """After the rounds at which a period is looked for; or hidden by random graphs."""
    decay = {"static": lambda t: jnp.where(t < 100, 1.0, 0.1), "random": lambda t: 1 / (1 + 0.02 * t.astype(float))}[
        graph
    ]
    s = simulation("DPSGD", graph, decay=decay)
    params = np.linspace(-1, 2, DIM)
    predicted = predict(s, 140, eval_every=140, params=params)
    _, history = simulated(s, 140, params, SEEDS)
    for name in ("mean_model_loss", "consensus_distance"):
        values = history[name][:, -1]
        assert abs(values.mean() - predicted.columns[name][-1]) < 6 * values.std(ddof=1) / np.sqrt(SEEDS), name
    if graph == "random":
        with pytest.raises(checks.InputError, match="do not repeat"):
            stationary(s)


@pytest.mark.slow
def test_seeds_with_graphs_of_their_own_are_predicted_each_by_its_own():
    problem, graphs = jdl.problems.quadratic(N, DIM, noise=0.1), (topology.ring(N), topology.complete(N))
    both = [jdl.simulation(problem, algorithms.DPSGD(lr=0.2), graph) for graph in graphs]
    alone = [predict(one, [5]).columns["consensus_distance"] for one in both]
    np.testing.assert_allclose(predict(both, [5]).columns["consensus_distance"], np.mean(alone, axis=0), rtol=1e-12)
    assert alone[0] > 1.1 * alone[1]


def test_bad_arguments_of_predictions_are_refused():
    s = simulation("DPSGD", "static")
    for call, words in {
        lambda: predict([], 5): "no simulation",
        lambda: predict(s, -1): "rounds",
        lambda: predict(s, []): "no rounds",
        lambda: stable_rates(s, "rate"): "lr",
        lambda: stable_rates(SimpleNamespace(simulation=s)): "take its attribute `simulation`",
        lambda: predict([s.problem], 5): "got a Quadratic, need a simulation",
    }.items():
        with pytest.raises(checks.InputError, match=words):
            call()


# ---- fits --------------------------------------------------------------------------------------------------------


def test_a_curve_is_compared_in_the_rounds_that_have_a_prediction():
    curve = lambda rounds: 3 * 0.9**rounds
    rounds = np.arange(0, 200, 2)
    theory = Prediction(rounds, None, None, {"loss": curve(rounds)}, {"loss": np.zeros(100)}, 1)
    for seen in (np.arange(150), np.arange(0, 300, 4)):
        factors = factors_beside({"round": seen, "loss": curve(seen)}, theory, "loss")
        assert factors.measured.factor == pytest.approx(factors.predicted.factor, rel=1e-3)
    assert factors_beside({"round": np.array([1, 3]), "loss": np.ones(2)}, theory, "loss") is None


def test_the_interval_of_a_fitted_rate_covers_as_often_as_it_says():
    """Residuals that depend on those before: an autoregression of coefficient 0.5 about a line."""
    random, covered, times = np.random.default_rng(0), 0, 400
    for _ in range(times):
        noise, residual = random.normal(size=200), 0.0
        values = np.empty(200)
        for t in range(200):
            residual = 0.5 * residual + 0.1 * noise[t]
            values[t] = np.exp(-0.05 * t + residual)
        fit = fitted_rate(values, first=0, floor=0.0)
        covered += fit.low <= np.exp(-0.05) <= fit.high
    # 200 dependent points count for fewer, so that the interval is a little too short.
    assert 0.86 < covered / times < 0.97


def test_a_fit_of_too_few_points_is_refused():
    with pytest.raises(checks.InputError, match="need at least 8"):
        fitted_rate(0.1 ** np.arange(30.0))
    with pytest.raises(checks.InputError, match=r"shape \(30, 2\), need one column"):
        fitted_rate(np.ones((30, 2)))
    with pytest.raises(checks.InputError, match="of type SimpleNamespace, need one column"):
        fitted_rate(SimpleNamespace())
