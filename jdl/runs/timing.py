"""The clock of a simulation alone: how long its rounds take, without what is learned in them."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl import plan as plans
from jdl.engine.clock import seconds_of
from jdl.engine.mapping import AT_ONCE
from jdl.engine.metrics import PER_NODE
from jdl.engine.metrics.chosen import BUILT_IN
from jdl.engine.sim import init, step
from jdl.engine.state import Simulation, a_simulation
from jdl.engine.totals import exact
from jdl.oracle import DataOracle
from jdl.runs.first_round import first_plan
from jdl.runs.history import History
from jdl.runs.silent import NoData, Silent, Stated
from jdl.runs.sizes import Sizes, sizes_of, stated
from jdl.runs.timed import columns
from jdl.types import ClockState, Traffic

__all__ = ["silent", "timing"]


def timing(simulation: Simulation, rounds: int, eval_every: int = 1, bits: float | None = None) -> History:
    """The time, energy and traffic of a simulation, without learning: for studies of topologies, links and devices.

    The rounds have the same clock, schedule, keys and network as those of `jdl.run`: who talks, what is lost, and who
    is waited for. But messages hold one number, and nodes compute nothing. The sizes of messages are those of the
    first rounds of the run itself, after all that the network does with them, and have to be the same for all nodes and
    in all of them but the very first; steps are read off the method, as for `jdl.run`.

    Args:
      simulation: what is simulated, `jdl.simulation(..., clock=Clock(...))`.
      rounds: the number of rounds.
      eval_every: the number of rounds between rows of the result.
      bits: the size of every message, in place of that of the problem's model, so that a quadratic stands for any
        model; of methods that leave out messages in some rounds, all are sent.

    Returns:
      A history with the columns `round`, `simulated_seconds`, `idle_share`, `joules`, `bits_sent`, `bits_received`,
      and, in `history.nodes`, for each node `seconds` (when it has ended its last round) and `computed` (for how many
      of them it has computed), f[evaluations, n].

    Raises:
      InputError: if there is no clock, or if who talks, or the size of messages, depends on what is learned.

    >>> import jdl
    >>> clock = jdl.clock.Clock(step=2.0, links=jdl.clock.Parallel(rate=1e6, latency=0.5))
    >>> ring = jdl.simulation(jdl.problems.quadratic(4), jdl.algorithms.DPSGD(), jdl.topology.ring(4), clock=clock)
    >>> timing(ring, rounds=20, eval_every=10, bits=1e6).simulated_seconds
    array([ 0., 35., 70.])
    """
    s = a_simulation(simulation)
    rounds, eval_every = checks.whole("rounds", rounds, 0), checks.whole("eval_every", eval_every, 1)
    quiet = silent(s, bits)
    marks = sorted({*range(0, rounds, eval_every), rounds})
    checks.fits(len(marks) * s.problem.n * 40, f"{len(marks):,} rows of times for n={s.problem.n:,}")
    times, traffic = jax.device_get(RUN(quiet, jnp.asarray(marks, jnp.int32)))
    sent = exact(traffic.bits)
    table = {"bits_sent": np.sum(sent, axis=-1), **columns(s.clock, SimpleNamespace(clock=times), sent)}
    of_nodes = {f"{PER_NODE}seconds": seconds_of(times)[:, : s.problem.n], f"{PER_NODE}computed": exact(times.computed)}
    return History([
        {"round": mark}
        | {name: float(values[k]) for name, values in table.items()}
        | {name: values[k] for name, values in of_nodes.items()}
        for k, mark in enumerate(marks)
    ])  # fmt: skip


def silent(s: Simulation, bits: float | None = None) -> Simulation:
    """The same simulation, whose nodes send messages of the same sizes, and learn nothing; see `timing`."""
    name = type(s.schedule).__name__
    told = f"got {name}, whose events have their times, need rounds; the times are its seconds_at"
    checks.require(not hasattr(s.schedule, "seconds_at"), told)
    checks.require(
        s.clock is not None, "got a simulation without a clock; give it one: clock=jdl.clock.Clock(step=0.1)"
    )
    watched = ", ".join(plans.watched(s.schedule))
    need = "need one that does not depend on what is learned; use jdl.run with this clock"
    checks.require(not watched, f"got {name}, a schedule that watches {watched}, {need}")
    models = f"got {name}, whose nodes join by downloading models"
    checks.require(first_plan(s).joins is None, f"{models}, need nodes that stay; use jdl.run with this clock")
    good = bits is None or (isinstance(bits, int | float) and 0 < bits < float("inf"))
    checks.require(good, f"got bits={bits!r}, need the size of a message, more than 0; try bits=32e6")
    return _silent(s, sizes_of(s) if bits is None else stated(s, float(bits)))


def _silent(s: Simulation, sizes: Sizes) -> Simulation:
    up, down, through = jnp.asarray(sizes.up), jnp.asarray(sizes.down), s.exchange_down is not None
    parts = {"problem": NoData(s.problem.n), "oracle": DataOracle(), "placement": AT_ONCE, "metrics": BUILT_IN}
    parts["algorithm"] = Silent(down[..., 0], sizes.sends, sizes.tells, through)
    parts["exchange"] = Stated(s.exchange, up)
    return s.replace(**parts, exchange_down=Stated(s.exchange_down, down) if through else None)


def _run(s: Simulation, marks: jax.Array) -> tuple[ClockState, Traffic]:
    """The clocks and the traffic after each of these numbers of rounds, stacked."""

    def body(state, until):
        state = jax.lax.while_loop(lambda state: state.t < until, lambda state: step(s, state)[0], state)
        return state, (state.clock, state.traffic)

    return jax.lax.scan(body, init(s), marks)[1]


RUN = jax.jit(_run)
