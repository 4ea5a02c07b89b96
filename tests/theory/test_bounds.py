"""Rates and bounds of theory against enumerations, eigenvalues and long simulations, all written here in NumPy."""

import itertools

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.schedule import Epidemic, Equidyn, Fixed, Matcha, Matching, Pairwise
from jdl.theory import (
    bounds,
    contraction_of_outcomes,
    effective_neighbours_of_outcomes,
    finite_time,
    finite_time_steps,
    limit_weights,
    lossy_contraction,
    outcomes,
    predicted_rounds,
    random_contraction,
    realised_gap,
    second_modulus,
    sigma_2,
    transient,
)
from jdl.topology import (
    chain,
    complete,
    de_bruijn,
    exponential,
    from_graph,
    from_weights,
    hypercube,
    one_peer_exponential,
    ring,
    star,
)

DIGRAPH = np.array([[0.5, 0.0, 0.3, 0.0], [0.5, 0.6, 0.0, 0.2], [0.0, 0.4, 0.4, 0.0], [0.0, 0.0, 0.3, 0.8]])
SHIFT = np.kron(np.ones((2, 1)), np.kron(np.eye(4), [[0.5, 0.5]]))  # a de Bruijn graph on 8 nodes, without self-loops


def dense(topology):
    return topology.weights.toarray()


def lazy(topology):
    return from_weights((np.eye(topology.n) + dense(topology)) / 2)


def powers(P, limit, count):
    """||P^t - limit||_2 for t = 1 to `count`."""
    product, found = np.eye(len(P)), []
    for _ in range(count):
        product = P @ product
        found.append(np.linalg.norm(product - limit, 2))
    return np.array(found)


class Quadratics:
    """f_i(x) = x' A_i x / 2 - b_i' x with curvatures from mu to 1, and b_i that differ."""

    def __init__(self, n, dim=4, mu=0.1, shared=False, seed=0):
        rng = np.random.default_rng(seed)
        bases = [np.linalg.qr(rng.standard_normal((dim, dim)))[0] for _ in range(n)]
        curvatures = np.geomspace(mu, 1, dim)
        self.A = np.array([(q * curvatures) @ q.T for q in ([bases[0]] * n if shared else bases)])
        self.b = rng.standard_normal((n, dim))
        self.n, self.dim, self.mu, self.L = n, dim, mu, 1.0
        self.x = np.linalg.solve(self.A.mean(0), self.b.mean(0))

    def grad(self, X):
        """Row i: the gradient of f_i at row i. X may have leading axes of runs."""
        return np.einsum("nde,...ne->...nd", self.A, X) - self.b

    def value(self, x):
        return x @ self.A.mean(0) @ x / 2 - self.b.mean(0) @ x

    @property
    def zeta(self):
        return np.mean(np.sum((self.A @ self.x - self.b) ** 2, axis=1))

    def iterate(self, step, rounds, record):
        """Run `step` from zero until a distance is recorded for every round."""
        state, found = step(None), []
        for _ in range(rounds):
            found.append(record(state))
            state = step(state)
        return np.array(found)


def slope(distances, tail=60):
    """The factor of a round over the last rounds that rounding leaves alone."""
    kept = distances[distances > 1e-11 * distances[0]]
    tail = min(tail, len(kept) - 1)
    return (kept[-1] / kept[-1 - tail]) ** (1 / tail)


# ----- consensus


@pytest.mark.parametrize("topology", [ring(8), exponential(8), star(7), chain(6), lazy(ring(5))], ids=lambda t: t.name)
def test_singular_values_and_moduli(topology):
    W = dense(topology)
    assert sigma_2(topology) == pytest.approx(np.linalg.svd(W, compute_uv=False)[1], abs=1e-12)
    assert second_modulus(topology) == pytest.approx(np.sort(np.abs(np.linalg.eigvals(W)))[-2], abs=1e-9)


def test_transient_of_matrices_that_are_not_normal():
    for stochastic, W in (("row", DIGRAPH.T), ("column", DIGRAPH)):
        topology = from_weights(W, stochastic=stochastic)
        pi, bound = limit_weights(topology), transient(topology)
        limit = np.outer(np.ones(4), pi) if stochastic == "row" else np.outer(pi, np.ones(4))
        assert np.linalg.matrix_power(W, 500) == pytest.approx(limit, abs=1e-12)
        norms = powers(W, limit, 40)
        assert all(norms[t] <= bound.after(t + 1) * (1 + 1e-9) for t in range(40))
        assert bound.constant > 1 and bound.rate < bound.one == pytest.approx(norms[0])
        assert (norms[-1] / norms[-21]) ** (1 / 20) == pytest.approx(bound.rate, abs=2e-3)


def test_transient_without_a_basis_and_of_cycles():
    """The singular value says nothing (1), the modulus all (0): exact after three rounds."""
    shift = from_weights(SHIFT)
    assert sigma_2(shift) == pytest.approx(1) and second_modulus(shift) < 1e-4
    assert transient(shift).constant == np.inf and finite_time(shift) == 3
    assert np.linalg.matrix_power(SHIFT, 3) == pytest.approx(np.full((8, 8), 1 / 8))
    cycle = one_peer_exponential(6)
    bound = transient(cycle)
    product = np.linalg.multi_dot([dense(phase) for phase in reversed(cycle)])
    norms = powers(product, np.full((6, 6), 1 / 6), 10)
    assert all(norms[t] <= bound.after(t + 1) * (1 + 1e-9) for t in range(10))


def test_finite_time_over_several_periods_and_with_steps():
    lower = np.eye(4)
    lower[:2, :2] = 0.5
    assert finite_time([ring(8), complete(8)]) == 2 and finite_time(ring(1)) == 0
    assert finite_time(from_weights(lower, allow_disconnected=True)) is None and finite_time(de_bruijn(8)) is None
    assert finite_time(de_bruijn(64)) is None  # a third is left each round, 3^-63 after n - 1 of them
    merge = [[0.2, 0.3, 0.5]] * 3
    assert finite_time(from_weights(merge, "row")) is None  # they agree, but not on the mean
    assert finite_time(from_weights(np.transpose(merge), "column")) is None
    for topology in (hypercube(8), ring(9), complete(5)):
        steps, product = finite_time_steps(topology), np.eye(topology.n)
        for size in steps:
            product = product + size * (dense(topology) - np.eye(topology.n)) @ product
        assert product == pytest.approx(np.full(product.shape, 1 / topology.n), abs=1e-9)
        distinct = np.unique(np.linalg.eigvalsh(dense(topology)).round(9))
        assert len(steps) == len(distinct) - 1


