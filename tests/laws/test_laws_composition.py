"""Every method in every exchange over four kinds of network: it runs, or it is refused for the reason that facts give.

The expectation follows from `facts.py`, which says what papers say. A sample is drawn by `JDL_TEST_SEED`; the slow
suite builds and runs all of them, a method at a time, and prints how many ran and how many were refused.
"""

import collections
import re

import cases
import classes
import facts
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_laws_exchange import SENTENCE
from test_laws_waves import Wave

import jdl
from jdl.exchange import Lossy
from jdl.schedule import Availability, Matching, Sampling

N, ROUNDS = cases.N, 3
TRIPLES = [(*pair, network) for pair in facts.PAIRS for network in facts.NETWORKS]
# How many are drawn that are to be refused, and that are to run: building one of these takes as long as ten of those.
REFUSED, RUN = 20, 2


def test_every_method_has_its_facts_once():
    named = [name for group in facts.peers() for name in group]
    assert sorted(named) == sorted(cases.ALGORITHMS)
    others = facts.COPIES | facts.SAME_EDGES | facts.EVERY_MESSAGE
    assert others <= set(named)


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
    return cases.build(name, talk=talk(name, network), lr=0.02, **parts)


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


def wrong_with(name, exchange, network):
    """What is wrong with this triple, after some rounds where it runs, "" if nothing is; and what became of it."""
    fault, kind, built = outcome(name, exchange, network)
    if fault or built is None:
        return fault, kind
    end, _ = cases.advance(built, cases.init(built, cases.starts(name)), jnp.int32(ROUNDS))
    leaves = jax.tree.leaves((end.nodes, end.server, end.exchange_state))
    finite = int(end.status) == -1 and all(np.all(np.isfinite(leaf)) for leaf in leaves)
    return "" if finite else f"{name} in {exchange}, {network}: not finite", kind


def test_a_sample_runs_or_is_refused_as_the_facts_say():
    order = [TRIPLES[i] for i in np.random.default_rng(classes.SEED).permutation(len(TRIPLES))]
    refused = [triple for triple in order if facts.words(*triple)][:REFUSED]
    runs = [triple for triple in order if not facts.words(*triple)][:RUN]
    faults = [wrong_with(*triple)[0] for triple in refused + runs]
    wrong = [fault for fault in faults if fault]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.ALGORITHMS)
def test_all_run_or_are_refused_as_the_facts_say(name, capsys):
    wrong, count = [], collections.Counter()
    for triple in TRIPLES:
        if triple[0] == name:
            fault, kind = wrong_with(*triple)
            count[kind] += 1
            wrong += [fault] if fault else []
    with capsys.disabled():
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(count.items()))
        print(f"\n{name}: {sum(count.values())} networks: {kinds}")
    assert not wrong, "\n".join(wrong)
