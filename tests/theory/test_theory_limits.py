"""Where methods end: closed-form biased limits, the exact optimum, invariants on the way, drift, noise."""

import beds
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, oracle, topology

X64 = pytest.mark.usefixtures("x64")
EXACT = [algorithms.D2, algorithms.ExactDiffusion, algorithms.GradientTracking, algorithms.AugDGM]


def blocks(problem, W):
    """W and A on all n d coordinates at once, and b."""
    n, d = problem.b.shape
    A = np.zeros((n * d, n * d))
    for i, block in enumerate(np.asarray(problem.A)):
        A[i * d : (i + 1) * d, i * d : (i + 1) * d] = block
    return np.kron(W, np.eye(d)), A, np.asarray(problem.b).ravel()


@X64
def test_atc_reaches_its_biased_fixed_point():
    problem, W, lr = beds.quadratic(), beds.directed_column().T, 0.3
    big, A, b = blocks(problem, W)
    eye = np.eye(len(b))
    expected = np.linalg.solve(eye - big @ (eye - lr * A), lr * big @ b).reshape(beds.N, -1)
    graph = topology.from_weights(W, stochastic="row")
    ours = beds.limit(jdl.simulation(problem, algorithms.DPSGD(lr=lr), graph), 1500)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    assert np.abs(ours - beds.optimum(problem)).max() > 1e-2


@X64
def test_dgd_reaches_its_biased_fixed_point():
    problem, W, lr = beds.quadratic(), beds.symmetric(lazy=0.4), 0.3
    big, A, b = blocks(problem, W)
    expected = np.linalg.solve(np.eye(len(b)) - big + lr * A, lr * b).reshape(beds.N, -1)
    ours = beds.limit(jdl.simulation(problem, algorithms.DGD(lr=lr), W), 1500)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    # It minimises sum f_i(x_i) + tr(X^T (I - W) X) / (2 lr): the gradient of that vanishes.
    gradient = beds.gradient(problem)(ours) + (ours - W @ ours) / lr
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    assert np.abs(ours - beds.optimum(problem)).max() > 1e-2


@X64
@pytest.mark.parametrize("kind", [algorithms.DPSGD, algorithms.DGD])
def test_the_bias_of_the_mean_is_of_the_order_of_the_rate(kind):
    problem, W = beds.quadratic(), beds.symmetric(lazy=0.4)
    ends = [beds.limit(jdl.simulation(problem, kind(lr=lr), W), int(120 / lr)) for lr in (0.01, 0.005)]
    bias = [np.linalg.norm(end.mean(0) - beds.optimum(problem)) for end in ends]
    assert bias[0] / bias[1] == pytest.approx(2, abs=0.1)
    assert bias[1] > 1e-4


@X64
@pytest.mark.parametrize("kind", EXACT)
def test_exact_methods_reach_the_optimum(kind):
    problem, W, lr = beds.quadratic(), beds.symmetric(lazy=0.4), 0.1
    ours = beds.limit(jdl.simulation(problem, kind(lr=lr), W), 3000)
    np.testing.assert_allclose(ours, np.broadcast_to(beds.optimum(problem), ours.shape), rtol=0, atol=1e-10)
    biased = beds.limit(jdl.simulation(problem, algorithms.DPSGD(lr=lr), W), 3000)
    assert np.abs(biased - beds.optimum(problem)).max() > 1e-2


@X64
@pytest.mark.parametrize("kind", [algorithms.GradientTracking, algorithms.AugDGM])
def test_gradient_tracking_is_exact_on_directed_doubly_stochastic_weights(kind):
    problem = beds.quadratic()
    ours = beds.limit(jdl.simulation(problem, kind(lr=0.1), beds.directed_doubly()), 3000)
    np.testing.assert_allclose(ours, np.broadcast_to(beds.optimum(problem), ours.shape), rtol=0, atol=1e-10)


@X64
def test_exact_diffusion_needs_no_condition_on_the_least_eigenvalue():
    """On the even ring lambda_n = -1/3, and on two nodes with 0.9 across it is -0.8, where D2 diverges."""
    W = np.array([[0.1, 0.9], [0.9, 0.1]])
    problem = beds.quadratic(n=2)
    ours = beds.limit(jdl.simulation(problem, algorithms.ExactDiffusion(lr=0.1), W), 3000)
    np.testing.assert_allclose(ours, np.broadcast_to(beds.optimum(problem), ours.shape), rtol=0, atol=1e-10)
    d2 = beds.limit(jdl.simulation(problem, algorithms.D2(lr=0.1), W), 300)
    assert not np.abs(d2).max() < 1e3


