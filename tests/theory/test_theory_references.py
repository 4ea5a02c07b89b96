"""Every method against the independent NumPy references, round by round and node by node.

Peers: over the ring and over a graph that is as directed as the method allows, both dense, so that one program serves
both. Servers: with all clients and with a sample of three, where the reference knows samples.
"""

import functools
import pathlib

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as peers
import numpy_federated as federated
import pytest
from flax import struct

import jdl
from jdl import algorithms as a
from jdl import compressors, schedule, topology

N, T, H, LR, NOISE, TOLERANCE = beds.N, 60, 3, 0.05, 0.3, 1e-11
X, x = beds.start(), beds.start()[0]
RING = topology.ring(N).weights.toarray()
TOP = {"compressor": compressors.TopK(0.4)}  # 2 of 5
STEPS = {"local_steps": H}
OUTER = {**STEPS, "outer_lr": 0.3, "outer_momentum": 0.4, "optimizer": "adamw"}


# Most of the time is spent in compiling, and tiny programs gain nothing from being optimised.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def top(V):
    return beds.top(V, 2)


def soften(V, lr):
    return np.sign(V) * np.maximum(np.abs(V) - 0.1 * lr, 0)


def adamw(shape):
    return federated.AdamW(shape, weight_decay=0.1)


# ---- the problem, and what references are told of it ---------------------------------------------------------------


@struct.dataclass
class Cast:
    """A quadratic whose loss is higher by a constant, and whose parameters have another form: `cast` takes a vector."""

    inner: jdl.problems.Quadratic
    height: jax.Array
    cast: object = struct.field(pytree_node=False)

    n = property(lambda self: self.inner.n)
    num_examples = property(lambda self: self.inner.num_examples)
    optimum = property(lambda self: None)

    def init(self, key):
        return self.cast(self.inner.init(key))

    def batch(self, id, draw):
        return self.inner.batch(id, draw)

    def full_batch(self, id):
        return self.inner.full_batch(id)

    def loss(self, params, batch):
        return self.inner.loss(flat(params), batch)[0] + self.height, ()

    def evaluate(self, params):
        return self.inner.evaluate(jax.vmap(flat)(params))


def flat(params):
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(params)])


def pieces(v):
    return {"a": v[..., :2], "b": v[..., 2:4], "c": v[..., 4:]}


def matrix(v):
    return v.reshape(*v.shape[:-1], 4, 3)


WIDE = beds.start(dim=12)


@functools.cache
def draws(dim):
    """What round t and minibatch k draw, `[T + 1, H, n, dim]`, by the documented key; see `beds.gradient`."""
    each = jax.vmap(jax.vmap(lambda t, k: beds._draws(t, k, N, dim), (None, 0)), (0, None))
    return np.asarray(jit(each)(jnp.arange(T + 1), jnp.arange(H)))


def key(stream, t, *ids):
    return jdl.sim.key_of(jax.random.key(0), stream, t, *ids)


@functools.cache
def samples(participants):
    """Who takes part, `[T, m]`."""
    plan = lambda t: schedule.sampling(N, participants)((), t, key("schedule", t))[0]
    return np.asarray(jit(jax.vmap(lambda t: plan(t).participants))(jnp.arange(T)))


@functools.cache
def coins(p):
    """What all nodes toss together."""
    return np.asarray(jit(jax.vmap(lambda t: jax.random.bernoulli(key("common", t), p)))(jnp.arange(T)))


@functools.cache
def own_coins(p):
    """What each tosses alone. In round 0 all are anchors: it fills the caches, which the reference has filled."""
    coin = lambda t, i: (t == 0) | jax.random.bernoulli(key("node", t, i), p)
    return np.asarray(jit(jax.vmap(jax.vmap(coin, (None, 0)), (0, None)))(jnp.arange(T), jnp.arange(N)))