# ----- random schedules


def test_closed_forms_of_random_rounds_equal_enumerations():
    path = from_graph(nx.path_graph(5))
    for schedule in (
        Matching(6), Matching(7), Matching(2), Pairwise(6), Pairwise.of(path), Pairwise.of(ring(6)),
        Matcha.of(ring(6), 0.5), Matcha.of(path, 0.7), Equidyn.for_nodes(7, directed=True),
        Equidyn.for_nodes(6, degree=3, directed=True, eta=0.8), Fixed.of(ring(6)),
    ):  # fmt: skip
        assert random_contraction(schedule) == pytest.approx(contraction_of_outcomes(outcomes(schedule)), abs=1e-6)


def test_known_factors_of_random_rounds():
    """Boyd et al. 2006; and the formula of OD-EquiDyn: (1 - eta)^2 + eta^2 (n - 2) / n with all shifts."""
    assert random_contraction(Matching(10)) ** 2 == pytest.approx(8 / 18)
    assert random_contraction(Pairwise(10)) ** 2 == pytest.approx(1 - 1 / 9)
    assert random_contraction(Equidyn.for_nodes(10, directed=True)) ** 2 == pytest.approx(9 / 20, abs=1e-6)
    assert random_contraction(Fixed.of(ring(8))) == pytest.approx((1 + np.sqrt(2)) / 3, abs=1e-6)


def test_failing_links_equal_all_subsets_of_links():
    topology, lost = from_graph(nx.path_graph(4)), 0.3
    W, links = dense(topology), [(0, 1), (1, 2), (2, 3)]
    moment = np.zeros((4, 4))
    for on in itertools.product((0, 1), repeat=3):
        V = np.eye(4)
        for (i, j), used in zip(links, on, strict=True):
            V[[i, j], [i, j]] -= used * W[i, j]
            V[[i, j], [j, i]] += used * W[i, j]
        moment += np.prod([1 - lost if used else lost for used in on]) * V.T @ V
    exact = np.sqrt(np.linalg.norm(moment - 1 / 4, 2))
    assert lossy_contraction(topology, lost) == pytest.approx(exact, abs=1e-12)
    assert lossy_contraction(topology, 0.0) == pytest.approx(sigma_2(topology))
    assert lossy_contraction(topology, 1.0) == pytest.approx(1.0)


def test_effective_neighbours_of_a_random_schedule():
    """Of matchings, by symmetry: variances s and covariances c with s + 5 c = 1 / (1 - gamma)."""
    gamma, n = 0.9, 6
    numbers = effective_neighbours_of_outcomes(outcomes(Matching(n)), gamma)
    # s = (gamma s + 1) / 2 + gamma c / 2 with c = (10 - s) / 5
    s = (0.5 + gamma / 2 * 2) / (1 - gamma / 2 + gamma / 10)
    assert numbers.worst == numbers.mean == pytest.approx(10 / s)
    still = effective_neighbours_of_outcomes(outcomes(Fixed.of(complete(5))), gamma)
    assert still.mean == pytest.approx(5, rel=1e-5)


# ----- D-SGD


def dsgd_run(problem, W, lr, rounds, noise=0.0, runs=1, seed=0):
    """Means over runs of ||grad f(mean)||^2 and of the consensus distance, each round, of X <- W X - lr G."""
    rng = np.random.default_rng(seed)
    X = np.zeros((runs, problem.n, problem.dim))
    gradients, apart = [], []
    for _ in range(rounds):
        mean = X.mean(axis=1)
        full = mean @ problem.A.mean(0) - problem.b.mean(0)
        gradients.append(np.mean(np.sum(full**2, axis=1)))
        apart.append(np.mean(np.sum((X - mean[:, None]) ** 2, axis=2)))
        X = W @ X - lr * (problem.grad(X) + noise * rng.standard_normal(X.shape))
    return np.array(gradients), np.array(apart)


def spread(problem):
    """sup_x of the heterogeneity is infinite unless Hessians are equal; then it is that of b."""
    return np.mean(np.sum((problem.b - problem.b.mean(0)) ** 2, axis=1))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_lian_theorem_1_bounds_the_gradients(noise):
    problem, graph = Quadratics(8, shared=True), ring(8)
    lr, rounds = 0.6 * bounds.dsgd_largest_rate(graph, problem.L), 3000
    gap = -problem.value(problem.x)
    sigma = noise**2 * problem.dim
    bound = bounds.dsgd(graph, lr, problem.L, rounds, gap, sigma, spread(problem))
    found, _ = dsgd_run(problem, dense(graph), lr, rounds, noise, runs=20 if noise else 1)
    assert 0.01 * bound.average_gradient < found.mean() < bound.average_gradient
    # The theorem's own left side, with the factor D_1, written out here.
    stretch = lr**2 * 8 / (1 - (1 + np.sqrt(2)) / 3) ** 2
    assert bound.factor == pytest.approx(0.5 - 9 * stretch / (1 - 18 * stretch))


def test_lian_factor_vanishes_at_the_largest_rate():
    graph = chain(6)
    edge = bounds.dsgd_largest_rate(graph, 2.0)
    assert bounds.dsgd(graph, edge * (1 - 1e-9), 2.0, 10, 1.0).factor == pytest.approx(0, abs=1e-7)
    with pytest.raises(InputError, match=r"Theorem 1 of Lian et al. 2017 .* assumes lr < "):
        bounds.dsgd(graph, edge * 1.001, 2.0, 10, 1.0)


def test_lian_corollary_2_follows_from_theorem_1():
    for sigma, zeta in ((1.0, 0.0), (4.0, 1.0)):
        least = int(bounds.dsgd_speedup(ring(5), 1.0, 10**12, 2.0, sigma, zeta).least_rounds) + 1
        for rounds in (least, 10 * least):
            speedup = bounds.dsgd_speedup(ring(5), 1.0, rounds, 2.0, sigma, zeta)
            theorem = bounds.dsgd(ring(5), speedup.lr, 1.0, rounds, 2.0, sigma, zeta)
            assert theorem.average_gradient < speedup.average_gradient
    with pytest.raises(InputError, match="Corollary 2 of Lian"):
        bounds.dsgd_speedup(ring(5), 1.0, 100, 2.0, 1.0)


