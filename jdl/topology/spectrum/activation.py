"""The probability of each matching of a graph, and the step size along them (MATCHA, on the host)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, linalg

__all__ = ["activation", "best_step", "contraction"]

DENSE_NODES = 300  # below this number of nodes a dense eigensolver is faster
CUTS = 8  # the number of eigenvectors that give a cut in each iteration
MOST_ROUNDS = 200


def laplacian(partners: np.ndarray, share: np.ndarray) -> csr_array:
    """sum_j share_j L_j, where L_j is the Laplacian of matching j."""
    (count, n), ids = partners.shape, np.arange(partners.shape[1])
    links = np.where(partners != ids, share[:, None], 0.0)
    places = (np.tile(ids, count), partners.ravel())
    return csr_array((links.sum(axis=0), (ids, ids)), shape=(n, n)) - csr_array((links.ravel(), places), shape=(n, n))


def extreme(operator: linalg.LinearOperator, count: int, which: str) -> tuple[np.ndarray, np.ndarray]:
    """The `count` smallest ("SA") or largest ("LA") eigenvalues of a symmetric operator, and eigenvectors."""
    n = operator.shape[0]
    if n < DENSE_NODES:
        values, vectors = np.linalg.eigh(operator @ np.eye(n))
        return (values[:count], vectors[:, :count]) if which == "SA" else (values[-count:], vectors[:, -count:])
    start = np.random.default_rng(0).standard_normal(n)
    return linalg.eigsh(operator, k=count, which=which, v0=start, ncv=min(n, 10 * count + 20), tol=1e-7)


def operator(n: int, times) -> linalg.LinearOperator:
    """The map x -> times(x) as a symmetric operator on `float[n]` and on columns `float[n, k]`."""
    return linalg.LinearOperator((n, n), matvec=times, matmat=times, dtype=np.float64)


def activation(partners: np.ndarray, budget: float) -> tuple[np.ndarray, float, float]:
    """The best probability of each matching: p = argmax lambda_2(sum_j p_j L_j), sum_j p_j <= budget M, 0 <= p_j <= 1.

    The method is Kelley's cutting planes. lambda_2 is concave in p, and each eigenvector x of mean zero and unit length
    gives the bound lambda_2 <= sum_j p_j x' L_j x. A linear program over all such cuts gives the next p, and an upper
    bound.

    Args:
      partners: `int[M, n]`, see `matchings`.
      budget: expected share of the matchings that a round uses, above 0, at most 1.

    Returns:
      p: `float[M]`; lambda_2 at p; an upper bound on the best lambda_2, which p reaches to one part in 10 000.

    >>> from jdl.topology import ring
    >>> from jdl.topology.graphs.matchings import matchings
    >>> p, value, bound = activation(matchings(ring(4)), budget=0.5)
    >>> p.round(3), round(value, 3)
    (array([0.5, 0.5]), 1.0)
    """
    from scipy.optimize import linprog

    count, n = partners.shape
    p, best, bound, cuts = np.full(count, budget), (np.full(count, budget), 0.0), np.inf, []
    for _ in range(MOST_ROUNDS):
        combined = laplacian(partners, p)
        # 4 M is larger than every eigenvalue, so that the constant vector comes last.
        lifted = operator(n, lambda x, L=combined: L @ x + 4 * count * x.mean(axis=0))
        values, vectors = extreme(lifted, min(CUTS, n - 1), "SA")
        cuts.append([((vectors - vectors[partner]) ** 2).sum(axis=0) / 2 for partner in partners])
        best = max(best, (p, float(values.min())), key=lambda pair: pair[1])
        rows = np.concatenate([np.transpose(cut) for cut in cuts])
        limits = np.block([[-rows, np.ones((len(rows), 1))], [np.ones((1, count)), np.zeros((1, 1))]])
        solution = linprog(
            np.append(np.zeros(count), -1.0),
            A_ub=limits,
            b_ub=np.append(np.zeros(len(rows)), budget * count),
            bounds=[(0, 1)] * count + [(0, None)],
        )
        p, bound = solution.x[:-1], -solution.fun
        if bound - best[1] <= 1e-4 * bound:
            break
    return *best, float(bound)


def contraction(partners: np.ndarray, p: np.ndarray, alpha: float) -> float:
    """|| E[W'W] - J || for W = I - alpha sum_j B_j L_j, B_j Bernoulli(p_j): the factor on squared disagreement.

    E[W'W] = I - 2 alpha L + alpha^2 (L^2 + 2 V), L = sum_j p_j L_j, V = sum_j p_j (1 - p_j) L_j.

    >>> import numpy as np
    >>> from jdl.topology import ring
    >>> from jdl.topology.graphs.matchings import matchings
    >>> round(contraction(matchings(ring(4)), np.ones(2), 0.25), 4)
    0.25
    """
    n = partners.shape[1]
    mean, spread = laplacian(partners, p), laplacian(partners, p * (1 - p))

    def times(x: np.ndarray) -> np.ndarray:
        once = mean @ x
        return x - x.mean(axis=0) - 2 * alpha * once + alpha**2 * (mean @ once + 2 * (spread @ x))

    return float(extreme(operator(n, times), 1, "LA")[0][0])


def best_step(partners: np.ndarray, p: np.ndarray) -> float:
    """The step size alpha = argmin `contraction(partners, p, alpha)`, which is convex in alpha.

    >>> import numpy as np
    >>> from jdl.topology import ring
    >>> from jdl.topology.graphs.matchings import matchings
    >>> round(best_step(matchings(ring(4)), np.ones(2)), 4)
    0.3333
    """
    from scipy.optimize import minimize_scalar

    n, mean = partners.shape[1], laplacian(partners, p)
    # For alpha > 2 / lambda_n(L) even the mean of W expands, since (1 - alpha lambda_n)^2 > 1.
    most = 2 / float(extreme(operator(n, lambda x: mean @ x), 1, "LA")[0][0])
    best = minimize_scalar(
        lambda alpha: contraction(partners, p, alpha), bounds=(0, most), method="bounded", options={"xatol": 1e-7}
    )
    return float(best.x)