class Case:
    """What a reference may use of one run: W, the gradients, who took part and which coins came up."""

    def __init__(self, simulation, W=None):
        self.simulation, self.W = simulation, W
        problem = getattr(simulation.problem, "inner", simulation.problem)
        self.A, self.b = np.asarray(problem.A), np.asarray(problem.b)
        self.samples = samples(simulation.schedule.participants) if W is None else None

    def F(self, Y):
        return np.einsum("nij,nj->ni", self.A, Y) - self.b

    def G(self, Y, t=0, k=0):
        return self.F(Y) + NOISE * draws(Y.shape[1])[t, k]

    def losses(self, Y, t, height=0.0):
        linear = NOISE * draws(Y.shape[1])[t, 0] - self.b
        return np.einsum("ni,nij,nj->n", Y, self.A, Y) / 2 + (linear * Y).sum(1) + height

    @property
    def peers(self):
        return self.W, self.G, X, LR, T

    @property
    def steps(self):
        return self.samples, self.G, x, LR, T, H, N


# ---- every method, perhaps with an option's name: the fields that its test sets, and its reference -----------------

PEERS = {
    "ADMM": ({"penalty": 0.5, "exact": True}, lambda c: peers.admm(c.W, c.A, c.b, X, T, 0.5)),
    "AugDGM": ({}, lambda c: beds.gradient_tracking(*c.peers, mix_difference=True)),
    "BEER": ({"gamma": 0.3, **TOP}, lambda c: peers.beer(*c.peers, 0.3, top)),
    "CDProxSGT": (
        {"gamma_x": 0.3, "gamma_y": 0.2, "strength": 0.1, **TOP},
        lambda c: peers.cdproxsgt(*c.peers, 0.3, 0.2, top, soften),
    ),
    "CTA": ({}, lambda c: peers.cta(*c.peers)),
    "D2": ({}, lambda c: beds.d2(*c.peers)),
    "DAdam": ({"b1": 0.8, "b2": 0.9, "eps": 1e-3}, lambda c: peers.dadam(*c.peers, 0.8, 0.9, 1e-3)),
    "DCD": (TOP, lambda c: peers.dcd(*c.peers, top)),
    "DFedAvgM": ({"momentum": 0.6, **STEPS}, lambda c: peers.dfedavgm(*c.peers, H, 0.6)),
    "DFedSAM": ({"rho": 0.2, **STEPS}, lambda c: peers.dfedsam(*c.peers, H, 0.2)),
    "DGD": ({}, lambda c: beds.dgd(*c.peers)),
    "DIGing": ({}, lambda c: peers.diging(*c.peers)),
    "DLM": ({"penalty": 0.5}, lambda c: peers.dlm(*c.peers, 0.5)),
    "DPSGD": (STEPS, lambda c: beds.atc(*c.peers, H)),
    "DProxSGT": ({"strength": 0.1}, lambda c: peers.dproxsgt(*c.peers, soften)),
    "DSGDm": ({"momentum": 0.6}, lambda c: peers.dsgdm(*c.peers, 0.6)),
    "DSGDm nesterov": ({"momentum": 0.6, "nesterov": True}, lambda c: peers.dsgdm(*c.peers, 0.6, nesterov=True)),
    "DecentLaM": ({"momentum": 0.6}, lambda c: peers.decentlam(*c.peers, 0.6)),
    "DeepSqueeze": ({"gamma": 0.3, **TOP}, lambda c: peers.deepsqueeze(*c.peers, 0.3, top)),
    "DeltaSGD": ({"gamma": 0.05, "delta": 0.6, **STEPS}, lambda c: peers.delta_sgd(*c.peers, H, 0.05, 0.6)),
    "DmSGD": ({"momentum": 0.6}, lambda c: peers.dmsgd(*c.peers, 0.6)),
    "DmSGD old": ({"momentum": 0.6, "old": True}, lambda c: peers.dmsgd(*c.peers, 0.6, old=True)),
    "EXTRA": ({}, lambda c: peers.extra(*c.peers)),
    "EagerDiLoCo": (OUTER, lambda c: federated.eager_diloco(*c.peers, H, 0.3, 0.4, adamw)),
    "ExactDiffusion": ({}, lambda c: beds.exact_diffusion(*c.peers)),
    "GTSARAH": ({"period": 7}, lambda c: peers.gt_sarah(*c.peers, c.F, 7)),
    "GossipDiLoCo": (
        {"pull": 0.2, **OUTER},
        lambda c: federated.gossip_diloco([c.W] * T, c.G, X, LR, T, H, 0.3, 0.4, 0.2, adamw),
    ),
    "GradientTracking": ({}, lambda c: beds.gradient_tracking(*c.peers)),
    "KGT": ({"server_lr": 0.7, **STEPS}, lambda c: peers.kgt(*c.peers, H, 0.7)),
    "LEAD": ({"gamma": 0.4, "alpha": 0.5, **TOP}, lambda c: peers.lead(*c.peers, 0.4, 0.5, top)),
    "LED": ({"dual_lr": 0.6, **STEPS}, lambda c: peers.led(*c.peers, H, 0.6 / H)),
    "LocalOnly": (STEPS, lambda c: beds.atc(np.eye(N), c.G, X, LR, T, H)),
    "MomentumTracking": ({"momentum": 0.6}, lambda c: peers.momentum_tracking(*c.peers, 0.6)),
    "NIDS": ({}, lambda c: peers.nids(*c.peers)),
    "NesterovGradientTracking": (
        {"alpha": (0.25 * LR) ** 0.5},
        lambda c: peers.nesterov_gradient_tracking(*c.peers, 0.25),
    ),
    "OPAPC": (
        {"mu": 0.25, "chi": 40.0, "largest": 1.8},
        lambda c: peers.apapc(*c.peers, 40 * 0.25 * LR, 1 / (1.8 * LR), 0.25),
    ),
    "PowerGossip": (
        {},
        lambda c: peers.power_gossip(c.W, c.G, WIDE, LR, T, (4, 3), edges(c), overlap=False, skip_first=False, eps=0.0),
    ),
    "ProxSkip": ({"probability": 0.4, "share": 0.3}, lambda c: peers.proxskip(*c.peers, 0.4, 0.3, coins(0.4))),
    "PushSum": ({}, lambda c: beds.push_sum(*c.peers)),
    "QGAdam": ({"b1": 0.8, "b2": 0.9, "eps": 1e-3}, lambda c: peers.qg_adam(*c.peers, 0.8, 0.9, 1e-3)),
    "QGDSGDm": ({"momentum": 0.6, "mu": 0.8}, lambda c: peers.qg_dsgdm(*c.peers, 0.6, 0.8)),
    "QGDSGDm nesterov": (
        {"momentum": 0.6, "mu": 0.8, "nesterov": True},
        lambda c: peers.qg_dsgdm(*c.peers, 0.6, 0.8, nesterov=True),
    ),
    "RelaySGD": ({}, lambda c: peers.relaysgd(*c.peers)),
    "SlowMo": (
        {"period": 1, "slow_lr": 0.8, "slow_momentum": 0.6, **STEPS},
        lambda c: peers.slowmo(None, *c.peers[1:], H, 0.8, 0.6),
    ),
    "SwarmSGD": (STEPS, lambda c: beds.atc(*c.peers, H)),
}