def test_consensus_distance_is_reached_by_constant_gradients():
    """Gradients along the leading eigenvector, and noise: U <- (W - J)(U - lr G)."""
    graph, lr, rng = ring(9), 0.1, np.random.default_rng(0)
    W, n = dense(graph), 9
    vector = np.linalg.eigh(W)[1][:, -2]
    U = np.zeros(n)
    for _ in range(500):
        U = (W - 1 / n) @ (U - lr * vector)
    assert np.mean(U**2) == pytest.approx(bounds.consensus_distance(graph, lr, np.mean(vector**2)), rel=1e-9)
    for cycle in ([ring(8)], one_peer_exponential(8), one_peer_exponential(6), [ring(6), chain(6)]):
        n, W = cycle[0].n, [dense(phase) for phase in cycle]
        D, V, worst = rng.standard_normal((n, 1)), np.zeros((n, 2000)), 0.0
        D -= D.mean()
        for t in range(120):
            V = (W[t % len(W)] - 1 / n) @ (V - lr * (D + 0.5 * rng.standard_normal(V.shape)))
            worst = max(worst, np.mean(V**2))
        assert 0 < worst < bounds.consensus_distance(cycle, lr, np.mean(D**2), 0.25)


def test_mixing_of_cycles_and_local_steps():
    """Assumption 4 by products of matrices; the cycle of period 3, seen in blocks of 2, has three blocks."""
    cycle = one_peer_exponential(8)
    W = [dense(phase) for phase in cycle]
    worst = max(np.linalg.norm(W[(s + 1) % 3] @ W[s] - 1 / 8, 2) for s in (0, 2, 1))
    assert bounds.mixing(cycle, tau=2).p == pytest.approx(1 - worst**2, abs=1e-12)
    assert bounds.mixing(cycle) == pytest.approx((1, 3))
    local = bounds.mixing(ring(8), local_steps=4)
    assert local.tau == 4 and local.p == pytest.approx(1 - sigma_2(ring(8)) ** 2)
    assert bounds.mixing(ring(8), tau=1, local_steps=2).p == 0
    assert bounds.mixing(ring(8), tau=2).p == pytest.approx(1 - sigma_2(ring(8)) ** 4)


def test_koloskova_order_has_the_terms_of_sgd_and_scales_as_stated():
    one = bounds.Mixing(1.0, 1)
    alone = bounds.dsgd_rounds(one, 1, 2.0, 0.1, 3.0, 0.0, 1.5, case="convex")
    assert alone.noise == pytest.approx(3.0 * 1.5 / 0.1**2) and alone.smooth == pytest.approx(2.0 * 1.5 / 0.1)
    for case, power in (("nonconvex", 1.5), ("convex", 1.5), ("strongly convex", 0.5)):
        order = lambda eps, p=0.25, tau=2, case=case: bounds.dsgd_rounds(
            bounds.Mixing(p, tau), 16, 1.0, eps, 0.0, 4.0, 1.0, mu=0.1, case=case
        )
        assert order(0.01).drift / order(0.04).drift == pytest.approx(4**power)
        assert order(0.01, p=0.125).drift == pytest.approx(2 * order(0.01).drift)
        assert order(0.01, tau=4).smooth == pytest.approx(2 * order(0.01).smooth)
        assert order(0.01).total == pytest.approx(sum(order(0.01)[:3]))
    # zeta tau / p = 16 nodes apart, by hand: (2 * 2) / 0.25 / 0.01^1.5
    nonconvex = bounds.dsgd_rounds(bounds.Mixing(0.25, 2), 16, 1.0, 0.01, 0.0, 4.0, 1.0)
    assert nonconvex.drift == pytest.approx(16_000)


@pytest.mark.parametrize("graph", [ring(6), ring(16), chain(8), complete(8)], ids=["ring6", "ring16", "chain", "full"])
def test_koloskova_order_is_enough_on_quadratics(graph):
    """Without constants the order holds here: with the best of eight step sizes, fewer rounds reach eps."""
    problem, eps = Quadratics(graph.n, shared=True), 1e-2
    order = bounds.dsgd_rounds(
        bounds.mixing(graph),
        graph.n,
        1.0,
        eps,
        0.0,
        spread(problem),
        problem.x @ problem.x,
        problem.mu,
        "strongly convex",
    )
    budget, W = int(np.ceil(order.total)), dense(graph)
    X, lr = np.zeros((8, graph.n, problem.dim)), 0.5 ** np.arange(8)[:, None, None]
    for _ in range(min(budget, 20_000)):
        X = W @ (X - lr * problem.grad(X))
    assert excess(problem, X.mean(1)).min() <= eps


# ----- gradient tracking


def tracking(problem, W, lr):
    def step(state):
        if state is None:
            X = np.ones((problem.n, problem.dim))
            return X, problem.grad(X)
        X, S = state
        new = W @ X - lr * S
        return new, W @ S + problem.grad(new) - problem.grad(X)

    return step


@pytest.mark.parametrize(
    "graph", [ring(8), exponential(8), complete(6), lazy(chain(5))], ids=["ring", "exp", "full", "chain"]
)
def test_qu_li_rate_bounds_gradient_tracking(graph):
    problem = Quadratics(graph.n)
    largest = bounds.gradient_tracking_largest_rate(graph, 1.0, problem.mu)
    for lr in (0.3 * largest, 0.9 * largest):
        rate = bounds.gradient_tracking(graph, lr, 1.0, problem.mu)
        found = problem.iterate(
            tracking(problem, dense(graph), lr), 3000, lambda state: np.linalg.norm(state[0] - problem.x)
        )
        assert slope(found) < rate < 1


