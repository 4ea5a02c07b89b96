"""FedNova: normalized averaging of clients that take different numbers of steps."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jdl import local, tree
from jdl.types import Info, Message, Node, PyTree, State, number, static

__all__ = ["FedNova"]


class Ball(NamedTuple):
    rho: jax.Array  # momentum
    m: PyTree  # the decayed sum of gradients
    last: jax.Array  # the sum of the decay factors in m: m / gradient, if all gradients were equal
    size: jax.Array  # the sum of `last` over the steps: ||a||_1


def _heavy_ball(g: PyTree, ball: Ball, params: PyTree = None) -> tuple[PyTree, Ball]:
    m, last = tree.axpy(ball.rho, ball.m, g), ball.rho * ball.last + 1
    return m, Ball(ball.rho, m, last, ball.size + last)


HEAVY_BALL = optax.GradientTransformation(tree.zeros_like, _heavy_ball)


class Progress(NamedTuple):
    direction: PyTree  # the client's change divided by ||a||_1
    size: jax.Array  # ||a||_1, which is the number of steps without momentum


@struct.dataclass
class FedNova:
    """FedNova, every client's change divided by its steps: x <- x + server_lr tau sum_k p_k (y_k - x) / a_k.

    a_k (||a_k||_1 in the paper) is how far client k would move on a constant gradient of one: its number of steps s, or
    with heavy-ball momentum rho the sum over j = 1..s of (1 - rho^j) / (1 - rho); tau = sum_k p_k a_k. So clients with
    a larger budget (an oracle with stragglers) do not count for more. With small step sizes it converges to the
    optimum, where FedAvg converges to that of sum_k p_k s_k f_k. The O(lr H) bias of local steps stays. With equal
    budgets it is `FedAvg`.

    Sends:
      the server sends its model to m clients; each client returns its normalized change and one number.

    Memory:
      1 model in total, and 2 m during a round.

    Args:
      lr: step size of the clients' steps.
      server_lr: factor on the server's step.
      rho: momentum of the clients' steps, which starts at zero in every round.
      local_steps: largest number H of gradient steps of each client in a round; the budget `node.steps` may reduce it,
        even to zero.
      weighted: whether a client's weight is its number of examples (True), or all clients weigh the same (False).

    References:
      Wang, Liu, Liang, Joshi, Poor 2020, Tackling the Objective Inconsistency Problem in Heterogeneous Federated
      Optimization, equation 6; momentum and a_k as in the authors' code.
    """

    lr: float = number(0.1, minimum=0)
    server_lr: float = number(1.0, minimum=0)
    rho: float = number(0.0, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    weighted: bool = static(True)

    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (("broadcast", "client", "server"),)

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return params

    def client_init(self, params: PyTree, node: Node) -> State:
        return ()

    def broadcast(self, server_state: State) -> Message:
        return server_state

    def client(self, broadcast: Message, client_state: State, node: Node) -> tuple[Message, State]:
        rho = jnp.asarray(self.rho, jnp.result_type(float))
        start = Ball(rho, tree.zeros_like(broadcast), jnp.zeros_like(rho), jnp.zeros_like(rho))
        y, ball = local.local_steps(broadcast, start, node, self.lr, self.local_steps, HEAVY_BALL)
        # A client without any step has the change zero, so the divisor does not matter.
        per_unit = 1 / jnp.where(ball.size > 0, ball.size, 1)
        return Progress(tree.scale(per_unit, tree.sub(y, broadcast)), ball.size), client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return local.client_weight(node, self.weighted)

    def server(self, server_state: State, aggregate: Progress, info: Info) -> State:
        return tree.axpy(self.server_lr * aggregate.size, aggregate.direction, server_state)

    def model(self, server_state: State) -> PyTree:
        return server_state