SERVER = {
    "AFL": ({"share_lr": 0.05}, lambda c: federated.afl(c.G, c.losses, x, LR, T, N, 0.05)),
    "DiLoCo": (OUTER, lambda c: federated.diloco(*c.steps, 0.3, 0.4, adamw)),
    "DiLoCoX": ({**OUTER, **TOP}, lambda c: federated.dilocox(*c.steps[1:], 0.3, 0.4, top, inner=adamw)),
    "EASGD": (
        {"pull": 0.1, "moving_rate": 0.1 * N, "local_steps": 1},
        lambda c: peers.easgd(c.G, federated.spread(x, N), LR, T, 0.1)[1],
    ),
    "EF21": (TOP, lambda c: federated.ef21(c.G, x, LR, T, N, top)),
    "FSVRG": (STEPS, lambda c: federated.fsvrg(c.samples, c.G, c.F, *c.steps[2:], anchor="S")),
    "FedAMD": (
        {"server_lr": 0.8, "anchors": 0.4, "shared": False, **STEPS},
        lambda c: federated.fedamd(c.samples, own_coins(0.4), c.G, c.F, *c.steps[2:], 0.8),
    ),
    "FedAc": (
        {"alpha": 3.0, "beta": 4.0, "gamma": 0.1, **STEPS},
        lambda c: federated.fedac(*c.steps, 3.0, 4.0, 0.1),
    ),
    "FedAvg": ({"server_lr": 0.8, **STEPS}, lambda c: federated.fedavg(*c.steps, 0.8)),
    "FedAvgM": (
        {"server_lr": 0.8, "momentum": 0.6, **STEPS},
        lambda c: federated.fedavgm(*c.steps, 0.8, 0.6),
    ),
    "FedDyn": ({"alpha": 0.7, **STEPS}, lambda c: federated.feddyn(*c.steps, 0.7)),
    "FedLin": (STEPS, lambda c: federated.fedlin(*c.steps)),
    "FedNova": (
        {"rho": 0.5, **STEPS},
        lambda c: federated.fednova(*c.steps[:5], 1 + np.arange(N) % H, N, 0.5),
    ),
    "FedOpt": (
        {"kind": "yogi", "server_lr": 0.1, "beta1": 0.8, "beta2": 0.9, "tau": 0.01, **STEPS},
        lambda c: federated.fedopt(*c.steps, "yogi", 0.1, 0.8, 0.9, 0.01),
    ),
    "FedPD": (
        {"step": 0.7, "probability": 0.4, **STEPS},
        lambda c: federated.fedpd(coins(0.4), *c.steps[1:], 0.7),
    ),
    "FedProx": ({"mu": 0.5, **STEPS}, lambda c: federated.fedprox(*c.steps, 0.5)),
    "FedSGD": ({}, lambda c: federated.fedsgd(c.samples, lambda Y, t, k: c.F(Y), x, LR, T, N)),
    "FedSpeed": (
        {"lam": 0.8, "rho": 0.1, "alpha": 0.7, **STEPS},
        lambda c: federated.fedspeed(*c.steps, 0.8, 0.1, 0.7),
    ),
    "FedSplit": ({"step": 0.7, **STEPS}, lambda c: federated.fedsplit(*c.steps[1:], 0.7)),
    "MimeLite": (
        {"server_lr": 0.8, "momentum": 0.6, **STEPS},
        lambda c: federated.mimelite(c.samples, c.G, c.F, *c.steps[2:], 0.6, 0.8),
    ),
    "QFedAvg": (
        {"q": 1.5, **STEPS},
        lambda c: federated.q_fedavg(*c.steps[:2], functools.partial(c.losses, height=10.0), *c.steps[2:], 1.5),
    ),
    "Scaffnew": ({"probability": 0.4}, lambda c: federated.scaffnew(coins(0.4), c.G, x, LR, T, N, 0.4)),
    "Scaffold": ({"server_lr": 0.8, **STEPS}, lambda c: federated.scaffold(*c.steps, 0.8)),
    "StreamingDiLoCo": (
        {"fragments": 2, "delay": 1, "alpha": 0.4, **OUTER},
        lambda c: federated.streaming_diloco(
            *c.steps[1:], [np.array([0, 1, 4]), np.array([2, 3])], 0.3, 0.4, 0.4, 1, adamw
        )[1],
    ),
}