def test_qu_li_recursion_holds_in_every_round():
    """The three norms are at most G times themselves a round before, with G written here."""
    graph, problem, lr = ring(8), Quadratics(8, seed=3), 0.1
    W, s = dense(graph), sigma_2(graph)
    shrink = max(abs(1 - problem.mu * lr), abs(1 - lr))
    G = np.array([[s + lr, lr + 2, lr], [lr, s, 0], [0, lr, shrink]])
    step = tracking(problem, W, lr)
    state, before = step(None), None
    for _ in range(200):
        X, S = state
        g = problem.grad(X).mean(0)
        now = np.array(
            [np.linalg.norm(S - g), np.linalg.norm(X - X.mean(0)), np.sqrt(8) * np.linalg.norm(X.mean(0) - problem.x)]
        )
        assert before is None or (now <= G @ before + 1e-12).all()
        before, state = now, step(state)


@pytest.mark.parametrize(("graph", "mu"), [(ring(8), 0.1), (ring(20), 0.5), (complete(4), 1.0), (chain(6), 0.01)])
def test_qu_li_largest_rate_is_where_the_radius_is_one(graph, mu):
    edge = bounds.gradient_tracking_largest_rate(graph, 1.0, mu)

    def radius(lr):
        s = sigma_2(graph)
        G = [[s + lr, lr + 2, lr], [lr, s, 0], [0, lr, max(abs(1 - mu * lr), abs(1 - lr))]]
        return np.abs(np.linalg.eigvals(np.array(G))).max()

    assert radius(edge) == pytest.approx(1, abs=1e-7)
    assert radius(0.99 * edge) < 1 < radius(1.01 * edge)
    with pytest.raises(InputError, match=r"Theorem 1 of Qu and Li 2018 .* assumes lr <"):
        bounds.gradient_tracking(graph, 1.01 * edge, 1.0, mu)


@pytest.mark.parametrize(("graph", "mu"), [(ring(8), 0.1), (chain(6), 0.3), (exponential(8), 0.9)])
@pytest.mark.parametrize("share", [1.5, 2.0, 6.0])
def test_pu_nedic_matrix_contracts_at_the_bound(graph, mu, share):
    lr, rho = bounds.stochastic_tracking_largest_rate(graph, 1.0, mu, share), sigma_2(graph)
    W, n = dense(graph), graph.n
    beta = (1 - rho**2) / (2 * rho**2) - 4 * lr - 2 * lr**2
    moved = np.linalg.norm(W - np.eye(n), 2) ** 2
    A = np.array(
        [
            [1 - lr * mu, lr / (mu * n) * (1 + lr * mu), 0],
            [0, (1 + rho**2) / 2, lr**2 * (1 + rho**2) * rho**2 / (1 - rho**2)],
            [2 * lr * n, (1 / beta + 2) * moved + 3 * lr, (1 + 4 * lr + 2 * lr**2 + beta) * rho**2],
        ]
    )
    assert beta > 0 and np.abs(np.linalg.eigvals(A)).max() < 1


# ----- D2, exact diffusion, EXTRA


def two_term(problem, first, second, lr):
    """X(t+1) = first X(t) - second X(t-1) - lr B (G(t) - G(t-1)), as a step of (X, former X)."""

    def step(state):
        if state is None:
            X = np.ones((problem.n, problem.dim))
            return X, None
        X, old = state
        return (first(X) if old is None else second(X, old)), X

    return step


def d2_step(problem, W, lr):
    g = problem.grad
    return two_term(problem, lambda X: W @ (X - lr * g(X)), lambda X, o: W @ (2 * X - o - lr * (g(X) - g(o))), lr)


def extra_step(problem, W, lr):
    g, half = problem.grad, (np.eye(len(W)) + W) / 2
    return two_term(problem, lambda X: W @ X - lr * g(X), lambda X, o: 2 * half @ X - half @ o - lr * (g(X) - g(o)), lr)


def distances(problem, step, rounds):
    with np.errstate(over="ignore", invalid="ignore"):
        return problem.iterate(step, rounds, lambda state: np.linalg.norm(state[0] - problem.x))


def far(problem, step, rounds):
    """The distance from the optimum after many rounds from ones: the round is affine, and its matrix is powered."""
    n, shape = problem.n * problem.dim, (problem.n, problem.dim)
    images = [step((vector[:n].reshape(shape), vector[n:].reshape(shape))) for vector in np.eye(2 * n + 1, 2 * n, -1)]
    flat = np.array([np.concatenate([part.ravel() for part in image]) for image in images])
    M = np.eye(2 * n + 1)
    M[:-1, -1], M[:-1, :-1] = flat[0], (flat[1:] - flat[0]).T
    state = step(step(None))
    last = np.linalg.matrix_power(M, rounds) @ np.concatenate([state[0].ravel(), state[1].ravel(), [1.0]])
    return np.linalg.norm(last[:n].reshape(shape) - problem.x)


@pytest.mark.parametrize("graph", [lazy(ring(7)), chain(6), lazy(complete(4))], ids=["ring", "chain", "full"])
@pytest.mark.parametrize("lr", [0.2, 1.0])
def test_d2_rate_is_exact_for_equal_hessians(graph, lr):
    problem = Quadratics(graph.n, shared=True, mu=0.2)
    found = distances(problem, d2_step(problem, dense(graph), lr), 400)
    rate = bounds.d2_rate(graph, lr, np.linalg.eigvalsh(problem.A[0]))
    assert slope(found, 30) == pytest.approx(rate, abs=0.02)


def pair(smallest):
    """Two nodes whose W has the eigenvalues 1 and `smallest`."""
    return from_weights([[(1 + smallest) / 2, (1 - smallest) / 2], [(1 - smallest) / 2, (1 + smallest) / 2]])


def test_d2_needs_eigenvalues_above_minus_a_third_and_steps_below_two_over_l():
    """EQUATIONS, cross-check 13: stable at -0.30, not at -0.40."""
    problem = Quadratics(2, shared=True)
    start = distances(problem, d2_step(problem, dense(pair(-0.30)), 0.1), 1)[0]
    assert distances(problem, d2_step(problem, dense(pair(-0.30)), 0.1), 1000)[-1] < 1e-3 * start
    assert distances(problem, d2_step(problem, dense(pair(-0.40)), 0.1), 1000)[-1] > 1e3 * start
    with pytest.raises(InputError, match=r"Tang et al. 2018 \(D2\) assumes all above -0.3333"):
        bounds.d2_rate(pair(-0.40), 0.1, [1.0])
    for n in (4, 6, 8, 12, 16):  # -1/3 itself, rounded either way
        with pytest.raises(InputError, match="D2"):
            bounds.d2_largest_rate(ring(n), 1.0)
    for graph in (pair(-0.32), pair(0.9), chain(5)):
        edge, problem = bounds.d2_largest_rate(graph, 1.0), Quadratics(graph.n, shared=True)
        assert far(problem, d2_step(problem, dense(graph), 0.98 * edge), 3000) < 0.1
        assert far(problem, d2_step(problem, dense(graph), 1.02 * edge), 3000) > 1e3


