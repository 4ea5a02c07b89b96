"""What arrives: every kind of part as if it travelled alone, messages one by one, and a server's way down."""

import cases
import classes
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from jax.extend.core import jaxprs_in_params

import jdl
from jdl.compressors import HalfPrecision, Identity, TopK
from jdl.engine import sim as simulator
from jdl.exchange import Lossy, SignFlip
from jdl.types import Each, PerLink, Push, Sized

N, DIM = cases.N, cases.DIM
KINDS = ("plain", "sized", "each", "push", "per link")
SIZED_BITS = 40  # of a part that states its own size

init, step = jax.jit(simulator.init), jax.jit(simulator.step)
data = jdl.problems.quadratic(nodes=N, dim=DIM)


@struct.dataclass
class Parts:
    """A node sends these kinds of parts, each with other numbers, in one message; its state is what arrives."""

    kinds: tuple = struct.field(pytree_node=False, default=("each",))
    server = False
    phases = (("send", "recv"),)

    @property
    def needs(self):
        words = {"each": {"each"}, "push": {"push"}, "per link": {"per_link", "symmetric"}}
        return frozenset({"peers", "links"}).union(*(words.get(kind, ()) for kind in self.kinds))

    def parts(self, x, node):
        k = 0 if node.links is None else node.links.ids.shape[0]
        to = None if node.links is None else jnp.ones((k, DIM)) * node.links.ids[:, None].astype(x.dtype)
        parts = {
            "plain": x,
            "sized": Sized(2 * x, jnp.float32(SIZED_BITS) + node.id.astype(jnp.float32)),
            "each": Each({"x": 3 * x, "id": node.id}),
            "push": Push(4 * x),
            "per link": None if to is None else PerLink(5 * x[None, :] + to),
        }
        return {kind: parts[kind] for kind in self.kinds}

    def init(self, params, node):
        links, arrived = node.links, self.parts(params, node)
        for kind, part in arrived.items():
            if kind == "each":
                k = links.ids.shape
                rows = {"x": jnp.zeros((*k, DIM)), "id": jnp.zeros(k, jnp.int32)}
                arrived[kind] = Each(rows, links.ids, links.weights, links.used, jnp.zeros_like(links.ids))
            elif kind == "per link":
                arrived[kind] = part.replace(arrived=links.used)
            elif kind != "plain":
                arrived[kind] = part.content
        return {"x": params, "arrived": arrived}

    def send(self, state, node):
        return self.parts(state["x"], node), state

    def recv(self, state, inbox, node):
        return {"x": state["x"], "arrived": inbox}, {}

    def model(self, state):
        return state["x"]


def one_round(algorithm, topology, network=(), **parts):
    """The state after a round from starts that differ from node to node."""
    built = jdl.simulation(data, algorithm, topology, list(network), **parts)
    return built, step(built, init(built, cases.starts("DPSGD")))[0]


# ---- kinds of parts -----------------------------------------------------------------------------------------------

RING = jdl.topology.ring(N)
TOGETHER = [("plain", "sized", "each"), KINDS]


@pytest.mark.parametrize("network", [[Lossy(0.4)], pytest.param([HalfPrecision(), Lossy(0.4)], marks=pytest.mark.slow)])
def test_each_part_of_a_message_arrives_as_if_it_were_alone(network):
    alone = {kind: one_round(Parts((kind,)), RING, network)[1] for kind in KINDS}
    for kinds in TOGETHER:
        _, together = one_round(Parts(kinds), RING, network)
        for kind in kinds:
            expected, arrived = alone[kind].nodes["arrived"][kind], together.nodes["arrived"][kind]
            for one, other in zip(jax.tree.leaves(arrived), jax.tree.leaves(expected), strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-6, err_msg=kind)
        # One message on each link; bits add up.
        bits = sum(np.asarray(alone[kind].traffic.bits[0]) for kind in kinds)
        np.testing.assert_allclose(together.traffic.bits[0], bits, rtol=1e-6)
        np.testing.assert_array_equal(together.traffic.messages[0], np.full(N, 2))
    wide = 1 if len(network) == 1 else 0.5
    own = SIZED_BITS + np.arange(N)
    np.testing.assert_allclose(alone["plain"].traffic.bits[0], 2 * 32 * DIM * wide)
    np.testing.assert_allclose(alone["sized"].traffic.bits[0], 2 * own * wide)
    np.testing.assert_allclose(alone["per link"].traffic.bits[0], 2 * 32 * DIM * wide)


