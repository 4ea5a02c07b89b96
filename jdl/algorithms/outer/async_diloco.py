"""DiLoCo without rounds: every arrival is an outer step, and every N-th one moves the momentum."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Each, Info, Message, Node, PyTree, number, static

__all__ = ["AsyncDiLoCo"]


class State(NamedTuple):
    x: PyTree  # the global model
    b: PyTree  # the outer momentum
    total: PyTree  # the sum of the outer gradients since it last moved
    pushes: jax.Array  # i32[], the number of outer gradients so far


class Worker(NamedTuple):
    pulled: local.Pulled  # what the worker works on
    opt: PyTree  # the state of its inner optimizer


@struct.dataclass
class AsyncDiLoCo:
    """Asynchronous DiLoCo, delayed Nesterov: every N-th b <- mu b + mean D; x <- x - outer_lr (D_k / N + [then] mu b).

    A worker pulls the server's model p_k, takes H inner steps to y_k, sends D_k = p_k - y_k, pulls again, and does not
    wait for anybody. The server applies a part 1/N of every outer gradient at once. At every N-th, the momentum first
    becomes mu b plus the mean of the last N, and then moves the model as well: N arrivals together are one step of
    Nesterov's method on their mean, so that stale gradients do not gain from momentum one by one. With `delay` = 1 and
    all workers in every round, none of them stale, it is `DiLoCo`. Who arrives in which round is the schedule's
    business, see `jdl.schedule.Arrivals`; those who arrive in one round are one outer gradient, their mean. Steps in
    proportion to speed (DyLU: floor(H v_k / max v) of them) are planned by `jdl.schedule.Arrivals.dynamic`. All begin
    with the initial model, which costs nothing.

    Sends:
      one message of a worker for each arrival, its change of the model and its staleness, which only the history
      reads; the server answers with its model, and before that tells its version, one number.

    Memory:
      3 models on the server; 1 model and the optimizer's state on each worker.

    Args:
      lr: step size of the inner steps.
      outer_lr: step size of the outer step.
      outer_momentum: decay mu of the outer momentum, below 1.
      delay: number N of outer gradients from one move of the momentum to the next, at least 1.
      local_steps: number H of inner steps between two pulls.
      optimizer: inner optimizer: a name in `jdl.local.OPTIMIZERS`, or an optax transform without a learning rate.
      decay: function of the round t that returns a factor on lr, or None for a constant lr.

    References:
      Liu, Chhaparia, Douillard, Kale, Rusu, Shen, Szlam, Ranzato 2024, Asynchronous Local-SGD Training for Language
      Modeling, Algorithm 3 with c = 0, which applies momentum at every N-th gradient alone. Read was the optimizer of
      Forgather, which names it; its defaults are these.
    """

    lr: float = number(0.01, minimum=0)
    outer_lr: float = number(0.7, minimum=0)
    outer_momentum: float = number(0.9, minimum=0, maximum=1)
    delay: int = static(10, minimum=1)
    local_steps: int = static(10, minimum=1)
    optimizer: local.Optimizer = static("adamw")
    decay: local.Decay | None = static(None)

    asynchronous: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("tell_version", "client", "server"),
        ("broadcast", "pull", "answered"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        return State(params, tree.zeros_like(params), tree.zeros_like(params), jnp.int32(0))

    def client_init(self, params: PyTree, node: Node) -> Worker:
        return Worker(local.Pulled(params, jnp.int32(0)), local.transform(self.optimizer).init(params))

    def tell_version(self, server_state: State) -> Message:
        return server_state.pushes

    def client(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker]:
        p = client_state.pulled.x
        lr = local.rate(self.lr, self.decay, node.t)
        y, opt = local.local_steps(p, client_state.opt, node, lr, self.local_steps, self.optimizer)
        tau = local.staleness(broadcast, client_state.pulled)
        return {"change": tree.sub(y, p), "staleness": Each(tau)}, client_state._replace(opt=opt)

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones(())

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        x, b, total, pushes = server_state
        pushes = pushes + (info["participants"] > 0).astype(jnp.int32)
        D = tree.scale(-1, aggregate["change"])  # zero where nothing arrived
        total = tree.add(total, D)
        moves = (pushes % self.delay == 0) & (info["participants"] > 0)
        b = tree.where(moves, tree.axpy(self.outer_momentum, b, tree.scale(1 / self.delay, total)), b)
        step = tree.scale(1 / self.delay, D)
        step = tree.where(moves, tree.axpy(self.outer_momentum, b, step), step)
        total = tree.where(moves, tree.zeros_like(total), total)
        return State(tree.axpy(-self.outer_lr, step, x), b, total, pushes)

    def broadcast(self, server_state: State) -> Message:
        return server_state.x, server_state.pushes

    def pull(self, broadcast: Message, client_state: Worker, node: Node) -> tuple[Message, Worker]:
        return (), client_state._replace(pulled=local.Pulled(*broadcast))

    def answered(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state

    def model(self, server_state: State) -> PyTree:
        return server_state.x