@pytest.mark.parametrize("graph", [ring(8), chain(5), complete(4)], ids=["ring", "chain", "full"])
@pytest.mark.parametrize("lr", [0.05, 1.0, 1.9])
def test_exact_diffusion_is_at_least_as_fast_as_its_rate(graph, lr):
    """Exact diffusion is D2 over (I + W) / 2. Hessians differ; the bound is on squares."""
    problem = Quadratics(graph.n)
    found = distances(problem, d2_step(problem, (np.eye(graph.n) + dense(graph)) / 2, lr), 1500)
    assert slope(found) ** 2 < bounds.exact_diffusion(graph, lr, 1.0, problem.mu) + 1e-3


def test_exact_diffusion_reaches_its_bounds():
    """The graph's factor for small steps (a sharper one, 1 - sigma(B), is violated), and 2 / L."""
    graph = ring(12)
    W = (np.eye(12) + dense(graph)) / 2
    lr = 1.0
    rate = bounds.exact_diffusion(graph, lr, 1.0, 0.9)
    assert rate == pytest.approx(np.sort(np.linalg.eigvalsh(W))[-2])
    small = Quadratics(12, shared=True, mu=1.0, dim=1)
    roots = np.abs(np.roots([1, -rate * (2 - 0.01), rate * (1 - 0.01)])).max() ** 2
    assert roots == pytest.approx(rate, rel=0.02) and roots > 1 - np.sqrt((1 - np.sqrt(rate)) / 1)
    edge = bounds.exact_diffusion_largest_rate(1.0)
    assert far(small, d2_step(small, W, 0.98 * edge), 3000) < 0.1
    assert far(small, d2_step(small, W, 1.02 * edge), 3000) > 1e3
    with pytest.raises(InputError, match="assumes lr < 2"):
        bounds.exact_diffusion(graph, 2.0, 1.0, 0.1)


@pytest.mark.parametrize(
    "graph", [ring(8), ring(7), chain(5), pair(-0.8), pair(0.5)], ids=lambda graph: str(graph)[:20]
)
def test_extra_diverges_just_beyond_its_tight_bound(graph):
    problem, largest = Quadratics(graph.n, shared=True), bounds.extra_largest_rate(graph, 1.0)
    W = dense(graph)
    assert largest.shi <= largest.tight
    assert far(problem, extra_step(problem, W, 0.98 * largest.tight), 4000) < 0.1
    assert far(problem, extra_step(problem, W, 1.02 * largest.tight), 4000) > 1e3
    different = Quadratics(graph.n, seed=1)
    assert far(different, extra_step(different, W, 0.99 * largest.shi), 4000) < 1e-6
    for lr in (0.3, 0.9 * largest.tight):
        found = distances(problem, extra_step(problem, W, lr), 600)
        rate = bounds.extra_rate(graph, lr, np.linalg.eigvalsh(problem.A[0]))
        assert slope(found, 30) == pytest.approx(rate, abs=0.02)


# ----- CHOCO, push-sum


def top(x, k):
    kept = np.zeros_like(x)
    places = np.argsort(-np.abs(x), axis=-1)[..., :k]
    np.put_along_axis(kept, places, np.take_along_axis(x, places, -1), -1)
    return kept


@pytest.mark.parametrize("kind", ["top", "random"])
@pytest.mark.parametrize("graph", [ring(6), complete(5), chain(4)], ids=["ring", "full", "chain"])
def test_choco_gossip_contracts_as_its_theorem_says(graph, kind):
    """Top k never, and random k in the mean over 50 runs, leaves more than rate^t of the sum of errors."""
    k, dim, rng, W = 2, 6, np.random.default_rng(0), dense(graph)
    theorem = bounds.choco_gossip(graph, k / dim)
    X = rng.standard_normal((50, graph.n, dim))
    copies, mean = np.zeros_like(X), X.mean(1, keepdims=True)
    errors = []
    for _ in range(400):
        change = X - copies
        kept = change * (rng.permuted(np.tile(np.arange(dim), (*X.shape[:2], 1)), axis=-1) < k)
        copies = copies + (top(change, k) if kind == "top" else kept)
        errors.append(np.mean(np.sum((X - mean) ** 2 + (X - copies) ** 2, axis=(1, 2))))
        X = X + theorem.gamma * (W @ copies - copies)
    assert all(error <= theorem.rate**t * errors[0] for t, error in enumerate(errors))
    assert errors[-1] < errors[0] * 0.9


def test_choco_constants():
    """W = J of n nodes without compression: delta = beta = 1, so gamma = 1 / (16 + 1 + 4 + 2 - 8)."""
    theorem = bounds.choco_gossip(complete(4), 1.0)
    assert theorem == pytest.approx((1 / 15, 1 - 1 / 82, 1, 1))
    sgd = bounds.choco_sgd(complete(4), 0.5, 1.0, 0.01, 100, 2.0, 3.0)
    assert sgd.shift == pytest.approx(max(410 / 0.5, 1600)) and sgd.noise == pytest.approx(2 / (0.01 * 4 * 100))
    assert sgd.compression == pytest.approx(100 * 3 / (0.01 * 0.25 * 1e4))
    assert sgd.rest == pytest.approx(3 / (0.01 * 0.125 * 1e6))
    assert bounds.choco_sgd(complete(4), 0.5, 1.0, 0.1, 100, 2.0, 3.0).shift == pytest.approx(820)
    with pytest.raises(InputError, match=r"CHOCO-Gossip\) assumes omega of at most 1"):
        bounds.choco_gossip(ring(5), 1.5)