@X64
def test_fedavg_with_local_steps_ends_beside_the_optimum():
    """x = (I - mean P)^-1 mean((I - P_i) x_i*), P_i = (I - lr A_i)^K: cross-check 5."""
    problem, lr, K = beds.quadratic(), 0.2, 5
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    P = np.stack([np.linalg.matrix_power(np.eye(beds.DIM) - lr * block, K) for block in A])
    own = np.stack([np.linalg.solve(block, right) for block, right in zip(A, b, strict=True)])
    pulled = np.mean([(np.eye(beds.DIM) - p) @ x for p, x in zip(P, own, strict=True)], axis=0)
    expected = np.linalg.solve(np.eye(beds.DIM) - P.mean(0), pulled)
    ours = beds.limit(jdl.simulation(problem, algorithms.FedAvg(lr=lr, local_steps=K)), 600)[0]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
    assert np.abs(ours - beds.optimum(problem)).max() > 1e-3


@X64
@pytest.mark.parametrize("kind", [algorithms.DPSGD, algorithms.DGD])
def test_the_mean_model_descends_the_mean_gradient(kind):
    """mean x+ = mean x - lr mean g(x) for columns that sum to one, also with noise; not for row-stochastic weights."""
    problem, lr = beds.quadratic(noise=0.4), 0.2
    G = beds.gradient(problem)

    def violation(graph):
        models, _, _ = beds.trajectory(jdl.simulation(problem, kind(lr=lr), graph), 20, beds.start())
        predicted = [models[t].mean(0) - lr * G(models[t], t).mean(0) for t in range(20)]
        return np.abs(models[1:].mean(axis=1) - predicted).max()

    assert violation(beds.directed_doubly()) < 1e-13
    assert violation(topology.from_weights(beds.directed_column().T, stochastic="row")) > 1e-2


@X64
@pytest.mark.parametrize("kind", [algorithms.GradientTracking, algorithms.AugDGM])
def test_the_mean_tracker_is_the_mean_gradient(kind):
    """mean y = mean g in every round, under noise too. The state's y is mixed, g is at the round's first model."""
    problem = beds.quadratic(noise=0.4)
    simulation = jdl.simulation(problem, kind(lr=0.1), beds.directed_doubly())
    models, nodes, _ = beds.trajectory(simulation, 30, beds.start())
    G = beds.gradient(problem)
    used = np.stack([G(models[t], t) for t in range(30)])
    np.testing.assert_allclose(nodes.g, used, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.asarray(nodes.y).mean(axis=1), used.mean(axis=1), rtol=0, atol=1e-12)
    assert np.abs(np.asarray(nodes.y) - used).max() > 0.1


@X64
@pytest.mark.parametrize("kind", [algorithms.D2, algorithms.ExactDiffusion])
def test_duals_sum_to_zero(kind):
    simulation = jdl.simulation(beds.quadratic(noise=0.4), kind(lr=0.1), beds.symmetric(lazy=0.4))
    _, nodes, _ = beds.trajectory(simulation, 100, beds.start())
    y = np.asarray(nodes.y)
    np.testing.assert_allclose(y.sum(axis=1), 0, atol=1e-12)
    assert np.abs(y[-1]).max() > 0.05


@pytest.mark.parametrize("form", ["dense", "slots", "circulant"])
@pytest.mark.parametrize("kind", EXACT)
def test_float32_stays_at_the_optimum(kind, form):
    """Trap TR15: two-term forms are 1e-4 off after 500 float32 rounds and drift on, linearly; these are within 2e-5."""
    graph = topology.ring(9)  # odd: lambda_n = -0.31, above D2's -1/3
    problem = beds.quadratic(n=9)
    assert problem.A.dtype == jnp.float32
    talk = jdl.schedule.Fixed(graph.plan(form))
    simulation = jdl.simulation(problem, kind(lr=0.1), talk)
    models, _, _ = beds.trajectory(simulation, 2000, beds.start(n=9).astype(np.float32))
    # The optimum of these very float32 numbers, in float64.
    exact = jdl.problems.Quadratic(np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64), np.zeros(()))
    distance = np.abs(models - beds.optimum(exact)).max(axis=(1, 2))
    assert distance[1000:].max() < 2e-5


