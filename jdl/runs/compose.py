"""Parts into one checked `Simulation`. All that can be refused is refused here, on the host, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jdl import checks, tree
from jdl import exchange as exchanges
from jdl.engine import placement
from jdl.engine.mapping import Mapping
from jdl.engine.sim import INIT, STEP, Simulation
from jdl.exchange.stack import breaks_of, needs_of
from jdl.oracle import DataOracle
from jdl.runs import fingerprint, refuse
from jdl.runs.as_schedule import as_schedule
from jdl.runs.devices import check_devices, devices_for
from jdl.runs.memory import fits_in_memory, shapes_of_model
from jdl.runs.needs import REMEDIES, check_needs, reads_as
from jdl.types import Algorithm, Exchange, Federated, Key, Oracle, Plan, Problem, Schedule

__all__ = ["simulation"]


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
      network: exchanges and compressors in the order in which a message meets them, nearest the sender first.
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
    check_devices(devices, problem.n, mapping)
    exchange = exchanges.stack(list(network))
    oracle = DataOracle() if oracle is None else oracle
    refuse.algorithm_parts(algorithm, REMEDIES.keys() | DataOracle.offers | oracle.offers)
    refuse.draws(problem, algorithm)
    fits_in_memory(problem)
    form = "slots" if "one_by_one" in needs_of(exchange) | algorithm.needs else "auto"
    model = shapes_of_model(problem)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(model))
    schedule = as_schedule(topology, algorithm, problem.n, numbers, form)
    for part in (problem, algorithm, schedule, exchange, oracle):
        checks.fields(part)
    refuse.functions(algorithm, model)
    checks.require(
        schedule.n == problem.n,
        f"got a topology of {schedule.n} nodes and a problem of {problem.n}, need one number; make both with "
        f"n={problem.n}",
    )
    parts = tree.numbers_to_arrays((problem, algorithm, schedule, exchange, oracle))
    built = Simulation(*parts, key=key, mapping=mapping, code=fingerprint.of_tree(parts))
    plan = jax.eval_shape(_first_plan, built.schedule, built.key)
    built = built.replace(reads_as=reads_as(plan, algorithm, breaks_of(exchange)))
    check_needs(built, plan)
    with refuse.explained(algorithm):
        round_ = _keeps_shape(built)
    mesh = placement.mesh_over(devices_for(problem.n, mapping, round_) if devices == "auto" else devices)
    if mesh is not None:
        fits_in_memory(problem, mesh.size)
    return built.replace(mesh=mesh)


def _key(seed: int) -> Key:
    """The root of all randomness: another one for every seed of 64 bits. (JAX itself takes the lower 32.)"""
    seed = checks.whole("seed", seed, 0)
    checks.require(seed < 2**64, f"got seed={seed}, need one below 2**64; try seed={seed % 2**64}")
    key = jax.random.key(seed % 2**32)
    return jax.random.fold_in(key, seed >> 32) if seed >> 32 else key


def _first_plan(schedule: Schedule, key: Key) -> Plan:
    return schedule(schedule.init(key), jnp.int32(0), key)[0]


def _keeps_shape(built: Simulation) -> Jaxpr:
    """Check that a round returns the state in the shape in which it came, without which no loop can be compiled.

    Returns:
      The program of the round.

    Raises:
      InputError: if a shape, a type or the structure of the state changes.
    """
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
