"""Masks that cancel on the way up, and eight bits a number on the way down."""

import numpy as np
import ways
from programs.masks import UNIT, Masked

import jdl

N, DIM = 8, 5
DATA = jdl.problems.quadratic(nodes=N, dim=DIM)
PLAIN = jdl.algorithms.FedAvg(lr=0.3, weighted=False)


def build(seed=0, algorithm=None, **how):
    algorithm = Masked(PLAIN) if algorithm is None else algorithm
    return jdl.simulation(DATA, algorithm, network_down=[jdl.compressors.Uniform(8)], seed=seed, **how)


def test_the_aggregate_is_that_of_fedavg_and_one_message_is_noise():
    hidden, open_ = build(), build(algorithm=PLAIN)
    state, plain = ways.state_after(hidden), ways.state_after(open_)
    np.testing.assert_allclose(state.server, plain.server, rtol=1e-5, atol=1e-5)

    sent = np.asarray(ways.wires(hidden, state)[-1].sent.content)
    change = np.asarray(ways.wires(open_, state.replace(nodes=plain.nodes))[-1].sent)
    total = np.sum(sent, axis=0, dtype=np.uint32).view(np.int32)
    np.testing.assert_allclose(total * UNIT, change.sum(axis=0), atol=N * UNIT)
    assert np.median(np.abs(sent.view(np.int32) * UNIT - change)) > 100 * np.abs(change).max()
    half = np.sum(sent[: N // 2], axis=0, dtype=np.uint32).view(np.int32) * UNIT  # masks with the others remain
    assert np.median(np.abs(half)) > 100 * np.abs(change).max()


def test_traffic_is_eight_bits_a_number_down_and_32_up():
    bits = ways.state_after(build()).traffic.bits[0]
    assert np.all(bits[:N] == ways.ROUNDS * 32 * DIM)
    assert bits[N] == ways.ROUNDS * N * (8 * DIM + 32)


@ways.of("masks")
def test_in_all_ways(names):
    ways.check(build, names)
