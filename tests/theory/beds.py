"""The test bed of the theory: heterogeneous quadratics in float64, networks, and one compiled program a method.

What costs time here is tracing and compiling. So a simulation is one program, `record`: its start, any number of
rounds, and what it saw in the last of them. Rates, weights, data, noise and starts are arguments of that program.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import jdl
from jdl import schedule, topology
from jdl.engine import sim as simulator

N, DIM, ROUNDS = 8, 5, 60
MEAN = np.full((N, N), 1 / N)
# Numbers of examples, one of them zero, where clients do not count alike.
COUNTS = np.array([1, 5, 2, 9, 0, 3, 4, 7])

jit = jax.jit  # the flags under which tests compile cheaply are in tests/conftest.py


# ---- data --------------------------------------------------------------------------------------------------------


def vector(params):
    """All parameters in one vector."""
    leaves = jax.tree.leaves(params)
    return jnp.ravel(leaves[0]) if len(leaves) == 1 else jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])


def unchanged(v):
    return v


def pieces(v):
    """Three arrays, of 2, 2 and 1 numbers."""
    return {"a": v[..., :2], "b": v[..., 2:4], "c": v[..., 4:]}


def matrix(v):
    """An array of 4 x 3 numbers."""
    return v.reshape(*v.shape[:-1], 4, 3)


def square(v):
    """An array of 3 x 3 numbers."""
    return v.reshape(*v.shape[:-1], 3, 3)


@struct.dataclass
class Bed(jdl.problems.Quadratic):
    """A quadratic whose nodes hold `counts` examples, whose losses are higher by `height`, and whose vector of
    parameters is given the form of `form`.
    """

    counts: Any = None
    height: Any = None
    form: Any = struct.field(pytree_node=False, default=unchanged)

    num_examples = property(lambda self: self.counts)
    optimum = property(lambda self: None)

    def init(self, key):
        return self.form(super().init(key))

    def batch(self, id, draw):
        """Uniform noise, which is faster to compile than normal noise."""
        A, b = self.full_batch(id)
        return A, b - self.noise * jax.random.uniform(draw.key, b.shape, b.dtype, -1, 1)

    def loss(self, params, batch):
        return super().loss(vector(params), batch)[0] + self.height, ()

    def evaluate(self, params):
        return super().evaluate(vector(params))


def quadratic(n=N, dim=DIM, seed=0, noise=0.0, counts=None, height=0.0, form=unchanged, heterogeneity=1.0):
    """A `Bed` with L = 1 and mu = 1/4 on every node."""
    made = jdl.problems.quadratic(n, dim, condition=4.0, seed=seed, noise=noise, heterogeneity=heterogeneity)
    counts = np.ones(n) if counts is None else counts
    return Bed(made.A, made.b, made.noise, jnp.asarray(counts, jnp.int32), jnp.asarray(height, made.b.dtype), form)


def start(seed: int = 0, n: int = N, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng([seed, 99]).standard_normal((n, dim))


def odd_ring():
    """In float32 an odd ring, whose least eigenvalue is above D2's -1/3, and its W; a start; the optimum of these very
    float32 numbers.
    """
    problem = quadratic(n=9)
    assert problem.A.dtype == jnp.float32
    A, b = (np.asarray(leaf, np.float64).mean(0) for leaf in (problem.A, problem.b))
    return problem, ring(9), start(n=9).astype(np.float32), np.linalg.solve(A, b)


def one_start() -> np.ndarray:
    """The same start on every node."""
    return np.broadcast_to(start()[0], (N, DIM))


def optimum(problem) -> np.ndarray:
    return np.linalg.solve(np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0))


def same_data(problem):
    """All nodes hold what the first one holds."""
    first = lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape)
    return problem.replace(A=first(problem.A), b=first(problem.b))


def in_pairs(problem):
    """Four copies of the data of the first two nodes, for `pairs`."""
    return problem.replace(A=jnp.tile(problem.A[:2], (N // 2, 1, 1)), b=jnp.tile(problem.b[:2], (N // 2, 1)))


def descent(problem, x, lr, rounds=ROUNDS, steps=1, momentum=0.0):
    """Gradient descent on the mean loss, `steps` a round, with a heavy ball."""
    A, b, m, out = np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0), 0 * x, [x]
    for _ in range(rounds):
        for _ in range(steps):
            m = momentum * m + A @ x - b
            x = x - lr * m
        out.append(x)
    return np.stack(out)


def biased_limit(problem, W, lr, mixed=0.0, late=False):
    """The solution of X = W (X - lr S (A X - b)), on all n d coordinates at once, where adapt-then-combine ends.

    S = I; where momentum is mixed as well, S = (I - mixed W)^-1; where it is a round late, S W.
    """
    n, d = problem.b.shape
    A, b = np.zeros((n * d, n * d)), np.asarray(problem.b).ravel()
    for i, block in enumerate(np.asarray(problem.A)):
        A[i * d : (i + 1) * d, i * d : (i + 1) * d] = block
    big, eye = np.kron(W, np.eye(d)), np.eye(n * d)
    S = lr * np.linalg.inv(eye - mixed * big) @ (big if late else eye)
    return np.linalg.solve(eye - big @ (eye - S @ A), big @ S @ b).reshape(n, -1)


def local_limit(problem, lr, steps, normalized=False):
    """Where the mean of `steps` local steps of every node ends: mean (I - P_i)(x - x_i*) = 0, P_i = (I - lr A_i)^steps.

    normalized: each change is divided by the node's number of steps.
    """
    A, b, eye = np.asarray(problem.A), np.asarray(problem.b), np.eye(problem.b.shape[1])
    steps = np.broadcast_to(steps, len(b))
    M = np.stack([eye - np.linalg.matrix_power(eye - lr * a, int(k)) for a, k in zip(A, steps, strict=True)])
    M = M / steps[:, None, None] if normalized else M
    own = np.stack([np.linalg.solve(a, right) for a, right in zip(A, b, strict=True)])
    return np.linalg.solve(M.sum(0), np.einsum("nij,nj->i", M, own))


def gradient(problem):
    """G(X, t, k) in NumPy: rows A_i x_i - b_i, plus the noise that round t and minibatch k draw."""
    A, b, scale = np.asarray(problem.A), np.asarray(problem.b), float(problem.noise)

    def G(X, t=0, k=0):
        clean = np.einsum("nij,nj->ni", A, X) - b
        return clean + scale * draws(*b.shape)[t, k] if scale else clean

    return G


@functools.cache
def draws(n, dim, rounds=ROUNDS + 1, steps=6):
    """The noise of every node, `[round, minibatch, n, dim]`: the documented key of (seed 0, round, node), folded with
    the number of the minibatch.
    """

    def one(t, k, i):
        key = jax.random.fold_in(key_of("data", t, i), k)
        return jax.random.uniform(key, (dim,), jnp.result_type(float), -1, 1)

    grid = (one, (None, None, 0)), (None, 0, None), (0, None, None)
    each = jax.vmap(jax.vmap(jax.vmap(*grid[0]), grid[1]), grid[2])
    return np.asarray(jit(each)(jnp.arange(rounds), jnp.arange(steps), jnp.arange(n)))


def key_of(stream, t, *ids):
    """The documented key of a run with seed 0."""
    return simulator.key_of(jax.random.key(0), stream, t, *ids)


@functools.cache
def samples(participants, n=N):
    """Who takes part, `[T, m]`."""
    plan = lambda t: schedule.Sampling(n, participants)((), t, key_of("schedule", t))[0]
    return np.asarray(jit(jax.vmap(lambda t: plan(t).participants))(jnp.arange(ROUNDS)))


@functools.cache
def coins(probability):
    """What all nodes toss together, `[T]`."""
    coin = lambda t: jax.random.bernoulli(key_of("common", t), probability)
    return np.asarray(jit(jax.vmap(coin))(jnp.arange(ROUNDS)))


@functools.cache
def own_coins(probability):
    """What each node tosses alone, `[T, n]`."""
    coin = lambda t, i: jax.random.bernoulli(key_of("node", t, i), probability)
    return np.asarray(jit(jax.vmap(jax.vmap(coin, (None, 0)), (0, None)))(jnp.arange(ROUNDS), jnp.arange(N)))


# ---- networks ----------------------------------------------------------------------------------------------------


def ring(n: int = N) -> np.ndarray:
    return topology.ring(n).weights.toarray()


def symmetric(seed: int = 0, n: int = N, lazy: float = 0.0) -> np.ndarray:
    """A random symmetric doubly stochastic W on a connected graph; eigenvalues above 2 lazy - 1."""
    rng = np.random.default_rng([seed, 1])
    off = np.triu(rng.uniform(0.2, 1, (n, n)) * (rng.random((n, n)) < 0.5), 1)
    off += np.diag(rng.uniform(0.3, 1, n - 1), 1)
    off = off + off.T
    off *= (1 - lazy) / off.sum(axis=1).max()
    return off + np.diag(1 - off.sum(axis=1))


def directed_doubly(seed: int = 0, n: int = N) -> np.ndarray:
    """A doubly stochastic W far from its transpose: a mixture of permutations."""
    rng = np.random.default_rng([seed, 2])
    cycle = np.roll(np.eye(n), 1, axis=1)
    return 0.4 * np.eye(n) + 0.35 * cycle + 0.25 * np.eye(n)[rng.permutation(n)]


def directed_column(seed: int = 0, n: int = N) -> np.ndarray:
    """A column-stochastic P on a strongly connected digraph, whose rows do not sum to one."""
    rng = np.random.default_rng([seed, 3])
    links = np.roll(np.eye(n), 1, axis=0) + (rng.random((n, n)) < 0.3) * rng.uniform(0.2, 1, (n, n)) + np.eye(n)
    return links / links.sum(axis=0)


def pairs(eigenvalue: float) -> np.ndarray:
    """Four pairs of nodes that meet nobody else; the second eigenvalue of each pair's W is the given one."""
    same, across = (1 + eigenvalue) / 2, (1 - eigenvalue) / 2
    return np.kron(np.eye(N // 2), [[same, across], [across, same]])


def path() -> np.ndarray:
    W = np.diag(np.full(N - 1, 0.25), 1)
    W = W + W.T
    return W + np.diag(1 - W.sum(1))


def graphs(needs) -> list[np.ndarray]:
    """A regular W, and one that is as directed and as irregular as the method's `needs` allow."""
    if "tree" in needs:
        order = np.random.default_rng(0).permutation(N)
        return [path(), path()[order][:, order]]
    if "symmetric" in needs:
        return [ring(), symmetric()]
    if "column_stochastic" in needs:
        return [ring(), directed_column()]
    return [ring(), directed_column().T if "row_stochastic" in needs else directed_doubly()]


def talk(W: np.ndarray, needs, form: str = "dense") -> schedule.Fixed:
    """W as a plan that promises no more than the method needs, whatever W is: so one program serves all W."""
    named = (kind for kind in ("column", "row") if f"{kind}_stochastic" in needs)
    kind = "doubly" if "symmetric" in needs else next(named, "doubly")
    plan = topology.from_weights(W, stochastic=kind, allow_disconnected=True).plan(form)
    return schedule.Fixed(plan.replace(stochastic=kind, symmetric="symmetric" in needs))


# ---- the program -------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """Arrays of NumPy. models: of rounds 0 to T, `[T + 1, n, d]`. nodes, server: the states after rounds 1 to T.

    bits, messages: what every node has sent by then, the server last. before: the states of nodes in round 0.
    """

    models: Any
    nodes: Any
    server: Any
    bits: Any
    messages: Any
    before: Any


@functools.partial(jit, static_argnames="length")
def _record(simulation, params, first, length):
    def seen(sim):
        traffic = sim.traffic
        return simulator.models(simulation, sim), sim.nodes, sim.server, traffic.bits[0], traffic.messages[0]

    def write(tape, sim):
        at = jnp.where(sim.t < first, length + 1, sim.t - first)
        put = lambda tape, x: jax.lax.dynamic_update_index_in_dim(tape, x, at, 0)
        return jax.tree.map(put, tape, seen(sim))

    def body(carry):
        sim, tape = carry
        return simulator.step(simulation, sim)[0], write(tape, sim)

    # Each turn writes down the state that it begins with, so that this is compiled once; one round too many is run.
    sim = simulator.init(simulation, params)
    tape = jax.tree.map(lambda x: jnp.zeros((length + 2, *x.shape), x.dtype), jax.eval_shape(seen, sim))
    return jax.lax.while_loop(lambda carry: carry[0].t <= first + length, body, (sim, tape))[1]


def record(simulation, params=None, rounds: int = ROUNDS, first: int = 0) -> Run:
    """What is seen in `rounds` rounds from round `first` on. `rounds` is part of the program, `first` is not."""
    tape = _record(simulation, params, jnp.int32(first), rounds)
    models, *states = jax.tree.map(np.asarray, tape)
    flat = [leaf[: rounds + 1].reshape(rounds + 1, leaf.shape[1], -1) for leaf in jax.tree.leaves(models)]
    later = jax.tree.map(lambda leaf: leaf[1 : rounds + 1], states)
    return Run(np.concatenate(flat, axis=-1), *later, jax.tree.map(lambda leaf: leaf[0], states[0]))


def trajectory(simulation, rounds: int, params=None):
    """Models `[T + 1, n, d]` of rounds 0 to T, then the stacked states of nodes and server of rounds 1 to T."""
    return record(simulation, params, rounds)[:3]


advance = jit(simulator.advance, static_argnames="halt")


def limit(simulation, rounds: int, params=None) -> np.ndarray:
    """The models after many rounds, by the program of `record`."""
    first = max(rounds - ROUNDS, 0)
    return record(simulation, params, first=first).models[rounds - first]


# ---- statements --------------------------------------------------------------------------------------------------


def same(ours, expected, tolerance=1e-11):
    """Two trajectories are the same, and go somewhere."""
    ours, expected = np.broadcast_arrays(ours, expected)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)
    assert np.abs(expected[-1] - expected[0]).max() > 0.1


def close(ours, expected, tolerance=1e-11):
    np.testing.assert_allclose(ours, np.broadcast_to(expected, np.shape(ours)), rtol=0, atol=tolerance)


def apart(ours, other, least=1e-2):
    assert np.abs(np.asarray(ours) - np.asarray(other)).max() > least
