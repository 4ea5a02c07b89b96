"""Every iterate of every method equals an independent float64 NumPy implementation of its paper's recursion."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, exchange
from jdl.compressors import TopK
from jdl.schedule import Fixed, sampling
from jdl.topology import complete, from_weights

pytestmark = pytest.mark.usefixtures("x64")
ROUNDS, LR = 60, 0.05


def check(ours, reference, tolerance=1e-11):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance)
    assert np.abs(reference[-1] - reference[0]).max() > 0.1


def row_stochastic():
    P = beds.directed_column()
    return P.T


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_atc(noise):
    W, problem, X = row_stochastic(), beds.quadratic(noise=noise), beds.start()
    talk = Fixed(from_weights(W, stochastic="row").plan("slots"))
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.DPSGD(lr=LR), talk), ROUNDS, X)
    check(ours, beds.atc(W, beds.gradient(problem), X, LR, ROUNDS))


def test_dgd():
    W, problem, X = row_stochastic(), beds.quadratic(noise=0.3), beds.start()
    talk = from_weights(W, stochastic="row")
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.DGD(lr=LR), talk), ROUNDS, X)
    check(ours, beds.dgd(W, beds.gradient(problem), X, LR, ROUNDS))


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_d2_equals_its_two_term_form(noise):
    W, problem, X = beds.symmetric(), beds.quadratic(noise=noise), beds.start()
    talk = Fixed(from_weights(W).plan("slots"))
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.D2(lr=LR), talk), ROUNDS, X)
    check(ours, beds.d2(W, beds.gradient(problem), X, LR, ROUNDS))


def test_exact_diffusion_is_d2_on_half_the_way():
    W, problem, X = beds.symmetric(), beds.quadratic(), beds.start()
    half = (np.eye(beds.N) + W) / 2
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.ExactDiffusion(lr=LR), W), ROUNDS, X)
    d2, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.D2(lr=LR), half), ROUNDS, X)
    check(ours, d2)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(("kind", "mix"), [(algorithms.GradientTracking, False), (algorithms.AugDGM, True)])
def test_gradient_tracking(kind, mix, noise):
    """With noise, too: what is subtracted is the gradient of the stored minibatch, not a fresh one."""
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=noise), beds.start()
    ours, _, _ = beds.trajectory(jdl.simulation(problem, kind(lr=LR), W), ROUNDS, X)
    check(ours, beds.gradient_tracking(W, beds.gradient(problem), X, LR, ROUNDS, mix_difference=mix))


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("form", ["dense", "slots"])
def test_push_sum_on_a_digraph(form, noise):
    P, problem, X = beds.directed_column(), beds.quadratic(noise=noise), beds.start()
    talk = Fixed(from_weights(P, stochastic="column").plan(form))
    ours, nodes, _ = beds.trajectory(jdl.simulation(problem, algorithms.PushSum(lr=LR), talk), ROUNDS, X)
    z, numerators, w = beds.push_sum(P, beds.gradient(problem), X, LR, ROUNDS)
    check(ours, z)
    check(nodes.x, numerators[1:])
    np.testing.assert_allclose(nodes.w, w[1:], rtol=0, atol=1e-12)
    assert np.abs(w[-1] - 1).max() > 0.1


def test_choco_sgd_in_the_order_of_the_paper():
    W, problem, X = beds.symmetric(), beds.quadratic(noise=0.3), beds.start()
    network = [exchange.Choco(gamma=0.3, compressor=TopK(0.4))]
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.DPSGD(lr=LR), W, network), ROUNDS, X)
    check(ours, beds.choco(W, beds.gradient(problem), X, LR, ROUNDS, gamma=0.3, k=2))


def test_choco_without_compression_is_atc():
    W, problem, X = beds.symmetric(), beds.quadratic(), beds.start()
    network = [exchange.Choco(gamma=1.0, compressor=TopK(1.0))]
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.DPSGD(lr=LR), W, network), ROUNDS, X)
    check(ours, beds.atc(W, beds.gradient(problem), X, LR, ROUNDS), 1e-12)


def test_push_sum_on_doubly_stochastic_weights_is_atc():
    W, problem, X = beds.directed_doubly(), beds.quadratic(noise=0.3), beds.start()
    ours, nodes, _ = beds.trajectory(jdl.simulation(problem, algorithms.PushSum(lr=LR), W), ROUNDS, X)
    check(ours, beds.atc(W, beds.gradient(problem), X, LR, ROUNDS), 1e-12)
    np.testing.assert_allclose(nodes.w, 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("participants", "weighted", "server_lr"), [(8, True, 1.0), (3, True, 0.7), (3, False, 1.0)])
def test_fedavg(participants, weighted, server_lr):
    counts = np.array([1, 5, 2, 9, 0, 3, 4, 7])
    inner, x = beds.quadratic(noise=0.3), beds.start()[0]
    problem = beds.Uneven(inner, jnp.asarray(counts, jnp.int32))
    talk = sampling(beds.N, participants)
    algorithm = algorithms.FedAvg(lr=LR, server_lr=server_lr, local_steps=3, weighted=weighted)
    simulation = jdl.simulation(problem, algorithm, talk)
    ours, _, _ = beds.trajectory(simulation, ROUNDS, x)
    keys = [jdl.sim.key_of(simulation.key, "schedule", t) for t in range(ROUNDS)]
    samples = [np.asarray(talk((), jnp.int32(t), key)[0].participants) for t, key in enumerate(keys)]
    share = counts.astype(float) if weighted else np.ones(beds.N)
    expected = beds.fedavg(samples, share, beds.gradient(inner), x, LR, ROUNDS, 3, server_lr)
    check(ours[:, 0], expected)
    assert len({tuple(ids) for ids in samples}) > 1 or participants == beds.N


def test_weighting_by_examples_matters():
    counts, x = jnp.asarray([1, 5, 2, 9, 0, 3, 4, 7], jnp.int32), beds.start()[0]
    problem = beds.Uneven(beds.quadratic(), counts)
    kinds = [algorithms.FedAvg(lr=LR, weighted=weighted) for weighted in (True, False)]
    weighted, uniform = (beds.trajectory(jdl.simulation(problem, kind), 20, x)[0] for kind in kinds)
    assert np.abs(weighted - uniform).max() > 1e-2


def test_a_sample_of_clients_is_unbiased():
    """The mean over 4,096 seeds of one round with 3 of 8 clients is the round with all of them, to 5 sigma."""
    problem, x = beds.quadratic(), beds.start()[0]
    built = jdl.simulation(problem, algorithms.FedAvg(lr=0.5, local_steps=2), sampling(beds.N, 3))

    @jax.jit
    def one_round(seeds):
        def run(seed):
            s = built.replace(key=jax.random.key(seed))
            return jdl.sim.step(s, jdl.sim.init(s, x))[0].server

        return jax.vmap(run)(seeds)

    ends = np.asarray(one_round(jnp.arange(4096)))
    everybody = beds.fedavg([np.arange(beds.N)], np.ones(beds.N), beds.gradient(problem), x, 0.5, 1, 2)[-1]
    deviation = np.abs(ends.mean(0) - everybody) / (ends.std(0) / np.sqrt(len(ends)))
    assert deviation.max() < 5
    assert ends.std(0).min() > 1e-2


@pytest.mark.parametrize("kind", [algorithms.DPSGD, algorithms.GradientTracking, algorithms.AugDGM])
def test_exact_averaging_from_one_start_is_large_batch_gradient_descent(kind):
    problem, X = beds.quadratic(), np.broadcast_to(beds.start()[0], (beds.N, beds.DIM))
    ours, _, _ = beds.trajectory(jdl.simulation(problem, kind(lr=LR), complete(beds.N)), ROUNDS, X)
    check(ours, beds.atc(np.full((beds.N, beds.N), 1 / beds.N), beds.gradient(problem), X, LR, ROUNDS), 1e-12)
    descent = gradient_descent(problem, X[0])
    check(ours, np.broadcast_to(descent[:, None], ours.shape), 1e-12)


def gradient_descent(problem, x):
    A, b, out = np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0), [x]
    for _ in range(ROUNDS):
        out.append(out[-1] - LR * (A @ out[-1] - b))
    return np.stack(out)


def test_fedavg_with_one_local_step_is_large_batch_gradient_descent():
    problem, x = beds.quadratic(), beds.start()[0]
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.FedAvg(lr=LR)), ROUNDS, x)
    check(ours[:, 0], gradient_descent(problem, x), 1e-12)


def test_fedavg_is_local_sgd_on_the_complete_graph():
    problem, x = beds.quadratic(noise=0.3), beds.start()[0]
    X = np.broadcast_to(x, (beds.N, beds.DIM))
    peers = jdl.simulation(problem, algorithms.DPSGD(lr=LR, local_steps=4), complete(beds.N))
    server = jdl.simulation(problem, algorithms.FedAvg(lr=LR, local_steps=4))
    ours, _, _ = beds.trajectory(peers, ROUNDS, X)
    central, _, _ = beds.trajectory(server, ROUNDS, x)
    check(ours, np.broadcast_to(central, ours.shape), 1e-12)


def test_dgd_with_exact_averaging_is_not_gradient_descent():
    problem, X = beds.quadratic(), np.broadcast_to(beds.start()[0], (beds.N, beds.DIM))
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithms.DGD(lr=LR), complete(beds.N)), ROUNDS, X)
    descent = gradient_descent(problem, X[0])
    assert np.abs(ours - descent[:, None]).max() > 1e-2


def test_d2_on_equal_data_is_gradient_descent_everywhere():
    problem = beds.quadratic()
    same = problem.replace(A=jnp.repeat(problem.A[:1], 8, 0), b=jnp.repeat(problem.b[:1], 8, 0))
    X = np.broadcast_to(beds.start()[0], (beds.N, beds.DIM))
    ours, _, _ = beds.trajectory(jdl.simulation(same, algorithms.D2(lr=LR), beds.symmetric()), ROUNDS, X)
    check(ours, np.broadcast_to(gradient_descent(same, X[0])[:, None], ours.shape), 1e-12)


# Gossip without momentum, one step a round: on one node there is nothing else to do.
PLAIN = (
    "ADMM", "AugDGM", "CTA", "D2", "DGD", "DIGing", "DPSGD", "EXTRA", "ExactDiffusion", "GTSARAH", "GradientTracking",
    "LocalOnly", "NIDS", "PushSum", "SwarmSGD",
)  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_one_node_is_gradient_descent(name):
    problem, X = beds.quadratic(n=1), beds.start(n=1)
    ours, _, _ = beds.trajectory(jdl.simulation(problem, getattr(algorithms, name)(lr=LR), np.ones((1, 1))), ROUNDS, X)
    check(ours[:, 0], gradient_descent(problem, X[0]), 1e-12)


@pytest.mark.parametrize("kind", [algorithms.DPSGD, algorithms.DGD, algorithms.PushSum, algorithms.LocalOnly])
def test_momentum_is_heavy_ball_of_the_local_gradients(kind):
    """On one node: m <- 0.9 m + g;  x <- x - lr m, over rounds and local steps alike."""
    problem, X = beds.quadratic(n=1), beds.start(n=1)
    algorithm = kind(lr=LR, optimizer="momentum", local_steps=2)
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithm, np.ones((1, 1))), 20, X)
    G, x, m, out = beds.gradient(problem), X, np.zeros_like(X), [X]
    for _ in range(20):
        for _ in range(2):
            m = 0.9 * m + G(x)
            x = x - LR * m
        out.append(x)
    check(ours, np.stack(out), 1e-12)


def test_a_decay_scales_the_rate():
    problem, X = beds.quadratic(n=1), beds.start(n=1)
    algorithm = algorithms.DPSGD(lr=LR, decay=halving)
    ours, _, _ = beds.trajectory(jdl.simulation(problem, algorithm, np.ones((1, 1))), 10, X)
    G, x, out = beds.gradient(problem), X, [X]
    for t in range(10):
        x = x - LR * 0.5**t * G(x)
        out.append(x)
    np.testing.assert_allclose(ours, np.stack(out), rtol=0, atol=1e-13)


def halving(t):
    return 0.5 ** t.astype(jnp.result_type(float))
