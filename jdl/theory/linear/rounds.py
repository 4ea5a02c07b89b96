"""The rounds of a simulation as affine maps of one vector, read off the compiled round."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.engine import sim as simulator
from jdl.engine.sim import RunState, Simulation
from jdl.engine.state import a_simulation, untimed
from jdl.theory.linear.admissible import foreseeable, has_a_state, is_affine, reads_no_order, watches_nothing
from jdl.theory.linear.law import EXACT, Law, grouped
from jdl.theory.linear.repeats import repeats
from jdl.theory.linear.timely import tells_rounds
from jdl.theory.linear.traced import doubled, first_models, in_double, law_arrays, probe, runs, starts
from jdl.theory.linear.vector import Packing, packing_of
from jdl.types import Key, PyTree

__all__ = ["HORIZON", "LinearRounds", "at_rate", "linear_rounds"]

# The number of runs with other starts and other draws; what differs between them depends on these.
RUNS = 4
# The number of rounds that are searched for a period, and of keys that show whether a round is random.
HORIZON, PROBES = 64, 128
# The matrices of all random rounds may take this many bytes.
BYTES = 2**29
# Fewer draws do not stand for a random round.
FEWEST = 16


class LinearRounds(NamedTuple):
    """The laws of the rounds of a simulation.

    Attributes:
      simulation: the simulation in double precision.
      packing: which leaves of the state the vector holds.
      laws: the laws of the first rounds, up to the end of the first period.
      draws: the keys of the draws that stand for a random round; one key if rounds have no randomness but gradient
        noise.
      rounding: by how much laws are off, relative to the size of the vector.
      settled: the round from which on the laws repeat, or None if they were not seen to repeat.
      period: after how many rounds they repeat.
    """

    simulation: Simulation
    packing: Packing
    laws: list[Law]
    draws: Key
    rounding: float
    settled: int | None
    period: int | None

    def cycle(self) -> list[Law]:
        """The laws of one period.

        Raises:
          InputError: if the rounds do not repeat.
        """
        begun = self.begun
        return [self.law(begun + i) for i in range(self.period)]

    @property
    def random(self) -> bool:
        """Whether rounds have randomness other than gradient noise."""
        return len(self.draws) > 1

    @property
    def begun(self) -> int:
        """The first multiple of the period from which on rounds repeat.

        Raises:
          InputError: if they do not repeat.
        """
        got = f"got a simulation whose rounds do not repeat within {HORIZON} rounds"
        need = "need rounds that do (a constant rate, a graph or a cycle of graphs that repeats)"
        checks.require(self.settled is not None, f"{got}, {need}; ask for `jdl.theory.predict`, which needs none")
        return -(-self.settled // self.period) * self.period

    def settled_from(self, start: np.ndarray) -> np.ndarray:
        """The mean of the vector when rounds begin to repeat, f[D], from a start, f[D]."""
        for t in range(self.begun):
            law = self.law(t)
            start = law.mean_A @ start + law.mean_b
        return start

    def law(self, t: int) -> Law:
        """The law of round t."""
        if self.settled is not None and t > self.settled:
            t = self.settled + (t - self.settled) % self.period
        return self.laws[t]

    def start(self, params: PyTree | None = None) -> np.ndarray:
        """The vector before the first round, f[D]; `params` as of `jdl.sim.init`."""
        with in_double():
            params = first_models(self.simulation) if params is None else params
            params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
            return np.asarray(self.packing.vector(jax.device_get(simulator.INIT(self.simulation, params))))


def linear_rounds(simulation: Simulation, rounds: int, samples: int = 512, forever: bool = False) -> LinearRounds:
    """Derive the affine maps of the first `rounds` rounds by differentiating the compiled round.

    Args:
      simulation: the simulation, see `jdl.simulation`.
      rounds: the number T of rounds.
      samples: how many draws stand for a random round.
      forever: whether rounds that repeat in what is seen of them are taken to repeat for ever. Otherwise they repeat
        only where the program cannot tell the number of a round, or where all T rounds were compared.

    Raises:
      InputError: if a round is not an affine function of what nodes hold, or if rounds are not independent.
    """
    simulation = untimed(a_simulation(simulation))
    watches_nothing(simulation)
    with in_double():
        s = doubled(simulation)
        model = jax.eval_shape(s.problem.init, s.key)
        keys = jax.random.split(jax.random.key(0), RUNS)
        states = jax.device_get(runs(s, keys, starts(model, RUNS), HORIZON))
        packing = packing_of(states)
        has_a_state(s, packing)
        foreseeable(s, states, packing)
        known = jax.tree.map(lambda x: x[0], states)
        x = np.random.default_rng(1).normal(size=packing.size)
        # Where nodes agree, as they do at the start, mixing at random changes nothing and hides no change of a rate.
        agreed = packing.vector(jax.tree.map(lambda leaf: leaf[0], known))
        see = lambda known, keys: np.concatenate([probe(s, packing, known, at, keys) for at in (x, agreed)], axis=2)
        probed = see(known, jax.random.split(jax.random.key(2), PROBES))
        reads_no_order(s, packing, known, x)
        random = bool(np.abs(probed - probed[:, :1]).max() > EXACT * np.abs(probed).max())
        settled, period = repeats(probed, known, packing, random)
        if settled is not None and not forever and tells_rounds(s, known):
            settled, period = None, None
            if not random:
                known = _course(s, model, max(rounds, HORIZON))
                settled, period = repeats(see(known, draws_of(1)), known, packing, random)
        if len(known.t) <= rounds and settled is None:
            known = _course(s, model, rounds)
        count = rounds + 1 if settled is None else settled + period
        draws = draws_of(_affordable(packing.size, count if settled is None else 1, samples) if random else 1)
        laws, rounding = _laws(s, packing, known, draws, count)
    return LinearRounds(s, packing, laws, draws, rounding, settled, period)


def draws_of(count: int) -> Key:
    """The keys of the draws that stand for a random round."""
    return jax.random.split(jax.random.key(3), count)


def _affordable(size: int, laws: int, samples: int) -> int:
    """How many draws of each of some laws fit in memory, at most `samples`."""
    most = BYTES // (8 * size**2 * laws)
    got = f"got {laws} rounds that are random and differ, of states of {size:,} numbers"
    need = f"need at most {BYTES // (8 * size**2 * FEWEST)} for exact prediction"
    checks.require(most >= min(samples, FEWEST), f"{got}, {need}; ask for fewer rounds, or take fewer nodes")
    return min(samples, most)


def at_rate(linear: LinearRounds, field: str, rate: float) -> LinearRounds:
    """The rounds with another number in one field of the algorithm; they repeat as the given ones do.

    Args:
      linear: the rounds.
      field: the name of the field.
      rate: the number.
    """
    with in_double():
        s = linear.simulation
        s = s.replace(algorithm=s.algorithm.replace(**{field: jnp.asarray(rate, jnp.float64)}))
        rounds = len(linear.laws)
        known = _course(s, jax.eval_shape(s.problem.init, s.key), rounds)
        laws, rounding = _laws(s, linear.packing, known, linear.draws, rounds)
        return linear._replace(simulation=s, laws=laws, rounding=rounding)


def _course(s: Simulation, model: PyTree, rounds: int) -> RunState:
    """The states of one run, leaves `[round, ...]`, for what in them does not depend on the models."""
    one = runs(s, jax.random.split(jax.random.key(0), 1), starts(model, 1), rounds)
    return jax.tree.map(lambda x: x[0], jax.device_get(one))


def _laws(s: Simulation, packing: Packing, known: RunState, draws: Key, rounds: int) -> tuple[list[Law], float]:
    """The laws of rounds 0 to `rounds - 1`, the first and the last checked to be affine, and their error."""
    laws, rounding, x = [], 0.0, np.random.default_rng(1).normal(size=packing.size)
    for t in range(rounds):
        at = jax.tree.map(lambda leaf, t=t: leaf[t], known)
        law = grouped(*map(np.asarray, law_arrays(s, packing, at, x, draws)))
        if t in (0, rounds - 1):
            rounding = max(rounding, is_affine(s, packing, at, law, draws))
        laws.append(law)
    return laws, rounding