# References that know no samples of clients, as their papers do not, or that fill all caches before the first round.
EVERYBODY = {"AFL", "DiLoCoX", "EASGD", "EF21", "FedAMD", "FedPD", "FedSplit", "Scaffnew", "StreamingDiLoCo"}

# Methods without a reference: where their iterates are tested, and why there.
WITHOUT = {
    "AverageDirectionSAM": ("first_order", "is D-PSGD on quadratics, whatever its radius; needs third derivatives"),
    "DRFA": ("federated_2", "weighs all clients by their shares, where the reference draws clients by their shares"),
    "GTSAGA": ("bias_corrected", "needs gradients of parts of the data; its recursion is written in its own test"),
    "OverlapSGP": ("first_order", "has no reference; its recursion is written in its own test"),
    "ScaledLocalSGD": ("first_order", "has no reference; its recursion is written in its own test"),
}


@struct.dataclass
class Slow(jdl.oracle.DataOracle):
    """Clients that can take 1, 2 or 3 steps."""

    def steps(self, data):
        return 1 + data.id % H


PROBLEMS = {
    "PowerGossip": lambda: Cast(beds.quadratic(dim=12, noise=NOISE), jnp.zeros(()), matrix),
    "QFedAvg": lambda: Cast(beds.quadratic(noise=NOISE), jnp.asarray(10.0), flat),  # its losses must be positive
    "StreamingDiLoCo": lambda: Cast(beds.quadratic(noise=NOISE), jnp.zeros(()), pieces),
}
# Power iterations amplify rounding, in the reference as well: by 10 in 6 rounds, of one iteration each.
ROUNDS = {"PowerGossip": 40}
PARTS = {"FedNova": {"oracle": Slow()}}