def test_push_sum_stays_below_its_bound():
    graph = from_weights(DIGRAPH, stochastic="column")
    theorem, rng = bounds.push_sum(graph), np.random.default_rng(0)
    for _ in range(20):
        x, w = rng.standard_normal(4), np.ones(4)
        mean, start = x.mean(), np.linalg.norm(x - x.mean())
        for t in range(1, 40):
            x, w = DIGRAPH @ x, DIGRAPH @ w
            assert w.min() >= theorem.least_weight - 1e-12
            assert np.abs(x / w - mean).max() <= theorem.after(t) * start * (1 + 1e-9) + 1e-14
    assert theorem.rate < bounds.push_sum_worst_case(4).rate
    assert theorem.least_weight > bounds.push_sum_worst_case(4).least_weight
    with pytest.raises(InputError, match="row stochastic, the convergence of push-sum"):
        bounds.push_sum(from_weights(DIGRAPH.T, stochastic="row"))


@pytest.mark.parametrize("regular", [False, True])
def test_nedic_olshevsky_worst_case_holds_on_random_graphs(regular):
    """Entries of products approach one vector for all columns; shares of a sender are equal."""
    n, rng = 4, np.random.default_rng(1)
    theorem = bounds.push_sum_worst_case(n, regular=regular)
    product = np.eye(n)
    for t in range(200):
        A = np.eye(n) + np.roll(np.eye(n), rng.integers(1, n) if regular else 1, axis=0)
        if not regular:
            A = np.maximum(A, rng.random((n, n)) < 0.3)
        product = (A / A.sum(axis=0)) @ product if not regular else (A / 2) @ product
        if not regular or t > 0:
            assert np.ptp(product, axis=1).max() <= 2 * theorem.constant * theorem.rate**t
        assert product.sum(axis=1).min() >= theorem.least_weight - 1e-12


# ----- with a server


def local_run(problem, lr, steps, local_steps, noise=0.0, runs=1, seed=0, start=0.0, chosen=None):
    """The mean models of all steps of local SGD, [steps + 1, runs, dim]; lr is a function of the step."""
    rng = np.random.default_rng(seed)
    X = np.full((runs, problem.n, problem.dim), start)
    means = [X.mean(1)]
    for t in range(steps):
        X = X - lr(t) * (problem.grad(X) + noise * rng.standard_normal(X.shape))
        if (t + 1) % local_steps == 0:
            picked = X if chosen is None else X[:, rng.integers(0, problem.n, chosen)]
            X = np.broadcast_to(picked.mean(1, keepdims=True), X.shape).copy()
        means.append(X.mean(1))
    return np.array(means)


def excess(problem, points):
    apart = points - problem.x
    return np.einsum("...d,de,...e->...", apart, problem.A.mean(0), apart) / 2


@pytest.mark.parametrize("chosen", [None, 2])
@pytest.mark.parametrize("local_steps", [1, 5])
def test_fedavg_bound_of_li(local_steps, chosen):
    """With G^2 the largest squared gradient that the run meets, and Gamma exact."""
    problem, noise, steps = Quadratics(5, mu=0.5), 0.3, 500
    rate = lambda t: bounds.fedavg_rate(t - t % local_steps if chosen else t, 1.0, problem.mu, local_steps)
    means = local_run(problem, rate, steps, local_steps, noise, runs=30, chosen=chosen)
    least = np.array([-b @ np.linalg.solve(A, b) / 2 for A, b in zip(problem.A, problem.b, strict=True)])
    gamma = problem.value(problem.x) - least.mean()
    G = np.max(np.sum((np.abs(means).max() * np.ones(problem.dim) + np.abs(problem.b)) ** 2, axis=1))
    variance = noise**2 * problem.dim
    bound = bounds.fedavg(
        steps, local_steps, 1.0, problem.mu, problem.x @ problem.x, G, gamma, variance, n=5, participants=chosen
    )
    assert 0 < excess(problem, means[-1]).mean() < bound


def test_fedavg_constants_of_li():
    """By hand: kappa = 10, gamma = 80, B = 4/8 + 0.6 + 8 * 16 * 2, C = 4/3 * 25 * 2, without replacement 5/7 of it."""
    said = dict(steps=100, local_steps=5, L=1.0, mu=0.1, start_squared=3.0, gradient_squared=2.0, heterogeneity=0.1)
    of = lambda C: 10 / 179 * (2 * (0.5 + 0.6 + 256 + C) / 0.1 + 4 * 3.0)
    assert bounds.fedavg(**said, sigma_squared=4.0, n=8) == pytest.approx(of(0))
    assert bounds.fedavg(**said, sigma_squared=4.0, n=8, participants=3) == pytest.approx(of(200 / 3))
    without = bounds.fedavg(**said, sigma_squared=4.0, n=8, participants=3, replacement=False)
    assert without == pytest.approx(of(200 / 3 * 5 / 7))
    with pytest.raises(InputError, match=r"Theorem 1 of Li et al. 2020 \(FedAvg\) assumes shares that sum to one"):
        bounds.fedavg(**said, shares=[0.5, 0.6])


@pytest.mark.parametrize(("local_steps", "noise"), [(1, 0.5), (4, 0.0), (4, 0.5), (16, 0.2)])
def test_khaled_bound_with_data_that_differ(local_steps, noise):
    problem, steps = Quadratics(6), 1600
    lr = bounds.local_sgd_largest_rate(1.0, local_steps)
    means = local_run(problem, lambda t: lr, steps, local_steps, noise, runs=20)
    found = excess(problem, means[:-1].mean(0)).mean()
    differ = problem.zeta + noise**2 * problem.dim
    bound = bounds.local_sgd(steps, local_steps, lr, 1.0, 6, problem.x @ problem.x, differ)
    assert 0 < found < bound
    with pytest.raises(InputError, match=r"Khaled et al. 2020 .* assumes lr <="):
        bounds.local_sgd(steps, local_steps, 1.01 * lr, 1.0, 6, 1.0, 1.0)


