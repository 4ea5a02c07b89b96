"""Models that walk from node to node along the edges of a graph."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.handoff import handoff
from jdl.topology import forms
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["RandomWalk"]


@struct.dataclass
class RandomWalk:
    """A model walks over a random regular graph; only the node that holds it computes and sends.

    Of each token, the holder takes its local steps and sends its model to a uniformly random neighbour, which takes
    that model in place of its own, W_ij = 1, and holds the token in the next round. All others sleep. A former holder
    keeps the copy that it sent, so the model of the walk is that of the node where it is, not the mean over nodes.
    Tokens walk independently of each other; if c of them arrive at one node together it takes their mean, W_ij = 1 / c,
    and each of them walks on with that. Row stochastic; in the long run all nodes are visited equally often. A message
    that is lost takes the model with it: the receiver goes on with its own copy, as it does if it sleeps.

    Sends:
      1 message a token and round, from its holder.

    Args:
      neighbours: i32[n, k], those of node i first in row i.
      degree: i32[n], how many they are.
      tokens: how many models walk, between 1 and n.

    References:
      Johansson, Rabi, Johansson, "A Randomized Incremental Subgradient Method for Distributed Optimization in Networked
      Systems", SIAM Journal on Optimization 20, 2009.
      Ayache, El Rouayheb, "Private Weighted Random Walk Stochastic Gradient Descent", IEEE Journal on Selected Areas in
      Information Theory 2, 2021.
    """

    neighbours: jax.Array
    degree: jax.Array
    tokens: int = static(1, minimum=1)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, tokens: int = 1, seed: int = 0) -> Self:
        """A walk over a random regular graph.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          tokens: how many models walk, between 1 and n; they start at different random nodes.
          seed: of the graph; the same seed gives the same one.

        Raises:
          InputError: if no connected graph of this degree exists, or for more tokens than nodes.

        >>> import jax
        >>> walk = RandomWalk.for_nodes(8)
        >>> plan, there = walk(walk.init(jax.random.key(0)), 0, jax.random.key(1))
        >>> int(plan.active.sum()), bool(plan.links.receivers[0] == there[0])
        (2, True)
        """
        return cls.of(random_regular(n, degree=degree, seed=seed), tokens)

    @classmethod
    def of(cls, topology: Topology, tokens: int = 1) -> Self:
        """Models that walk along the edges of a graph, and visit all nodes equally often: see `RandomWalk`.

        A step is proposed to a uniformly random neighbour j of i and taken with probability min(1, d_i / d_j), else the
        token stays (Metropolis and Hastings): the uniform distribution is stationary whatever the degrees.

        Args:
          topology: an undirected graph; its weights do not matter.
          tokens: how many models walk, between 1 and n.

        Raises:
          InputError: if W is not symmetric, or for more tokens than nodes.

        >>> from jdl.topology import ring
        >>> RandomWalk.of(ring(5)).neighbours.shape
        (5, 2)
        """
        tokens = checks.whole("tokens", tokens, 1)
        need = f"got {topology.name!r} whose W is not symmetric, a walk needs links both ways; use an undirected graph"
        checks.require(topology.symmetric, need)
        fewer = f"got tokens={tokens} with n={topology.n}, each needs a node to start from; try tokens={topology.n}"
        checks.require(tokens <= topology.n, fewer)
        neighbours = forms.as_slots(topology.weights).senders
        degree = jnp.asarray(np.asarray(topology.degree), jnp.int32)
        return cls(neighbours=neighbours, degree=degree, tokens=tokens)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.degree.shape[0]

    def init(self, key: Key) -> ScheduleState:
        """i32[tokens], who holds each token at the start: different nodes, uniformly at random."""
        return jax.random.permutation(key, jnp.arange(self.n, dtype=jnp.int32))[: self.tokens]

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The step that `key` draws from those who hold the tokens, `memory`; the round does not matter."""
        which, accept = jax.random.split(key)
        count = self.degree[memory]
        slot = jax.random.randint(which, (self.tokens,), 0, jnp.maximum(count, 1), jnp.int32)
        proposed = self.neighbours[memory, slot]
        ratio = count / jnp.maximum(self.degree[proposed], 1)
        moves = jax.random.uniform(accept, (self.tokens,), ratio.dtype) < ratio
        new = jnp.where(moves, proposed, memory)
        arrivals = jnp.zeros(self.n, jnp.result_type(float)).at[new].add(1)
        return handoff(self.n, memory, new, 1 / arrivals[new]), new
