"""Groups whose members all send to all others: the same seconds as by a list of their links, and as in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, topology
from jdl.clock import Clock, FairShare, Parallel
from jdl.types import Groups, Transfers

MODELS = {
    "parallel": Parallel(rate=40.0, latency=0.3),
    "up": FairShare(up=30.0, down=1e3, latency=0.1),
    "down": FairShare(up=1e3, down=30.0, latency=0.1),
    "both": FairShare(up=34.0, down=30.0, latency=0.0),
}


def listed(model, ready, bits, used):
    """The last arrival at each member of one group, over a list of all its links."""
    r = len(ready)
    receivers, senders = (x.ravel() for x in np.nonzero(~np.eye(r, dtype=bool)))
    there = used[receivers] & used[senders] & (bits[senders] > 0)
    copies = Transfers(*map(jnp.asarray, (senders, receivers, there, bits[senders], ready[senders])), n=r)
    last = np.full(r, -np.inf)
    np.maximum.at(last, receivers, np.where(there, model.arrivals(copies), -np.inf))
    return last


@pytest.mark.parametrize("name", MODELS)
def test_groups_take_as_long_as_their_links_one_by_one(name):
    rng, groups, r = np.random.default_rng(5), 12, 7
    ready = rng.uniform(0, 3, (groups, r)).astype(np.float32)
    bits = rng.integers(1, 90, (groups, r)).astype(np.float32) * (rng.random((groups, r)) < 0.7)
    used = np.arange(r)[None] < rng.integers(1, r + 1, (groups, 1))  # also groups of one
    bits[:2] = [[50.0] * r, [0.0] * r]  # all send, and nobody does
    found = np.asarray(MODELS[name].all_to_all(*map(jnp.asarray, (ready, bits, used))))
    expected = np.stack([listed(MODELS[name], *one) for one in zip(ready, bits, used, strict=True)])
    np.testing.assert_allclose(np.where(used, found, 0), np.where(used, expected, 0), rtol=1e-5)


def test_a_complete_graph_of_equal_nodes_takes_the_closed_form():
    """Each of n nodes sends n - 1 copies over its line; a slow node is awaited by all, and does not await itself."""
    n, bits, up = 16, 320.0, 1e3
    step = np.ones(n, np.float32)
    step[5] = 4.0
    assert isinstance(topology.complete(n).plan("groups").links, Groups)
    clock = Clock(step, FairShare(up=up, down=1e9, latency=0.5))
    s = jdl.simulation(jdl.problems.quadratic(n), algorithms.DPSGD(0.1), topology.complete(n), clock=clock)
    ends = jax.jit(lambda s, state: jdl.sim.step(s, state)[0])(s, jdl.sim.init(s)).clock
    travel = 0.5 + (n - 1) * bits / up
    expected = np.where(np.arange(n) == 5, max(4.0, 1.0 + travel), 4.0 + travel)
    np.testing.assert_allclose(np.asarray(ends.now) + float(ends.since[0]), expected, rtol=1e-6)
    np.testing.assert_array_equal(ends.received[0], (n - 1) * bits)
