"""A walk through a node's data goes on with the rounds in which the node takes part, whoever is asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl.types import Each

NODES, BATCHES, SIZE = 4, 4, 3


@struct.dataclass
class Shows:
    """A server that does nothing; each client keeps and reports the first example of its minibatch."""

    needs = frozenset({"server", "grad"})
    phases = (("broadcast", "client", "server"),)

    def init(self, params, n):
        return params

    def client_init(self, params, node):
        return jnp.full(SIZE, -1.0)

    def broadcast(self, server_state):
        return server_state

    def client(self, broadcast, client_state, node):
        seen = node.inputs(0)[:, 0]
        return {"seen": Each(seen)}, seen

    def server(self, server_state, aggregate, info):
        return server_state

    def weight(self, server_state, node):
        return jnp.ones(())

    def model(self, server_state):
        return server_state


def data(sampling):
    x = np.arange(NODES * BATCHES * SIZE, dtype=np.float32)[:, None]
    y = np.zeros(len(x), np.int32)
    split = jdl.data.Partition(np.arange(len(x), dtype=np.int32).reshape(NODES, -1), np.full(NODES, BATCHES * SIZE))
    named = jdl.data.Dataset(x, y, x[:4], y[:4], 2, "numbers", "")
    return jdl.problems.supervised(
        named, nodes=NODES, model="linear", partition=split, batch_size=SIZE, sampling=sampling, steps_per_round=1
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("sampling", ["stream", "epochs"])
@pytest.mark.parametrize(
    "talk", [jdl.schedule.CyclicSampling(NODES, 1), jdl.schedule.Sampling(NODES, 2)], ids=["in turn", "at random"]
)
def test_a_client_sees_all_its_data_in_as_many_rounds_as_it_has_minibatches(sampling, talk):
    """Before, a client that was asked every fourth round saw one minibatch for ever, or skipped some at random."""
    simulation = jdl.simulation(data(sampling), Shows(), talk)
    state = jax.jit(jdl.sim.init)(simulation)
    step = jax.jit(lambda simulation, state: jdl.sim.step(simulation, state)[0])
    seen, count = [[] for _ in range(NODES)], np.zeros(NODES, int)
    for _ in range(40):
        before, state = state, step(simulation, state)
        for node in np.flatnonzero(np.asarray(state.count) > np.asarray(before.count)):
            seen[node] += np.asarray(state.nodes[node]).tolist()
            count[node] += 1
    assert np.array_equal(count, state.count) and count.min() > BATCHES
    own = np.arange(NODES * BATCHES * SIZE).reshape(NODES, -1)
    for node in range(NODES):
        assert sorted(seen[node][: BATCHES * SIZE]) == own[node].tolist()
