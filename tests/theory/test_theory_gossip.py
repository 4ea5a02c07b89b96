"""First-order gossip: what each method reduces to, limits in closed form, and what must not hold."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as reference
import numpy_federated
import optax
import pytest
import rows
from beds import DIM, MEAN, N, apart, close, same
from flax import struct
from table import LR, ROUNDS, H, X

import jdl
from jdl import algorithms, schedule, topology

X64 = pytest.mark.usefixtures("x64")
W = beds.directed_doubly()


def models(name, W, problem, start=X, **numbers):
    return rows.run(name, W, problem, start, **numbers).models


# ---- what they reduce to -----------------------------------------------------------------------------------------

# The same minibatches, so with noise as well: cross-check 19, and rows O9 and 3.060. (DeltaSGD of one local step is
# checked among the references.)
SAME = {
    "DSGDm": ({"momentum": 0.0}, "DPSGD"),
    "DmSGD": ({"momentum": 0.0}, "DPSGD"),
    "DecentLaM": ({"momentum": 0.0}, "DPSGD"),
    "QGDSGDm": ({"momentum": 0.0}, "DPSGD"),
    "DFedAvgM": ({"momentum": 0.0}, "DPSGD local"),
    "DFedSAM": ({"rho": 0.0}, "DPSGD local"),
    "SlowMo": ({"slow_lr": 1.0, "slow_momentum": 0.0}, "DPSGD local"),
}


@X64
@pytest.mark.parametrize("name", SAME)
def test_without_its_own_twist_each_is_dpsgd(name):
    problem, symmetric = beds.quadratic(noise=0.3), beds.symmetric()
    numbers, plain = SAME[name]
    same(models(name, symmetric, problem, **numbers), models(plain, symmetric, problem), 1e-12)
    apart(models("DPSGD", symmetric, problem), models("DPSGD local", symmetric, problem), 1e-4)


@X64
def test_push_sum_on_doubly_stochastic_weights_is_atc():
    problem = beds.quadratic(noise=0.3)
    run = rows.run("PushSum", W, problem)
    same(run.models, models("DPSGD", W, problem), 1e-12)
    close(run.nodes.w, 1, 1e-12)
    apart(rows.run("PushSum", beds.directed_column(), problem).nodes.w, 1, 0.1)


@X64
def test_local_and_mixed_momentum_are_the_heavy_ball_on_the_complete_graph():
    problem, start = beds.quadratic(), beds.one_start()
    ball = beds.descent(problem, start[0], LR, momentum=0.8)[:, None]
    for name in ("DSGDm", "DmSGD"):
        same(models(name, MEAN, problem, start, momentum=0.8), ball, 1e-12)
    for name in ("QGDSGDm", "DmSGD old"):
        apart(models(name, MEAN, problem, start, momentum=0.8), ball, 1e-4)


@X64
def test_on_one_node_the_quasi_global_momentum_is_not_plain():
    problem = beds.quadratic()
    run = rows.run("QGDSGDm", np.eye(N), problem, momentum=0.8, mu=0.7)
    q, g = run.nodes.m / LR, np.stack([beds.gradient(problem)(x) for x in run.models[1:-1]])
    close(q[1:], (0.7 + 0.3 * 0.8) * q[:-1] + 0.3 * g, 1e-12)
    apart(q[1:], 0.8 * q[:-1] + 0.3 * g, 1e-4)


@X64
def test_combining_first_is_adapting_first_seen_half_a_round_later():
    problem = beds.quadratic()
    same(np.einsum("ij,tjd->tid", W, models("CTA", W, problem)), models("DPSGD", W, problem, W @ X), 1e-12)
    ours, descent = models("CTA", MEAN, problem), beds.descent(problem, X.mean(0), LR)
    close(ours.mean(1), descent, 1e-12)
    apart(ours[1:, 0], descent[1:], 1e-4)


@X64
def test_shared_moments_are_mixed_with_the_models():
    """One step with the heavy ball is `DmSGD`; with Adam both moments are mixed, and the number of steps is not."""
    problem, symmetric = beds.quadratic(noise=0.3), beds.symmetric()
    shared = lambda optimizer: models("DPSGD", symmetric, problem, optimizer=optimizer, share_moments=True)
    same(shared("momentum"), models("DmSGD", symmetric, problem, momentum=0.9), 1e-12)
    G, x, m, v = beds.gradient(problem), X, 0.0, 0.0
    for t, ours in enumerate(shared("adam")[1:]):
        g = G(x, t)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = m / (1 - 0.9 ** (t + 1)) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        x, m, v = (symmetric @ one for one in (x - LR * step, m, v))
        close(ours, x, 1e-9)
    apart(x, models("DPSGD momentum", symmetric, problem)[-1], 1e-3)


@X64
def test_adam_without_links_is_adam_on_every_node():
    problem = beds.quadratic(noise=0.3)
    ours = models("DAdam", np.eye(N), problem, b2=0.95, eps=1e-6)
    adam = optax.adam(LR, b1=0.8, b2=0.95, eps=1e-6)

    @beds.jit
    def along(gradients):
        """What Adam does with the gradients along our way."""
        step = lambda opt, g: adam.update(g, opt)[::-1]
        return jax.lax.scan(step, adam.init(gradients[0]), gradients)[1]

    G = beds.gradient(problem)
    with jax.numpy_dtype_promotion("standard"):
        updates = along(jnp.asarray(np.stack([G(ours[t], t) for t in range(ROUNDS)])))
    close(np.diff(ours, axis=0), updates)
    apart(ours[-1], ours[0], 0.1)


@X64
def test_the_scaling_of_a_node_without_links_is_adams_second_moment_a_round_late():
    problem = beds.quadratic(noise=0.3)
    run, G = rows.run("ScaledLocalSGD", np.eye(N), problem, floor=0.0), beds.gradient(problem)
    v, D = 0.0, 1.0
    for t in range(ROUNDS):
        y = run.models[t]
        for k in range(H):
            y = y - LR * G(y, t, k) / D
        close(run.models[t + 1], y)
        v = 0.9 * v + 0.1 * G(run.models[t], t) ** 2
        D = np.sqrt(v / (1 - 0.9 ** (t + 1)))
        close(np.sqrt(run.nodes.v[t] / run.nodes.total[t][:, None]), D)


@X64
def test_scaling_is_shared_where_exchanges_average_and_absent_below_the_floor():
    problem = beds.quadratic(noise=0.3)
    shared = rows.run("ScaledLocalSGD", MEAN, problem).nodes.v
    close(shared, shared[:, :1], 1e-12)
    own = rows.run("ScaledLocalSGD", W, problem).nodes.v
    apart(own, own[:, :1], 1e-4)
    small = problem.replace(A=problem.A / 100, b=problem.b / 100, noise=problem.noise / 100)
    same(models("ScaledLocalSGD", W, small, lr=5.0, floor=1.0), models("DPSGD local", W, small, lr=5.0), 1e-12)


# ---- where they end ----------------------------------------------------------------------------------------------

# The effective rate; the momentum that is mixed, too; and whether it is a round late.
ENDS = {
    "DSGDm": (LR / 0.2, 0.0, False),
    "DmSGD": (LR, 0.8, False),
    "DmSGD old": (LR, 0.8, True),
    "DecentLaM": (LR, 0.0, False),
    "QGDSGDm": (LR, 0.0, False),
}


@X64
@pytest.mark.parametrize("name", ENDS)
def test_momentum_methods_end_in_their_closed_forms(name):
    """Row 6 with the rate each has in the end."""
    problem, symmetric = beds.quadratic(), beds.symmetric()
    ours = rows.limit(name, 1500, symmetric, problem, momentum=0.8)
    close(ours, beds.biased_limit(problem, symmetric, *ENDS[name]), 1e-9)
    plain = beds.biased_limit(problem, symmetric, LR)
    if ENDS[name] != (LR, 0.0, False):
        apart(ours, plain, 1e-3)
    bias = lambda X: np.abs(X - beds.optimum(problem)).max()
    assert bias(beds.biased_limit(problem, symmetric, LR / 0.2)) > 2 * bias(plain) > 1e-2


@pytest.mark.parametrize("name", ["DecentLaM", "QGDSGDm"])
def test_limits_hold_in_float32(name):
    """2,000 rounds; 20 times the rounding that the plain method has (row 6)."""
    problem, symmetric = beds.quadratic(), beds.symmetric()
    ours = rows.limit(name, 2000, symmetric, problem, momentum=0.8, start=X.astype(np.float32))
    close(ours, beds.biased_limit(problem, symmetric, LR), 6e-6)


@X64
@pytest.mark.slow
def test_gossiping_second_moments_takes_away_the_bias_of_local_ones():
    problem, symmetric = beds.quadratic(), beds.symmetric()

    def error(name, **numbers):
        end = rows.limit(name, 20_000, symmetric, problem, start=0 * X, lr=1e-3, b1=0.9, b2=0.99, **numbers)
        return np.abs(end.mean(0) - beds.optimum(problem)).max()

    safe = error("DAdam amsgrad", eps=0.1)
    assert safe < 2e-2 and error("DAdam", eps=1e-8) > 10 * safe
    nodes = rows.run("DAdam amsgrad", W, beds.quadratic(noise=0.3)).nodes
    close(nodes.u.mean(1), nodes.peak.mean(1), 1e-12)
    apart(nodes.u, nodes.peak, 1e-4)


# ---- push-sum, a round late --------------------------------------------------------------------------------------


@X64
def test_overlap_keeps_all_mass_and_reaches_the_mean():
    P, problem = beds.directed_column(), beds.quadratic(noise=0.3)
    run = rows.run("OverlapSGP", P, problem)
    models, nodes = run.models, run.nodes
    close(np.sum(nodes.w + nodes.w_coming, axis=1), N, 1e-12)
    assert np.abs(np.sum(nodes.w, axis=1) - N).min() > 1e-2
    mass = np.concatenate([X.sum(0)[None], np.sum(nodes.x + nodes.coming, axis=1)])
    g = np.stack([beds.gradient(problem)(models[t], t).sum(0) for t in range(ROUNDS)])
    close(mass[1:], mass[:-1] - LR * g, 1e-11)
    still = rows.run("OverlapSGP", P, problem, first=400 - ROUNDS, lr=0.0)
    close(still.models[-1], X.mean(0), 1e-10)
    apart(still.nodes.x[-1], X.mean(0))
    apart(models, rows.run("PushSum", P, problem).models)
    alone = rows.run("OverlapSGP local", np.eye(N), problem).models
    same(alone, rows.run("DPSGD local", np.eye(N), problem).models, 1e-12)


# ---- one-dimensional closed forms --------------------------------------------------------------------------------


@X64
def test_sharpness_in_one_dimension():
    """Row 3.060: on L (x - c)^2 / 2 the gradient is L (x - c) + L rho sign(x - c). At c nothing moves."""
    L, c, x = 0.8, 0.4, 3.0
    first = np.zeros((DIM, DIM))
    first[0, 0] = L
    flat = beds.quadratic()
    line = flat.replace(
        A=jnp.broadcast_to(first, flat.A.shape), b=jnp.broadcast_to(L * c * np.eye(DIM)[0], flat.b.shape)
    )
    start = np.tile(x * np.eye(DIM)[0], (N, 1))
    for _ in range(H):
        x = x - LR * (L * (x - c) + L * 0.2 * np.sign(x - c))
    close(models("DFedSAM", np.eye(N), line, start)[1], x * np.eye(DIM)[0], 1e-12)
    there = np.tile(c * np.eye(DIM)[0], (N, 1))
    close(models("DFedSAM", np.eye(N), line, there)[1], there, 1e-12)


@X64
@pytest.mark.slow
def test_the_rate_of_delta_sgd_settles_at_the_curvature_and_grows_without():
    """Row 3.111: gamma / (2 L) on L x^2 / 2, so half of the way a step for gamma = 1; and sqrt(1 + delta q) else."""
    problem, x, steps = jdl.problems.quadratic(1, 1), np.array([[3.0]]), 20

    def after(problem, steps, **numbers):
        algorithm = algorithms.DeltaSGD(local_steps=steps, **numbers)
        return beds.record(jdl.simulation(problem, algorithm, np.ones((1, 1))), x).models[1]

    far = [after(problem, count, lr=0.01, gamma=1.0, delta=1.0) - beds.optimum(problem) for count in (steps, steps + 1)]
    close(far[1] / far[0], 0.5, 1e-9)
    flat = problem.replace(A=0 * problem.A, b=1 + 0 * problem.b)
    rates, growth = [0.001], 1.0
    while len(rates) < steps:
        growth = np.sqrt(1 + 0.3 * growth)
        rates.append(growth * rates[-1])
    close(after(flat, steps, lr=0.001, delta=0.3) - x, sum(rates), 1e-12)
    still = models("DeltaSGD", W, beds.quadratic(), lr=0.0)
    close(still[1], W @ still[0], 1e-12)


# ---- meetings ----------------------------------------------------------------------------------------------------


@X64
def test_swarm_on_two_nodes_and_over_matchings():
    problem, start = jdl.problems.quadratic(2, DIM), beds.start(n=2)
    ours = beds.record(jdl.simulation(problem, algorithms.SwarmSGD(lr=LR), schedule.Pairwise(2)), start).models
    same(ours, reference.atc(np.full((2, 2), 0.5), beds.gradient(problem), start, LR, ROUNDS), 1e-12)
    problem, talk = beds.quadratic(noise=0.3), schedule.Matching(N)
    ours = beds.record(jdl.simulation(problem, algorithms.SwarmSGD(lr=LR, local_steps=2), talk), X).models
    matrix = lambda t: topology.to_dense(talk((), t, beds.key_of("schedule", t))[0])
    drawn, G, x = np.asarray(beds.jit(jax.vmap(matrix))(jnp.arange(ROUNDS))), beds.gradient(problem), X
    for t in range(ROUNDS):
        x = x - LR * G(x, t, 0)
        x = drawn[t] @ (x - LR * G(x, t, 1))
        close(ours[t + 1], x)


@X64
def test_geometric_steps_have_the_mean_and_the_law_they_should():
    """A constant slope counts steps. 8 nodes, 1,000 rounds: mean H with variance H (H - 1), and one step with 1/H."""
    slope = beds.quadratic(dim=1)
    slope = slope.replace(A=0 * slope.A, b=1 + 0 * slope.b)
    algorithm = algorithms.SwarmSGD(lr=1.0, local_steps=H, geometric=True)
    simulation = jdl.simulation(slope, algorithm, beds.talk(np.eye(N), algorithm.needs))
    ours = beds.record(simulation, np.zeros((N, 1)), 1000).models
    steps = np.diff(ours[..., 0], axis=0).ravel()
    assert steps.min() == 1 and steps.max() > 8 and np.array_equal(steps, np.round(steps))
    assert abs(steps.mean() - H) < 3.5 * np.sqrt(H * (H - 1) / steps.size)
    assert abs((steps == 1).mean() - 1 / H) < 3.5 * np.sqrt(2 / 9 / steps.size)
    assert np.mean(steps[:-1] == steps[1:]) < 0.5  # each node, each round its own


# ---- slow momentum -----------------------------------------------------------------------------------------------


@X64
def test_slow_momentum_around_local_steps_and_around_a_base():
    problem, ring, numbers = beds.quadratic(noise=0.3), beds.ring(), {"slow_lr": 0.8, "slow_momentum": 0.6, "period": 3}
    cycle = lambda *Ws: schedule.Cyclic.of([topology.from_weights(W) for W in Ws])
    exact, without = [ring, ring, MEAN], [ring] * 3  # and the variant without exact averages
    G, numpy = beds.gradient(problem), (X, LR, ROUNDS)

    def ours(algorithm, Ws):
        return beds.record(jdl.simulation(problem, algorithm, cycle(*Ws)), X)

    run = ours(algorithms.SlowMo(lr=LR, local_steps=2, **numbers), exact)
    same(run.models, reference.slowmo_in_cycles(exact, G, *numpy, 2, 0.8, 0.6))
    slow = run.nodes.slow
    assert not np.array_equal(slow[1], slow[2]) and np.array_equal(slow[2], slow[4])
    around = algorithms.SlowMo(base=algorithms.DSGDm(lr=LR, momentum=0.7), **numbers)
    for Ws in (exact, without):
        expected = reference.slowmo_in_cycles(Ws, G, *numpy, 1, 0.8, 0.6, momentum=0.7)
        same(ours(around, Ws).models, expected)
    apart(expected, reference.slowmo_in_cycles(exact, G, *numpy, 1, 0.8, 0.6, momentum=0.7), 1e-3)


@X64
def test_slow_momentum_is_diloco_with_a_heavy_ball_outside():
    problem, x = beds.quadratic(), X[0]
    ours = models("SlowMo", MEAN, problem, beds.one_start(), slow_lr=0.7)
    everybody, G = [np.arange(N)] * ROUNDS, beds.gradient(problem)
    ball = numpy_federated.diloco(everybody, G, x, LR, ROUNDS, H, N, 0.7, 0.6, nesterov_form=False)
    same(ours, ball[:, None], 1e-12)


def test_slow_momentum_asks_for_what_its_base_asks_for():
    SlowMo, PushSum, DPSGD = algorithms.SlowMo, algorithms.PushSum, algorithms.DPSGD
    assert SlowMo().needs == DPSGD.needs
    assert SlowMo(base=PushSum()).needs == PushSum.needs
    for base in (algorithms.FedAvg(), algorithms.EASGD()):
        with pytest.raises(jdl.checks.InputError, match="needs 'server'"):
            jdl.simulation(beds.quadratic(), SlowMo(base=base), W)

    @struct.dataclass
    class Twice(DPSGD):
        phases = (("send", "recv"), ("send", "recv"))

    with pytest.raises(ValueError, match="one exchange a round"):
        jdl.simulation(beds.quadratic(), SlowMo(base=Twice()), W)


# ---- elastic averaging -------------------------------------------------------------------------------------------


@X64
def test_elastic_averaging_is_dgd_with_the_centre_as_a_node():
    """Row O10: weights (1 - a) on the diagonal, a to and from the centre, 1 - n a in its corner; no data there."""
    problem, x, a = beds.quadratic(noise=0.3), X[0], 0.09
    run = rows.run("EASGD", problem=problem, pull=a, moving_rate=N * a)
    big = np.diag([1 - a] * N + [1 - N * a])
    big[:N, N] = big[N, :N] = a
    G = beds.gradient(problem)
    padded = lambda X, t: np.concatenate([G(X[:N], t), np.zeros((1, DIM))])
    expected = reference.dgd(big, padded, np.tile(x, (N + 1, 1)), LR, ROUNDS)
    same(run.models[:, 0], expected[:, N], 1e-12)
    same(run.nodes, expected[1:, :N], 1e-12)


# ---- the scatter of models as a perturbation ---------------------------------------------------------------------


@struct.dataclass
class Cubic:
    """f_i(x) = sum(c x^3 / 6 + a x^2 / 2 - b x), the same on every node: its third derivative is c."""

    a: jax.Array
    b: jax.Array
    c: jax.Array

    n = N
    optimum = None

    @property
    def num_examples(self):
        return jnp.ones(N, jnp.int32)

    def init(self, key):
        return jnp.zeros(DIM, self.b.dtype)

    def batch(self, id, draw):
        return ()

    def full_batch(self, id):
        return ()

    def loss(self, params, batch):
        return jnp.sum(self.c * params**3 / 6 + self.a * params**2 / 2 - self.b * params), ()

    def evaluate(self, params):
        return {"loss": self.loss(params, ())[0]}


def on_cubic(algorithm, W, c):
    cubic = Cubic(jnp.float64(1.3), jnp.full(DIM, 0.4), jnp.float64(c))
    return beds.record(jdl.simulation(cubic, algorithm, beds.talk(W, algorithm.needs)), X, 2).models


@X64
def test_dsgd_descends_the_loss_averaged_over_the_scatter_of_its_models():
    """Row 3.050: mean f'(x_i) = f'(mean) + f''' S / 2 exactly on a cubic; a quadratic is not regularised at all."""
    m, scatter = X.mean(0), X.var(0)
    for c in (0.8, 0.0):
        slope = c * m**2 / 2 + 1.3 * m - 0.4
        ours = on_cubic(algorithms.DPSGD(lr=LR), MEAN, c)
        close(ours[1].mean(0), m - LR * (slope + c * scatter / 2), 1e-12)
        assert (np.abs(c * scatter / 2).max() > 1e-2) == (c > 0)


@X64
def test_average_direction_adds_half_the_third_derivative_times_the_variance():
    """800 pairs of 8 nodes and 5 numbers: the mean square of a direction is known to 1%."""
    rho, c = 0.6, 0.8
    ours = on_cubic(algorithms.AverageDirectionSAM(lr=LR, rho=rho, samples=800), np.eye(N), c)
    for t in range(2):
        slope = c * ours[t] ** 2 / 2 + 1.3 * ours[t] - 0.4
        extra = (ours[t] - ours[t + 1]) / LR - slope
        assert extra.mean() == pytest.approx(c * rho**2 / 2, rel=0.04)
        assert np.all(extra > 0) and np.abs(extra - extra.mean()).max() < 0.25 * extra.mean()
        assert len(np.unique(extra.round(12))) == X.size  # every node and number has directions of its own