begin = jit(jdl.sim.init)


def edges(case):
    """The vectors with which the power iteration begins, the same on all edges."""
    nodes = begin(case.simulation, matrix(WIDE)).nodes
    p, q = np.asarray(nodes.left[0])[0, 0, :, 0], np.asarray(nodes.right[0])[0, 0, :, 0]
    return {(i, j): (p, q) for i in range(N) for j in range(i + 1, N) if case.W[i, j]}


def graphs(name, needs):
    """Two matrices of one form, with the least that the method asks for."""
    if name == "SlowMo":
        return "doubly", [np.full((N, N), 1 / N)]  # the reference averages exactly
    if "tree" in needs:
        path = np.diag(np.full(N - 1, 0.25), 1)
        path = path + path.T
        path += np.diag(1 - path.sum(1))
        order = np.random.default_rng(0).permutation(N)
        return "doubly", [path, path[order][:, order]]
    if "symmetric" in needs:
        return "doubly", [RING, beds.symmetric()]
    if "column_stochastic" in needs:
        return "column", [RING, beds.directed_column()]
    if "row_stochastic" in needs:
        return "row", [RING, beds.directed_column().T]
    return "doubly", [RING, beds.directed_doubly()]


@jit
def scan(simulation, start):
    """Models `[T + 1, n, d]` of rounds 0 to T."""

    def models(sim):
        return jax.vmap(flat)(jdl.sim.models(simulation, sim))

    def body(sim, _):
        new, _ = jdl.sim.step(simulation, sim)
        return new, models(new)

    sim = jdl.sim.init(simulation, start)
    return jnp.concatenate([models(sim)[None], jax.lax.scan(body, sim, length=T)[1]])


def difference(simulation, start, expected, rounds=T):
    """The largest over rounds, nodes and numbers; the reference moves, and stays where numbers mean something."""
    ours = np.asarray(scan(simulation, start))
    expected = expected[0] if isinstance(expected, tuple) else expected
    expected = expected[:, None] if simulation.has_server else expected
    assert ours.shape == expected.shape
    assert np.abs(expected[-1] - expected[0]).max() > 0.1 and np.abs(expected).max() < 100
    return np.abs(ours - expected)[: rounds + 1].max()


@pytest.mark.parametrize("name", PEERS)
def test_every_iterate_of_every_node_is_the_references(name, x64):
    fields, reference = PEERS[name]
    algorithm = getattr(a, name.split()[0])(**({"lr": LR} | fields))
    problem = PROBLEMS.get(name, lambda: beds.quadratic(noise=NOISE))()
    kind, matrices = graphs(name, algorithm.needs)
    for W in matrices:
        plan = topology.from_weights(W, stochastic=kind).plan("dense")
        plan = plan.replace(stochastic=kind, symmetric="symmetric" in algorithm.needs)
        simulation = jdl.simulation(problem, algorithm, schedule.Fixed(plan))
        # The same program for both: W is an argument of it.
        start = matrix(WIDE) if name == "PowerGossip" else X
        assert difference(simulation, start, reference(Case(simulation, W)), ROUNDS.get(name, T)) < TOLERANCE


@pytest.mark.parametrize("name", SERVER)
def test_every_iterate_of_the_server_is_the_references(name, x64):
    fields, reference = SERVER[name]
    algorithm = getattr(a, name.split()[0])(**({"lr": LR} | fields))
    problem = PROBLEMS.get(name, lambda: beds.quadratic(noise=NOISE))()
    for participants in [N] if name in EVERYBODY else [N, 3]:
        talk = schedule.sampling(N, participants)
        simulation = jdl.simulation(problem, algorithm, talk, **PARTS.get(name, {}))
        start = pieces(x) if name == "StreamingDiLoCo" else x
        assert difference(simulation, start, reference(Case(simulation))) < TOLERANCE


def test_every_method_has_a_reference_or_a_reason():
    assert {name.split()[0] for name in [*PEERS, *SERVER, *WITHOUT]} == set(a.__all__)
    assert EVERYBODY <= set(SERVER)
    for name, (part, _) in WITHOUT.items():
        assert f"{name}(" in pathlib.Path(__file__).with_name(f"test_theory_{part}.py").read_text()
