"""What one node learns of another over several rounds of a noisy step and gossip: a matrix over pairs of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jdl import checks
from jdl.privacy.gaussian import mu_of
from jdl.privacy.weights import weights_of

__all__ = ["rounds_mu"]


def rounds_mu(
    W: Any,
    rounds: int,
    *,
    gossip: int = 1,
    noise: float = 1.0,
    correlated: float = 0.0,
    sensitivity: float = 1.0,
    own: bool = True,
    change: Sequence[float] | None = None,
) -> np.ndarray:
    """What node j learns of what node i adds in all rounds, of a noisy step and gossip each: exact, mu[i, j].

    In a round every node adds its step and noise, y = x + u + xi, and steps of gossip follow, y <- W y, the last of
    which gives the next x. The noise is xi_i = N(0, noise^2) + sum_k v_ik over the neighbours k of i, with
    v_ik = -v_ki ~ N(0, correlated^2), as of `jdl.exchange.Decor`. Node j reads what its neighbours send before each
    step of gossip in all rounds, and knows its own steps, its own noise and the v of its own pairs. All of this is
    linear in steps and noises: if u_i changes by sensitivity times `change` in the rounds, what j sees moves by a, and
    has a covariance S, so that mu^2 = a' S^+ a. The divergence of order alpha is alpha mu^2 / 2, and `epsilon_of_mu`
    gives epsilon.

    Steps of others are taken as given: that their gradients answer to models that they receive is left out, and so is
    clipping of messages. With one round and no `correlated` noise it is `pairwise_mu`.

    Args:
      W: f[n, n], where W[i, j] is the weight that receiver i gives to sender j, or a topology; or a list of these, one
        for each step of gossip of all rounds. Pairs share noise where the first W is not zero.
      rounds: T, at least 1.
      gossip: steps of gossip in a round, at least 1.
      noise: the standard deviation of a node's own noise, at least 0.
      correlated: the standard deviation of the noise of a pair, at least 0.
      sensitivity: the largest change of a step, at least 0.
      own: whether a node mixes its own message with its noise, as with noise in gradients, `Decor` and
        `MessageNoise(own=True)`; if not, gossip is one step a round.
      change: f[T], by how much of `sensitivity`, and in which direction, the step of each round changes; None for the
        same change in all of them.

    Returns:
      f[n, n], infinite on the diagonal, and for pairs where something arrives without noise.

    Raises:
      InputError: if W is not square, if pairs that share noise are not symmetric, or for numbers out of range.

    References:
      Cyffers, Even, Bellet, Massoulie 2022, Muffliato: Peer-to-Peer Privacy Amplification for Decentralized
      Optimization and Averaging (repeated gossip).
      Allouah, Koloskova, El Firdoussi, Jaggi, Guerraoui 2024, The Privacy Power of Correlated Noise in Decentralized
      Learning (the noise of pairs; the linear system is derived here).

    >>> from jdl.topology import complete
    >>> rounds_mu(complete(3), 4, noise=2.0)[0].round(6).tolist()
    [inf, 1.0, 1.0]
    """
    rounds, gossip = checks.whole("rounds", rounds, 1), checks.whole("gossip", gossip, 1)
    weights = weights_of(W, rounds * gossip)
    numbers = f"got noise={noise}, correlated={correlated} and sensitivity={sensitivity}"
    checks.require(min(noise, correlated, sensitivity) >= 0, f"{numbers}, need numbers of at least 0")
    checks.require(
        own or gossip == 1, f"got own=False with gossip={gossip}, need one step; later steps send what is own"
    )
    n, pattern = len(weights[0]), np.ones(rounds) if change is None else np.asarray(change, float)
    checks.require(pattern.shape == (rounds,), f"got change of shape {pattern.shape}, need one number a round")
    sources, owners = _sources(weights[0], noise, correlated)
    messages = _messages(weights, rounds, sources, sensitivity * pattern, own)
    mu = np.full((n, n), np.inf)
    for j in range(n):
        others = np.delete(np.arange(n), j)
        seen = [sent[np.flatnonzero(W[j] * (np.arange(n) != j))] for W, sent in zip(weights, messages, strict=True)]
        rows = np.concatenate(seen)
        unknown = np.tile(~np.any(owners == j, axis=1), rounds)
        mu[others, j] = mu_of(rows[:, others], rows[:, n:][:, unknown])
    return mu


def _sources(W: np.ndarray, noise: float, correlated: float) -> tuple[np.ndarray, np.ndarray]:
    """The noises of nodes as combinations of unit normals, f[n, s], and who knows each of these, i32[s, 2]."""
    n = len(W)
    sources, owners = noise * np.eye(n), np.stack([np.arange(n)] * 2, axis=1)
    if correlated == 0:
        return sources, owners
    shared = (W != 0) & ~np.eye(n, dtype=bool)
    checks.require(bool(np.all(shared == shared.T)), "got pairs that share noise one way, need a symmetric graph")
    pairs = np.argwhere(np.triu(shared))
    of_pairs = correlated * (np.eye(n)[pairs[:, 0]] - np.eye(n)[pairs[:, 1]]).T
    return np.hstack([sources, of_pairs]), np.concatenate([owners, pairs])


def _messages(
    weights: list[np.ndarray], rounds: int, sources: np.ndarray, changes: np.ndarray, own: bool
) -> list[np.ndarray]:
    """What nodes send before each step of gossip: of each node a row, f[n, n + rounds s].

    The first n columns say how far a change of each node's steps moves it, the others how much of each noise is in it.
    """
    n, s = sources.shape
    x, found = np.zeros((n, n + rounds * s)), []
    for t in range(rounds):
        fresh = np.zeros_like(x)
        fresh[:, n + t * s : n + (t + 1) * s] = sources
        x = x + np.hstack([changes[t] * np.eye(n), np.zeros((n, rounds * s))]) + fresh
        steps = len(weights) // rounds
        for W in weights[t * steps : (t + 1) * steps]:
            found.append(x)
            x = W @ x - (0 if own else np.diag(W)[:, None] * fresh)
    return found