# ---- messages one by one ------------------------------------------------------------------------------------------

GRAPHS = {
    "ring": RING,
    "directed exponential": jdl.topology.exponential(N),
    "matching": jdl.schedule.Matching(N),
    "complete": jdl.topology.complete(N),
}


def heard(each) -> np.ndarray:
    """Of the rows of every node's inbox, which arrived, from whom, with which weight and what: [n] lists of tuples."""
    each = jax.tree.map(np.asarray, each)
    rows = []
    for i in range(N):
        there = each.arrived[i]
        assert not each.content["x"][i][~there].any() and not each.content["id"][i][~there].any()
        assert not each.weights[i][~there].any() and not each.age[i].any()
        ids = each.ids[i][there]
        assert len(set(ids.tolist())) == len(ids) and np.array_equal(ids, each.content["id"][i][there])
        weights, contents = each.weights[i][there], each.content["x"][i][there]
        rows.append(dict(zip(ids.tolist(), zip(weights, contents, strict=True), strict=True)))
    return rows


def gathered(W, sent) -> list:
    """The same by a direct gather: whom a row of W gives a weight."""
    return [{j: (W[i, j], sent[j]) for j in np.flatnonzero(W[i]) if j != i} for i in range(N)]


def same(rows, expected, tolerance=0.0):
    for row, other in zip(rows, expected, strict=True):
        assert row.keys() == other.keys()
        for j, (weight, x) in row.items():
            np.testing.assert_allclose(weight, other[j][0], rtol=1e-6)
            np.testing.assert_allclose(x, other[j][1], rtol=tolerance, atol=0)


def matrix(built) -> np.ndarray:
    return np.asarray(jdl.topology.to_dense(cases.plan_of(built, 0)))


@pytest.mark.parametrize(("graph", "mapping"), [*((graph, "vmap") for graph in GRAPHS), ("complete", 3)])
def test_messages_one_by_one_are_a_direct_gather(graph, mapping):
    built, state = one_round(Parts(), GRAPHS[graph], mapping=mapping)
    rows, W = heard(state.nodes["arrived"]["each"]), matrix(built)
    same(rows, gathered(W, 3 * cases.starts("DPSGD")))
    assert max(map(len, rows)) == (1 if graph == "matching" else np.count_nonzero(W[0]) - 1) > 0


@pytest.mark.parametrize("graph", ["ring", "directed exponential"])
def test_a_message_is_lost_where_the_mean_loses_it(graph):
    """The plain part beside it is the mean over what arrived, with the weights of the rows; the rest is one's own."""
    _, state = one_round(Parts(("plain", "each")), GRAPHS[graph], [Lossy(0.4)])
    x, used = cases.starts("DPSGD").astype(np.float64), 0
    for i, row in enumerate(heard(state.nodes["arrived"]["each"])):
        mean = x[i] + sum(weight * (sent / 3 - x[i]) for weight, sent in row.values())
        np.testing.assert_allclose(state.nodes["arrived"]["plain"][i], mean, rtol=0, atol=1e-6)
        used += len(row)
    degree = 2 if graph == "ring" else 3
    assert 0 < used < degree * N
    np.testing.assert_array_equal(state.traffic.messages[0], np.full(N, degree))  # sent, whether they arrive or not
    _, deaf = one_round(Parts(), GRAPHS[graph], [Lossy(1.0)])
    assert heard(deaf.nodes["arrived"]["each"]) == [{}] * N


def test_messages_one_by_one_are_narrowed_compressed_and_falsified_as_all_others():
    x = 3 * cases.starts("DPSGD")
    W, largest = RING.weights.toarray(), np.abs(x) == np.abs(x).max(axis=1, keepdims=True)
    honest = np.arange(N) % 3 != 0
    roles = jdl.roles.of(honest=honest)
    for network, sent, bits in (
        ([HalfPrecision()], np.asarray(jnp.asarray(x, jnp.bfloat16), np.float32), 16 * DIM + 32),
        ([TopK(0.34)], np.where(largest, x, 0), 32 + 2 + 32),
        ([SignFlip(strength=2.0)], np.where(honest[:, None], x, -2 * x), 32 * DIM + 32),
    ):
        _, state = one_round(Parts(), RING, network, roles=roles)
        same(heard(state.nodes["arrived"]["each"]), gathered(W, sent))
        np.testing.assert_array_equal(state.traffic.bits[0], np.full(N, 2 * bits))


