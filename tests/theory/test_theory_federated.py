"""Methods with a server: their limit cases, where they end, float32."""

import types

import beds
import jax.numpy as jnp
import numpy as np
import numpy_federated as reference
import pytest
import rows
from beds import N, apart, close, same
from table import LR, ROUNDS, H, x

import jdl
from jdl import algorithms, topology

X64 = pytest.mark.usefixtures("x64")
EVERYBODY = [np.arange(N)] * ROUNDS


def noisy(**bed):
    return beds.quadratic(noise=0.3, **bed)


def served(name, problem, participants=3, **options):
    """The server's model, `[T + 1, d]`."""
    return rows.run(name, problem=problem, participants=participants, **options).models[:, 0]


# ---- limit cases --------------------------------------------------------------------------------------------------

# Without its idea each of these is FedAvg; with it (the second column) it is not.
AS_FEDAVG = {
    "FedAvgM": ({"momentum": 0.0, "server_lr": 1.0}, {"momentum": 0.5}),
    "FedOpt adam": ({"server_lr": 1.0, "beta1": 0.0, "beta2": 1.0, "tau": 0.5}, {"beta2": 0.9}),
    "FedOpt": ({"server_lr": 1.0, "beta1": 0.0, "beta2": 1.0, "tau": 0.5}, {"beta2": 0.9}),
    "FedProx": ({"mu": 0.0}, {"mu": 1.0}),
    "FedNova": ({"rho": 0.0, "budgets": np.full(N, H)}, {"rho": 0.5}),
    "MimeLite": ({"momentum": 0.0, "server_lr": 1.0}, {"momentum": 0.5}),
    "FedAc": ({"alpha": 1.0, "beta": 1.0, "gamma": LR}, {"beta": 2.0, "gamma": 0.1}),
}


@X64
@pytest.mark.parametrize("name", AS_FEDAVG)
def test_without_its_idea_each_is_fedavg(name):
    """Cross-check 23, with noise and 3 of 8 clients."""
    problem, (numbers, idea) = noisy(), AS_FEDAVG[name]
    plain = reference.fedavg(beds.samples(3), beds.gradient(problem), x, LR, ROUNDS, H, N)
    same(served(name, problem, **numbers), plain, 1e-12)
    apart(served(name, problem, **(numbers | idea)), plain, 1e-3)


@X64
@pytest.mark.slow
def test_fedspeed_without_perturbation_is_feddyn():
    """Cross-check 23; with a sample of clients only where all of them correct."""
    problem, speed = noisy(), {"lam": 2.0, "alpha": 1.0}
    dyn = served("FedDyn", problem, alpha=0.5)
    same(served("FedSpeed all", problem, rho=0.0, **speed), dyn)
    apart(served("FedSpeed", problem, rho=0.0, **speed), dyn)
    apart(served("FedSpeed all", problem, rho=0.5, **speed), dyn, 1e-3)
    same(served("FedSpeed", problem, N, rho=0.0, **speed), served("FedDyn", problem, N, alpha=0.5))


@X64
def test_fedavg_is_local_steps_and_then_one_exact_mean():
    """Cross-check 4: == ATC over W = I, I, J. One step between means is something else."""
    alone, mean = topology.from_weights(np.eye(N), allow_disconnected=True), topology.complete(N)
    problem = beds.quadratic()
    plain = served("FedAvg", problem, N, server_lr=1.0)
    atc = beds.record(jdl.simulation(problem, rows.method("DPSGD"), [alone, alone, mean]), beds.one_start()).models
    for i in (0, 5):
        same(plain[:21], atc[::3, i], 1e-12)
    apart(plain, beds.descent(problem, x, LR, steps=3), 1e-3)


@X64
def test_weighting_by_examples_matters():
    problem = beds.quadratic(counts=beds.COUNTS)
    apart(served("FedAvg", problem, N, server_lr=1.0), served("FedAvg unweighted", problem, N))


@X64
def test_a_client_without_a_step_keeps_its_control_variate():
    budgets = np.array([1, 4, 2, 0, 5, 9, 3, 1])
    c_i = rows.run("Scaffold with budgets", problem=noisy(), budgets=budgets).nodes
    assert np.abs(c_i[:, 3]).max() == 0
    assert np.abs(c_i[:, 0]).max() > 1e-2


