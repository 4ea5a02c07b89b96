"""Every method in every exchange over four kinds of network: it runs, or it is refused for the reason that facts give.

The expectation follows from `facts.py`, which says what papers say. A sample is drawn by `JDL_TEST_SEED`. The slow
suite builds all of them, a method at a time, and runs those that are not refused one operation at a time (see
`piecewise.py`), since compiling a program for each would take hours. It prints how many ran and how many were refused,
and for what; of each method it compiles some as well, which must end at the same numbers.
"""

import collections
import functools
import re

import cases
import classes
import facts
import jax
import jax.numpy as jnp
import numpy as np
import piecewise
import pytest
from test_laws_exchange import SENTENCE
from test_laws_waves import Wave

import jdl
from jdl.engine import sim as simulator
from jdl.exchange import Lossy
from jdl.schedule import Availability, Matching, Sampling

N, ROUNDS, DATA = cases.N, 2, cases.problem()
TRIPLES = [(*pair, network) for pair in facts.PAIRS for network in facts.NETWORKS]
# How many are drawn that are to be refused, that are to be built, and that are to be compiled and run: building one
# takes as long as four refusals, and a program as long as ten of those.
REFUSED, BUILT, COMPILED = 12, 6, 2
# Of each method, in the slow suite.
COMPARED = 2


def test_every_method_has_its_facts_once():
    named = [name for group in facts.peers() for name in group]
    assert sorted(named) == sorted(cases.ALGORITHMS)
    others = facts.COPIES | facts.SAME_EDGES | facts.EVERY_MESSAGE
    assert others <= set(named)


@functools.cache
def talk(name, network):
    """Who talks in this network."""
    if cases.has_server(name):
        kinds = {"changing": Availability.for_nodes(N, 0.7), "waves": Sampling(N, 5)}
        return kinds.get(network, Sampling(N, N))
    if network == "changing":
        return Matching(N)
    if network == "waves":
        return Wave(jdl.topology.from_weights(cases.weights()).plan("slots"), jnp.bool_(True))
    return cases.dense(cases.network_of(name))


def build(name, exchange, network):
    """The simulation; raises `InputError` where it is refused."""
    lost = [Lossy(0.2)] if network == "lossy" else []
    parts = {"network": [*lost, *cases.network_of_one(exchange)], "roles": cases.roles_in(exchange)}
    return cases.build(name, talk=talk(name, network), data=DATA, lr=0.02, **parts)


def outcome(name, exchange, network):
    """What is wrong, "" if nothing is; "run" or the word of the refusal; and the simulation, None if it is refused."""
    expected, where = facts.words(name, exchange, network), f"{name} in {exchange}, {network}"
    try:
        built = build(name, exchange, network)
    except jdl.checks.InputError as error:
        found = re.match(SENTENCE, str(error))
        good = found is not None and found[1] in expected
        return "" if good else f"{where}: {error}; expected {expected or 'a run'}", found and found[1], None
    return f"{where}: not refused, expected {expected}" if expected else "", "run", built


def finite(end):
    """Whether all that a state holds is finite."""
    held = jax.tree.leaves((end.nodes, end.server, end.exchange_state))
    return int(end.status) == -1 and all(np.all(np.isfinite(x)) for x in held if jnp.issubdtype(x.dtype, jnp.inexact))


def compiled(built, name):
    """The state after some rounds of a compiled program, from starts that differ, or from the simulation's own."""
    start = None if name is None else cases.starts(name)
    return cases.advance(built, cases.init(built, start), jnp.int32(ROUNDS))[0]


def in_pieces(built):
    """The same from the simulation's own start, operation by operation."""
    end = piecewise.call(simulator.INIT.trace(built), built)
    traced = simulator.STEP.trace(built, end)
    for _ in range(ROUNDS):
        end, _ = piecewise.call(traced, built, end)
    return end


def differs(built, end):
    """By how much a compiled program ends elsewhere, relative to the largest number of each array."""
    pairs = zip(*(jax.tree.leaves((x.nodes, x.server)) for x in (end, compiled(built, None))), strict=True)
    pairs = [(np.asarray(a, float), np.asarray(b, float)) for a, b in pairs if jnp.issubdtype(a.dtype, jnp.inexact)]
    return max((np.max(np.abs(a - b), initial=0) / np.max(np.abs(b), initial=1e-6) for a, b in pairs), default=0.0)


def drawn(triples, *numbers):
    """So many that are to be refused, and so many others."""
    order = [triples[i] for i in np.random.default_rng(classes.SEED).permutation(len(triples))]
    refused = [triple for triple in order if facts.words(*triple)]
    runs = [triple for triple in order if not facts.words(*triple)]
    return refused[: numbers[0]], runs[: numbers[1]]


def test_a_sample_runs_or_is_refused_as_the_facts_say():
    refused, runs = drawn(TRIPLES, REFUSED, BUILT)
    ends = {triple: outcome(*triple) for triple in refused + runs}
    wrong = [fault for fault, _, _ in ends.values() if fault]
    for triple in runs[:COMPILED]:
        built = ends[triple][2]
        if built is not None and not finite(compiled(built, triple[0])):
            wrong.append(f"{triple}: not finite")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.ALGORITHMS)
def test_all_run_or_are_refused_as_the_facts_say(name, capsys):
    triples = [triple for triple in TRIPLES if triple[0] == name]
    wrong, count, compared = [], collections.Counter(), drawn(triples, 0, COMPARED)[1]
    for triple in triples:
        fault, kind, built = outcome(*triple)
        count[kind] += 1
        if fault:
            wrong.append(fault)
        elif built is not None:
            end = in_pieces(built)
            if not finite(end):
                wrong.append(f"{triple}: not finite")
            elif triple in compared and differs(built, end) > 1e-4:
                wrong.append(f"{triple}: compiled, it ends elsewhere")
    with capsys.disabled():
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(count.items()))
        print(f"\n{name}: {sum(count.values())} networks: {kinds}; {len(wrong)} wrong; seed {classes.SEED}")
    assert not wrong, "\n".join(wrong)
