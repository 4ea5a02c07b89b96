"""Methods with a server: every iterate against plain NumPy, their limit cases, where they end, float32."""

import functools
import types

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_federated as reference
import pytest
from flax import struct

import jdl
from jdl import oracle, topology
from jdl.algorithms import DPSGD, FedAvg
from jdl.algorithms.federated.fedac import FedAc
from jdl.algorithms.federated.fedavgm import FedAvgM
from jdl.algorithms.federated.feddyn import FedDyn
from jdl.algorithms.federated.fednova import FedNova
from jdl.algorithms.federated.fedopt import FedOpt
from jdl.algorithms.federated.fedprox import FedProx
from jdl.algorithms.federated.fedsgd import FedSGD
from jdl.algorithms.federated.fedspeed import FedSpeed
from jdl.algorithms.federated.mimelite import MimeLite
from jdl.algorithms.federated.scaffold import Scaffold
from jdl.schedule import sampling

X64 = pytest.mark.usefixtures("x64")
N, ROUNDS, LR, H = beds.N, 60, 0.05, 3
COUNTS = np.array([1, 5, 2, 9, 0, 3, 4, 7])
BUDGETS = np.array([1, 4, 2, 0, 5, 9, 3, 1])


@struct.dataclass
class Stragglers(oracle.DataOracle):
    """Every node has its own budget of local steps."""

    budgets: jax.Array = None

    def steps(self, data):
        return self.budgets[data.id]


def compose(algorithm, problem=None, participants=N, budgets=None):
    problem = beds.quadratic() if problem is None else problem
    says = None if budgets is None else Stragglers(budgets=jnp.asarray(budgets, jnp.int32))
    return jdl.simulation(problem, algorithm, sampling(problem.n, participants), oracle=says)


@functools.partial(jax.jit, static_argnames="rounds")
def _samples(schedule, root, rounds):
    one = lambda t: schedule((), t, jdl.sim.key_of(root, "schedule", t))[0].participants
    return jax.vmap(one)(jnp.arange(rounds, dtype=jnp.int32))


def samples_of(simulation, rounds=ROUNDS):
    """Who takes part, round by round."""
    return np.asarray(_samples(simulation.schedule, simulation.key, rounds))


def run(algorithm, problem=None, participants=N, budgets=None, rounds=ROUNDS):
    """The server's models `[T + 1, d]`, the clients' and the server's states, and who took part."""
    simulation = compose(algorithm, problem, participants, budgets)
    models, nodes, server = beds.trajectory(simulation, rounds, beds.start()[0])
    return models[:, 0], nodes, server, samples_of(simulation, rounds)


def check(ours, expected, tolerance=1e-11):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)
    assert np.abs(expected[-1] - expected[0]).max() > 0.1


def same(ours, expected, tolerance=1e-11):
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)
    assert np.abs(expected).max() > 1e-2


# ---- every iterate, with noise and 3 of 8 clients a round ---------------------------------------------------------


def noisy(n=N):
    """A problem with noise, its minibatch gradients and its full gradients in NumPy."""
    problem = beds.quadratic(n=n, noise=0.3)
    return problem, *gradients(problem)


def gradients(problem):
    """G and F. The noise of all rounds and minibatches is drawn at once."""
    A, b, scale = np.asarray(problem.A), np.asarray(problem.b), float(problem.noise)
    z = np.asarray(_noise(ROUNDS, 5, *b.shape))
    F = lambda X: np.einsum("nij,nj->ni", A, X) - b
    return lambda X, t, k=0: F(X) + scale * z[t, k], F


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _noise(rounds, steps, n, d):
    per_round = jax.vmap(lambda t, k: beds._draws(t, k, n, d), in_axes=(None, 0))
    return jax.vmap(per_round, in_axes=(0, None))(jnp.arange(rounds), jnp.arange(steps))


@X64
@pytest.mark.parametrize("kind", ["adagrad", "adam", "yogi"])
def test_fedopt(kind):
    problem, G, _ = noisy()
    algorithm = FedOpt(lr=LR, local_steps=H, server_lr=0.1, beta1=0.6, beta2=0.8, tau=0.02, stochastic=kind)
    ours, _, server, samples = run(algorithm, problem, 3)
    hyper = dict(stochastic=kind, server_lr=0.1, b1=0.6, b2=0.8, tau=0.02)
    check(ours, reference.fedopt(samples, G, beds.start()[0], LR, ROUNDS, H, N, **hyper))
    assert np.asarray(server.v).min() > 0


