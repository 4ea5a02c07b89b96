"""The test bed of the theory: heterogeneous quadratics in float64, and every method again in plain NumPy.

The NumPy versions are written from the papers' recursions (EQUATIONS rows O1, O2, O8, B1, B2, B6, B7, C2a, S1), with
old and new values kept apart by hand, and share no code with the library.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import jdl
from jdl.engine import sim as simulator

N, DIM = 8, 5


def quadratic(n: int = N, dim: int = DIM, seed: int = 0, noise: float = 0.0):
    return jdl.problems.quadratic(nodes=n, dim=dim, condition=4.0, seed=seed, noise=noise)


def start(seed: int = 0, n: int = N, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng([seed, 99]).standard_normal((n, dim))


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


@jax.jit
def _scan(simulation, sim, rounds):
    def body(sim, _):
        new, _ = simulator.step(simulation, sim)
        return new, (simulator.models(simulation, new), new.nodes, new.server)

    return jax.lax.scan(body, sim, rounds)


def trajectory(simulation, rounds: int, params=None):
    """Models `[T + 1, n, d]` of rounds 0 to T, then the stacked states of nodes and server of rounds 1 to T."""
    sim = jax.jit(simulator.init)(simulation, params)
    first = np.asarray(simulator.models(simulation, sim))
    _, (later, nodes, server) = _scan(simulation, sim, jnp.arange(rounds))
    return np.concatenate([first[None], np.asarray(later)]), nodes, server


advance = jax.jit(simulator.advance, static_argnames="halt")


def limit(simulation, rounds: int, params=None) -> np.ndarray:
    """The models after many rounds."""
    sim = jax.jit(simulator.init)(simulation, params)
    return np.asarray(simulator.models(simulation, advance(simulation, sim, jnp.int32(rounds))[0]))


def gradient(problem, noise=None):
    """G(X, t, k) in NumPy: rows A_i x_i - b_i, plus the noise that round t and minibatch k draw."""
    A, b, scale = np.asarray(problem.A), np.asarray(problem.b), float(problem.noise)

    def G(X, t=0, k=0):
        clean = np.einsum("nij,nj->ni", A, X) - b
        return clean + scale * np.asarray(_draws(t, k, *b.shape)) if scale else clean

    return G


def _draws(t, k, n, d):
    """z of every node: the documented key of (seed 0, round, node), folded with the minibatch's number."""

    def one(i):
        key = jdl.sim.key_of(jax.random.key(0), "data", t, i)
        return jax.random.normal(jax.random.fold_in(key, k), (d,), jnp.result_type(float))

    return jax.vmap(one)(jnp.arange(n))


def optimum(problem) -> np.ndarray:
    return np.linalg.solve(np.asarray(problem.A).mean(0), np.asarray(problem.b).mean(0))


# ---- the methods again -------------------------------------------------------------------------------------------


def atc(W, G, X, lr, rounds, local_steps=1):
    out = [X]
    for t in range(rounds):
        for k in range(local_steps):
            X = X - lr * G(X, t, k)
        X = W @ X
        out.append(X)
    return np.stack(out)


def dgd(W, G, X, lr, rounds):
    out = [X]
    for t in range(rounds):
        X = W @ X - lr * G(X, t)
        out.append(X)
    return np.stack(out)


def d2(W, G, X, lr, rounds):
    """The two-term form, with the gradients of two rounds."""
    old, g_old = X, G(X, 0)
    X = W @ (X - lr * g_old)
    out = [old, X]
    for t in range(1, rounds):
        g = G(X, t)
        X, old, g_old = W @ (2 * X - old - lr * (g - g_old)), X, g
        out.append(X)
    return np.stack(out)


def exact_diffusion(W, G, X, lr, rounds):
    """Adapt, correct, combine."""
    half, psi, out = (np.eye(len(W)) + W) / 2, X, [X]
    for t in range(rounds):
        psi_new = X - lr * G(X, t)
        X, psi = half @ (psi_new + X - psi), psi_new
        out.append(X)
    return np.stack(out)


def gradient_tracking(W, G, X, lr, rounds, mix_difference=False):
    """B6; with `mix_difference` B7, Aug-DGM."""
    g = G(X, 0)
    Y, out = g, [X]
    for t in range(rounds):
        X = W @ (X - lr * Y)
        g_new = G(X, t + 1)
        Y = W @ (Y + g_new - g) if mix_difference else W @ Y + g_new - g
        g = g_new
        out.append(X)
    return np.stack(out)


def push_sum(P, G, X, lr, rounds):
    """The de-biased models, the numerators and the weights."""
    w, out = np.ones(len(P)), [(X, X, np.ones(len(P)))]
    for t in range(rounds):
        Z = X / w[:, None]
        X, w = P @ (X - lr * G(Z, t)), P @ w
        out.append((X / w[:, None], X, w))
    return tuple(np.stack(part) for part in zip(*out, strict=True))


def top(X, k):
    """The k largest magnitudes of every row."""
    out = np.zeros_like(X)
    for i, row in enumerate(X):
        keep = np.argsort(-np.abs(row), kind="stable")[:k]
        out[i, keep] = row[keep]
    return out


def choco(W, G, X, lr, rounds, gamma, k):
    hat, out = np.zeros_like(X), [X]
    for t in range(rounds):
        half = X - lr * G(X, t)
        hat = hat + top(half - hat, k)
        X = half + gamma * (W @ hat - hat)
        out.append(X)
    return np.stack(out)


def fedavg(samples, share, G, x, lr, rounds, local_steps, server_lr=1.0):
    """samples[t]: ids of round t; share: [n], before normalisation over the sample."""
    out = [x]
    for t in range(rounds):
        Y = np.broadcast_to(x, (len(share), len(x))).copy()
        for k in range(local_steps):
            Y = Y - lr * G(Y, t, k)
        p = share[samples[t]] / share[samples[t]].sum()
        x = x + server_lr * p @ (Y[samples[t]] - x)
        out.append(x)
    return np.stack(out)


@struct.dataclass
class Uneven:
    """A quadratic whose nodes claim to hold different numbers of examples."""

    inner: jdl.problems.Quadratic
    num_examples: jax.Array

    @property
    def n(self) -> int:
        return self.inner.n

    @property
    def optimum(self):
        return None

    def init(self, key):
        return self.inner.init(key)

    def batch(self, id, draw):
        return self.inner.batch(id, draw)

    def full_batch(self, id):
        return self.inner.full_batch(id)

    def loss(self, params, batch):
        return self.inner.loss(params, batch)

    def evaluate(self, params):
        return self.inner.evaluate(params)