def test_the_two_term_form_would_drift():
    """So the bound above is one that a wrong form fails."""
    W = topology.ring(9).weights.toarray().astype(np.float32)
    problem = beds.quadratic(n=9)
    G = beds.gradient(problem)
    short = lambda X, t: G(X, t).astype(np.float32)
    models = beds.d2(W, short, beds.start(n=9).astype(np.float32), np.float32(0.1), 2000)
    assert models.dtype == np.float32
    exact = jdl.problems.Quadratic(np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64), np.zeros(()))
    assert np.abs(models[-1] - beds.optimum(exact)).max() > 2e-5


@pytest.mark.parametrize("source", ["oracle", "problem"])
def test_noisy_gossip_has_the_variance_of_theory(source):
    """f = ||x||^2 / 2 with N(0, s^2) gradient noise: row O1's stationary mean_i E x_i^2, to 5 %.

    (1/n) sum_k lambda_k^2 lr^2 s^2 / (1 - lambda_k^2 (1 - lr)^2) a coordinate. 40 coordinates over 3,000 rounds that
    are nearly independent (lr = 0.5) leave a standard error below 1 %.
    """
    n, dim, lr, sigma = 8, 40, 0.5, 0.7
    graph = topology.ring(n)
    eigenvalues = np.linalg.eigvalsh(graph.weights.toarray())
    squares = eigenvalues**2
    expected = np.mean(squares * lr**2 * sigma**2 / (1 - squares * (1 - lr) ** 2))
    noise = sigma if source == "problem" else 0.0
    problem = jdl.problems.Quadratic(
        A=jnp.broadcast_to(jnp.eye(dim), (n, dim, dim)), b=jnp.zeros((n, dim)), noise=jnp.float32(noise)
    )
    says = oracle.GradientNoise(sigma=sigma) if source == "oracle" else None
    simulation = jdl.simulation(problem, algorithms.DPSGD(lr=lr), graph, oracle=says)
    models, _, _ = beds.trajectory(simulation, 3000, np.zeros((n, dim), np.float32))
    assert np.mean(np.square(models[30:], dtype=np.float64)) == pytest.approx(expected, rel=0.05)
    # And the gossip keeps it above what exact averaging would, below what no averaging would.
    alone = lr**2 * sigma**2 / (1 - (1 - lr) ** 2)
    assert alone / n < expected < alone


def arrays_made(jaxpr):
    """The shapes of all values that a program computes, also inside its calls."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.shape for variable in equation.outvars)
        for value in equation.params.values():
            for inner in jax.tree.leaves(value, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
                if hasattr(inner, "eqns"):
                    yield from arrays_made(inner)
                elif hasattr(inner, "jaxpr"):
                    yield from arrays_made(inner.jaxpr)


@pytest.mark.parametrize("server", [True, False])
def test_a_round_with_few_clients_costs_in_proportion_to_them(server):
    """With 4 of 1,009 clients nothing of size n x d is made; a gossip method, to show that the test can see, does."""
    n, m, dim = 1009, 4, 17
    problem = beds.quadratic(n=n, dim=dim)
    algorithm = algorithms.FedAvg(local_steps=3) if server else algorithms.DPSGD(local_steps=3)
    talk = jdl.schedule.sampling(n, m) if server else topology.ring(n)
    simulation = jdl.simulation(problem, algorithm, talk)
    sim = jax.eval_shape(jdl.sim.init, simulation)
    shapes = set(arrays_made(jax.make_jaxpr(jdl.sim.step)(simulation, sim).jaxpr))
    large = [shape for shape in shapes if np.prod(shape) >= n * dim]
    assert bool(large) != server, large
    assert ((m, dim) in shapes) == server


def test_traffic_with_few_clients():
    """m messages of d numbers up, one server's m copies down, each round; the server comes last."""
    n, m, dim, rounds = 50, 4, 7, 6
    simulation = jdl.simulation(beds.quadratic(n=n, dim=dim), algorithms.FedAvg(), jdl.schedule.sampling(n, m))
    sim = beds.advance(simulation, jdl.sim.init(simulation), jnp.int32(rounds))[0]
    messages = np.asarray(sim.traffic.messages[0])
    assert messages[:n].sum() == rounds * m and messages[n] == rounds * m
    np.testing.assert_array_equal(sim.traffic.bits[0], messages * 32 * dim)
