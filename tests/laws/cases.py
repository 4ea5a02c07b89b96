"""What the laws run over: every algorithm, every exchange, one small problem, and compiled programs that laws share.

Nothing here knows an algorithm by its name: `needs` says what kind of network it takes.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl.command import catalogue
from jdl.compressors import Identity
from jdl.engine import sim as simulator
from jdl.schedule import Fixed
from jdl.topology import from_weights, random_regular
from jdl.types import BatchId, Key, Plan

N, DIM = 8, 3

ALGORITHMS = list(jdl.algorithms.__all__)
# Those of the command line, without codecs around a codec, whose laws are in tests/unit/compressors.
AROUND = {"codec_chain", "error_feedback", "flattened", "in_transform", "normalised", "rotated"}
EXCHANGES = [name for name in catalogue.members("exchanges") if name not in AROUND]

# What a law does not hold for, and why. The law must really fail there, or the entry goes.
EXCEPTIONS = {
    "centralised": {
        "ATG": "its average of the gradients begins at zero, and comes over links",
        "DLM": "its penalty is 1 - W_ii, which one node has not",
        "DiNNO": "its penalty is 1 - W_ii, which one node has not",
        "EagerDiLoCo": "the others' share of a change is a round old",
        "GTSAGA": "parts are drawn by the node's own key",
        "LTADMMVR": "parts are drawn by the node's own key",
        "OverlapSGP": "messages are a round old",
    },
    "mixing alone": {
        "ADMM": "without a rate nobody solves anything",
        "DADAO": "without a rate nothing is defined: steps are divided by its root",
        "PENS": "a node averages the models with the lowest losses alone, whatever W says",
        "DLM": "without a rate nothing moves",
        "DiNNO": "without a rate nobody solves anything",
        "DecentLaM": "disagreement has momentum",
        "EagerDiLoCo": "changes are averaged, models never",
        "OverlapSGP": "what keeps its sum includes messages in flight",
        "ProxSkip": "most rounds are silent",
        "SlowMo": "disagreement has momentum",
        "WangElia": "disagreement swings with its integral",
    },
    "first gradient": {
        "DADAO": "a step takes the full gradient, less that of the part of the loss that is a square",
        "DAdam": "steps are not linear in the gradient",
        "DFedSAM": "steps are not linear in the gradient",
        "EagerDiLoCo": "an outer step scales the inner one",
        "GossipDiLoCo": "an outer step scales the inner one",
        "GTSAGA": "a step takes parts of the data, not the minibatch",
        "GTAdam": "steps are not linear in the gradient",
        "GTSARAH": "the first step takes the full gradient",
        "GTVR": "the first step takes the full gradient",
        "LTADMMVR": "a step takes parts of the data, not the minibatch",
        "OPAPC": "a step is divided by 1 + lr mu",
        "QGAdam": "steps are not linear in the gradient",
    },
    "half precision down": {"DeMo": "only the signs of its means matter"},
    "relabelling": {
        "GTSAGA": "parts are drawn by the node's own key",
        "LTADMMVR": "parts are drawn by the node's own key",
    },
    "alone": {
        "GTSAGA": "parts are drawn by the node's own key",
        "LTADMMVR": "parts are drawn by the node's own key",
    },
    "array by array": {
        "PowerGossip": "each array has a low rank of its own",
        "StreamingDiLoCo": "arrays are its fragments",
    },
}  # fmt: skip

# What is refused in a network that loses messages, written down here and not read from what the methods declare; it is
# measured in test_laws_reliability.py. The server keeps a mean of what its clients hold, and adds their changes to it:
# a lost change is missing for ever.
MEANS = ["EF21", "FedAMD", "FedDyn", "FedLT", "FedSplit", "Scaffold"]
# Only compressed changes travel, to copies that neighbours keep. A simulation delivers the copy itself, and so it
# cannot show what a lost change would do.
COPIES = ["BEER", "CDProxSGT", "DCD", "ECD", "LEAD"]
# Only changes travel, and models are never averaged.
CHANGES = ["EagerDiLoCo"]
LOSING = [*MEANS, *COPIES, *CHANGES]


def law(name: str, names: list) -> list:
    """The names as parameters of a test; those that the law of this name does not hold for are expected to fail."""
    reasons = EXCEPTIONS[name]
    return [
        pytest.param(one, marks=pytest.mark.xfail(strict=True, reason=reasons[one])) if one in reasons else one
        for one in names
    ]


class Laws:
    """Laws on the bed of one algorithm (see `bed.py`), checked together by one test, so that the bed is built once."""

    def __init__(self):
        self.laws = []

    def over(self, names: list, exceptions: str = ""):
        """Add a law, a function of a bed that asserts, which holds for these names but for the named `EXCEPTIONS`."""

        def add(function):
            self.laws.append((function, frozenset(names), EXCEPTIONS.get(exceptions, {})))
            return function

        return add

    def check(self, bed) -> None:
        """Every law holds for this algorithm, and each that is said not to hold for it really fails."""
        wrong = []
        for function, names, exceptions in self.laws:
            if bed.name not in names:
                continue
            try:
                function(bed)
            except AssertionError as error:
                if bed.name not in exceptions:
                    wrong.append(f"{function.__name__}: {error}")
            else:
                if bed.name in exceptions:
                    wrong.append(f"{function.__name__} holds, and EXCEPTIONS says: {exceptions[bed.name]}")
        if wrong:
            pytest.fail(f"{bed.name} breaks {len(wrong)} of the laws:\n\n" + "\n\n".join(wrong), pytrace=False)


# jit keys its cache by the static parts, so all laws share these two programs of each simulation.
init = jax.jit(simulator.init)
traces: list[str] = []


def _advance(simulation, sim, until):
    traces.append(type(simulation.algorithm).__name__)
    sim, _ = simulator.advance(simulation, sim, until)
    return sim, simulator.models(simulation, sim)


# The state after some rounds, and its models.
advance = jax.jit(_advance)


def network_of_one(exchange: str) -> list:
    """A network of one exchange with its defaults."""
    return [catalogue.maker("exchanges", exchange)()]


def roles_in(exchange: str):
    """Two liars where the exchange needs some, and None otherwise."""
    (part,) = network_of_one(exchange)
    return jdl.roles.draw(N, dishonest=2) if "dishonest" in getattr(part, "needs", ()) else None


def kind_of(name: str):
    return getattr(jdl.algorithms, name)


def has_server(name: str) -> bool:
    return "server" in kind_of(name)().needs


def mixes(name: str) -> bool:
    """Whether the method says that it mixes with peers: it needs some stochastic matrix, or links of any weight."""
    return any(need == "links" or need.endswith("_stochastic") for need in kind_of(name)().needs)


PEERS = [name for name in ALGORITHMS if not has_server(name)]
SERVERS = [name for name in ALGORITHMS if has_server(name)]
# Those that take any graph, and any graph in every round.
ANY_GRAPH = [name for name in PEERS if "tree" not in kind_of(name)().needs]
ANY_TIME = [name for name in PEERS if "fixed_links" not in kind_of(name)().needs]
# Those that take several local steps in a round.
STEPPING = [name for name in ALGORITHMS if "local_steps" in kind_of(name).__dataclass_fields__]


def network_of(name: str, seed: int = 0) -> np.ndarray:
    """A W that this method takes."""
    if "tree" in kind_of(name)().needs:
        return jdl.topology.tree(N).weights.toarray()
    return weights(seed)


@functools.cache
def weights(seed: int = 0) -> np.ndarray:
    """A symmetric doubly stochastic W without any symmetry between nodes: random weights on a random regular graph."""
    pattern = random_regular(N, degree=4, seed=seed).weights.toarray()
    draw = np.random.default_rng(seed).uniform(0.3, 1.0, (N, N))
    off = np.triu(pattern * draw, 1)
    off = off + off.T
    return off + np.diag(1 - off.sum(axis=1))


def dense(W: np.ndarray) -> Fixed:
    return Fixed(from_weights(W, allow_disconnected=True).plan("dense"))


def problem(seed: int = 0, noise: float = 0.0):
    return jdl.problems.quadratic(nodes=N, dim=DIM, condition=4.0, seed=seed, noise=noise)


def starts(name: str, seed: int = 0) -> np.ndarray:
    """One start for each node, all different; a single one for a method with a server."""
    # Not the generator of the problem: its first draw is the optimum, where nothing moves.
    draw = np.random.default_rng([seed, 77]).standard_normal((N, DIM)).astype(np.float32)
    return draw[0] if has_server(name) else draw


# The plainest form of a method: one step of plain descent a round, nothing compressed.
PLAIN = {
    "local_steps": 1,
    "optimizer": "sgd",
    "compressor": Identity(),
    "fraction": 1.0,
    "bits": 0,
    "gamma": 1.0,
    "gamma_x": 1.0,
    "gamma_y": 1.0,
}


def is_plain(name: str) -> bool:
    """Whether the defaults of a method are its plainest form."""
    usual = kind_of(name)()
    return all(getattr(usual, key, value) == value for key, value in PLAIN.items())


def build(
    name: str, W: np.ndarray | None = None, *, lr=0.1, data=None, talk=None, plain: bool = False, **parts
) -> jdl.sim.Simulation:
    """A simulation of this algorithm: over W (dense) where it talks to peers, over all clients where it does not."""
    data = problem() if data is None else data
    if talk is None and not has_server(name):
        talk = dense(network_of(name) if W is None else W)
    kind = kind_of(name)
    own = {key: value for key, value in PLAIN.items() if plain and key in kind.__dataclass_fields__}
    return jdl.simulation(data, kind(lr=lr, **own), talk, **parts)


@jax.jit
def whole(simulation, params, rounds):
    """The models after some rounds, all in one program."""
    sim, _ = simulator.advance(simulation, simulator.init(simulation, params), rounds)
    return simulator.models(simulation, sim)


def run(simulation: jdl.sim.Simulation, rounds: int, params=None) -> np.ndarray:
    """The models after some rounds, `[n, d]`, or `[1, d]` with a server."""
    return np.asarray(advance(simulation, init(simulation, params), jnp.int32(rounds))[1])


def equal_bits(a, b) -> bool:
    """Whether two trees hold the same bits."""
    same = jax.tree.map(lambda x, y: np.asarray(x).tobytes() == np.asarray(y).tobytes(), a, b)
    return all(jax.tree.leaves(same))


@struct.dataclass
class TreeQuadratic:
    """The quadratic of `inner` whose parameters are a tree: what a flax model's would be."""

    inner: jdl.problems.Quadratic
    shape: str = struct.field(pytree_node=False)
    offers = frozenset({"parts", "prox"})

    @property
    def n(self) -> int:
        return self.inner.n

    @property
    def num_examples(self) -> jax.Array:
        return self.inner.num_examples

    @property
    def optimum(self):
        return None

    def split(self, x):
        """The tree of a flat `[..., 3]` vector."""
        if self.shape == "dict":
            return {"a": x[..., :2], "b": x[..., 2:]}
        return {"layer": {"kernel": x[..., :2].reshape(*x.shape[:-1], 2, 1)}, "rest": [x[..., 2:]]}

    def join(self, params):
        """The flat vector of a tree, with any number of leading axes kept."""
        if self.shape == "dict":
            return jnp.concatenate([params["a"], params["b"]], axis=-1)
        kernel = params["layer"]["kernel"]
        return jnp.concatenate([kernel.reshape(*kernel.shape[:-2], 2), params["rest"][0]], axis=-1)

    def init(self, key: Key):
        return self.split(self.inner.init(key))

    def batch(self, id, draw: BatchId):
        return self.inner.batch(id, draw)

    def full_batch(self, id):
        return self.inner.full_batch(id)

    def part(self, id, part, parts):
        return self.inner.part(id, part, parts)

    def prox(self, id, params, step):
        return self.split(self.inner.prox(id, self.join(params), step))

    def loss(self, params, batch):
        return self.inner.loss(self.join(params), batch)

    def evaluate(self, params, id=None):
        return self.inner.evaluate(self.join(params), id)


def plan_of(simulation: jdl.sim.Simulation, t: int) -> Plan:
    """The plan of round t, as the simulation draws it, of a schedule without memory."""
    return _planned(jdl.sim.Simulation((), (), simulation.schedule, (), (), simulation.key), jnp.int32(t))


@jax.jit
def _planned(simulation, t):  # eager, each operation of a schedule would be a program of its own
    talk, key = simulation.schedule, simulation.key
    return talk(talk.init(key), t, jdl.sim.key_of(key, "schedule", t))[0]
