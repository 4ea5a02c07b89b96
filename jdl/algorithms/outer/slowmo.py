"""SlowMo: slow momentum around any decentralized method."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, local, tree
from jdl.types import Algorithm, Info, Message, Node, PyTree, number, static

__all__ = ["SlowMo"]


class State(NamedTuple):
    inner: PyTree  # the state of the base; without a base, the model
    slow: PyTree  # the slow iterate, from which the base last started
    m: PyTree  # lr times the slow momentum; zero at the start


@struct.dataclass
class SlowMo:
    """SlowMo: every `period` rounds of a base method, at its x:  m <- slow_momentum m + (s - x);  s <- s - slow_lr m.

    s is the slow iterate. After each slow step the base starts anew from it, `base.init(s)`, so that the base's
    momentum and trackers start at zero. The paper averages exactly before a slow step. For this, choose a schedule that
    averages exactly in those rounds, e.g. the cycle [ring, ring, ring, complete] with period 4. Without one each node
    has a slow iterate of its own, which is the paper's variant without exact averages; a base that carries weights
    (push-sum) then loses them. With slow_lr = 1 and slow_momentum = 0 the base only restarts. With local steps, period
    1 and the complete graph it is DiLoCo with a heavy ball as outer optimizer. The state stores lr times the paper's
    momentum, which is the same at a constant step size.

    Sends:
      the message of the base; without a base, the model after the local steps.

    Memory:
      the memory of the base and 2 models per node; without a base, 3 models.

    Args:
      lr: step size of the local steps without a base; a base has its own.
      slow_lr: factor on the slow momentum.
      slow_momentum: decay of the slow momentum.
      local_steps: number H of gradient steps before each exchange, without a base.
      period: number of rounds from one slow step to the next.
      base: method with one exchange a round, e.g. `jdl.algorithms.PushSum(lr=0.1)`, or None for local steps.

    Raises:
      InputError: if `base` needs a server or has several exchanges a round; raised when the simulation is built.

    References:
      Wang, Tantia, Ballas, Rabbat 2020, SlowMo: Improving Communication-Efficient Distributed SGD with Slow Momentum,
      Algorithm 1, with buffers reset; its official code agrees.
    """

    lr: float = number(0.1, minimum=0)
    slow_lr: float = number(1.0, minimum=0)
    slow_momentum: float = number(0.5, minimum=0, maximum=1)
    local_steps: int = static(1, minimum=1)
    period: int = static(4, minimum=1)
    base: Algorithm | None = None

    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"peers", "row_stochastic", "grad"}) if self.base is None else frozenset(self.base.needs)

    @property
    def draws_per_round(self) -> int | None:
        return self.local_steps if self.base is None else getattr(self.base, "draws_per_round", 1)

    def init(self, params: PyTree, node: Node) -> State:
        if self.base is not None and (len(self.base.phases) != 1 or "server" in self.base.needs):
            got = type(self.base).__name__
            raise checks.InputError(f"got SlowMo around {got}, need peers and one exchange a round; try DPSGD()")
        return State(self._begin(params, node), params, tree.zeros_like(params))

    def _begin(self, params: PyTree, node: Node) -> PyTree:
        return params if self.base is None else self.base.init(params, node)

    def send(self, state: State, node: Node) -> tuple[Message, State]:
        if self.base is None:
            plain = local.transform("sgd").init(state.inner)
            return local.local_steps(state.inner, plain, node, self.lr, self.local_steps)[0], state
        message, inner = getattr(self.base, self.base.phases[0][0])(state.inner, node)
        return message, state._replace(inner=inner)

    def recv(self, state: State, inbox: Message, node: Node) -> tuple[State, Info]:
        inner, info = inbox, {}
        if self.base is not None:
            inner, info = getattr(self.base, self.base.phases[0][1])(state.inner, inbox, node)
        fast = State(inner, state.slow, state.m)

        def slowed() -> State:
            m = tree.axpy(self.slow_momentum, state.m, tree.sub(state.slow, self.model(fast)))
            slow = tree.axpy(-self.slow_lr, m, state.slow)
            return State(self._begin(slow, node), slow, m)

        return jax.lax.cond(jnp.equal((node.t + 1) % self.period, 0), slowed, lambda: fast), info

    def model(self, state: State) -> PyTree:
        return state.inner if self.base is None else self.base.model(state.inner)
