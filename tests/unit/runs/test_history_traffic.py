"""The history counts every bit, where a sum in float32 would round."""

import types

import jax.numpy as jnp

from jdl.engine.totals import tally
from jdl.runs.driver import Reached
from jdl.runs.program import row_of
from jdl.types import Traffic

ODD, ROUNDS = 12_345_677, 3


def test_the_history_has_the_exact_total():
    """Three times this odd number needs 26 bits, and a float32 has 24."""
    traffic = Traffic(bits=jnp.zeros((2, 2)), messages=jnp.zeros((2, 2)))
    for _ in range(ROUNDS):
        traffic = tally(traffic, Traffic(bits=jnp.array([ODD, 0], jnp.float32), messages=jnp.ones(2)), None)
    rounded = {"nodes/bits": traffic.bits[0, :1]}  # the second sender is a server
    row = row_of(Reached(types.SimpleNamespace(traffic=traffic), ROUNDS, metrics=rounded), n=1)
    assert row["bits_sent"] == ROUNDS * ODD and row["nodes/bits"].tolist() == [ROUNDS * ODD]
    assert row["messages_sent"] == ROUNDS * 2 and row["megabytes"] == ROUNDS * ODD / 8e6
