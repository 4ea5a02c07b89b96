"""Methods with a server, second part: corrected, proximal and by common coins, anchors, fair: limits and float32."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_federated as ref
import pytest
import rows
from beds import COUNTS, DIM, N, apart, close, same
from flax import struct
from table import LR, ROUNDS, H, X, x
from table_servers import stops

import jdl
from jdl import algorithms
from jdl.oracle import DataOracle

pytestmark = pytest.mark.usefixtures("x64")
HEIGHT = 3.0


def served(name, problem=None, participants=N, **options):
    """The server's model, `[T + 1, d]`."""
    problem = beds.quadratic(noise=0.3) if problem is None else problem
    return rows.run(name, problem=problem, participants=participants, **options).models[:, 0]


def distance(name, rounds, noise=0.0, **options):
    problem = beds.quadratic(noise=noise)
    return np.abs(rows.limit(name, rounds, problem=problem, **options) - beds.optimum(problem)).max()


def losses(X):
    problem = beds.quadratic()
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    return np.einsum("ni,nij,nj->n", X, A, X) / 2 - (b * X).sum(1) + HEIGHT


# ---- gradients asked for in an exchange of their own --------------------------------------------------------------


def test_fsvrg_weighs_clients_by_their_examples_and_without_noise_is_fedlin():
    problem, p = beds.quadratic(noise=0.3, counts=COUNTS), COUNTS / COUNTS.sum()
    ours, F, y = served("FSVRG", problem, local_steps=1), beds.gradient(beds.quadratic()), x
    for t in range(ROUNDS):  # the noise of one step cancels
        close(ours[t], y)
        y = y - LR * p @ F(np.tile(y, (N, 1)))
    apart(ours[-1], ours[0], 0.1)
    same(served("FSVRG", beds.quadratic()), served("FedLin", beds.quadratic()))


def test_scaffnew_that_always_communicates_is_gradient_descent():
    """As are FedLin and FSVRG of one step, which the references are checked for."""
    everybody, G = [np.arange(N)] * ROUNDS, beds.gradient(beds.quadratic(noise=0.3))
    same(served("Scaffnew", probability=1.0), ref.fedsgd(everybody, G, x, LR, ROUNDS, N), 1e-12)


def test_corrected_methods_are_exact_and_fedavg_is_not():
    assert distance("FedAvg", 2000, server_lr=1.0) > 1e-3
    assert distance("FedLin", 2000) < 1e-10
    assert distance("FSVRG", 2000, noise=0.3) < 1e-10


# ---- rounds by a common coin --------------------------------------------------------------------------------------


def test_scaffnew_is_exact_and_silent_rounds_cost_nothing():
    assert distance("Scaffnew", 4000, probability=0.2) < 1e-9
    run, met = rows.run("Scaffnew"), beds.coins(0.4).sum()
    assert 5 < met < 40
    np.testing.assert_array_equal(run.bits[-1], [met * DIM * 64] * N + [met * N * DIM * 64])
    close(run.nodes.h.sum(1), 0, 1e-12)


def test_fedpd_is_exact_if_every_round_communicates():
    assert distance("FedPD", 2000, lr=0.1, step=1.0, probability=1.0) < 1e-9
    assert distance("FedPD", 2000, lr=0.1, step=1.0, probability=0.5) > 1e-3


# ---- proximal -----------------------------------------------------------------------------------------------------


def test_fedsplit_is_exact_and_counts_absent_clients():
    assert distance("FedSplit exact", 500, step=1.0) < 1e-9
    assert distance("FedSplit", 2000, step=1.0) < 1e-9
    run = rows.run("FedSplit", participants=3, step=1.0)
    close(run.models[1:, 0], run.nodes.mean(1), 1e-12)


def test_fedlt_is_exact_counts_absent_clients_and_leaves_fedsplit_after_a_round():
    assert distance("FedLT", 2000, step=1.0) < 1e-9
    assert distance("FedLT", 6000, participants=3, step=1.0) < 1e-9
    run = rows.run("FedLT", participants=3, step=1.0)
    close(run.models[1:, 0], run.nodes.z.mean(1), 1e-12)
    ours, split = served("FedLT", step=1.0), served("FedSplit", step=1.0)
    close(ours[1], split[1], 1e-12)
    apart(ours[2], split[2], 1e-4)


# ---- anchors and miners -------------------------------------------------------------------------------------------