@X64
@pytest.mark.parametrize("option", [1, 2])
def test_scaffold(option):
    problem, G, F = noisy(7)
    ours, c_i, server, samples = run(Scaffold(lr=LR, local_steps=H, server_lr=0.8, option=option), problem, 3)
    hyper = dict(server_lr=0.8, option=option, F=F)
    x, own, mean = reference.scaffold(samples, G, beds.start()[0], LR, ROUNDS, H, 7, **hyper)
    check(ours, x)
    same(c_i, own[1:])
    same(server.c, mean[1:])
    same(np.asarray(c_i).mean(axis=1), np.asarray(server.c), 1e-12)


@X64
def test_feddyn():
    """In the paper's terms g_i = -alpha d_i and h = -alpha u; and h = mean g_i, with a sample of clients, too."""
    problem, G, _ = noisy(7)
    ours, d, server, samples = run(FedDyn(lr=LR, local_steps=H, alpha=0.7), problem, 3)
    x, g, h = reference.feddyn(samples, G, beds.start()[0], LR, ROUNDS, H, 7, alpha=0.7)
    check(ours, x)
    same(-0.7 * np.asarray(d), g[1:])
    same(-0.7 * np.asarray(server.u), h[1:])
    same(np.asarray(d).mean(axis=1), np.asarray(server.u), 1e-12)


@X64
def test_feddyn_with_exact_solutions():
    problem = beds.quadratic()
    ours, _, _, samples = run(FedDyn(alpha=0.7, exact=True), problem, 3)
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    check(ours, reference.feddyn_exact(samples, A, b, beds.start()[0], ROUNDS, N, alpha=0.7)[0])


@X64
@pytest.mark.parametrize("corrects", ["sample", "all"])
def test_fedspeed(corrects):
    problem, G, _ = noisy(7)
    algorithm = FedSpeed(lr=LR, local_steps=H, rho=0.3, lam=1.5, alpha=0.6, corrects=corrects)
    ours, d, _, samples = run(algorithm, problem, 3)
    hyper = dict(lam=1.5, rho=0.3, mix=0.6, prox_over=corrects)
    x, dual = reference.fedspeed(samples, G, beds.start()[0], LR, ROUNDS, H, 7, **hyper)
    check(ours, x, 1e-10)
    same(-np.asarray(d) / 1.5, dual[1:], 1e-10)


@X64
def test_fedac():
    problem, G, _ = noisy()
    ours, _, server, samples = run(FedAc(lr=LR, local_steps=H, alpha=3.0, beta=2.5, gamma=0.1), problem, 3)
    ag, w = reference.fedac(samples, G, beds.start()[0], LR, ROUNDS, H, N, alpha=3.0, beta=2.5, gamma=0.1)
    check(ours, ag)
    same(server.w, w[1:])


@X64
def test_mimelite():
    problem, G, F = noisy()
    ours, _, server, samples = run(MimeLite(lr=LR, local_steps=H, momentum=0.6, server_lr=0.8), problem, 3)
    hyper = dict(momentum=0.6, server_lr=0.8)
    x, m = reference.mimelite(samples, G, F, beds.start()[0], LR, ROUNDS, H, N, **hyper)
    check(ours, x)
    same(server.m, m[1:])


@X64
def test_fednova_with_momentum_and_budgets():
    """Weights, budgets (one of them zero, one above H), momentum, a sample: written out step by step."""
    (inner, G, _), rho, most, rate, x = noisy(), 0.6, 5, 0.9, beds.start()[0]
    problem = beds.Uneven(inner, jnp.asarray(COUNTS, jnp.int32))
    ours, _, _, samples = run(FedNova(lr=LR, local_steps=most, rho=rho, server_lr=rate), problem, 3, BUDGETS)
    out = [x]
    for t, ids in enumerate(samples):
        p, total, tau = COUNTS[ids] / COUNTS[ids].sum(), np.zeros_like(x), 0.0
        for weight, i in zip(p, ids, strict=True):
            steps, y, m = min(BUDGETS[i], most), x, np.zeros_like(x)
            for k in range(steps):
                m = rho * m + G(np.tile(y, (N, 1)), t, k)[i]
                y = y - LR * m
            a = (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)
            total, tau = total + (weight * (x - y) / (LR * a) if steps else 0), tau + weight * a
        x = x - rate * LR * tau * total
        out.append(x)
    check(ours, np.stack(out))


