"""The symmetric weights that mix fastest on a graph, by convex optimisation."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, triu

from jdl import checks
from jdl.topology.weights.adjacency import require_undirected

__all__ = ["fastest"]

# A semidefinite program with two n x n cones: half a second at 100 nodes, ten seconds at 200, growing like n^4. SCS,
# a first-order solver, was 50 times faster here than the interior-point one, and as exact with this tolerance.
MOST_NODES = 200


def fastest(links: csr_array) -> csr_array:
    """The symmetric W on an undirected graph for which the spectral norm of W - J is smallest. Weights may be negative.

    W = I - B diag(w) B^T with the incidence matrix B. The program minimises s over w and s subject to -s I <= W - J <=
    s I.

    Args:
      links: symmetric 0/1 `csr_array [n, n]`.

    Returns:
      `csr_array [n, n]`, symmetric; its norm exceeds the smallest one by about 1e-6 at most.

    Raises:
      InputError: if the graph is directed or has more than 200 nodes, if cvxpy is missing, or if the solver fails.

    References:
      Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53, 2004, equation 17.
    """
    choice = 'fastest weights need an undirected one; try scheme "row", "column" or "sinkhorn"'
    require_undirected(links, choice)
    n = links.shape[0]
    large = f'got n={n}, the fastest weights need n of at most {MOST_NODES}; try scheme "best_constant"'
    checks.require(n <= MOST_NODES, large)
    if links.nnz == 0:
        return csr_array(np.eye(n))
    try:
        import cvxpy as cp
    except ImportError as error:
        need = "got scheme \"fastest\", need cvxpy, which is not installed; run pip install 'jdl[solvers]'"
        raise checks.InputError(need) from error

    ends = triu(links).tocoo()
    i, j, edge = ends.row, ends.col, np.arange(ends.nnz)
    # Column l is (e_i - e_j)(e_i - e_j)^T of edge l, flattened row by row.
    rows = np.concatenate([i * n + i, j * n + j, i * n + j, j * n + i])
    signs = np.repeat([1.0, 1.0, -1.0, -1.0], ends.nnz)
    laplacians = csr_array((signs, (rows, np.tile(edge, 4))), shape=(n * n, ends.nnz))
    weight, bound = cp.Variable(ends.nnz), cp.Variable()
    error = np.eye(n) - 1 / n - cp.reshape(laplacians @ weight, (n, n), order="C")
    problem = cp.Problem(cp.Minimize(bound), [bound * np.eye(n) - error >> 0, bound * np.eye(n) + error >> 0])
    problem.solve(solver=cp.SCS, eps=1e-7, max_iters=100_000)
    solved = f'got "{problem.status}" from the solver on {n} nodes; try scheme "best_constant"'
    checks.require(problem.status == cp.OPTIMAL, solved)
    matrix = np.eye(n) - (laplacians @ weight.value).reshape(n, n)
    return csr_array((matrix + matrix.T) / 2)
