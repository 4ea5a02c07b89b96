"""Compose parts into one checked `Simulation`. Every check of the input happens here, before anything runs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from collections.abc import Mapping as Mapping_
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr

from jdl import checks, tree
from jdl import exchange as exchanges
from jdl.clock import Clock
from jdl.engine import placement
from jdl.engine.mapping import AT_ONCE, Mapping, Placement
from jdl.engine.metrics import Metrics
from jdl.engine.sim import INIT, STEP, Simulation
from jdl.engine.state import Code, program_key
from jdl.exchange.stack import needs_of
from jdl.exchange.under_way import with_mail
from jdl.oracle import ALWAYS, as_oracle
from jdl.problems import offers
from jdl.runs import fingerprint, refuse
from jdl.runs.as_schedule import as_schedule
from jdl.runs.contraction import say_expanding
from jdl.runs.devices import check_devices, devices_for
from jdl.runs.first_round import check_memory, check_metrics, check_words, first_plan
from jdl.runs.memory import fits_in_memory, shapes_of_model
from jdl.runs.needs import REMEDIES, check_needs
from jdl.runs.over_arrivals import say_unexpected
from jdl.runs.per_node import kept_per_node
from jdl.runs.planned import check_alone, in_pairs, say_untimely
from jdl.runs.privacy import say_expected
from jdl.runs.signatures import SCHEDULE, WRAPPER, check_calls, of_algorithm
from jdl.runs.timed import check_clock, steps_of
from jdl.runs.users_errors import explained
from jdl.runs.users_functions import check_functions
from jdl.types import Algorithm, Exchange, Federated, Key, Oracle, Plan, Problem, Roles, Wrapper

__all__ = ["code_of", "key_of_seed", "simulation"]

Metric = Callable[..., jax.Array]

# Whose memory each part of the state is, if it is not the algorithm's.
REMEMBERS = {
    "exchange_state": "exchange",
    "down_state": "exchange_down",
    "schedule_state": "schedule",
    "oracle_state": "oracle",
}


def simulation(
    problem: Problem,
    algorithm: Algorithm | Federated,
    topology: Any = None,
    network: Sequence[Exchange] = (),
    *,
    network_down: Sequence[Exchange] = (),
    oracle: Oracle | Wrapper | Sequence[Wrapper] | None = None,
    roles: Roles | None = None,
    attackers: float | int | Sequence[int] | None = None,
    metrics: Mapping_[str, Metric] | None = None,
    own: bool = False,
    per_node: bool | Collection[str] = False,
    clock: Clock | None = None,
    seed: int = 0,
    mapping: Mapping = "auto",
    devices: int | str = "auto",
) -> Simulation:
    """Compose a simulation from its parts, and check that they fit together.

    Args:
      problem: the data of n nodes and a loss, e.g. `jdl.problems.digits(nodes=1024)`.
      algorithm: the method, e.g. `jdl.algorithms.DPSGD(lr=0.1)`.
      topology: who sends to whom: a `Topology`, a networkx graph, a weight matrix, a list of these (one period), or a
        `Schedule`. None for a method that does not mix, and for a server that asks all clients in every round.
      network: exchanges and compressors in the order in which they act on a message: the first is nearest the sender.
      network_down: the same for the messages of a server to its clients. A client that does not hear the server takes
        no part in the round.
      oracle: what nodes learn from their data: wrappers in the order in which they are asked, perhaps with an oracle
        last; by default `jdl.oracle.DataOracle()`, the problem's own answers.
      roles: who is honest, and the group of each node, see `jdl.roles`; by default all are honest and in one group.
      attackers: short for roles of which only the dishonest nodes are said: their share, below 1, or their number, both
        drawn once, the same for every seed; or a list of their ids. See `jdl.roles.attacking`.
      metrics: metrics of your own, by name: functions (models [n, ...], state, simulation) -> f[] or f[n].
      own: whether to evaluate each node's model on the node's own distribution as well, in the columns `own_loss`,
        `own_accuracy`, `worst_own_loss` and `worst_own_accuracy`.
      per_node: what is kept for each node, arrays `[evaluation, node]` in `history.nodes`: names among "accuracy",
        "loss" (of each node's model on the global test set), "distance" (`||x_i - mean||`, to the mean model) and
        "bits" (what the node has sent since the start, exactly); True for all that there are. Metrics with `own=True`
        and metrics of your own that give a number for each node are kept in any case.
      clock: what a round costs in simulated seconds and joules, a `jdl.clock.Clock`, for the columns
        `simulated_seconds`, `idle_share`, `joules` and `bits_received`; None where nobody asks.
      seed: the seed of all randomness of the run. (Graphs and data have seeds of their own.)
      mapping: how the nodes are computed. "vmap" computes all at once; a number computes so many at a time, which needs
        less memory; "loop" computes them one by one without compilation, to debug (see `jdl.run`); "auto" chooses
        between the first two for each step of the method (see `jdl.engine.mapping.choose`).
      devices: the number of devices that share the nodes, a divisor of n. Each device holds all data. "auto" uses one
        device, with one exception: a network with convolutions uses as many cores of a CPU as divide n. The cores are
        devices if the first that JAX computes is a problem whose examples are images, or after `jdl.use_cores()`. Dense
        networks would lose more by messages between devices than they gain.

    Returns:
      The simulation, for `jdl.simulate`, `jdl.tune` and the functions of `jdl.sim`.

    Raises:
      InputError: if a part is unusable, or if the parts do not fit together.
    """
    key = key_of_seed(seed)
    refuse.kinds(problem, algorithm, network, network_down)
    roles = refuse.roles(roles, attackers, problem.n)
    number = isinstance(mapping, int) and not isinstance(mapping, bool) and mapping > 0
    named = mapping in ("auto", "vmap", "loop")
    sentence = f'got mapping={mapping!r}, need "auto", "vmap", "loop" or a number of nodes at a time; try "auto"'
    checks.require(number or named, sentence)
    check_devices(devices, problem.n, mapping)
    exchange, down = exchanges.stack(list(network)), exchanges.stack_down(list(network_down))
    oracle = as_oracle(oracle)
    refuse.algorithm_parts(algorithm, REMEDIES.keys() | offers.OFFERS.keys() | ALWAYS | oracle.offers)
    refuse.draws(problem, algorithm)
    fits_in_memory(problem)
    check_clock(clock, problem.n)
    form = "slots" if {"one_by_one", "per_link", "each"} & (needs_of(exchange) | algorithm.needs) else "auto"
    model = shapes_of_model(problem)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(model))
    schedule = in_pairs(as_schedule(topology, algorithm, problem.n, numbers, form))
    check_alone(schedule, clock)
    if getattr(schedule, "places", 0):
        exchange = with_mail(exchange, schedule.places, schedule.sums)
    parts = problem, algorithm, schedule, exchange, oracle, down, roles, clock
    for part in parts:
        checks.fields(part)
    check_functions(algorithm, model)
    checks.require(
        schedule.n == problem.n,
        f"got a topology of {schedule.n} nodes and a problem of {problem.n}, need one number; make both with "
        f"n={problem.n}",
    )
    check_calls(algorithm, of_algorithm(algorithm))
    check_calls(schedule, SCHEDULE)
    for wrapper in getattr(oracle, "wrappers", ()):
        check_calls(wrapper, WRAPPER)
    honest_only = roles is not None and not np.all(np.asarray(roles.honest))
    refuse.own(own, problem)
    functions = refuse.metrics(metrics)
    measured = Metrics(functions, own, honest_only, kept_per_node(per_node, problem, model, functions, own))
    *parts, down, roles, clock = tree.numbers_to_arrays(parts)
    beside = {"exchange_down": down, "roles": roles, "clock": clock}
    built = Simulation(*parts, key=key, **beside, placement=Placement(mapping), metrics=measured)
    built = built.replace(code=code_of(built))
    shapes = program_key(built)
    who_talks = built.replace(
        exchange=(), exchange_down=None, clock=None, code=built.code._replace(rest="")
    )  # whatever is sent
    with explained(algorithm):
        check_words(built)
        plan = _plan(*program_key(who_talks))
        check_needs(built, plan)
        say_expected(built, plan)
        say_expanding(built)
        say_unexpected(built)
        say_untimely(built)
        if clock is not None:
            built = built.replace(work=steps_of(built))
            shapes = program_key(built)
        round_ = _round(*shapes)
    mesh = placement.mesh_over(devices_for(problem, mapping, round_) if devices == "auto" else devices)
    if mesh is not None:
        fits_in_memory(problem, mesh.size)
    return built.replace(placement=Placement(mapping, mesh))


# What is read of shapes alone is read once for all simulations of one program, of which a sweep has many.
@functools.lru_cache(maxsize=128)
def _plan(structure: jax.tree_util.PyTreeDef, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> Plan:
    """The plan of the first round, shapes only; see `first_plan`."""
    return first_plan(structure.unflatten(leaves))


@functools.lru_cache(maxsize=128)
def _round(structure: jax.tree_util.PyTreeDef, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> Jaxpr:
    """The program of a round, whose memory, state and metrics are checked."""
    built = structure.unflatten(leaves)
    check_memory(built)
    round_ = _keeps_shape(built)
    check_metrics(built)
    return round_


def code_of(built: Simulation) -> Code:
    """The digests of the classes and functions of a simulation, see `Simulation.code`."""
    s = built
    rest = s.exchange, s.exchange_down, s.roles, s.clock, s.metrics.functions
    return Code(*map(fingerprint.of_tree, ((s.problem, s.algorithm, s.oracle), s.schedule, rest)))


def key_of_seed(seed: int) -> Key:
    """The root key of a run, a different one for every seed of 64 bits. (JAX itself uses the lower 32 bits only.)

    It is `jax.random.key(seed)`, which would compile a program to put the seed into the second half of the key.
    """
    seed = checks.whole("seed", seed, 0)
    checks.require(seed < 2**64, f"got seed={seed}, need one below 2**64; try seed={seed % 2**64}")
    low = seed % 2**32
    plain = jax.config.jax_default_prng_impl == "threefry2x32"
    key = jax.random.wrap_key_data(np.array([0, low], np.uint32)) if plain else jax.random.key(low)
    return jax.random.fold_in(key, seed >> 32) if seed >> 32 else key


def _keeps_shape(built: Simulation) -> Jaxpr:
    """Check that a round keeps the shapes of the state; JAX cannot compile a loop over the rounds otherwise.

    Returns:
      The program of the round.

    Raises:
      InputError: if a round changes a shape, a dtype or the structure of the state.
    """
    if built.placement.mapping == "loop":  # a Python loop cannot be traced
        built = built.replace(placement=AT_ONCE)
    before = jax.eval_shape(INIT, built)
    traced = STEP.trace(built, before)
    after, _ = traced.out_info
    for field in dataclasses.fields(before):
        old, new = (getattr(state, field.name) for state in (before, after))
        name = type(getattr(built, REMEMBERS.get(field.name, "algorithm"))).__name__
        forms = jax.tree.structure(new), jax.tree.structure(old)
        checks.require(
            forms[0] == forms[1],
            f"got {name} whose round changes the structure of `{field.name}`, need the same before and after; got "
            f"{forms[0]}, need {forms[1]}; return the state type that `init` returns",
        )
        leaves = zip(jax.tree_util.tree_leaves_with_path(old), jax.tree.leaves(new), strict=True)
        for (path, was), is_ in leaves:
            where = f".{field.name}{jax.tree_util.keystr(path)}"
            checks.require(
                (was.shape, was.dtype) == (is_.shape, is_.dtype),
                f"got {name} whose round turns {where} from {was} into {is_}, need the same; cast it where it is "
                "computed",
            )
    return traced.jaxpr.jaxpr