# ---- limit cases --------------------------------------------------------------------------------------------------

# Without its idea each of these is FedAvg; with it (the second column) it is not.
LIMITS = [
    (FedAvgM(lr=LR, local_steps=H, momentum=0.0), dict(momentum=0.5)),
    (FedOpt(lr=LR, local_steps=H, server_lr=1.0, beta1=0.0, beta2=1.0, tau=0.5, kind="adam"), dict(beta2=0.9)),
    (FedOpt(lr=LR, local_steps=H, server_lr=1.0, beta1=0.0, beta2=1.0, tau=0.5, kind="yogi"), dict(beta2=0.9)),
    (FedProx(lr=LR, local_steps=H, mu=0.0), dict(mu=1.0)),
    (FedNova(lr=LR, local_steps=H, rho=0.0), dict(rho=0.5)),
    (MimeLite(lr=LR, local_steps=H, momentum=0.0), dict(momentum=0.5)),
    (FedAc(lr=LR, local_steps=H, alpha=1.0, beta=1.0, gamma=LR), dict(beta=2.0, gamma=0.1)),
]


@X64
@pytest.mark.parametrize(("algorithm", "other"), LIMITS, ids=lambda x: type(x).__name__)
def test_without_its_idea_each_is_fedavg(algorithm, other):
    """Cross-check 23, with noise and 3 of 8 clients."""
    problem, G, _ = noisy()
    ours, _, _, samples = run(algorithm, problem, 3)
    plain = reference.fedavg(samples, G, beds.start()[0], LR, ROUNDS, H, N)
    check(ours, plain, 1e-12)
    assert np.abs(run(algorithm.replace(**other), problem, 3)[0] - plain).max() > 1e-3


@X64
def test_fedspeed_without_perturbation_is_feddyn():
    """Cross-check 23; with a sample of clients only where all of them correct."""
    problem, G, _ = noisy(7)
    dyn = run(FedDyn(lr=LR, local_steps=H, alpha=0.5), problem, 3)[0]
    speed = FedSpeed(lr=LR, local_steps=H, lam=2.0, rho=0.0)
    check(run(speed.replace(corrects="all"), problem, 3)[0], dyn)
    assert np.abs(run(speed, problem, 3)[0] - dyn).max() > 1e-2
    assert np.abs(run(speed.replace(corrects="all", rho=0.5), problem, 3)[0] - dyn).max() > 1e-3
    ours, _, _, samples = run(speed, problem, 7)
    check(ours, reference.feddyn(samples, G, beds.start()[0], LR, ROUNDS, H, 7, alpha=0.5)[0])


@X64
def test_fedavg_is_local_steps_and_then_one_exact_mean():
    """Cross-check 4: == ATC over W = I, I, J == local D-SGD over W = J. One step between means is something else."""
    alone, mean = topology.from_weights(np.eye(N), allow_disconnected=True), topology.complete(N)
    problem, X = beds.quadratic(), np.tile(beds.start()[0], (N, 1))
    plain = run(FedAvg(lr=LR, local_steps=3), problem)[0]
    atc, _, _ = beds.trajectory(jdl.simulation(problem, DPSGD(lr=LR), [alone, alone, mean]), 3 * ROUNDS, X)
    steps, _, _ = beds.trajectory(jdl.simulation(problem, DPSGD(lr=LR, local_steps=3), mean), ROUNDS, X)
    for i in (0, 5):
        check(plain, atc[::3, i], 1e-12)
        check(plain, steps[:, i], 1e-12)
    assert np.abs(plain - descent(mean_gradient(problem), X[0], LR, 3 * ROUNDS)[::3]).max() > 1e-3


def descent(g, x, lr, rounds):
    out = [x]
    for _ in range(rounds):
        x = x - lr * g(x)
        out.append(x)
    return np.stack(out)


def mean_gradient(problem):
    A, b = np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0)
    return lambda x: A @ x - b


