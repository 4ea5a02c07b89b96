"""A policy gradient on a line of places, averaged by gossip; where the walkers stand is the memory of the oracle.

Action 1 steps to the right and action 0 to the left; with probability `slip`, node by node, it is the other way round.
The last place pays 1, and the next step from there leads back to place 0. A node's minibatch is what its walkers did in
this round with the policy softmax(x[place]). Its loss is -mean of log policy(action | place) (G - mean G) over all
steps, where G is the discounted return from that step on.

Source: Williams 1992, Simple Statistical Gradient-Following Algorithms for Connectionist RL (REINFORCE).
"""

import jax
import jax.numpy as jnp
from flax import struct

NEXT = ((0, 1), (0, 2), (1, 3), (2, 4), (0, 0))  # by place and action
DISCOUNT, STEPS, WALKERS, PLACES = 0.9, 32, 16, len(NEXT)


@struct.dataclass
class Line:
    slip: jax.Array  # f[n]
    optimum = None
    n = property(lambda self: self.slip.shape[0])
    num_examples = property(lambda self: jnp.ones(self.n, jnp.int32))

    def init(self, key):
        return jnp.zeros((PLACES, 2))

    def full_batch(self, id, batch_id=None):  # places and actions, which `Walkers` fills in
        return (jnp.zeros((STEPS, WALKERS), jnp.int32),) * 2

    batch = full_batch

    def loss(self, params, batch):
        later = jnp.arange(1.0 * STEPS)[None, :] - jnp.arange(1.0 * STEPS)[:, None]
        returns = jnp.where(later >= 0, DISCOUNT**later, 0) @ (batch[0] == PLACES - 1).astype(params.dtype)
        each = jax.nn.log_softmax(params)[batch] * (returns - returns.mean())
        return -jnp.mean(each[: STEPS // 2]), ()  # the later steps have seen too little of their return

    def evaluate(self, params, id=None):  # minus the value of place 0, exactly
        policy, slip = jax.nn.softmax(params)[None], (self.slip if id is None else self.slip[id][None])[:, None, None]
        walk = jnp.einsum("nsa,sat->nst", (1 - slip) * policy + slip * policy[..., ::-1], jax.nn.one_hot(NEXT, PLACES))
        return {"loss": -jnp.mean(jnp.linalg.inv(jnp.eye(PLACES)[None] - DISCOUNT * walk)[:, 0, -1])}


@struct.dataclass
class Walkers:
    def init(self, problem, key):
        return jnp.zeros((problem.n, WALKERS), jnp.int32), jax.vmap(problem.full_batch)(jnp.arange(problem.n))

    def begin(self, memory, data, model):
        def step(at, key):
            action = jax.random.categorical(key, model[at]).astype(jnp.int32)
            other = jax.random.bernoulli(jax.random.fold_in(key, 1), data.problem.slip[data.id], at.shape)
            return jnp.array(NEXT, jnp.int32)[at, jnp.where(other, 1 - action, action)], (at, action)

        return jax.lax.scan(step, memory[0], jax.random.split(data.key, STEPS))

    def batch(self, inner, data, query):
        return data.memory[1]
