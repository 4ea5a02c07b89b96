"""Parts into one checked `Simulation`: everything that can be refused is refused here, on the host, in a sentence."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from jdl import checks, schedule, tree
from jdl import exchange as exchanges
from jdl import plan as plans
from jdl.engine import placement
from jdl.engine.cost import convolves
from jdl.engine.mapping import Mapping
from jdl.engine.sim import INIT, STEP, Simulation
from jdl.engine.state import classes_of
from jdl.exchange.stack import breaks_of, layers, needs_of
from jdl.oracle import DataOracle
from jdl.runs import fingerprint, refuse
from jdl.topology.weights.given import as_topologies
from jdl.types import (
    Algorithm,
    Circulant,
    Exchange,
    Federated,
    Key,
    Oracle,
    Plan,
    Problem,
    PyTree,
    Schedule,
)

__all__ = ["fits_in_memory", "free_bytes", "memory_bytes", "simulation"]

STOCHASTIC = frozenset({"row_stochastic", "column_stochastic", "doubly_stochastic"})

REMEDIES = {
    "doubly_stochastic": "use an undirected graph with Metropolis weights, or push_sum, which needs columns alone",
    "column_stochastic": "give weights whose columns sum to one, and a linear exchange",
    "row_stochastic": "give weights whose rows sum to one, or use push_sum",
    "symmetric": "use an undirected graph, or gradient_tracking, which takes directed doubly stochastic weights",
    "reliable": "drop the lossy links, or compress without memory (top_k)",
    "one_by_one": 'give a graph in slots, topology.plan("slots"), or one whose links into a node are bounded',
    "tree": "give one graph without circles, e.g. jdl.topology.binary_tree(n)",
    "fixed_links": "give one graph that does not change from round to round",
    "per_link": "leave out compressors and rules that look at one message a node",
    "peers": "give a graph, not a schedule of clients",
    "server": "give jdl.schedule.sampling(n, participants)",
}


def simulation(
    problem: Problem,
    algorithm: Algorithm | Federated,
    topology: Any = None,
    network: Sequence[Exchange] = (),
    *,
    oracle: Oracle | None = None,
    seed: int = 0,
    mapping: Mapping = "auto",
    devices: int | str = "auto",
) -> Simulation:
    """Compose a simulation, or refuse it with a sentence.

    Args:
      problem: data of n nodes and a loss, e.g. `jdl.problems.digits(nodes=1024)`.
      algorithm: e.g. `jdl.algorithms.DPSGD(lr=0.1)`.
      topology: who talks: a `Topology`, a networkx graph, a weight matrix, a list of these (one period), or a
        `Schedule`. None for a method that does not mix, and for a server with all clients in every round.
      network: exchanges in the order in which a message meets them, nearest the sender first.
      oracle: what the data say; `jdl.oracle.DataOracle()` by default, or a wrapper of it.
      seed: of all randomness of the run. (Graphs and data have seeds of their own.)
      mapping: "vmap", all nodes at once; a number of nodes at a time, for less memory; "loop", to debug (see
        `jdl.run`); "auto" chooses between the first two, step by step, see `jdl.engine.mapping.choose`.
      devices: how many devices share the nodes, a divisor of n; data are on each. "auto": on a CPU whose cores are
        devices (`jdl.use_cores()`) as many as there are for networks with convolutions, which gain by it, and one for
        all else: messages between devices cost a dense network more than they save.

    Raises:
      InputError: what was got, what is needed, what to do.
    """
    key = _key(seed)
    refuse.kinds(problem, algorithm, network, oracle)
    number = isinstance(mapping, int) and not isinstance(mapping, bool) and mapping > 0
    named = mapping in ("auto", "vmap", "loop")
    sentence = f'got mapping={mapping!r}, need "auto", "vmap", "loop" or a number of nodes at a time; try "auto"'
    checks.require(number or named, sentence)
    _devices(devices, problem.n, mapping)
    exchange = exchanges.stack(list(network))
    oracle = DataOracle() if oracle is None else oracle
    refuse.algorithm_parts(algorithm, REMEDIES.keys() | DataOracle.offers | oracle.offers)
    refuse.draws(problem, algorithm)
    fits_in_memory(problem)
    form = "slots" if "one_by_one" in needs_of(exchange) | algorithm.needs else "auto"
    talk = _schedule(topology, algorithm, problem, form)
    for part in (problem, algorithm, talk, exchange, oracle):
        checks.fields(part)
    refuse.functions(algorithm, _shapes_of_model(problem))
    checks.require(
        talk.n == problem.n,
        f"got a topology of {talk.n} nodes and a problem of {problem.n}, need one number; make both with n={problem.n}",
    )
    parts = tree.numbers_to_arrays((problem, algorithm, talk, exchange, oracle))
    built = Simulation(*parts, key=key, mapping=mapping, code=fingerprint.of_tree(parts))
    plan = jax.eval_shape(_first_plan, built.schedule, built.key)
    built = built.replace(reads_as=_reads_as(plan, algorithm, breaks_of(exchange)))
    _needs(built, plan)
    with refuse.explained(algorithm):
        round_ = _keeps_shape(built)
    mesh = placement.mesh_over(_most(problem.n, mapping, round_) if devices == "auto" else devices)
    if mesh is not None:
        fits_in_memory(problem, mesh.size)
    return built.replace(mesh=mesh)


def _key(seed: int) -> Key:
    """The root of all randomness: another one for every seed of 64 bits. (JAX itself takes the lower 32.)"""
    seed = checks.whole("seed", seed, 0)
    checks.require(seed < 2**64, f"got seed={seed}, need one below 2**64; try seed={seed % 2**64}")
    key = jax.random.key(seed % 2**32)
    return jax.random.fold_in(key, seed >> 32) if seed >> 32 else key


def _devices(devices: int | str, n: int, mapping: Mapping) -> None:
    if devices == "auto":
        return
    number = isinstance(devices, int) and not isinstance(devices, bool) and devices > 0
    checks.require(number, f'got devices={devices!r}, need "auto" or a number of devices; try "auto"')
    checks.require(
        n % devices == 0, f"got devices={devices} for {n} nodes, need a divisor of {n}; each has as many nodes"
    )
    checks.require(
        devices == 1 or mapping != "loop", f'got devices={devices} with mapping="loop", which is for one; leave one out'
    )


def _most(n: int, mapping: Mapping, round_: Jaxpr) -> int:
    """How many devices "auto" means: for a round with convolutions as many cores as share n nodes equally, else one."""
    if jax.default_backend() != "cpu" or mapping == "loop" or not convolves(round_):
        return 1
    return max(count for count in range(1, min(len(jax.devices()), placement.cores()) + 1) if n % count == 0)


def _schedule(given: Any, algorithm: Algorithm | Federated, problem: Problem, form: str) -> Schedule:
    n = problem.n
    numbers = sum(leaf.size for leaf in jax.tree.leaves(_shapes_of_model(problem)))
    if given is None and isinstance(algorithm, Federated):
        return schedule.sampling(n, participants=n)
    if given is None:
        name = type(algorithm).__name__
        mixes = algorithm.needs & STOCHASTIC
        checks.require(not mixes, f"got no topology, {name} needs one to mix over; try jdl.topology.ring({n})")
        return schedule.Fixed(_nobody(n))
    if isinstance(given, Schedule) and callable(given):
        return given
    fixed = as_topologies(given)
    checks.require(
        fixed is not None,
        f"got a topology of type {type(given).__name__}, need a Topology, a networkx graph, a weight matrix, a list of "
        f"these, or a Schedule; try jdl.topology.ring({n})",
    )
    return schedule.cyclic(fixed) if isinstance(fixed, list) else schedule.Fixed(fixed.plan(form, numbers))


def _first_plan(talk: Schedule, key: Key) -> Plan:
    return talk(talk.init(key), jnp.int32(0), key)[0]


def _nobody(n: int) -> Plan:
    """A plan without links: W = I."""
    none = jnp.zeros((n, 0))
    links = Circulant(weights=none, used=none.astype(bool), shifts=())
    return Plan(links=links, self_weights=jnp.ones(n), symmetric=True)


def _reads_as(plan: Plan, algorithm: Algorithm | Federated, breaks: frozenset[str]) -> str | None:
    """A directed, doubly stochastic plan whose links fail one at a time stays stochastic on one side only.

    A method that needs columns (push-sum) reads it as column-stochastic: the sender keeps what is lost. Others read
    it as row-stochastic: the receiver makes up for it with its own.
    """
    if plan.stochastic != "doubly" or plan.symmetric or "reliable" not in breaks or algorithm.needs & {"server"}:
        return None
    return "column" if "column_stochastic" in algorithm.needs else "row"


def _needs(built: Simulation, plan: Plan) -> None:
    stochastic = plan.stochastic if built.reads_as is None else built.reads_as
    breaks, offers = breaks_of(built.exchange), built.oracle.offers
    has = plans.provides(plan.replace(stochastic=stochastic)) | offers | {"reliable", "per_link"}
    if isinstance(built.schedule, schedule.Fixed):
        has |= {"fixed_links"} | ({"tree"} if "tree" in built.algorithm.needs and _is_tree(built.schedule) else set())
    has -= breaks
    for part in (built.algorithm, *layers(built.exchange)):
        name = type(part).__name__
        # "peers" and "server" come first: of a plan of the wrong sort nothing else need be said.
        for need in sorted(part.needs - has, key=lambda need: (need not in ("peers", "server"), need)):
            why = "which the network breaks" if need in breaks else "which these parts do not offer"
            do = REMEDIES.get(need, "choose another algorithm or problem")
            raise checks.InputError(f"got {name} that needs {need!r}, {why}; {do}")


def _is_tree(talk: schedule.Fixed) -> bool:
    """Whether the links, both ways, connect all nodes without a circle."""
    near = plans.neighbours(talk.plan)
    rows, slots = np.nonzero(np.asarray(near.used))
    import networkx  # only where a method asks for a tree: it takes a while to load

    graph = networkx.empty_graph(talk.n)
    graph.add_edges_from(zip(rows.tolist(), np.asarray(near.ids)[rows, slots].tolist(), strict=True))
    return networkx.is_tree(graph)


def _keeps_shape(built: Simulation) -> Jaxpr:
    """A round must return the state in the shape in which it came, or the loop cannot be compiled. Gives the round."""
    if built.mapping == "loop":  # which cannot be traced
        built = built.replace(mapping="vmap")
    before = jax.eval_shape(INIT, built)
    traced = STEP.trace(built, before)
    after, _ = traced.out_info
    old, new = jax.tree_util.tree_flatten_with_path(before), jax.tree_util.tree_flatten_with_path(after)
    name = type(built.algorithm).__name__
    checks.require(
        old[1] == new[1],
        f"got {name} whose round changes the structure of its state, need the same before and after; got {new[1]}, "
        f"need {old[1]}; return the state type that `init` returns",
    )
    for (path, was), (_, is_) in zip(old[0], new[0], strict=True):
        where = jax.tree_util.keystr(path)
        same = (was.shape, was.dtype) == (is_.shape, is_.dtype)
        checks.require(
            same, f"got {name} whose round turns {where} from {was} into {is_}, need the same; cast it where it is made"
        )
    return traced.jaxpr.jaxpr


def _shapes_of_model(problem: Problem) -> PyTree:
    return _model.eval_shape(classes_of(jax.tree.structure(problem)), problem, jax.random.key(0))


@functools.partial(jax.jit, static_argnums=0)
def _model(classes: tuple, problem: Problem, key: Key) -> PyTree:
    """One model. The classes stand among the arguments since two with equal fields are one to `jit`; see `state.py`."""
    return problem.init(key)


def memory_bytes(problem: Problem, copies: int = 4, data_copies: int = 1) -> int:
    """About what a run holds at its peak: the data, and `copies` of all models (state, message, inbox, gradient)."""
    params = _shapes_of_model(problem)
    one = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
    data = sum(leaf.nbytes if hasattr(leaf, "nbytes") else np.asarray(leaf).nbytes for leaf in jax.tree.leaves(problem))
    return data_copies * data + copies * problem.n * one


def free_bytes() -> int | None:
    """Bytes that a run can still take on the device, or None where it does not say."""
    stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats else checks.available_memory()


def fits_in_memory(problem: Problem, devices: int = 1) -> None:
    """A sentence with the estimate if a run of this problem does not fit the memory, which devices of a CPU share."""
    data_copies = devices if jax.default_backend() == "cpu" else 1
    checks.fits(memory_bytes(problem, data_copies=data_copies), f"{problem.n:,} nodes", free_bytes())