@struct.dataclass
class Witness(Parts):
    """Sends its model to be received one by one, and keeps what came."""

    def init(self, params, node):
        links = node.links
        rows, age = jnp.zeros((*links.ids.shape, DIM)), jnp.zeros_like(links.ids)
        return {"x": params, "arrived": Each(rows, links.ids, links.weights, links.used, age)}

    def send(self, state, node):
        return Each(state["x"]), state


@pytest.mark.parametrize("graph", ["ring", pytest.param("complete", marks=pytest.mark.slow)])
def test_liars_that_tell_each_neighbour_its_own_model_are_known_one_by_one(graph):
    """Dissensus of strength 0: what liars tell honest node i is x_i, and each of them is among its rows."""
    honest, x = np.arange(N) % 3 != 0, cases.starts("DPSGD")
    parts = [jdl.exchange.Dissensus(0.0)], jdl.roles.of(honest=honest)
    built, state = one_round(Witness(), GRAPHS[graph], parts[0], roles=parts[1])
    each, W = jax.tree.map(np.asarray, state.nodes["arrived"]), matrix(built)
    for i in range(N):
        there = each.arrived[i]
        assert sorted(each.ids[i][there]) == [j for j in np.flatnonzero(W[i]) if j != i]
        for j, weight, row in zip(each.ids[i][there], each.weights[i][there], each.content[i][there], strict=True):
            assert weight == np.float32(W[i, j])
            np.testing.assert_array_equal(row, x[i] if honest[i] and not honest[j] else x[j])
    with pytest.raises(jdl.checks.InputError, match="got Dissensus and messages one by one that hold whole numbers"):
        one_round(Parts(), GRAPHS[graph], parts[0], roles=parts[1])


@struct.dataclass
class Collected:
    """Clients send their id and their gradient one by one; the server keeps what it is given."""

    participants: int = struct.field(pytree_node=False)
    needs = frozenset({"server", "grad"})
    phases = (("broadcast", "client", "server"),)

    def init(self, params, n):
        m = self.participants
        zero, rows = jnp.zeros(m, jnp.int32), jnp.zeros((m, DIM))
        each = Each({"id": zero, "g": rows}, zero, jnp.zeros(m), jnp.zeros(m, bool), zero)
        return {"x": params, "each": each, "participants": jnp.int32(0), "ids": zero, "arrived": jnp.zeros(m, bool)}

    def client_init(self, params, node):
        return ()

    def broadcast(self, state):
        return state["x"]

    def client(self, x, state, node):
        return Each({"id": node.id, "g": node.grad(x)[0]}), state

    def server(self, state, each, info):
        return state | {"each": each} | {name: info[name] for name in ("participants", "ids", "arrived")}

    def weight(self, state, node):
        return 1.0 + node.id.astype(jnp.float32)

    def model(self, state):
        return state["x"]


