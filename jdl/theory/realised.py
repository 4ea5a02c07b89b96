"""The mixing that a run really had: W of each of its rounds, with faults, and the spectral gap of their product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse import csr_array, eye_array

from jdl import checks
from jdl import plan as plans
from jdl.engine import sim
from jdl.engine.state import RunState, Simulation, a_simulation
from jdl.topology.spectrum.sampled import weights_of
from jdl.types import Plan

__all__ = ["Realised", "realised_gap", "realised_rounds"]

EXACT = 1e-7


class Realised(NamedTuple):
    """The mixing of the rounds that a run had.

    Attributes:
      product: the factor of all these rounds together on disagreement, at worst.
      round: its geometric mean over the rounds.
      gap: 1 - round, the realised spectral gap.
      rounds: the number of rounds.
    """

    product: float
    round: float
    gap: float
    rounds: int


def realised_rounds(simulation: Simulation, rounds: int, start: int = 0, phase: int = 0) -> list[csr_array]:
    """W of the rounds `start` to `start + rounds - 1` of a simulation, in order, `csr_array [n, n]` each.

    The simulation is run, since schedules may depend on what nodes report. W is that of the wire after all exchanges,
    with lost messages settled (see `jdl.plan.settled`); nodes without a row in a round keep their values. What an
    exchange does to contents (compression, attacks) is not in W.

    Args:
      simulation: a simulation between peers, see `jdl.simulation`; its key draws schedules and faults.
      rounds: number of rounds.
      start: the first of them; the rounds before are simulated, too.
      phase: which exchange of a round, for methods with several.

    Raises:
      InputError: with a server, if nothing is sent, or if messages arrive late, so that one round has no W.
    """
    rounds, start = checks.whole("rounds", rounds, 1), checks.whole("start", start, 0)
    checks.require(
        not a_simulation(simulation).has_server,
        "got a method with a server, which has no W; use a method between peers",
    )
    state, found = sim.INIT(simulation), []
    if start:
        state = jax.jit(sim.advance)(simulation, state, start)[0]
    for _ in range(rounds):
        plan, state = _next(simulation, state, checks.whole("phase", phase, 0))
        found.append(_square(plan, simulation.problem.n))
    return found


def realised_gap(rounds: Sequence[csr_array]) -> Realised:
    """The spectral gap of the rounds that a run had, from what their product leaves of disagreement.

    The factor is the norm of the product of C W C over the rounds, C = I - 11'/n. If the rows of every W sum to one, it
    is that of C P for the product P of all W: of the distance from the mean of the nodes. If the columns do (push-sum),
    it is that of P C: how much P x depends on anything but the sum of x. If both do, it is ||P - J||_2. A round that
    shrinks this product to less than 1e-7 averages exactly, since weights of plans have the seven digits of float32.

    Args:
      rounds: W of each round in order, see `realised_rounds`.

    Returns:
      The factors, see `Realised`. A product that averages exactly has the factor 0 and the gap 1.

    Raises:
      InputError: if there are no rounds, or neither all rows nor all columns sum to one.

    >>> import jdl
    >>> cycle = [phase.weights for phase in jdl.topology.one_peer_exponential(8)]
    >>> realised_gap(cycle).gap, round(realised_gap([jdl.topology.ring(8).weights] * 500).round, 4)
    (1.0, 0.8047)

    References:
      Assumption 4 of Koloskova et al. 2020, for the rounds that were drawn. Verified: products of dense matrices.
    """
    listed = isinstance(rounds, list | tuple)
    given = f"got {type(rounds).__name__}, need a list with W of each round; give realised_rounds(simulation, 100)"
    checks.require(listed, given)
    checks.require(len(rounds) > 0, "got no rounds, a gap needs one or more; see realised_rounds")
    n, count = rounds[0].shape[0], len(rounds)
    sums = [all(np.abs(W.sum(axis=axis) - 1).max() < 1e-5 for W in rounds) for axis in (1, 0)]
    need = "got rounds of which neither all rows nor all columns sum to one, need one of them"
    checks.require(any(sums), f"{need}; use a method whose messages are all of one kind")
    product, logarithm = np.eye(n) - 1 / n, 0.0
    for W in rounds:
        product = W @ product
        product = product - product.mean(axis=0, keepdims=True)
        size = np.linalg.norm(product)
        if n == 1 or size < EXACT:
            return Realised(0.0, 0.0, 1.0, count)
        product, logarithm = product / size, logarithm + np.log(size)
    logarithm += np.log(np.linalg.norm(product, 2))
    each = float(np.exp(logarithm / count))
    return Realised(float(np.exp(logarithm)), each, 1 - each, count)


@jax.jit
def _stepped(simulation: Simulation, state: RunState) -> tuple:
    return sim.wires(simulation, state), sim.step(simulation, state)[0]


def _next(simulation: Simulation, state: RunState, phase: int) -> tuple[Plan, RunState]:
    wires, state = _stepped(simulation, state)
    got = f"got phase={phase} of a method with {len(wires)} exchanges that are not empty"
    checks.require(phase < len(wires), f"{got}, need one of them; count from 0")
    wire = wires[phase]
    late = "got an exchange with late messages, so that one round has no W; leave the delay out"
    checks.require(wire.age is None and wire.origin.shape[0] == plans.rows(wire.plan), late)
    return wire.plan, state


def _square(plan: Plan, n: int) -> csr_array:
    """W of a plan over all n nodes; those without a row keep their values."""
    W = weights_of(plans.settled(plan))
    if plan.participants is None:
        return W
    ids = np.asarray(plan.participants)
    places = csr_array((np.ones(len(ids)), (ids, np.arange(len(ids)))), shape=(n, len(ids)))
    absent = eye_array(n) - places @ places.T
    return csr_array(places @ W @ places.T + absent)