@pytest.mark.parametrize("local_steps", [1, 4])
def test_khaled_bound_with_identical_data(local_steps):
    """On quadratics the exact variance is known: means do not depend on H, and lose (1 - lr a)^2 of it a step."""
    curvatures, n, sigma, lr, steps = np.array([0.2, 0.5, 1.0]), 4, 0.7, 0.2, 60
    start = np.ones(3)
    keep = (1 - lr * curvatures) ** 2
    exact = np.sum(keep**steps * start + lr**2 * sigma**2 / n * (1 - keep**steps) / (1 - keep))
    bound = bounds.local_sgd_identical(steps, local_steps, lr, 1.0, 0.2, n, 3.0, 3 * sigma**2)
    assert exact < bound
    one = bounds.local_sgd_identical(10**6, 1, 0.01, 1.0, 1.0, n, 1.0, 1.0)
    assert one == pytest.approx(0.01 / 4) and 0.01**2 / 4 / (1 - 0.99**2) == pytest.approx(one / 2, rel=0.01)


def test_woodworth_orders():
    """Without heterogeneity, noise or local steps both are L B^2 / R; heterogeneity decides which is ahead."""
    assert bounds.local_sgd_order(50, 1, 4, 2.0, 3.0, 0.0, 0.0) == bounds.minibatch_sgd_order(50, 1, 4, 2.0, 3.0, 0.0)
    assert bounds.minibatch_sgd_order(50, 1, 4, 2.0, 3.0, 0.0) == pytest.approx(2 * 3 / 50)
    ahead = [bounds.local_sgd_order(100, 50, 4, 1.0, 1.0, 0.0, zeta) for zeta in (1e-5, 1e-2)]
    assert ahead[0] < bounds.minibatch_sgd_order(100, 50, 4, 1.0, 1.0, 0.0) < ahead[1]
    drift = [bounds.local_sgd_order(R, 10**9, 4, 1.0, 1.0, 0.0, 1.0) for R in (10, 80)]
    assert drift[0] / drift[1] == pytest.approx(4, rel=1e-4)


def scaffold_run(problem, lr, local_steps, rounds):
    """Full participation, server step 1: the second option for control variates."""
    x, c = np.ones(problem.dim), np.zeros((problem.n, problem.dim))
    found = []
    for _ in range(rounds):
        found.append(np.linalg.norm(x - problem.x))
        Y = np.tile(x, (problem.n, 1))
        for _ in range(local_steps):
            Y = Y - lr * (problem.grad(Y) - c + c.mean(0))
        c = c - c.mean(0) + (x - Y) / (local_steps * lr)
        x = Y.mean(0)
    return np.array(found)


@pytest.mark.parametrize("local_steps", [1, 10])
def test_scaffold_converges_at_its_bound_faster_than_its_rate(local_steps):
    problem = Quadratics(6, mu=0.5)
    lr = bounds.scaffold_largest_rate(1.0, local_steps, 6, mu=problem.mu)
    found = scaffold_run(problem, lr, local_steps, 1500)
    assert slope(found) ** 2 < bounds.scaffold(1.0, problem.mu, 6) and found[-1] < 1e-3 * found[0]
    assert scaffold_run(problem, 10 * lr, local_steps, 1000)[-1] < 1e-6


def test_scaffold_constants():
    assert bounds.scaffold_largest_rate(2.0, 5, 10, case="convex") == pytest.approx(1 / 810)
    few = bounds.scaffold_largest_rate(1.0, 5, 100, participants=1, mu=0.5)
    assert few == pytest.approx(1 / (15 * 0.5 * 100 * 5))
    assert bounds.scaffold_largest_rate(1.0, 1, 8, 1, case="nonconvex") == pytest.approx(1 / 96)
    assert bounds.scaffold(1.0, 1.0, 30, 1) == pytest.approx(np.exp(-1 / 900))
    with pytest.raises(InputError, match=r"Karimireddy et al. 2020 .* assumes server_lr of at least 1"):
        bounds.scaffold_largest_rate(1.0, 5, 10, server_lr=0.5)


# ----- bounds that simulations do not reach, by hand


def test_lian_theorem_1_by_hand():
    """W = (I + 3 J) / 4 on 4 nodes, rho = 1/16; lr = 1/40, L = 2: lr^2 n L^2 = 0.01, over (3/4)^2."""
    W, stretch = (np.eye(4) + 0.75) / 4, 0.01 / 0.75**2
    D_2 = 1 - 18 * stretch
    D_1 = 0.5 - 9 * stretch / D_2
    right = 3 / (1 / 40 * 500) + 1 / 40 * 2 * 5 / 8 + 0.01 * 5 / (15 / 16 * D_2) + 9 * stretch * 7 / D_2
    found = bounds.dsgd(from_weights(W), 1 / 40, 2.0, 500, 3.0, 5.0, 7.0)
    assert found == pytest.approx((right / D_1, right, D_1))


def test_noise_reaches_the_consensus_distance_where_all_modes_are_equal():
    """W = (I + J) / 2: of the variance n sigma^2 of the noise, the mean takes sigma^2, and the rest stays."""
    n, sigma, lr = 5, 3.0, 0.1
    graph = from_weights((np.eye(n) + 1 / n) / 2)
    stationary = lr**2 * sigma * (n - 1) / n * 0.25 / (1 - 0.25)
    assert bounds.consensus_distance(graph, lr, 0.0, sigma) * (n - 1) / n == pytest.approx(stationary)


def test_qu_li_rate_is_the_radius_of_its_matrix():
    G = np.array([[0.5 + 0.02, 2 * (0.02 + 2), 0.04], [0.01, 0.5, 0], [0, 0.02, 1 - 0.005]])
    graph = from_weights((np.eye(4) + 1 / 4) / 2)
    assert bounds.gradient_tracking(graph, 0.01, 2.0, 0.5) == pytest.approx(np.abs(np.linalg.eigvals(G)).max())


def test_each_of_the_three_terms_of_pu_and_nedic_by_hand():
    """W = (1 - rho) J + rho I, so ||W - I|| = 1 - rho; L = 2."""
    mixed = lambda rho: from_weights(rho * np.eye(4) + (1 - rho) / 4)
    first = bounds.stochastic_tracking_largest_rate(mixed(0.9), 2.0, 2.0, 2.0)
    assert first == pytest.approx(0.19 / (12 * 0.9 * 2))
    second = bounds.stochastic_tracking_largest_rate(mixed(0.5), 2.0, 2.0, 100.0)
    assert second == pytest.approx(0.75**2 / (2 * 10 * 2 * 1.5))
    third = bounds.stochastic_tracking_largest_rate(mixed(0.5), 2.0, 0.002, 2.0)
    assert third == pytest.approx(0.75 / (3 * 0.5 ** (2 / 3) * 2) * (1e-6 / 6) ** (1 / 3))


