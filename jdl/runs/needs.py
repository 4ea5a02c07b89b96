"""Check that the topology, the network and the data provide what an algorithm and its exchanges need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from jdl import checks
from jdl import plan as plans
from jdl.engine.sim import first_messages
from jdl.engine.state import Simulation
from jdl.exchange.stack import breaks_of, layers, needs_of
from jdl.oracle import answers
from jdl.runs.memory import shapes_of_model
from jdl.types import Each, Message, PerLink, Plan, Push, Sized

__all__ = ["REMEDIES", "check_needs"]

# What does not hold for the messages of a server to its clients.
ONE_HONEST_SENDER = frozenset({"peers", "links", "symmetric", "doubly_stochastic", "dishonest"})

# The advice for each need that is not met.
REMEDIES = {
    "doubly_stochastic": "use an undirected graph with Metropolis weights, or push_sum, which needs column sums alone",
    "column_stochastic": "give weights whose columns sum to one, and a linear exchange",
    "row_stochastic": "give weights whose rows sum to one, or use push_sum",
    "symmetric": "use an undirected graph, or gradient_tracking, which takes directed doubly stochastic weights",
    "reliable": "drop the lossy links, or compress without memory, e.g. with TopK",
    "copies": "leave compressors and noise out of the network, and give the method a compressor",
    "one_by_one": 'give a graph in slots, topology.plan("slots"), or one whose nodes have few neighbours',
    "tree": "give one graph without cycles, e.g. jdl.topology.binary_tree(n)",
    "fixed_links": "give one graph that does not change from round to round",
    "lasting_links": "give one graph that does not change from round to round",
    "per_link": "leave out compressors and rules that read one message per node",
    "each": "leave out exchanges that replace or repeat the mean, and give a graph in slots",
    "push": "leave out exchanges that keep no sums",
    "links": "give a graph",
    "dishonest": "give attackers=0.25 (--attackers 0.25), or SignFlip a fraction of its own (--sign_flip.fraction 0.1)",
    "prox": "let the method take local steps in place of exact ones, or give a quadratic",
    "public": "give the problem public inputs, public=0.1",
    "held_out": "give the problem a share to keep aside, validation=0.2",
    "at_once": "take a schedule whose messages arrive at once, such as jdl.schedule.Waves",
    "prompt": "leave out what delays messages by rounds, since a clock says in seconds how late they are",
    "models": "take a method whose messages are models alone, such as DPSGD",
    "reference": "take a method whose server sends a model and is sent changes of it, such as FedAvg",
    "peers": "give a graph, not a schedule of clients",
    "server": "give jdl.schedule.Sampling(n, participants), or jdl.schedule.Arrivals.of(seconds, rounds)",
}


def check_needs(built: Simulation, plan: Plan) -> None:
    """Check the needs of the algorithm and of each exchange.

    Args:
      built: the simulation.
      plan: the plan of its first round.

    Raises:
      InputError: if a need is not met; the sentence says what to change.
    """
    late = frozenset() if built.clock is None else built.clock.breaks
    broken = breaks_of(built.exchange) | late
    has = plans.provides(plan) | {"reliable", "push", "copies"} | answers(built.oracle, built.problem)
    has |= getattr(built.schedule, "provides", frozenset()) | {"prompt", "at_once"}
    if {"fixed_links", "server"} & has:
        has |= {"lasting_links"}
    if built.roles is not None:  # perhaps of nobody: a sweep over numbers of attackers begins with none
        has |= {"dishonest"}
    if "reliable" in broken and not plan.symmetric:
        broken |= {"doubly_stochastic"}  # a directed W without some of its links keeps the sums of one side only
    down = [] if built.exchange_down is None else layers(built.exchange_down)
    asked = [part for part in getattr(built.oracle, "wrappers", ()) if hasattr(part, "needs")]
    # A client that does not hear the server takes no part in the round, so that losses on the way down do no harm.
    noisy = any(getattr(part, "noisy", False) for part in layers(built.exchange))
    alone = late - breaks_of(built.exchange)
    # Noise would be on copies that neighbours keep, and not on their changes.
    _check((built.algorithm,), has, broken | ({"copies"} if noisy and "peers" in has else set()), alone)
    if {"models", "reference"} & needs_of(built.exchange):
        has |= _asked(built)  # traces the method, whose own needs hold
    timed = [] if built.clock is None else [built.clock]
    _check((*layers(built.exchange), *asked, *timed), has, broken, alone)
    for part in down:
        unmet = sorted(part.needs - (has - ONE_HONEST_SENDER))
        got = f"got {type(part).__name__} in network_down that needs {' and '.join(map(repr, unmet))}"
        checks.require(not unmet, f"{got}, where an honest server sends one message to all; leave it out there")
    if any("exact" in part.breaks for part in down):
        name = type(built.algorithm).__name__
        need = f"got {name}, whose server leaves out what clients have already, over compressed messages down"
        checks.require(not _leaves_out(built), f"{need}, need exact ones; leave compressors out of network_down")


def _asked(built: Simulation) -> frozenset[str]:
    """Which of "models" and "reference" hold, by the arrays of the messages and of a model.

    Models among peers, or changes of a model to a server that sends one, have all arrays of a model and no more, in the
    only exchange of a round. Whether their numbers are a model, and not a gradient, is not seen.
    """
    sent, told = first_messages(built)
    model = [(x.shape, x.dtype) for x in jax.tree.leaves(shapes_of_model(built.problem))]
    messages = [message for message in (*sent, *told) if jax.tree.leaves(message)]
    fit = len(sent) == 1 and all(_arrays(message) == model for message in messages)
    return frozenset({"reference" if built.has_server else "models"}) if fit else frozenset()


def _arrays(message: Message) -> list[tuple]:
    """The shapes and types of one row of the parts of a message that rules are given."""
    is_kind = lambda part: isinstance(part, Each | PerLink | Push)
    parts = jax.tree.leaves(message, is_leaf=is_kind)
    return [(part.shape[1:], part.dtype) for part in parts if not is_kind(part)]


def _leaves_out(built: Simulation) -> bool:
    """Whether the server states the sizes of its messages itself: it counts on what clients received before."""
    algorithm, problem, key = built.algorithm, built.problem, built.key
    server = jax.eval_shape(lambda: algorithm.init(problem.init(key), problem.n))
    messages = [jax.eval_shape(getattr(algorithm, down), server) for down, _, _ in algorithm.phases]
    is_sized = lambda part: isinstance(part, Sized)
    return any(map(is_sized, jax.tree.leaves(messages, is_leaf=is_sized)))


def _check(parts: Sequence[Any], has: frozenset[str], broken: frozenset[str], late: frozenset[str]) -> None:
    """Check the needs of some parts; `late`: what the wait of a clock alone breaks."""
    for part in parts:
        name = type(part).__name__
        # "peers" and "server" come first: if the plan is of the wrong sort, other needs do not matter.
        for need in sorted(part.needs - (has - broken), key=lambda need: (need not in ("peers", "server"), need)):
            why = "which the network breaks" if need in broken else "which these parts do not offer"
            do = REMEDIES.get(need, "choose another algorithm or problem")
            if need in late:
                why, do = "which a clock breaks that drops late messages", "leave `wait` out of the clock"
            raise checks.InputError(f"got {name} that needs {need!r}, {why}; {do}")