@X64
def test_scaffold_of_one_step_is_gradient_descent():
    """Cross-check 9, all clients."""
    problem = beds.quadratic()
    expected = descent(mean_gradient(problem), beds.start()[0], LR, ROUNDS)
    check(run(Scaffold(lr=LR), problem)[0], expected, 1e-12)


@X64
def test_scaffold_with_one_client_is_sgd():
    """Cross-check 9, with noise: what it corrects by, it has corrected for."""
    problem, G, _ = noisy(1)
    ours, _, _, samples = run(Scaffold(lr=LR, local_steps=H), problem, 1)
    check(ours, reference.fedavg(samples, G, beds.start()[0], LR, ROUNDS, H, 1), 1e-12)


@X64
def test_momentum_on_the_server_is_heavy_ball():
    """FedAvgM and MimeLite of one step; MimeLite's momentum is a running mean, so its rate is lr (1 - momentum)."""
    problem, x, v = beds.quadratic(), beds.start()[0], 0
    g, out = mean_gradient(problem), [x]
    for _ in range(ROUNDS):
        v = 0.7 * v - LR * g(x)
        x = x + v
        out.append(x)
    check(run(FedAvgM(lr=LR, momentum=0.7), problem)[0], np.stack(out), 1e-12)
    check(run(MimeLite(lr=LR / 0.3, momentum=0.7), problem)[0], np.stack(out), 1e-12)


@X64
def test_fedac_of_one_step_is_nesterovs_method_at_its_rate():
    """FedAc-I with H = 1: ag+ = md - lr g(md), md = ag + (1 - q)/(1 + q)(ag - ag-), q = sqrt(lr mu)."""
    problem, x = beds.quadratic(), beds.start()[0]
    A, best, g = np.asarray(problem.A).mean(0), beds.optimum(problem), mean_gradient(problem)
    lr, mu = 1.0, np.linalg.eigvalsh(A).min()
    q, gamma = np.sqrt(lr * mu), np.sqrt(lr / mu)
    old, new, out = x, x, [x]
    for _ in range(ROUNDS):
        md = new + (1 - q) / (1 + q) * (new - old)
        old, new = new, md - lr * g(md)
        out.append(new)
    alpha = 1 / (gamma * mu)
    ours = run(FedAc(lr=lr, alpha=alpha, beta=alpha + 1, gamma=gamma), problem)[0]
    check(ours, np.stack(out), 1e-12)
    # Nesterov's bound: f - f* <= (1 - q)^t (f_0 - f* + mu/2 |x_0 - x*|^2).
    gap = lambda x: (x - best) @ A @ (x - best) / 2
    bound = gap(x) + mu / 2 * np.sum((x - best) ** 2)
    assert all(gap(y) <= (1 - q) ** t * bound + 1e-14 for t, y in enumerate(ours))


@X64
def test_fedopt_does_not_correct_the_bias_of_its_moments():
    """The same recursion with Adam's corrections is another; without them it is ours, see `test_fedopt`."""
    problem, G, _ = noisy()
    ours, _, _, samples = run(FedOpt(lr=LR, local_steps=H, server_lr=0.1), problem, 3)
    x = beds.start()[0]
    m, v, out = 0, 1e-6, [x]
    for t in range(20):
        y = reference.fedavg(samples[t:], lambda X, _, k, t=t: G(X, t, k), x, LR, 1, H, N)[-1]
        m, v = 0.9 * m + 0.1 * (y - x), 0.99 * v + 0.01 * (y - x) ** 2
        x = x + 0.1 * (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.99 ** (t + 1))) + 1e-3)
        out.append(x)
    assert np.abs(ours[:21] - np.stack(out)).max() > 1e-2


@pytest.mark.parametrize("kind", [FedSGD, FedAvgM, FedOpt, FedProx, FedNova, MimeLite])
def test_clients_count_by_their_examples_or_all_alike(kind):
    node = types.SimpleNamespace(num_examples=jnp.int32(5))
    assert float(kind().weight(None, node)) == 5
    assert float(kind(weighted=False).weight(None, node)) == 1


@pytest.mark.parametrize("kind", [Scaffold, FedDyn, FedSpeed, FedAc])
def test_clients_of_corrected_methods_count_alike(kind):
    assert float(kind().weight(None, types.SimpleNamespace(num_examples=jnp.int32(5)))) == 1


# ---- where they end -----------------------------------------------------------------------------------------------


