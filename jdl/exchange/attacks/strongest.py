"""An attack whose strength liars search anew in every round, against a rule that they know."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.attacks.alie import ALIE
from jdl.exchange.attacks.liars import Attack, mean, seen, told, wide
from jdl.exchange.linear import Linear
from jdl.exchange.stack import layers
from jdl.types import Exchange, Key, Message, PyTree, Server, Wire, number

__all__ = ["Strongest"]


@struct.dataclass
class Strongest(Attack):
    """Attack of a strength found by search: liars try several on the rule, and send the lie that harms the most.

    mu is the mean of the honest messages and b the lie of another attack. Of all strengths s, liars take the one for
    which the result of the rule, where they send mu + s (b - mu), is farthest from mu; of equals the first. Between
    peers squared distances add up over what the honest nodes receive. For `ALIE(z=1)` s is the number of standard
    deviations, for `InnerProduct(strength=0)` liars send (1 - s) mu, and for `MinMax` s stretches its bound.

    Liars know all honest messages, the plan of the round and the rule, but not what is lost behind them, what a rule
    remembers or what it draws; they try a rule without a memory, as if all parts of a message were averaged.

    Sends:
      a false message of the same size as the true one.

    Memory:
      that of the attack, and the strength of the last round. A metric reads it: where this is the first exchange of the
      network, in `state.exchange_state[0][0][1]`. Within a round the rule is computed once for each strength, one after
      the other.

    Args:
      attack: the attack whose lie is stretched, of those that all liars base on one round of messages.
      rule: the rule that liars expect; None for the one that closes the network.
      strengths: the strengths that are tried, in their order.
      inner: the exchange that receives the messages next.

    Raises:
      InputError: if the attack tells each victim something of its own or is none, or if there are no strengths.

    References:
      ByzFL, the public code of EPFL: `LineMaximize` (read; it maximises the same distance for ALIE and fall of empires
      by steps that grow and shrink, where here a list of strengths is tried).
      Shejwalkar, Houmansadr 2021, Manipulating the Byzantine (public copies of its code were read: a lie mu + gamma p,
      whose gamma is searched; with the rule known its `MinMax` bound is not needed).
    """

    attack: Exchange = ALIE(z=1.0)
    rule: Exchange | None = None
    strengths: tuple[float, ...] = number((0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0))
    inner: Exchange = Linear()

    @property
    def needs(self) -> frozenset[str]:
        """What the attack needs, and the rule that is tried."""
        return self.attack.needs | (frozenset() if self.rule is None else self.rule.needs)

    def begin(self, message: Message) -> PyTree:
        got = f"got Strongest of {type(self.attack).__name__}, need an attack with one lie for all receivers"
        checks.require(isinstance(self.attack, Attack), f"{got}; try ALIE(z=1.0)")
        checks.require(len(self.strengths) > 0, "got no strengths, need some that are tried; try strengths=(1.0, 2.0)")
        return self.attack.begin(message), jnp.zeros((), jnp.result_type(float))

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        guess, inside = jax.random.split(key)
        lie, remembered = self.attack.lies(memory[0], wire, inside)
        centre = mean(seen(wire), wire.sent)
        push = [wide(x) - c for x, c in zip(lie, centre, strict=True)]
        rule = layers(self.inner)[-1] if self.rule is None else self.rule
        strengths = jnp.stack([jnp.asarray(s, jnp.result_type(float)) for s in self.strengths])

        def stretched(strength: jax.Array) -> list[jax.Array]:
            return [c + strength.astype(c.dtype) * p for c, p in zip(centre, push, strict=True)]

        def harm(strength: jax.Array) -> jax.Array:
            n = wire.roles.honest.shape[0]
            nothing = rule.init([jnp.zeros((n, *x.shape[1:]), x.dtype) for x in wire.own])
            tried = wire.replace(sent=told(wire, stretched(strength)))
            return _distance(wire, rule.apply(nothing, tried, guess)[0], centre)

        harms = jax.lax.map(harm, strengths)
        best = strengths[jnp.argmax(jnp.where(jnp.isfinite(harms), harms, -1))]  # what overflows tells liars nothing
        return stretched(best), (remembered, best)


def _distance(wire: Wire, inbox: list[jax.Array], centre: list[jax.Array]) -> jax.Array:
    """The squared distance of the aggregate from the honest mean, f[]; the sum over honest rows between peers."""
    if isinstance(wire.plan.links, Server):
        return tree.norm_squared([wide(x) - c[0] for x, c in zip(inbox, centre, strict=True)])
    honest = wire.roles.honest[plans.ids(wire.plan)]
    apart = [jnp.where(tree.column(honest, x), wide(x) - c, 0) for x, c in zip(inbox, centre, strict=True)]
    return tree.norm_squared(apart)