@X64
@pytest.mark.parametrize("participants", [N, 3])
def test_the_servers_memory_is_the_mean_of_the_clients(participants):
    """SCAFFOLD's c and FedDyn's h, also with a sample of clients."""
    run = rows.run("Scaffold", problem=noisy(), participants=participants)
    close(run.nodes.mean(axis=1), run.server.c, 1e-12)
    run = rows.run("FedDyn", problem=noisy(), participants=participants)
    close(run.nodes.mean(axis=1), run.server.u, 1e-12)


@X64
def test_fednova_with_momentum_and_budgets():
    """Weights, budgets (one of them zero, one above H), momentum, a sample: written out client by client."""
    budgets, problem = np.array([1, 4, 2, 0, 5, 9, 3, 1]), noisy(counts=beds.COUNTS)
    ours = served("FedNova", problem, rho=0.6, server_lr=0.9, budgets=budgets)
    how = (np.minimum(budgets, H), N, 0.6, beds.COUNTS, 0.9)
    same(ours, reference.weighted_fednova(beds.samples(3), beds.gradient(problem), x, LR, ROUNDS, *how))


@X64
def test_second_moments_of_fedopt_stay_positive():
    for name in ("FedOpt", "FedOpt adam", "FedOpt adagrad"):
        assert rows.run(name, problem=noisy(), participants=3).server.v.min() > 0, name


WEIGHTED = ("FedSGD", "FedAvgM", "FedOpt", "FedProx", "FedNova", "MimeLite")
ALIKE = ("Scaffold", "FedDyn", "FedSpeed", "FedAc")


def test_clients_count_by_their_examples_or_all_alike():
    node = types.SimpleNamespace(num_examples=jnp.int32(5))
    weight = lambda name, **fields: float(getattr(algorithms, name)(**fields).weight(None, node))
    assert [name for name in WEIGHTED if weight(name) != 5 or weight(name, weighted=False) != 1] == []
    assert [name for name in ALIKE if weight(name) != 1] == []


# ---- where they end -----------------------------------------------------------------------------------------------

# The numbers, and what the clients' duals are multiplied by to be their gradients at the optimum.
EXACT = {
    "Scaffold": ({"lr": 0.1, "server_lr": 1.0}, 1.0),
    "FedDyn": ({"lr": 0.2, "alpha": 0.5}, -0.5),
    "FedDyn exact": ({"alpha": 0.5}, -0.5),
    "FedSpeed all": ({"lr": 0.2, "lam": 2.0, "rho": 0.0, "alpha": 1.0}, -0.5),
}


def finish(name, rounds, participants=N, **numbers):
    """The server's model and the clients' states after many rounds."""
    numbers = EXACT[name][0] | numbers if name in EXACT else numbers
    run = rows.run(name, problem=beds.quadratic(), participants=participants, first=rounds - ROUNDS, **numbers)
    return run.models[:, 0], run.nodes


@X64
@pytest.mark.parametrize("name", EXACT)
def test_corrected_methods_end_at_the_optimum(name):
    """Local steps, or exact solutions, on different data; the clients' duals end at their gradients there."""
    problem = beds.quadratic()
    best, (models, dual) = beds.optimum(problem), finish(name, 1200)
    close(models[-1], best, 1e-10)
    slopes = beds.gradient(problem)(np.tile(best, (N, 1)))
    close(EXACT[name][1] * dual[-1], slopes, 1e-9)
    assert np.abs(slopes).max() > 1e-2


@X64
@pytest.mark.parametrize("name", ["Scaffold", "FedDyn", "FedSpeed all"])
def test_corrected_methods_end_there_with_a_sample_of_clients(name):
    close(finish(name, 10_000, 3)[0][-1], beds.optimum(beds.quadratic()), 1e-10)


@X64
@pytest.mark.parametrize(
    ("name", "numbers"), [("MimeLite", {"lr": 0.3, "momentum": 0.5}), ("FedSpeed all", {"rho": 0.5})]
)
def test_others_end_beside_it(name, numbers):
    """MimeLite, and FedSpeed where it looks for flat places: they settle, but not at the optimum."""
    models, _ = finish(name, 1001, **numbers)
    apart(models[-2], beds.optimum(beds.quadratic()), 1e-3)
    close(models[-1], models[-2], 1e-9)


@X64
def test_fedspeed_of_the_paper_wanders_under_sampling():
    models, _ = finish("FedSpeed", 3001, 3, lr=0.2, lam=2.0, rho=0.0, alpha=1.0)
    apart(models[-1], models[-2])


