"""What an exchange draws: losses anew in every round, a compressor's choice by the node; and sizes by the type."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl.compressors import RandK, Uniform
from jdl.engine import sim
from jdl.exchange import Lossy
from jdl.exchange.compress import compress
from jdl.types import Wire

N, ROUNDS = 6, 200


def test_links_fail_anew_in_every_round():
    """Without steps, the models after a round that begins with the unit vectors are the W of that round."""
    simulation = jdl.simulation(
        jdl.problems.quadratic(nodes=N, dim=N), jdl.algorithms.DPSGD(lr=0.0), jdl.topology.ring(N), [Lossy(0.5)]
    )
    start = jax.jit(sim.init)(simulation, np.eye(N, dtype=np.float32))

    def round_of(t):
        return sim.step(simulation, start.replace(t=t))[0].nodes.x

    W = np.asarray(jax.jit(jax.vmap(round_of))(jnp.arange(ROUNDS, dtype=jnp.int32)))
    there = W[:, np.arange(N), (np.arange(N) + 1) % N] != 0  # [rounds, links]
    # 1,200 fair coins, and 1,194 pairs of coins in successive rounds: six standard deviations are 0.09.
    assert abs(there.mean() - 0.5) < 0.09
    assert abs((there[1:] == there[:-1]).mean() - 0.5) < 0.09


def test_what_a_compressor_draws_depends_on_the_node_and_not_on_its_row():
    """Node 5 sends the same entries, whoever else takes part."""

    def sent(*ids):
        plan, ones = plans.clients(np.array(ids, np.int32)), np.ones((len(ids), 60), np.float32)
        bits = np.full(len(ids), 32 * 60, np.float32)
        wire = Wire(own=ones, sent=ones, bits=bits, plan=plan, origin=plans.ids(plan))
        return np.asarray(jax.jit(lambda wire: compress(RandK(0.2), (), wire.sent, wire, jax.random.key(0))[0])(wire))

    few, many = sent(3, 5), sent(0, 2, 5)
    assert np.array_equal(few[1], many[2])
    assert not np.array_equal(few[0], few[1])
    assert not np.array_equal(few[0], many[0])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_scale_of_an_array_has_the_width_of_its_numbers(dtype, x64):
    x = jnp.linspace(-1, 1, 12, dtype=dtype)
    assert float(Uniform(4)((), x, jax.random.key(0))[2]) == 12 * 4 + 8 * x.dtype.itemsize
