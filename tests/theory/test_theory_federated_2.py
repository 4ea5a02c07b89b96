"""Federated methods, second part: their recursions, limit cases and exact limits."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_federated as ref
import pytest
from flax import struct

import jdl
from jdl import algorithms
from jdl.algorithms.federated.afl import AFL
from jdl.algorithms.federated.drfa import DRFA
from jdl.algorithms.federated.fedamd import FedAMD
from jdl.algorithms.federated.fedlin import FedLin
from jdl.algorithms.federated.fedpd import FedPD
from jdl.algorithms.federated.fedsplit import FedSplit
from jdl.algorithms.federated.fsvrg import FSVRG
from jdl.algorithms.federated.q_fedavg import QFedAvg
from jdl.algorithms.federated.scaffnew import Scaffnew
from jdl.oracle import DataOracle
from jdl.schedule import sampling

pytestmark = pytest.mark.usefixtures("x64")
N, ROUNDS, LR = beds.N, 60, 0.05
EVERYBODY = [np.arange(N)] * ROUNDS


def run(algorithm, noise=0.3, participants=N, rounds=ROUNDS, problem=None, **parts):
    """Server models, states of clients and server, and the samples and common keys that were drawn."""
    problem = beds.quadratic(noise=noise) if problem is None else problem
    talk = sampling(N, participants)
    simulation = jdl.simulation(problem, algorithm, talk, **parts)
    models, nodes, server = beds.trajectory(simulation, rounds, beds.start()[0])
    key = lambda stream, t, *ids: jdl.sim.key_of(simulation.key, stream, t, *ids)
    samples = [np.asarray(talk((), jnp.int32(t), key("schedule", t))[0].participants) for t in range(rounds)]
    return models[:, 0], nodes, server, samples, key


def draws(noise=0.3):
    """G with noise, F without."""
    return beds.gradient(beds.quadratic(noise=noise)), beds.gradient(beds.quadratic())


def same(ours, reference, tolerance=1e-11):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance)
    assert np.abs(reference[-1] - reference[0]).max() > 0.1


def descent(noise=0.3):
    return ref.fedsgd(EVERYBODY, draws(noise)[0], beds.start()[0], LR, ROUNDS, N)


def distance(algorithm, rounds, talk=None, noise=0.0):
    problem = beds.quadratic(noise=noise)
    models = beds.limit(jdl.simulation(problem, algorithm, talk), rounds, beds.start()[0])
    return np.abs(models - beds.optimum(problem)).max()


@struct.dataclass
class Lifted:
    """A quadratic whose losses are positive."""

    inner: jdl.problems.Quadratic
    height: jax.Array

    n = property(lambda self: self.inner.n)
    num_examples = property(lambda self: self.inner.num_examples)
    optimum = property(lambda self: None)

    def init(self, key):
        return self.inner.init(key)

    def batch(self, id, draw):
        return self.inner.batch(id, draw)

    def full_batch(self, id):
        return self.inner.full_batch(id)

    def loss(self, params, batch):
        return self.inner.loss(params, batch)[0] + self.height, ()

    def evaluate(self, params):
        return self.inner.evaluate(params)


LIFTED = 3.0


def lifted():
    return Lifted(beds.quadratic(), jnp.asarray(LIFTED))


def losses(X, t=0):
    problem = beds.quadratic()
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    return np.einsum("ni,nij,nj->n", X, A, X) / 2 - (b * X).sum(1) + LIFTED


# ---- gradients asked for in an exchange of their own --------------------------------------------------------------


@struct.dataclass
class Slow(DataOracle):
    """Clients that can take 1, 2 or 3 steps."""

    def steps(self, data):
        return 1 + data.id % 3


def test_slow_clients_of_fedlin_take_larger_steps():
    taus = 1 + np.arange(N) % 3
    ours, *_ = run(FedLin(lr=LR, local_steps=3), oracle=Slow())
    G, _ = draws()
    same(ours, ref.fedlin(EVERYBODY, G, beds.start()[0], 3 * LR / taus, ROUNDS, 3, N, taus=taus))


def test_fsvrg_weighs_clients_by_their_examples_and_without_noise_is_fedlin():
    counts = jnp.asarray([1, 5, 2, 9, 0, 3, 4, 7], jnp.int32)
    problem, p = beds.Uneven(beds.quadratic(), counts), np.asarray(counts) / 31
    ours, *_ = run(FSVRG(lr=LR), problem=problem)
    x, expected = beds.start()[0], []
    for _ in range(ROUNDS + 1):
        expected.append(x)
        x = x - LR * p @ draws()[1](np.tile(x, (N, 1)))
    same(ours, np.stack(expected))
    same(run(FSVRG(lr=LR, local_steps=3), noise=0.0)[0], run(FedLin(lr=LR, local_steps=3), noise=0.0)[0])


def test_one_step_of_a_corrected_method_is_gradient_descent():
    same(run(FedLin(lr=LR))[0], descent(), 1e-12)
    same(run(FSVRG(lr=LR))[0], descent(0.0), 1e-12)  # the noise cancels
    same(run(Scaffnew(lr=LR, probability=1.0))[0], descent(), 1e-12)


def test_corrected_methods_are_exact_and_fedavg_is_not():
    assert distance(algorithms.FedAvg(lr=LR, local_steps=5), 2000) > 1e-3
    assert distance(FedLin(lr=LR, local_steps=5), 2000) < 1e-10
    assert distance(FSVRG(lr=LR, local_steps=5), 2000, noise=0.3) < 1e-10


# ---- rounds by a common coin --------------------------------------------------------------------------------------


def coins(key, probability):
    return [bool(jax.random.bernoulli(key("common", t), probability)) for t in range(ROUNDS)]


def test_scaffnew():
    p = 0.3
    ours, nodes, _, _, key = run(Scaffnew(lr=LR, probability=p))
    tossed = coins(key, p)
    x, X, H = ref.scaffnew(tossed, draws()[0], beds.start()[0], LR, ROUNDS, N, p)
    assert 5 < sum(tossed) < 40
    same(ours, x)
    np.testing.assert_allclose(nodes.x, X[1:], rtol=0, atol=1e-11)
    np.testing.assert_allclose(np.asarray(nodes.h) * p / LR, H[1:], rtol=0, atol=1e-10)
    np.testing.assert_allclose(nodes.h.sum(1), 0, atol=1e-12)


def test_scaffnew_is_exact_and_silent_rounds_cost_nothing():
    assert distance(Scaffnew(lr=LR, probability=0.2), 4000) < 1e-9
    problem = beds.quadratic()
    simulation = jdl.simulation(problem, Scaffnew(lr=LR, probability=0.3))
    sim, _ = beds.advance(simulation, jdl.sim.init(simulation), jnp.int32(ROUNDS))
    met = sum(coins(lambda stream, t: jdl.sim.key_of(simulation.key, stream, t), 0.3))
    np.testing.assert_array_equal(sim.traffic.bits[0], [met * 5 * 64] * N + [met * N * 5 * 64])


def test_fedpd():
    ours, nodes, _, _, key = run(FedPD(lr=LR, step=0.7, local_steps=3, probability=0.4))
    tossed = coins(key, 0.4)
    x, X0, Y, dual = ref.fedpd(tossed, draws()[0], beds.start()[0], LR, ROUNDS, 3, N, eta=0.7)
    assert 5 < sum(tossed) < 50
    same(ours, x)
    for mine, theirs in ((nodes.centre, X0), (nodes.x, Y), (nodes.dual, dual)):
        np.testing.assert_allclose(mine, theirs[1:], rtol=0, atol=1e-11)


def test_fedpd_is_exact_if_every_round_communicates():
    assert distance(FedPD(lr=0.1, probability=1.0), 2000) < 1e-9
    assert distance(FedPD(lr=0.1, local_steps=20, probability=0.5), 2000) > 1e-3


# ---- proximal -----------------------------------------------------------------------------------------------------


def test_fedsplit():
    ours, nodes, *_ = run(FedSplit(lr=LR, step=0.7, local_steps=4))
    x, Z = ref.fedsplit(draws()[0], beds.start()[0], LR, ROUNDS, 4, N, s=0.7)
    same(ours, x)
    np.testing.assert_allclose(nodes, Z[1:], rtol=0, atol=1e-11)


def test_fedsplit_with_the_exact_operator():
    problem = beds.quadratic()
    ours, *_ = run(FedSplit(step=0.7, exact=True), noise=0.0)
    same(ours, ref.fedsplit_exact(np.asarray(problem.A), np.asarray(problem.b), beds.start()[0], ROUNDS, N, 0.7)[0])


def test_fedsplit_is_exact_and_counts_absent_clients():
    assert distance(FedSplit(step=1.0, exact=True), 500) < 1e-9
    assert distance(FedSplit(lr=LR), 2000) < 1e-9
    ours, nodes, *_ = run(FedSplit(lr=LR), participants=3)
    np.testing.assert_allclose(ours[1:], np.asarray(nodes).mean(1), rtol=0, atol=1e-12)


# ---- anchors and miners -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_fedamd(shared):
    ours, nodes, server, _, key = run(FedAMD(lr=LR, server_lr=0.8, anchors=0.4, local_steps=3, shared=shared))
    coin = lambda t, i: t == 0 or jax.random.bernoulli(key("common", t) if shared else key("node", t, i), 0.4)
    roles = [[bool(coin(t, jnp.int32(i))) for i in range(N)] for t in range(ROUNDS)]
    x, cache = ref.fedamd(EVERYBODY, roles, *draws(), beds.start()[0], LR, ROUNDS, 3, N, server_lr=0.8)
    same(ours, x)
    np.testing.assert_allclose(nodes.cache, cache[1:], rtol=0, atol=1e-11)
    np.testing.assert_allclose(server.caches, np.asarray(nodes.cache).mean(1), rtol=0, atol=1e-12)
    mixed = {len(set(row)) for row in roles}
    assert mixed == ({1} if shared else {1, 2})


def test_fedamd_is_exact_also_with_noise_and_with_a_sample():
    assert distance(FedAMD(lr=LR, anchors=0.5, shared=False), 3000, noise=0.3) < 1e-9
    assert distance(FedAMD(lr=LR / 2, anchors=0.5, shared=False), 6000, sampling(N, 3)) < 1e-8


# ---- fair and robust ----------------------------------------------------------------------------------------------


def problem_of(*quadratics):
    """One-dimensional a x^2 / 2 - b x, a node each."""
    a, b = (np.array(column, float) for column in zip(*quadratics, strict=True))
    return jdl.problems.Quadratic(A=jnp.asarray(a[:, None, None]), b=jnp.asarray(b[:, None]), noise=jnp.zeros(()))


def test_q_fedavg_with_q_zero_is_fedavg_and_with_more_the_worst_client_gains():
    fedavg = algorithms.FedAvg(lr=LR, local_steps=3, weighted=False)
    same(run(QFedAvg(lr=LR, q=0.0, local_steps=3), problem=lifted())[0], run(fedavg, problem=lifted())[0], 1e-12)
    ends = [beds.limit(jdl.simulation(lifted(), QFedAvg(lr=LR, q=q)), 3000, beds.start()[0])[0] for q in (0.0, 5.0)]
    worst = [losses(np.tile(x, (N, 1))).max() for x in ends]
    assert worst[1] < worst[0] - 0.01


def test_losses_that_are_not_positive_count_as_least():
    """All alike, so it is FedAvg, and nothing is infinite."""
    low = lifted().replace(height=jnp.asarray(-100.0))
    fedavg = algorithms.FedAvg(lr=LR, weighted=False)
    np.testing.assert_allclose(run(QFedAvg(lr=LR), problem=low)[0], run(fedavg, problem=low)[0], rtol=0, atol=1e-6)


def test_afl():
    ours, _, server, *_ = run(AFL(lr=LR, share_lr=0.05), 0.0, problem=lifted())
    x, share = ref.afl(draws(0.0)[0], losses, beds.start()[0], LR, ROUNDS, N, 0.05)
    same(ours, x)
    np.testing.assert_allclose(server.share, share[1:], rtol=0, atol=1e-11)
    assert np.abs(share[-1] - 1 / N).max() > 0.05


def test_afl_of_two_clients_ends_at_the_saddle_point():
    """x^2 / 2 - x and x^2 + 2 x are equal at 0, where 2/3 of one slope and 1/3 of the other cancel."""
    simulation = jdl.simulation(problem_of((1, 1), (2, -2)), AFL(lr=0.05, share_lr=0.05))
    sim = jdl.sim.init(simulation, np.ones(1))
    server = beds.advance(simulation, sim, jnp.int32(4000))[0].server
    np.testing.assert_allclose(server.x, 0, atol=1e-6)
    np.testing.assert_allclose(server.share, [2 / 3, 1 / 3], atol=1e-6)


def test_shares_that_do_not_move_give_fedavg():
    fedavg = run(algorithms.FedAvg(lr=LR, local_steps=3, weighted=False), participants=3)[0]
    for kind in (AFL, DRFA):
        same(run(kind(lr=LR, share_lr=0.0, local_steps=3), participants=3)[0], fedavg, 1e-12)


@pytest.mark.parametrize("participants", [N, 3])
def test_drfa(participants):
    H, rate = 4, 0.001
    algorithm = DRFA(lr=LR, share_lr=rate, local_steps=H)
    ours, _, server, samples, key = run(algorithm, 0.0, participants, problem=lifted())
    G, (x, share), models, shares, chosen = draws(0.0)[0], (beds.start()[0], np.full(N, 1 / N)), [], [], set()
    for t in range(ROUNDS):
        models.append(x)
        S, stop = samples[t], int(jax.random.randint(key("common", t), (), 1, H + 1, jnp.int32))
        chosen.add(stop)
        path = [ref.spread(x, N)]
        for k in range(H):
            path.append(path[-1] - LR * G(path[-1], t, k))
        p = share[S] / share[S].sum()
        x, snapshot = p @ path[H][S], p @ path[stop][S]
        v = np.zeros(N)
        v[S] = N / len(S) * losses(ref.spread(snapshot, N))[S]
        share = ref.simplex(share + rate * H * v)
        shares.append(share)
    same(ours[:-1], np.stack(models))
    np.testing.assert_allclose(server.share, shares, rtol=0, atol=1e-11)
    np.testing.assert_allclose(server.share.sum(1), 1, atol=1e-12)
    assert chosen == {1, 2, 3, 4}


# ---- in float32 ---------------------------------------------------------------------------------------------------

EXACT = [FedLin(), Scaffnew(), FedPD(), FedSplit(), FSVRG(local_steps=3), FedAMD()]


@pytest.mark.parametrize("algorithm", EXACT, ids=lambda one: type(one).__name__)
def test_two_thousand_rounds_in_float32_stay_at_the_optimum(algorithm):
    with jax.enable_x64(False):
        assert max(distance(algorithm.replace(lr=0.1), rounds) for rounds in (2000, 4000)) < 1e-5


# ---- what an option asks of the data -----------------------------------------------------------------------------


@struct.dataclass
class MinibatchesAlone(DataOracle):
    offers = frozenset({"grad", "loss"})


@pytest.mark.parametrize(
    ("algorithm", "need"),
    [
        (algorithms.ADMM(exact=True), "prox"),
        (algorithms.FedDyn(exact=True), "prox"),
        (FedSplit(exact=True), "prox"),
        (algorithms.Scaffold(option=1), "full_grad"),
        (algorithms.SlowMo(base=algorithms.ADMM(exact=True)), "prox"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_option_that_asks_more_of_the_data_says_so(algorithm, need):
    """And its class, on which there are no options yet, says what the defaults need."""
    problem, kind = beds.quadratic(), type(algorithm)
    talk = None if "server" in algorithm.needs else jdl.topology.ring(problem.n)
    jdl.simulation(problem, algorithm, talk)
    jdl.simulation(problem, kind(), talk, oracle=MinibatchesAlone())
    assert need in algorithm.needs and need not in kind.needs == kind().needs
    with pytest.raises(jdl.checks.InputError, match=f"needs '{need}', which these parts do not offer"):
        jdl.simulation(problem, algorithm, talk, oracle=MinibatchesAlone())