def test_constants_of_servers_and_push_sum_by_hand():
    assert bounds.fedavg_rate(4, 1.0, 0.5, 3) == pytest.approx(2 / (0.5 * 20))
    assert bounds.fedavg_rate(4, 1.0, 0.5, 40) == pytest.approx(2 / (0.5 * 44))
    exact = 4 * 3 / (0.01 * 600) + 20 * 0.01 * 5 / 4 + 16 * 0.01**2 * 2 * 9 * 5
    assert bounds.local_sgd(600, 4, 0.01, 2.0, 4, 3.0, 5.0) == pytest.approx(exact)
    exact = 0.995**600 * 3 + 0.01 * 5 / (0.5 * 4) + 2 * 2 * 0.01**2 * 3 * 5 / 0.5
    assert bounds.local_sgd_identical(600, 4, 0.01, 2.0, 0.5, 4, 3.0, 5.0) == pytest.approx(exact)
    assert bounds.local_sgd_largest_rate(2.0, 4) == pytest.approx(1 / 48)
    assert bounds.scaffold_rounds(0.01, 1.0, 0.1, 10, 8, 1.0, 4) == pytest.approx(1 / 0.04 + 10 + 2)
    assert bounds.push_sum_worst_case(2, 3) == pytest.approx(((1 - 2**-6) ** (1 / 3), 4, 2**-6))
    assert bounds.push_sum_worst_case(2, 3, regular=True) == pytest.approx(((31 / 32) ** (1 / 3), 8**0.5, 1))
    order = bounds.local_sgd_order(8, 27, 4, 2.0, 3.0, 5.0, 7.0)
    assert order == pytest.approx(
        6 / 216 + (15 / (4 * 216)) ** 0.5 + (2 * 7 * 9) ** (1 / 3) / 4 + (2 * 5 * 9) ** (1 / 3) / 12
    )


# ----- what is refused

DIRECTED, APART = exponential(8), from_weights(np.kron(np.eye(2), np.full((2, 2), 0.5)), allow_disconnected=True)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: bounds.dsgd(DIRECTED, 0.01, 1.0, 10, 1.0), "not symmetric, Theorem 1 of Lian"),
        (lambda: bounds.dsgd(APART, 0.01, 1.0, 10, 1.0), "2 components, Theorem 1 of Lian"),
        (lambda: bounds.dsgd(ring(5), 0.01, None, 10, 1.0), "got no L, which Theorem 1 of Lian"),
        (lambda: bounds.dsgd(ring(5), 0.01, 1.0, 10, -1.0), "gap=-1.0, Theorem 1 of Lian .* at least 0"),
        (lambda: bounds.mixing(from_weights(DIGRAPH, stochastic="column")), "Assumption 4 .* doubly stochastic"),
        (lambda: bounds.dsgd_rounds(bounds.Mixing(0.0, 1), 4, 1.0, 0.1, 1.0, 1.0, 1.0), "p=0.0, Theorem 2 of Kol"),
        (lambda: bounds.gradient_tracking(APART, 0.01, 1.0, 0.1), "2 components, Theorem 1 of Qu and Li"),
        (lambda: bounds.gradient_tracking(ring(5), 0.01, 0.1, 1.0), "mu=1 and L=0.1, Theorem 1 of Qu and Li"),
        (lambda: bounds.stochastic_tracking_largest_rate(complete(4), 1.0, 0.1), "Pu and Nedic .* assumes rho > 0"),
        (lambda: bounds.exact_diffusion(DIRECTED, 0.1, 1.0, 0.1), "not symmetric, Theorem 1 of Alghunaim"),
        (lambda: bounds.extra_largest_rate(pair(-1.0), 1.0), r"eigenvalue -1, Theorem 3.3 of Shi .* \(I \+ W\) / 2"),
        (lambda: bounds.choco_gossip(pair(-1.0), 0.5), "lambda_2 = 1, Theorem 2 of Koloskova"),
        (lambda: limit_weights(APART), "2 components, the theorem of Perron and Frobenius"),
        (lambda: finite_time_steps(DIRECTED), "not symmetric, minimum-time consensus"),
        (lambda: random_contraction(Epidemic(8)), "schedule Epidemic, a closed form is known for"),
        (lambda: outcomes(Matching(20)), "a schedule of 6.55e[+]08 outcomes"),
        (lambda: bounds.gradient_tracking(one_peer_exponential(8), 0.1, 1.0, 0.1), "list of 3 graphs, Theorem 1 of Qu"),
        (lambda: bounds.extra_largest_rate(one_peer_exponential(8), 1.0), "list of 3 graphs, Theorem 3.3 of Shi"),
        (lambda: sigma_2(one_peer_exponential(8)), "list of 3 graphs, the second singular value"),
        (lambda: bounds.dsgd_largest_rate(np.eye(4), 1.0), "got a ndarray, need a topology"),
        (lambda: predicted_rounds("ring"), "got a str, need a topology"),
        (lambda: bounds.dsgd_largest_rate(APART, 1.0), "2 components, Theorem 1 of Lian"),
        (lambda: bounds.d2_largest_rate(APART, 1.0), "2 components, Assumption 1 of Tang"),
        (lambda: bounds.extra_largest_rate(APART, 1.0), "2 components, Theorem 3.3 of Shi"),
        (lambda: bounds.extra_rate(ring(5), 0.1, 1.0), r"need its eigenvalues in a list; write curvatures=\[1.0\]"),
        (lambda: bounds.dsgd_rounds(0.5, 4, 1.0, 0.1, 1.0, 1.0, 1.0), r"rate=0.5, .* give mixing\(topology\)"),
        (lambda: contraction_of_outcomes(ring(5)), r"got Topology, need a list .* give outcomes\(schedule\)"),
        (lambda: realised_gap(ring(5)), r"got Topology, need a list with W .* give realised_rounds"),
    ],
)
def test_what_is_outside_of_a_theorem_is_refused_by_its_name(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
