"""Attacks of a strength found by search, against a search of all strengths in NumPy."""

import functools

import attack_beds as beds
import jax
import numpy as np
import pytest
from robust_numpy import multi_krum

from jdl import checks, topology
from jdl.exchange import ALIE, CoordinateMedian, Dissensus, InnerProduct, Linear, MultiKrum, Strongest, TrimmedMean

STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
TRIM = 2
GRAPH = topology.random_regular(11, degree=6, seed=1)
RULES = {"krum": MultiKrum(2), "trimmed": TrimmedMean(TRIM), "median": CoordinateMedian()}
ATTACKS = {"alie": ALIE(z=1.0), "inner product": InnerProduct(strength=0.0)}
CASES = {
    "server": [("krum", "inner product"), ("trimmed", "alie")],
    "peers": [("krum", "inner product"), ("median", "alie"), ("median", "inner product")],
}
SILENT = np.zeros(len(beds.IDS), bool)


def aggregate(rule, rows):
    """A rule of some messages [k, d] in NumPy."""
    if rule == "krum":
        return multi_krum(rows, None, 2)
    if rule == "median":
        return np.median(rows, axis=0)
    return np.sort(rows, axis=0)[TRIM:-TRIM].mean(axis=0) if len(rows) > 2 * TRIM else np.median(rows, axis=0)


def wire(kind, sent):
    """Messages to a server of all but one client, or on a graph of eleven nodes."""
    made = beds.wire("server" if kind == "server" else "peers", sent, silent=SILENT)
    return made if kind == "server" else made.replace(plan=GRAPH.plan("slots"))


@functools.cache
def found(kind):
    """What is told with each attack against each rule, and the strengths that were chosen, as one program."""
    sent = {name: x for name, x in beds.messages(silent=SILENT).items() if name != "k"}  # rules average real numbers

    @beds.quick
    def program(given):
        out = {}
        for rule, attack in CASES[kind]:
            search = Strongest(ATTACKS[attack], RULES[rule], STRENGTHS, beds.Listening())
            heard, state, _ = search.apply(search.init(given.own), given, beds.KEY)
            out[rule, attack] = heard.sent, state[0][1]
        rule, attack = CASES[kind][0]
        search = Strongest(ATTACKS[attack], None, STRENGTHS, RULES[rule])
        return out, search.apply(search.init(given.own), given, beds.KEY)[1][0][1]

    return jax.tree.map(np.asarray, program(wire(kind, sent)))


def expected(kind, rule, attack):
    """The honest mean, the lie of each strength, and the harm that it does."""
    rows, honest = beds.flat(beds.messages(silent=SILENT)), beds.HONEST[beds.IDS]
    heard = beds.IDS != 4 if kind == "server" else np.ones(11, bool)
    good = rows[honest & heard]
    mean, sd = good.mean(axis=0), good.std(axis=0, ddof=1)
    lies = [mean - s * sd if attack == "alie" else (1 - s) * mean for s in STRENGTHS]
    harms = []
    for lie in lies:
        told = np.where(honest[:, None], rows, lie)
        if kind == "server":
            results = [aggregate(rule, told[heard])]
        else:
            heard = GRAPH.weights.toarray() > 0
            results = [aggregate(rule, told[heard[i]]) for i in np.flatnonzero(honest)]
        harms.append(sum(np.sum((result - mean) ** 2) for result in results))
    return lies, np.array(harms)


@pytest.mark.parametrize("kind", ["server", "peers"])
def test_liars_send_the_lie_that_brute_force_finds(kind):
    chosen = set()
    for rule, attack in CASES[kind]:
        lies, harms = expected(kind, rule, attack)
        best = int(np.argmax(harms))
        said, strength = found(kind)[0][rule, attack]
        assert float(strength) == STRENGTHS[best], (rule, attack, harms)
        rows = beds.flat(said)[beds.LIARS]
        np.testing.assert_allclose(rows, np.broadcast_to(lies[best], rows.shape), rtol=2e-4, atol=1e-5)
        chosen.add(best)
    assert chosen > {len(STRENGTHS) - 1}  # the largest strength is not always the one that harms most


def test_without_a_rule_liars_expect_the_one_that_closes_the_network():
    made, own = found("server")
    assert own == made["krum", "inner product"][1]


def test_what_cannot_be_searched_is_refused():
    message = [np.zeros((4, 2), np.float32)]
    for attack, sentence in (
        (Strongest(Dissensus()), "got Strongest of Dissensus, need an attack with one lie for all receivers"),
        (Strongest(Linear()), "got Strongest of Linear"),
        (Strongest(strengths=()), "got no strengths"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            attack.init(message)