def finish(algorithm, rounds, participants=N, budgets=None):
    """The server's model and the clients' states after many rounds."""
    simulation = compose(algorithm, None, participants, budgets)
    sim, _ = beds.advance(simulation, jax.jit(jdl.sim.init)(simulation), jnp.int32(rounds))
    return np.asarray(jdl.sim.models(simulation, sim))[0], sim.nodes


EXACT = {
    "scaffold": (Scaffold(lr=0.1, local_steps=5), 1.0),
    "feddyn": (FedDyn(lr=0.2, local_steps=5, alpha=0.5), -0.5),
    "feddyn-exact": (FedDyn(alpha=0.5, exact=True), -0.5),
    "fedspeed": (FedSpeed(lr=0.2, local_steps=5, lam=2.0, rho=0.0, corrects="all"), -0.5),
}


@X64
@pytest.mark.parametrize("name", EXACT)
def test_corrected_methods_end_at_the_optimum(name):
    """Five local steps, or exact solutions, on different data; the clients' duals end at their gradients there."""
    (algorithm, scale), problem = EXACT[name], beds.quadratic()
    best = beds.optimum(problem)
    x, dual = finish(algorithm, 600)
    np.testing.assert_allclose(x, best, rtol=0, atol=1e-10)
    same(scale * np.asarray(dual), gradients(problem)[1](np.tile(best, (N, 1))), 1e-9)


@X64
@pytest.mark.parametrize("name", ["scaffold", "feddyn", "fedspeed"])
def test_corrected_methods_end_there_with_a_sample_of_clients(name):
    x, _ = finish(EXACT[name][0], 6000, participants=3)
    np.testing.assert_allclose(x, beds.optimum(beds.quadratic()), rtol=0, atol=1e-10)


@X64
@pytest.mark.parametrize("algorithm", [MimeLite(lr=0.1, local_steps=5, momentum=0.5), EXACT["fedspeed"][0]], ids=repr)
def test_others_end_beside_it(algorithm):
    """MimeLite, and FedSpeed where it looks for flat places: they settle, but not at the optimum."""
    algorithm = algorithm.replace(rho=0.5) if isinstance(algorithm, FedSpeed) else algorithm
    ends = [finish(algorithm, rounds)[0] for rounds in (1000, 1001)]
    assert np.abs(ends[0] - beds.optimum(beds.quadratic())).max() > 1e-3
    assert np.abs(ends[0] - ends[1]).max() < 1e-9


@X64
def test_fedspeed_of_the_paper_wanders_under_sampling():
    ends = [finish(EXACT["fedspeed"][0].replace(corrects="sample"), rounds, 3)[0] for rounds in (3000, 3001)]
    assert np.abs(ends[0] - ends[1]).max() > 1e-2


def pieces(problem, lr, steps):
    """P_i = (I - lr A_i)^(steps of i) and the clients' own optima."""
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    steps = np.broadcast_to(steps, len(b))
    P = [np.linalg.matrix_power(np.eye(beds.DIM) - lr * a, int(k)) for a, k in zip(A, steps, strict=True)]
    return np.stack(P), np.stack([np.linalg.solve(a, right) for a, right in zip(A, b, strict=True)])


@X64
def test_fedavgm_ends_where_fedavg_does():
    """Cross-check 5: x = (I - mean P)^-1 mean((I - P_i) x_i*); momentum moves no fixed point."""
    problem, eye = beds.quadratic(), np.eye(beds.DIM)
    P, own = pieces(problem, 0.2, 5)
    expected = np.linalg.solve(eye - P.mean(0), np.einsum("nij,nj->i", eye - P, own) / N)
    ours, _ = finish(FedAvgM(lr=0.2, local_steps=5, momentum=0.5), 600)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    assert np.abs(expected - beds.optimum(problem)).max() > 1e-3


@X64
def test_fedprox_solves_its_local_problems_and_ends_at_their_fixed_point():
    """y_i = (A_i + mu I)^-1 (b_i + mu x) after many steps, in the first round and where it ends."""
    problem, mu = beds.quadratic(), 0.6
    A, b, eye = np.asarray(problem.A), np.asarray(problem.b), np.eye(beds.DIM)
    inverse = np.linalg.inv(A + mu * eye)
    shift = np.einsum("nij,nj->i", inverse, b) / N
    algorithm = FedProx(lr=0.5, mu=mu, local_steps=60)
    start, first, last = (finish(algorithm, rounds)[0] for rounds in (0, 1, 200))
    np.testing.assert_allclose(first, mu * inverse.mean(0) @ start + shift, rtol=0, atol=1e-12)
    fixed = np.linalg.solve(eye - mu * inverse.mean(0), shift)
    np.testing.assert_allclose(last, fixed, rtol=0, atol=1e-10)
    assert np.abs(fixed - beds.optimum(problem)).max() > 1e-3