def test_fedamd_is_exact_also_with_noise_and_with_a_sample():
    assert distance("FedAMD", 3000, noise=0.3, anchors=0.5, server_lr=1.0) < 1e-9
    assert distance("FedAMD", 6000, participants=3, lr=LR / 2, anchors=0.5, server_lr=1.0) < 1e-8


# ---- fair and robust ----------------------------------------------------------------------------------------------


def lifted(height=HEIGHT):
    """Losses that are positive, or not."""
    return beds.quadratic(height=height)


def test_q_fedavg_with_q_zero_is_fedavg_and_with_more_the_worst_client_gains():
    same(served("QFedAvg", lifted(), q=0.0), served("FedAvg unweighted", lifted()), 1e-12)
    ends = [rows.limit("QFedAvg", 3000, problem=lifted(), q=q)[0] for q in (0.0, 5.0)]
    worst = [losses(np.tile(end, (N, 1))).max() for end in ends]
    assert worst[1] < worst[0] - 0.01


def test_losses_that_are_not_positive_count_as_least():
    """All alike, so it is FedAvg, and nothing is infinite."""
    close(served("QFedAvg", lifted(-100.0), q=0.2), served("FedAvg unweighted", lifted(-100.0)), 1e-6)


def test_afl_of_two_kinds_of_clients_ends_at_the_saddle_point():
    """x^2 / 2 - x and x^2 + 2 x are equal at 0, where 2/3 of one slope and 1/3 of the other cancel."""
    flat, kinds = beds.quadratic(), np.arange(N) % 2
    A, b = np.zeros((N, DIM, DIM)), np.zeros((N, DIM))
    A[:, 0, 0], b[:, 0] = 1.0 + kinds, np.where(kinds, -2.0, 1.0)
    problem = flat.replace(A=jnp.asarray(A), b=jnp.asarray(b))
    run = rows.run("AFL", problem=problem, start=np.eye(DIM)[:1], first=12_000 - ROUNDS)
    close(run.models[-1], 0, 1e-6)
    share = run.server.share[-1]
    close([share[kinds == 0].sum(), share[kinds == 1].sum()], [2 / 3, 1 / 3], 1e-6)


def test_shares_that_do_not_move_give_fedavg():
    fedavg = served("FedAvg unweighted", participants=3)
    same(served("AFL", participants=3, share_lr=0.0, local_steps=H), fedavg, 1e-12)
    same(served("DRFA", participants=3, share_lr=0.0), fedavg, 1e-12)


def test_shares_of_drfa_are_shares_and_its_snapshots_are_taken_everywhere():
    close(rows.run("DRFA", participants=3).server.share.sum(1), 1, 1e-12)
    assert set(stops()) == set(range(1, H + 1))


# ---- in float32 ---------------------------------------------------------------------------------------------------

EXACT = {
    "FedLin": {},
    "Scaffnew": {"probability": 0.5},
    "FedPD": {"step": 1.0, "probability": 1.0},
    "FedSplit": {"step": 1.0},
    "FedLT": {"step": 1.0},
    "FSVRG": {},
    "FedAMD shared": {"server_lr": 1.0, "anchors": 0.5},
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.slow
def test_two_thousand_rounds_in_float32_stay_at_the_optimum(name):
    with jax.enable_x64(False):
        start = X.astype(np.float32)
        assert max(distance(name, rounds, lr=0.1, start=start, **EXACT[name]) for rounds in (2000, 4000)) < 1e-5


# ---- what an option asks of the data -----------------------------------------------------------------------------


@struct.dataclass
class MinibatchesAlone(DataOracle):
    offers = frozenset({"grad", "loss"})


@pytest.mark.parametrize(
    ("algorithm", "need"),
    [
        (algorithms.ADMM(exact=True), "prox"),
        (algorithms.FedDyn(exact=True), "prox"),
        (algorithms.FedSplit(exact=True), "prox"),
        (algorithms.Scaffold(option=1), "full"),
        (algorithms.SlowMo(base=algorithms.ADMM(exact=True)), "prox"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_option_that_asks_more_of_the_data_says_so(algorithm, need):
    """With the default options it asks for less."""
    problem, kind = beds.quadratic(), type(algorithm)
    talk = None if "server" in algorithm.needs else jdl.topology.ring(problem.n)
    jdl.simulation(problem, algorithm, talk)
    jdl.simulation(problem, kind(), talk, oracle=MinibatchesAlone())
    assert need in algorithm.needs and need not in kind().needs
    with pytest.raises(jdl.checks.InputError, match=f"needs '{need}', which these parts do not offer"):
        jdl.simulation(problem, algorithm, talk, oracle=MinibatchesAlone())