@X64
@pytest.mark.parametrize(("name", "numbers"), [("FedAvg", {}), ("FedAvgM", {"momentum": 0.5})])
def test_fedavg_ends_beside_the_optimum_and_momentum_moves_no_fixed_point(name, numbers):
    """Cross-check 5: x = (I - mean P)^-1 mean((I - P_i) x_i*), P_i = (I - lr A_i)^K."""
    problem = beds.quadratic()
    expected = beds.local_limit(problem, 0.2, H)
    close(finish(name, 600, lr=0.2, server_lr=1.0, **numbers)[0][-1], expected, 1e-10)
    apart(expected, beds.optimum(problem), 1e-3)


@X64
def test_fedprox_solves_its_local_problems_and_ends_at_their_fixed_point():
    """y_i = (A_i + mu I)^-1 (b_i + mu x) after many steps, in the first round and where it ends."""
    problem, mu = beds.quadratic(), 0.6
    A, b, eye = np.asarray(problem.A), np.asarray(problem.b), np.eye(beds.DIM)
    inverse = np.linalg.inv(A + mu * eye)
    shift = np.einsum("nij,nj->i", inverse, b) / N
    numbers = {"lr": 0.5, "mu": mu, "local_steps": 60}
    first, last = served("FedProx", problem, N, **numbers)[1], served("FedProx", problem, N, first=140, **numbers)[-1]
    close(first, mu * inverse.mean(0) @ x + shift, 1e-12)
    fixed = np.linalg.solve(eye - mu * inverse.mean(0), shift)
    close(last, fixed, 1e-10)
    apart(fixed, beds.optimum(problem), 1e-3)


@X64
def test_fednova_normalizes_what_stragglers_distort():
    """Its fixed point solves sum (I - P_i)(x_i* - x) / s_i = 0; with the rate it goes to the optimum, in proportion.
    FedAvg goes to the optimum of sum s_i f_i instead."""
    problem, budgets = beds.quadratic(), np.array([1, 3, 2, 3, 2, 3, 3, 1])
    best, A, b = beds.optimum(problem), np.asarray(problem.A), np.asarray(problem.b)
    fixed = lambda lr: beds.local_limit(problem, lr, budgets, normalized=True)
    for lr in (0.2, 0.05):
        ours, _ = finish("FedNova", int(200 / lr), lr=lr, rho=0.0, budgets=budgets)
        close(ours[-1], fixed(lr), 1e-10)
    bias = [np.linalg.norm(fixed(lr) - best) for lr in (0.002, 0.001)]
    assert bias[0] / bias[1] == pytest.approx(2, abs=0.01)
    plain, _ = finish("FedAvg", 4000, lr=0.005, server_lr=1.0, budgets=budgets)
    inconsistent = np.linalg.solve(np.einsum("n,nij->ij", budgets, A), budgets @ b)
    assert np.linalg.norm(plain[-1] - inconsistent) < 0.05 * np.linalg.norm(inconsistent - best)


# ---- float32 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Scaffold", "FedDyn", "FedSpeed all"])
def test_corrections_do_not_drift_in_float32(name):
    best = beds.optimum(beds.quadratic())
    early, late = (np.abs(finish(name, rounds)[0][-1] - best).max() for rounds in (500, 2000))
    assert late < 3e-6
    assert late < early + 1e-6


def test_identities_hold_in_float32():
    """At twenty times the error that NumPy has: checks 9 and 23."""
    problem, start = beds.quadratic(), x.astype(np.float32)
    plain = reference.fedavg(EVERYBODY, beds.gradient(problem), start, LR, ROUNDS, H, N)
    same(served("FedProx", problem, N, start=start, mu=0.0), plain, 20 * 9e-8)
    ours = served("Scaffold", problem, N, start=start, server_lr=1.0, local_steps=1)
    same(ours, beds.descent(problem, start, LR), 20 * 1e-7)


# ---- refusals -----------------------------------------------------------------------------------------------------


def test_an_unknown_choice_is_a_sentence():
    for name, wrong in (("FedOpt", {"kind": "sgd"}), ("Scaffold", {"option": 3}), ("FedSpeed", {"corrects": "none"})):
        with pytest.raises(ValueError, match=r"got .*need .*try "):
            rows.simulation(name, **wrong)
