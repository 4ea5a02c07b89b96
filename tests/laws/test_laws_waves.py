"""Three ways to say that some nodes take no part in a round are one round, over every exchange.

A mask leaves all rows, and the plan says who is awake. By hand, all nodes compute as if they were awake, over links of
which some are silent, and sleepers are given back what they had: one program, and the same bits. A wave has rows for
those who take part and for no others: arrays of other shapes, and the same numbers up to the rounding of sums that XLA
fuses in another way. Of rows that never work, a plan says so once for all, and no gradient is computed for them.
"""

import cases
import classes
import facts
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl.engine import sim as simulator
from jdl.schedule.wrapping import asleep
from jdl.types import Plan

N, AWAKE = cases.N, np.array([0, 2, 3, 6, 7])
IS_AWAKE = np.isin(np.arange(N), AWAKE)
ROUNDS, WORKERS = 3, 2
# The method of every exchange: a message of two arrays, and a memory.
METHOD = "GradientTracking"


@struct.dataclass
class Some:
    """A graph in slots of which `AWAKE` take part: where `masked`, the plan says so, and else links are silent."""

    graph: Plan
    masked: jax.Array

    @property
    def n(self):
        return N

    def init(self, key):
        return ()

    def __call__(self, memory, t, key, seen=None):
        plan = asleep(self.graph, jnp.asarray(IS_AWAKE))
        return plan.replace(active=plan.active | ~self.masked), memory


@struct.dataclass
class Wave(Some):
    """The same, in rows of their own."""

    def __call__(self, memory, t, key, seen=None):
        return rows_of_the_awake(asleep(self.graph, jnp.asarray(IS_AWAKE))), memory


@struct.dataclass
class Idle(Wave):
    """The wave, of which the first rows work."""

    workers: int | None = struct.field(pytree_node=False, default=None)

    def __call__(self, memory, t, key, seen=None):
        plan, memory = super().__call__(memory, t, key, seen)
        return plan.replace(works=jnp.arange(len(AWAKE)) < WORKERS, workers=self.workers), memory


def rows_of_the_awake(plan):
    place = jnp.asarray(np.cumsum(IS_AWAKE) - 1, jnp.int32)  # of each node among those awake
    links = jax.tree.map(lambda x: x[AWAKE], plan.links)
    own = jnp.arange(len(AWAKE), dtype=jnp.int32)[:, None]
    links = links.replace(senders=jnp.where(links.used, place[links.senders], own))
    ids = jnp.asarray(AWAKE, jnp.int32)
    return plan.replace(links=links, self_weights=plan.self_weights[AWAKE], active=None, participants=ids)


@jax.jit
def some_rounds(simulation, start):
    return simulator.advance(simulation, simulator.init(simulation, start), ROUNDS)[0]


@jax.jit
def next_round(simulation, state):
    return simulator.step(simulation, state)[0]


COMPRESSORS = {getattr(jdl.compressors, name) for name in jdl.compressors.__all__}
COMPRESSED = [name for name in cases.EXCHANGES if type(cases.network_of_one(name)[0]) in COMPRESSORS]
# An exchange that loses, and one of three kinds by turns: with memory, one that ranks, a compressor that is drawn.
QUICK = {"lossy", ("power_sgd", "coordinate_median", COMPRESSED[classes.SEED % len(COMPRESSED)])[classes.SEED % 3]}
# Other methods, over links that fail: those whose messages are of another kind.
NAMES = [(METHOD, exchange) for exchange in cases.EXCHANGES] + [("DPSGD", "fill_missing")]
ALLOWED = [pair for pair in NAMES if not facts.words(*pair, network="waves")]
OTHERS = [name for name in cases.ANY_TIME if name != METHOD and name not in cases.LOSING]
QUICK_OTHERS = {"PushSum"}


@pytest.mark.parametrize(
    ("name", "exchange"),
    [pytest.param(name, one, marks=[] if one in QUICK else [pytest.mark.slow]) for name, one in ALLOWED]
    + [pytest.param(one, "lossy", marks=[] if one in QUICK_OTHERS else [pytest.mark.slow]) for one in OTHERS],
)
def test_a_wave_is_the_masked_full_round(name, exchange):
    graph = jdl.topology.from_weights(cases.weights()).plan("slots")
    roles = cases.roles_in(exchange)

    def build(kind, masked=True):
        parts = {"network": cases.network_of_one(exchange), "data": cases.problem(noise=0.3), "roles": roles}
        return cases.build(name, talk=kind(graph, jnp.bool_(masked)), **parts)

    before = some_rounds(build(Some), cases.starts(name))
    masked, silent, wave = (next_round(built, before) for built in (build(Some), build(Some, False), build(Wave)))
    for one, other in zip(jax.tree.leaves(wave), jax.tree.leaves(masked), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    assert cases.equal_bits((wave.traffic, wave.count), (masked.traffic, masked.count))
    if exchange == "until_consensus":  # how often it gossips depends on all who are awake, and in silence all are
        return
    asleep_again = jax.tree.map(lambda x, y: np.where(column(IS_AWAKE, x), x, y), silent.nodes, before.nodes)
    assert cases.equal_bits(masked.nodes, asleep_again)
    assert cases.equal_bits(masked.traffic, silent.traffic) and not np.array_equal(masked.count, silent.count)
    for old, one, other in zip(*map(by_node, (before, masked, silent)), strict=True):
        assert np.array_equal(one[IS_AWAKE], other[IS_AWAKE]) and np.array_equal(one[~IS_AWAKE], old[~IS_AWAKE])
    assert not cases.equal_bits(masked.nodes, before.nodes)


def column(mask, x):
    return mask.reshape(-1, *[1] * (x.ndim - 1))


def by_node(state):
    """What the exchange remembers of each node."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.exchange_state) if leaf.shape[:1] == (N,)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if i == classes.SEED % len(cases.ANY_TIME) else [pytest.mark.slow])
        for i, name in enumerate(cases.ANY_TIME)
    ],
)
def test_rows_of_which_the_plan_says_that_they_never_work_are_those_of_a_mask(name):
    graph = jdl.topology.from_weights(cases.weights()).plan("slots")
    data = cases.problem(noise=0.3)
    build = lambda workers: cases.build(name, talk=Idle(graph, jnp.bool_(True), workers), data=data)
    masked, known = (some_rounds(build(workers), cases.starts(name)) for workers in (None, WORKERS))
    for one, other in zip(jax.tree.leaves(known), jax.tree.leaves(masked), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