@X64
def test_fednova_normalizes_what_stragglers_distort():
    """Its fixed point solves sum (I - P_i)(x_i* - x) / s_i = 0; with the rate it goes to the optimum, in proportion.
    FedAvg goes to the optimum of sum s_i f_i instead."""
    problem, budgets = beds.quadratic(), np.array([1, 4, 2, 3, 5, 5, 3, 1])
    best, A, b = beds.optimum(problem), np.asarray(problem.A), np.asarray(problem.b)

    def fixed(lr):
        P, own = pieces(problem, lr, budgets)
        M = (np.eye(beds.DIM) - P) / budgets[:, None, None]
        return np.linalg.solve(M.sum(0), np.einsum("nij,nj->i", M, own))

    for lr in (0.2, 0.05):
        ours, _ = finish(FedNova(lr=lr, local_steps=5), int(200 / lr), budgets=budgets)
        np.testing.assert_allclose(ours, fixed(lr), rtol=0, atol=1e-10)
    bias = [np.linalg.norm(fixed(lr) - best) for lr in (0.002, 0.001)]
    assert bias[0] / bias[1] == pytest.approx(2, abs=0.01)
    plain, _ = finish(FedAvg(lr=0.005, local_steps=5), 4000, budgets=budgets)
    inconsistent = np.linalg.solve(np.einsum("n,nij->ij", budgets, A), budgets @ b)
    assert np.linalg.norm(plain - inconsistent) < 0.05 * np.linalg.norm(inconsistent - best)


@X64
@pytest.mark.parametrize("kind", [Scaffold, FedAc])
def test_budgets_cut_local_steps_short(kind):
    """A budget of three steps is H = 3, whatever H is; a client without a step keeps its control variate."""
    problem, G, _ = noisy()
    algorithm, x = kind(lr=LR, local_steps=5), beds.start()[0]
    if kind is FedAc:
        ours, _, _, samples = run(algorithm, problem, budgets=np.full(N, 3))
        expected = reference.fedac(samples, G, x, LR, ROUNDS, 3, N, alpha=3.0, beta=4.0, gamma=0.3)[0]
    else:
        ours, _, _, samples = run(algorithm, problem, budgets=np.full(N, 3))
        expected = reference.scaffold(samples, G, x, LR, ROUNDS, 3, N)[0]
        c_i = np.asarray(run(algorithm, problem, budgets=BUDGETS)[1])
        assert np.abs(c_i[:, 3]).max() == 0
        assert np.abs(c_i[:, 0]).max() > 1e-2
    check(ours, expected)


# ---- float32 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scaffold", "feddyn", "fedspeed"])
def test_corrections_do_not_drift_in_float32(name):
    problem = beds.quadratic()
    early, late = (np.abs(finish(EXACT[name][0], rounds)[0] - beds.optimum(problem)).max() for rounds in (500, 2000))
    assert late < 3e-6
    assert late < early + 1e-6


def test_identities_hold_in_float32():
    """At twenty times the error that NumPy has: checks 9 and 23."""
    problem, x = beds.quadratic(), beds.start()[0].astype(np.float32)
    everybody = [np.arange(N)] * ROUNDS
    plain = reference.fedavg(everybody, beds.gradient(problem), x, LR, ROUNDS, H, N)
    check(run(FedProx(lr=LR, local_steps=H, mu=0.0), problem)[0], plain, 20 * 9e-8)
    expected = descent(mean_gradient(problem), x, LR, ROUNDS)
    check(run(Scaffold(lr=LR), problem)[0], expected, 20 * 1e-7)


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [FedOpt(kind="sgd"), Scaffold(option=3), FedSpeed(corrects="none")])
def test_an_unknown_choice_is_a_sentence(wrong):
    with pytest.raises(ValueError, match=r"got .*need .*try "):
        compose(wrong)
