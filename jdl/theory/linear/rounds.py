"""The rounds of a simulation as affine maps of one vector, read off the compiled round."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.engine import sim as simulator
from jdl.engine.mapping import AT_ONCE
from jdl.engine.rounds import step
from jdl.engine.sim import RunState, Simulation
from jdl.engine.xla import RUNS_ONCE
from jdl.rng import key_of
from jdl.theory.linear.blame import what_is_not_affine
from jdl.theory.linear.noise import noise_shapes, with_noise
from jdl.theory.linear.vector import Packing, discrete_leaves, packing_of
from jdl.types import Key, Problem, PyTree

__all__ = ["Law", "LinearRounds", "at_rate", "first_models", "in_double", "linear_rounds"]

# Runs that differ in start and randomness, by which it is found what depends on them.
RUNS = 4
# Rounds that are looked at for a period, and keys that show whether a round is random.
HORIZON, PROBES = 64, 128
# Rounding in float64 stays far below this, and what is not affine lies far above.
EXACT = 1e-9
# A difference of two means of random rounds that counts as none: six standard errors.
ERRORS = 6.0
# The vector of a state has at most this many numbers; the matrices of all random rounds fit in this many bytes.
LARGEST, BYTES = 2_000, 2**29


class Law(NamedTuple):
    """One round as a random affine map, `x <- A x + b + e` with E[e e'] = Q, and the models before it, `M x + c`.

    Attributes:
      A: f[K, D, D], the matrices that may occur; K = 1 if the round is not random.
      b: f[K, D], the vector that belongs to each.
      weights: f[K], their probabilities.
      Q: f[D, D], the covariance of the Gaussian gradient noise.
      M: f[P, D], from the vector to the models of all nodes.
      c: f[P].
    """

    A: np.ndarray
    b: np.ndarray
    weights: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    c: np.ndarray

    @property
    def mean_A(self) -> np.ndarray:
        """E[A], f[D, D]."""
        return np.tensordot(self.weights, self.A, 1)

    @property
    def mean_b(self) -> np.ndarray:
        """E[b], f[D]."""
        return self.weights @ self.b

    def mixed(self, C: np.ndarray) -> np.ndarray:
        """E[A C A'], f[D, D]."""
        return np.tensordot(self.weights, self.A @ C @ self.A.transpose(0, 2, 1), 1)


class LinearRounds(NamedTuple):
    """The laws of the rounds of a simulation.

    Attributes:
      simulation: the simulation in double precision.
      packing: which leaves of the state the vector holds.
      laws: the laws of the first rounds, up to the end of the first period.
      draws: the keys whose rounds stand for all, one key if rounds are not random beside their gradient noise.
      settled: the round from which on the laws repeat, or None if they were not seen to repeat.
      period: after how many rounds they repeat.
    """

    simulation: Simulation
    packing: Packing
    laws: list[Law]
    draws: Key
    settled: int | None
    period: int | None

    def cycle(self) -> list[Law]:
        """The laws of one period.

        Raises:
          InputError: if the rounds do not repeat.
        """
        got = f"got a simulation whose rounds do not repeat within {HORIZON} rounds"
        need = "need rounds that do (a constant rate, a graph or a cycle of graphs that repeats)"
        checks.require(self.settled is not None, f"{got}, {need}; ask for `jdl.theory.predict`, which needs none")
        return [self.law(self.begun + i) for i in range(self.period)]

    @property
    def random(self) -> bool:
        """Whether rounds are random beside their gradient noise."""
        return len(self.draws) > 1

    @property
    def begun(self) -> int:
        """The first multiple of the period from which on rounds repeat."""
        return -(-self.settled // self.period) * self.period

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


@contextmanager
def in_double() -> Iterator[None]:
    """Compute in double precision, and with the types that NumPy would choose."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def first_models(s: Simulation) -> PyTree:
    """The first model that the seed of a simulation draws, the one of single precision also in double precision."""
    with jax.enable_x64(False):
        problem = jax.tree.map(lambda x: _cast(x, jnp.float32), s.problem)
        return jax.device_get(_drawn(problem, s.key))


@functools.partial(jax.jit, compiler_options=RUNS_ONCE)
def _drawn(problem: Problem, key: Key) -> PyTree:
    return problem.init(key_of(key, "init", 0))


def linear_rounds(simulation: Simulation, rounds: int, samples: int = 512) -> LinearRounds:
    """Derive the affine maps of the first `rounds` rounds by differentiating the compiled round.

    Args:
      simulation: the simulation, see `jdl.simulation`.
      rounds: the number T of rounds.
      samples: how many draws stand for a random round.

    Raises:
      InputError: if a round is not an affine function of what nodes hold, or if rounds are not independent.
    """
    _watches_nothing(simulation)
    with in_double():
        s = jax.tree.map(lambda x: _cast(x, jnp.float64), simulation.replace(placement=AT_ONCE))
        model = jax.eval_shape(s.problem.init, s.key)
        seen = max(min(rounds, HORIZON), 1)
        keys = jax.random.split(jax.random.key(0), RUNS)
        starts = _starts(model, RUNS)
        states = jax.device_get(_runs(s, keys, starts, seen))
        packing = packing_of(states)
        _has_a_state(s, packing)
        _foreseeable(s, states, packing)
        known = jax.tree.map(lambda x: x[0], states)
        x = np.random.default_rng(1).normal(size=packing.size)
        probed = np.asarray(_probe(s, packing, known, x, jax.random.split(jax.random.key(2), PROBES)))
        _reads_no_order(s, packing, known, x)
        size = np.abs(probed).max()
        random = bool(np.abs(probed - probed[:, :1]).max() > EXACT * size)
        settled, period = _repeats(probed, known, packing, random)
        if settled is None and rounds > seen:
            known = _course(s, starts, rounds)
        most = BYTES // (8 * packing.size**2)
        draws = jax.random.split(jax.random.key(3), min(samples, most) if random else 1)
        laws = _laws(s, packing, known, draws, rounds + 1 if settled is None else settled + period)
    return LinearRounds(s, packing, laws, draws, settled, period)


def at_rate(linear: LinearRounds, field: str, rate: float) -> LinearRounds:
    """The rounds with another number in one field of the algorithm, which repeat as those before.

    Args:
      linear: the rounds.
      field: the name of the field.
      rate: the number.
    """
    with in_double():
        s = linear.simulation
        s = s.replace(algorithm=s.algorithm.replace(**{field: jnp.asarray(rate, jnp.float64)}))
        rounds = len(linear.laws)
        known = _course(s, _starts(jax.eval_shape(s.problem.init, s.key), 1), rounds)
        return linear._replace(simulation=s, laws=_laws(s, linear.packing, known, linear.draws, rounds))


def _course(s: Simulation, starts: PyTree, rounds: int) -> RunState:
    """The states of one run, leaves `[round, ...]`, for what in them does not depend on the models."""
    one = _runs(s, jax.random.split(jax.random.key(0), 1), jax.tree.map(lambda x: x[:1], starts), rounds)
    return jax.tree.map(lambda x: x[0], jax.device_get(one))


def _laws(s: Simulation, packing: Packing, known: RunState, draws: Key, rounds: int) -> list[Law]:
    """The laws of rounds 0 to `rounds - 1`, of which the first and the last are checked to be affine."""
    laws, x = [], np.random.default_rng(1).normal(size=packing.size)
    for t in range(rounds):
        at = jax.tree.map(lambda leaf, t=t: leaf[t], known)
        law = _grouped(*map(np.asarray, _law(s, packing, at, x, draws)))
        if t in (0, rounds - 1):
            _is_affine(s, packing, at, law, draws)
        laws.append(law)
    return laws


def _cast(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return jnp.asarray(x, dtype) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x


def _starts(model: PyTree, runs: int) -> PyTree:
    """Random first models, one for each run."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda x: random.normal(size=(runs, *x.shape)), model)


@functools.partial(jax.jit, static_argnums=3, compiler_options=RUNS_ONCE)
def _runs(s: Simulation, keys: Key, starts: PyTree, rounds: int) -> RunState:
    """The states of runs, leaves `[run, round, ...]`, of rounds 0 to `rounds`."""

    def run(key, start):
        of_run = s.replace(key=key)
        first = simulator.init(of_run, start)

        def body(state, _):
            after = step(of_run, state)[0]
            return after, after

        later = jax.lax.scan(body, first, None, length=rounds)[1]
        return jax.tree.map(lambda x, rest: jnp.concatenate([x[None], rest]), first, later)

    return jax.vmap(run)(keys, starts)


def _round(s: Simulation, packing: Packing, at: RunState, key: Key, x: jax.Array, noise: list[PyTree]) -> jax.Array:
    """The vector after a round that begins with the vector x, and whatever else the state `at` holds."""
    noisy = with_noise(s.replace(key=key), noise)
    return packing.vector(step(noisy, packing.state(x, at))[0])


def _models(s: Simulation, packing: Packing, at: RunState, x: jax.Array) -> jax.Array:
    leaves = jax.tree.leaves(simulator.models(s, packing.state(x, at)))
    rows = leaves[0].shape[0]
    return jnp.concatenate([leaf.reshape(rows, -1) for leaf in leaves], axis=1).reshape(-1)


def _silent(s: Simulation) -> list[PyTree]:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), noise_shapes(s))


@functools.partial(jax.jit, static_argnums=1, compiler_options=RUNS_ONCE)
def _probe(s: Simulation, packing: Packing, known: RunState, x: jax.Array, keys: Key) -> jax.Array:
    """What a round of each number makes of one vector under each key, f[round, key, D + P]."""

    def at_round(at):
        after = jax.vmap(lambda key: _round(s, packing, at, key, x, _silent(s)))(keys)
        models = _models(s, packing, at, x)
        return jnp.concatenate([after, jnp.broadcast_to(models, (len(keys), *models.shape))], axis=1)

    return jax.lax.map(at_round, known)


@functools.partial(jax.jit, static_argnums=1, compiler_options=RUNS_ONCE)
def _law(s: Simulation, packing: Packing, at: RunState, x: jax.Array, keys: Key) -> tuple[jax.Array, ...]:
    """The fields of `Law`."""
    silent = _silent(s)
    flat, back = jax.flatten_util.ravel_pytree(silent)

    def of_key(key):
        f = lambda x, z: _round(s, packing, at, key, x, back(z))
        value, push = jax.linearize(f, x, flat)
        A = jax.vmap(lambda e: push(e, jnp.zeros_like(flat)), out_axes=1)(jnp.eye(x.size))
        if flat.size:
            B = jax.vmap(lambda e: push(jnp.zeros_like(x), e), out_axes=1)(jnp.eye(flat.size, dtype=flat.dtype))
            Q = jnp.matmul(B, B.T)
        else:
            Q = jnp.zeros_like(A)
        return A, value - jnp.matmul(A, x), Q

    def body(total, key):
        A, b, Q = of_key(key)
        return total + Q, (A, b)

    Q, (A, b) = jax.lax.scan(body, jnp.zeros((x.size, x.size)), keys)
    models = functools.partial(_models, s, packing, at)
    M = jax.jacfwd(models)(x)
    return A, b, Q / len(keys), M, models(x) - jnp.matmul(M, x)


def _grouped(A: np.ndarray, b: np.ndarray, Q: np.ndarray, M: np.ndarray, c: np.ndarray) -> Law:
    """A law whose equal draws are one, with their share as its probability."""
    look = np.random.default_rng(0).normal(size=A.shape[-1])
    seen = np.concatenate([A @ look, look @ A, b], axis=1)
    rounded = np.round(seen / (EXACT * max(np.abs(seen).max(), 1e-300)))
    _, first, count = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    return Law(A[first], b[first], count / len(A), Q, M, c)


@functools.partial(jax.jit, static_argnums=1, compiler_options=RUNS_ONCE)
def _values(s: Simulation, packing: Packing, at: RunState, x: jax.Array, key: Key) -> jax.Array:
    """The vector after a round, and the models before it."""
    return jnp.concatenate([_round(s, packing, at, key, x, _silent(s)), _models(s, packing, at, x)])


def _is_affine(s: Simulation, packing: Packing, at: RunState, law: Law, keys: Key) -> None:
    """Check that a law, which is a derivative at one point, holds far from that point.

    Raises:
      InputError: if it does not; the sentence names the part.
    """
    for seed, scale in ((4, 1.0), (5, 30.0)):
        x = scale * np.random.default_rng(seed).normal(size=packing.size)
        values = np.asarray(_values(s, packing, at, x, keys[0]))
        expected = np.concatenate([law.A @ x + law.b, np.broadcast_to(law.M @ x + law.c, (len(law.A), len(law.c)))], 1)
        errors = np.abs(values - expected).max(axis=1) / max(np.abs(expected).max(), scale)
        if not errors.min() < EXACT:  # the draw of this key is one of those that may occur
            raise checks.InputError(what_is_not_affine(s))


def _repeats(
    probed: np.ndarray, known: RunState, packing: Packing, random: bool
) -> tuple[int, int] | tuple[None, None]:
    """The round from which on rounds repeat, and the period: the smallest of each that fits what was seen."""
    others = [leaf for _, leaf in discrete_leaves(jax.tree.map(lambda x: x[None], known), packing)]
    timeless = [leaf[0] for leaf in others if leaf.ndim > 2 or not np.array_equal(leaf[0], np.arange(leaf.shape[1]))]
    rounds = len(probed)
    size = np.abs(probed).max()
    probed = np.concatenate([probed, probed**2 / size], axis=2)  # rounds may differ in their variances alone
    mean = probed.mean(axis=1)
    error = ERRORS * np.sqrt(2 * probed.var(axis=1, ddof=1).max(axis=0) / probed.shape[1]) + EXACT * size
    for period in range(1, rounds // 2 + 1):
        apart = np.abs(mean[period:] - mean[:-period])
        same = np.all(apart <= (error if random else EXACT * size), axis=1)
        for leaf in timeless:
            scale = EXACT * max(np.abs(leaf.astype(float)).max(), 1.0) if leaf.size else 1.0
            near = np.abs(leaf[period:].astype(float) - leaf[:-period].astype(float)) <= scale
            same &= near.reshape(rounds - period, -1).all(axis=1)
        settled = int(np.max(np.flatnonzero(~same), initial=-1)) + 1
        if rounds - settled >= 2 * period and settled <= rounds // 2:
            return settled, period
    return None, None


def _watches_nothing(s: Simulation) -> None:
    watched = getattr(s.schedule, "watches", ())
    name = type(s.schedule).__name__
    need = "need rounds whose links do not depend on the models"
    checks.require(not watched, f"got {name}, which chooses who talks by what nodes report, {need}; take another")


def _has_a_state(s: Simulation, packing: Packing) -> None:
    D = packing.size
    name = type(s.algorithm).__name__
    checks.require(D > 0, f"got {name} over {type(s.problem).__name__}, whose models never move; set a positive rate")
    got = f"got a simulation whose nodes and exchanges hold {D:,} numbers"
    checks.require(
        D <= LARGEST, f"{got}, need at most {LARGEST:,} for exact prediction; take fewer nodes or dimensions"
    )


def _foreseeable(s: Simulation, states: RunState, packing: Packing) -> None:
    """Check that all else in the state follows a course that no run changes.

    Raises:
      InputError: if something that a round reads depends on past draws or on the models.
    """
    for name, leaf in discrete_leaves(states, packing):
        same = np.array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
        got = f"got {type(s.schedule if name.startswith('schedule') else s.algorithm).__name__}, whose state {name}"
        why = "depends on draws of earlier rounds or on the models"
        checks.require(same, f"{got} {why}; need rounds that are independent draws; take another part")


def _reads_no_order(s: Simulation, packing: Packing, known: RunState, x: jax.Array) -> None:
    at = jax.tree.map(lambda leaf: leaf[0], known)
    key = jax.random.key(6)
    other = at.replace(count=at.count + 1)
    before, after = (_values(s, packing, state, x, key) for state in (at, other))
    got = f"got {type(s.problem).__name__}, whose nodes visit their examples in an order that they go on with"
    need = "need rounds that are independent draws; take full batches, or minibatches with replacement"
    checks.require(np.array_equal(before, after, equal_nan=True), f"{got}, {need}")