@pytest.mark.parametrize("probability", [0.0, 0.4])
def test_a_server_is_given_the_rows_of_this_rounds_clients(probability):
    m = 5
    built = jdl.simulation(data, Collected(m), jdl.schedule.Sampling(N, m), [Lossy(probability)])
    x = cases.starts("FedAvg")
    state = step(built, init(built, x))[0].server
    chosen, each = np.asarray(cases.plan_of(built, 0).participants), jax.tree.map(np.asarray, state["each"])
    gradients = np.einsum("nij,j->ni", data.A, x) - data.b
    there = each.arrived
    assert np.array_equal(state["arrived"], there) and int(state["participants"]) == there.sum()
    assert there.all() if probability == 0 else 0 < there.sum() < m
    np.testing.assert_array_equal(each.ids, chosen)
    np.testing.assert_array_equal(state["ids"], chosen)
    np.testing.assert_array_equal(each.content["id"], np.where(there, chosen, 0))
    np.testing.assert_allclose(each.content["g"], np.where(there[:, None], gradients[chosen], 0), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(each.weights, np.where(there, 1 + chosen, 0))


def largest_array(jaxpr) -> int:
    """The number of elements of the largest value in a program, its inner programs included."""
    sizes = [0]
    for equation in jaxpr.eqns:
        sizes += [int(np.prod(out.aval.shape)) for out in equation.outvars]
        sizes += [largest_array(inner) for inner in jaxprs_in_params(equation.params)]
    return max(sizes)


@struct.dataclass
class Listener(Parts):
    """Sends its model to be received one by one, and keeps the largest coordinate of all."""

    def init(self, params, node):
        return params

    def send(self, state, node):
        return Each(state), state

    def recv(self, state, inbox, node):
        return state + jnp.max(inbox.content), {}

    def model(self, state):
        return state


def test_no_array_holds_the_messages_of_all_nodes_at_once():
    """In chunks of c nodes, the largest array of a round has n d numbers, or c k d; all at once it has n k d."""
    n, k, d = 24, 6, 50
    wide = jdl.problems.quadratic(nodes=n, dim=d).replace(A=jnp.zeros((n, 1, 1)))  # which this method never asks
    graph = jdl.topology.random_regular(n, degree=k, seed=0)

    def largest(mapping):
        built = jdl.simulation(wide, Listener(), graph, mapping="vmap")
        built = built.replace(placement=jdl.engine.mapping.Placement(mapping))
        return largest_array(jax.make_jaxpr(simulator.step)(built, jax.eval_shape(simulator.init, built)).jaxpr)

    assert largest(3) < n * k * d / 3 and largest("vmap") >= n * k * d


# ---- the way down -------------------------------------------------------------------------------------------------

EACH_SERVER = pytest.mark.parametrize("name", classes.one_of_each(cases.SERVERS, classes.of_messages, turn=0))


def served(name, **parts):
    built = cases.build(name, data=cases.problem(noise=0.2), **parts)
    return built, init(built, cases.starts(name))


@EACH_SERVER
def test_an_exchange_down_that_changes_nothing_is_none_and_one_that_loses_all_is_no_round(name):
    """One program, since the probability of a loss is an array."""
    (plain, start), (lossy, begun) = served(name), served(name, network_down=[Lossy(0.0)])
    (end, models), (same_end, same_models) = (
        cases.advance(built, sim, jnp.int32(3)) for built, sim in ((plain, start), (lossy, begun))
    )
    np.testing.assert_allclose(models, same_models, rtol=1e-6, atol=1e-7)
    assert cases.equal_bits(end.traffic, same_end.traffic)
    deaf = lossy.replace(exchange_down=lossy.exchange_down.replace(probability=jnp.float32(1)))
    nothing, still = cases.advance(deaf, begun, jnp.int32(3))
    assert cases.equal_bits(nothing.nodes, begun.nodes)  # what a client keeps
    np.testing.assert_array_equal(still, simulator.models(deaf, begun))
    assert not np.any(nothing.traffic.bits[0, :N]) and not np.any(nothing.traffic.messages[0, :N])
    # The server has sent as much as ever, but for a second message, which goes to those alone who heard the first.
    one = classes.facts(name).exchanges == 1
    assert (float(nothing.traffic.bits[0, N]) == float(end.traffic.bits[0, N])) == one


def leaves_out(name):
    """Whether the server's messages state their sizes: it leaves out what clients have already."""
    return any("sized" in classes.kinds_of(down) for down in classes.facts(name).downs)


WHOLE = [name for name in cases.SERVERS if not leaves_out(name)]


@pytest.mark.parametrize("name", [name for name in cases.SERVERS if leaves_out(name)])
def test_compression_down_is_refused_where_the_server_counts_on_what_clients_have(name):
    with pytest.raises(jdl.checks.InputError, match=f"got {name}, whose server leaves out what clients have already"):
        cases.build(name, network_down=[HalfPrecision()])


@pytest.mark.parametrize(
    "name", classes.one_of_each(cases.law("half precision down", WHOLE), classes.of_messages, turn=1)
)
def test_half_precision_down_costs_half_and_rounds_what_clients_hear(name):
    (plain, start), (half, begun) = served(name), served(name, network_down=[HalfPrecision()])
    (end, models), (cheap, rounded) = (
        cases.advance(built, sim, jnp.int32(4)) for built, sim in ((plain, start), (half, begun))
    )
    assert float(cheap.traffic.bits[0, N]) == float(end.traffic.bits[0, N]) / 2 > 0
    np.testing.assert_array_equal(cheap.traffic.bits[0, :N], end.traffic.bits[0, :N])
    assert 0 < np.abs(models - rounded).max() < 0.1


def test_a_compressor_of_nothing_down_is_none():
    (plain, start), (down, begun) = served("FedAvg"), served("FedAvg", network_down=[Identity()])
    (end, models), (same_end, same_models) = (
        cases.advance(built, sim, jnp.int32(3)) for built, sim in ((plain, start), (down, begun))
    )
    np.testing.assert_allclose(models, same_models, rtol=1e-6, atol=1e-7)
    assert cases.equal_bits(end.traffic, same_end.traffic)
