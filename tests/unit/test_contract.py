"""What a method may ask of the simulator: sizes of its own, several server exchanges, reports, common coins."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import advance, after
from flax import struct

import jdl
from jdl import tree
from jdl.types import FULL, Each, Sized, number

N, DIM = 6, 3


def problem(**options):
    return jdl.problems.quadratic(nodes=N, dim=DIM, **options)


@struct.dataclass
class Halves:
    """Gossip that says nothing in odd rounds, and half of the truth about its size in even ones."""

    lr: float = number(0.1, minimum=0)
    needs = frozenset({"peers", "row_stochastic"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        bits = jnp.where(node.t % 2 == 0, tree.size_bits(state) / 2, 0)
        return {"x": Sized(state, bits), "one": jnp.ones(())}, state

    def recv(self, state, inbox, node):
        return inbox["x"], {"one": inbox["one"]}

    def model(self, state):
        return state


def test_a_packed_part_is_delivered_whole_and_counted_as_it_says():
    built = jdl.simulation(problem(), Halves(), jdl.topology.ring(N))
    start = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
    sim, info = after(built, 3, start)
    W = jdl.topology.ring(N).weights.toarray()
    np.testing.assert_allclose(sim.nodes, W @ W @ W @ start, atol=1e-6)
    # Two rounds with half the model, all three with one number beside it, to two neighbours.
    np.testing.assert_array_equal(sim.traffic.bits[0], np.full(N, 2 * (2 * 32 * DIM / 2 + 3 * 32)))
    assert float(info["one"]) == 1


@struct.dataclass
class Silent(Halves):
    def send(self, state, node):
        return Sized(state, jnp.where(node.t % 2 == 0, 32 * DIM, 0)), state

    def recv(self, state, inbox, node):
        return inbox, {}


@pytest.mark.parametrize("network", [[], [jdl.compressors.TopK(0.4)], [jdl.exchange.Choco(0.5)]])
def test_a_message_of_no_bits_is_no_message(network):
    built = jdl.simulation(problem(), Silent(), jdl.topology.ring(N), network)
    sims = [after(built, t)[0] for t in (1, 2, 3)]
    messages = [float(sim.traffic.messages[0].sum()) for sim in sims]
    assert messages == [2 * N, 2 * N, 4 * N]
    assert float(sims[0].traffic.bits[0, 0]) == float(sims[1].traffic.bits[0, 0]) > 0


class Server(NamedTuple):
    x: jax.Array
    seen: jax.Array
    keys: jax.Array


@struct.dataclass
class Twice:
    """Two exchanges a round: the mean of full gradients, then a step along it that every client confirms."""

    lr: float = number(0.1, minimum=0)
    needs = frozenset({"server", "full"})
    phases = (("ask", "gradient", "store"), ("tell", "confirm", "move"))

    def init(self, params, n):
        return Server(params, jnp.zeros(n), jnp.zeros(2, jnp.uint32)), tree.zeros_like(params)

    def client_init(self, params, node):
        return jnp.zeros((), jnp.int32)

    def ask(self, server):
        return server[0].x

    def gradient(self, x, count, node):
        twice_id = Each(2.0 * node.id.astype(jnp.float32))
        return {"gradient": node.grad(x, FULL)[0], "twice_id": twice_id}, count + 1

    def store(self, server, mean, info):
        seen = server[0].seen.at[info["ids"]].set(mean["twice_id"].content)
        return server[0]._replace(seen=seen), mean["gradient"]

    def tell(self, server):
        return {"x": server[0].x, "g": server[1]}

    def confirm(self, told, count, node):
        return tree.scale(-self.lr, told["g"]), count + 10

    def move(self, server, mean, info):
        fresh = Server(tree.add(server[0].x, mean), server[0].seen, jax.random.key_data(info["key"]))
        return fresh, server[1]

    def weight(self, server, node):
        return jnp.where(node.id == 0, 0.0, 1.0)

    def model(self, server):
        return server[0].x


def test_two_exchanges_with_a_server_its_weights_and_reports():
    data = problem()
    built = jdl.simulation(data, Twice(), None)
    start = np.ones(DIM, np.float32)
    first = after(built, 1, start)[0]
    sim = advance(built, first, 5)[0]
    A, b, x = np.asarray(data.A)[1:], np.asarray(data.b)[1:], start  # node 0 has no weight
    for _ in range(5):
        x = x - 0.1 * (A @ x - b).mean(0)
    np.testing.assert_allclose(sim.server[0].x, x, atol=1e-5)
    np.testing.assert_array_equal(sim.server[0].seen, 2.0 * np.arange(N))
    np.testing.assert_array_equal(sim.nodes, np.full(N, 5 * 11))
    assert not np.array_equal(first.server[0].keys, sim.server[0].keys)
    # Up: the gradient and one reported number, then a step; down: a model, then a model and a gradient.
    np.testing.assert_array_equal(sim.traffic.bits[0, :N], np.full(N, 5 * 32 * (DIM + 1 + DIM)))
    assert float(sim.traffic.bits[0, N]) == 5 * N * 32 * 3 * DIM
    np.testing.assert_array_equal(sim.traffic.messages[0], [10] * N + [10 * N])


@struct.dataclass
class ThenNothing:
    """Two exchanges with a server that has nothing to say in the second; clients note the last round of each."""

    needs = frozenset({"server"})
    phases = (("tell", "first", "keep"), ("nothing", "second", "move"))

    def init(self, params, n):
        return params, jnp.zeros(())

    def client_init(self, params, node):
        return jnp.full(2, -1, jnp.int32), jnp.int32(0)

    def tell(self, server):
        return server[0]

    def first(self, told, client, node):
        return {"at": Each(node.t)}, (client[0].at[0].set(node.t), client[1] + 1)

    def keep(self, server, mean, info):
        return server

    def nothing(self, server):
        return ()

    def second(self, told, client, node):
        heard = client[0][0] == node.t
        return {"heard": heard.astype(jnp.float32)}, (client[0].at[1].set(node.t), client[1])

    def move(self, server, mean, info):
        return server[0], mean["heard"]

    def weight(self, server, node):
        return jnp.ones(())

    def model(self, server):
        return server[0]


def test_who_does_not_hear_the_server_takes_no_part_in_any_exchange_of_the_round():
    built = jdl.simulation(problem(), ThenNothing(), None, network_down=[jdl.exchange.Lossy(0.5)])
    sim, info = after(built, 3)
    last, heard = sim.nodes
    np.testing.assert_array_equal(last[:, 0], last[:, 1])
    np.testing.assert_array_equal(sim.count, heard)
    assert 0 < int(jnp.sum(last[:, 0] == 2)) < N and float(sim.server[1]) == 1
    assert float(info["at"]) == 2  # a whole number


@struct.dataclass
class Coins(Halves):
    needs = frozenset({"peers"})

    def send(self, state, node):
        return (), state + jax.random.normal(node.common, state.shape)

    def recv(self, state, inbox, node):
        return state, {"n": node.n.astype(jnp.float32)}


def test_a_common_coin_falls_alike_everywhere_and_anew_every_round():
    built = jdl.simulation(problem(), Coins(), None)
    sims = [after(built, t, np.zeros(DIM, np.float32)) for t in (1, 2)]
    tosses = np.asarray(sims[0][0].nodes), np.asarray(sims[1][0].nodes - sims[0][0].nodes)
    assert all(np.ptp(toss, axis=0).max() < 1e-6 for toss in tosses)
    assert np.abs(tosses[0] - tosses[1]).min() > 1e-3 and float(sims[0][1]["n"]) == N


@struct.dataclass
class Curious:
    """A fixed schedule that remembers what it was told last."""

    inner: jdl.schedule.Fixed
    watches = frozenset({"loss", "consensus_distance"})

    @property
    def n(self):
        return self.inner.n

    def init(self, key):
        return {"loss": jnp.zeros(N), "consensus_distance": jnp.zeros(())}

    def __call__(self, memory, t, key, seen=None):
        return self.inner((), t, key)[0], memory if seen is None else seen.values


def test_a_schedule_sees_losses_before_and_distances_after_the_last_round():
    data = problem()
    talk = Curious(jdl.schedule.Fixed.of(jdl.topology.ring(N)))
    built = jdl.simulation(data, jdl.algorithms.DPSGD(lr=0.1), talk)
    start = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
    first = after(built, 1, start)[0]
    assert not np.any(first.schedule_state["loss"])  # before the first round there is nothing to see
    sim = advance(built, first, 2)[0]
    losses = np.einsum("ni,nij,nj->n", start, data.A, start) / 2 - np.sum(data.b * start, axis=1)
    np.testing.assert_allclose(sim.schedule_state["loss"], losses, rtol=1e-5)
    models = np.asarray(first.nodes.x)
    assert float(sim.schedule_state["consensus_distance"]) == pytest.approx(
        np.square(models - models.mean(0)).sum() / N
    )


@struct.dataclass
class Exact(Halves):
    needs = frozenset({"peers", "prox"})

    def send(self, state, node):
        return (), node.prox(state, self.lr)

    def recv(self, state, inbox, node):
        return state, {}


def test_a_problem_without_what_a_method_asks_is_refused():
    with pytest.raises(jdl.checks.InputError, match="needs 'prox', which these parts do not offer"):
        jdl.simulation(jdl.problems.logistic(nodes=4), Exact(), None)


@struct.dataclass
class OnTrees(Halves):
    needs = frozenset({"peers", "row_stochastic", "fixed_links", "tree"})


def test_graphs_with_circles_and_graphs_that_change_are_refused():
    jdl.simulation(problem(), OnTrees(), jdl.topology.tree(N))
    with pytest.raises(jdl.checks.InputError, match=r"'tree'.*without cycles"):
        jdl.simulation(problem(), OnTrees(), jdl.topology.ring(N))
    with pytest.raises(jdl.checks.InputError, match="'fixed_links'"):
        jdl.simulation(problem(), OnTrees(), jdl.schedule.Matching(N))
