"""Reports of graphs and their tables: every key, every kind of topology, and what is left out is said."""

import json

import networkx as nx
import numpy as np
import pytest
import rich.console

from jdl.checks import InputError
from jdl.schedule import Matching
from jdl.show.graph_report import graph_report
from jdl.show.graph_table import graph_table
from jdl.topology import (
    complete,
    exponential,
    from_graph,
    from_weights,
    one_peer_exponential,
    random_regular,
    ring,
    torus,
)

KEYS = {
    "nodes", "edges", "degree_min", "degree_max", "lambda_2", "spectral_gap", "diameter", "messages_per_round",
    "effective_neighbours_mean", "effective_neighbours_worst", "period", "exact_after_rounds",
}  # fmt: skip


def text_of(report):
    console = rich.console.Console(width=200)
    with console.capture() as caught:
        console.print(graph_table(report))
    return caught.get()


def test_a_graph():
    report = graph_report(torus(16), gamma=0.9, eps=0.01)
    assert set(report) >= KEYS and json.loads(json.dumps(report)) == report
    assert (report["nodes"], report["edges"], report["degree_min"], report["degree_max"]) == (16, 32, 4, 4)
    assert (report["diameter"], report["messages_per_round"], report["period"]) == (4, 64, 1)
    assert report["lambda_2"] == pytest.approx(0.6) and report["spectral_gap"] == pytest.approx(0.4)
    assert report["smallest_eigenvalue"] == pytest.approx(-0.6)
    assert report["predicted_rounds"] == 10  # 0.6^9 = 0.0101, 0.6^10 = 0.0060
    assert report["exact_after_rounds"] is report["sampled_rounds"] is None
    assert report["notes"] == report["warnings"] == []
    text = text_of(report)
    assert "torus, 16 nodes" in text and "doubly stochastic, symmetric" in text and "0.6" in text
    assert "rounds to shrink disagreement to 0.01" in text


def test_a_cycle():
    report = graph_report(one_peer_exponential(8))
    assert (report["nodes"], report["period"], report["exact_after_rounds"], report["lambda_2"]) == (8, 3, 3, 0)
    assert (report["degree_min"], report["degree_max"], report["messages_per_round"]) == (1, 1, 8)
    assert report["edges"] == 24 and report["diameter"] == 3 and report["predicted_rounds"] == 3
    assert report["name"] == "one_peer_exponential" and report["smallest_eigenvalue"] is None
    mixed = graph_report([ring(6), from_graph(nx.star_graph(5))])
    assert (mixed["degree_min"], mixed["degree_max"], mixed["messages_per_round"]) == (1, 5, 11)
    assert mixed["edges"] == 6 + 5 - 2 and mixed["symmetric"]
    assert "period, rounds" in text_of(mixed) and "never, or later than a period" in text_of(mixed)


def test_a_schedule():
    report = graph_report(Matching(9), rounds=60)
    assert (report["edges"], report["messages_per_round"], report["degree_min"], report["degree_max"]) == (4, 8, 0, 1)
    assert report["diameter"] is report["period"] is report["exact_after_rounds"] is None
    assert report["sampled_rounds"] == 60 and "60 sampled rounds" in report["notes"][0]
    # W'W = W, and each pair meets with probability 1 / 9: E[W] - J = (I - J) / 2.
    assert report["lambda_2"] == pytest.approx(np.sqrt(0.5), abs=0.06)
    text = text_of(report)
    assert "lambda_2, expected" in text and "diameter" not in text and "edges in a round" in text
    assert graph_report(Matching(9), rounds=60) == report


def test_one_node_and_directed_graphs():
    alone = graph_report(ring(1))
    assert (alone["edges"], alone["diameter"], alone["lambda_2"], alone["exact_after_rounds"]) == (0, 0, 0, 0)
    directed = graph_report(exponential(8))
    assert (directed["edges"], directed["messages_per_round"], directed["symmetric"]) == (24, 24, False)
    assert directed["second_largest_eigenvalue"] is None and "directed links" in text_of(directed)


def test_warnings():
    apart = graph_report(from_graph(nx.empty_graph(3), allow_disconnected=True))
    assert apart["warnings"] == ["disconnected: 3 parts, each of which agrees only within itself; add links"]
    assert apart["diameter"] is apart["predicted_rounds"] is None and not apart["connected"]
    swap = graph_report(from_weights([[0.0, 1.0], [1.0, 0.0]]))
    assert "gossip oscillates" in swap["warnings"][0] and "warning" in text_of(swap)
    round_and_round = graph_report(from_weights(np.roll(np.eye(5), 1, axis=1)))
    assert "as large after a round as before" in round_and_round["warnings"][0]


def test_large_graphs_say_what_is_estimated():
    report = graph_report(random_regular(1200, 4))
    assert 0 < report["effective_neighbours_error"] < 0.1 and "estimated" in report["notes"][0]
    assert graph_report(complete(2000))["effective_neighbours_worst"] == pytest.approx(2000)


def test_refusals():
    with pytest.raises(InputError, match="got a topology of type str, need a Topology, a list of them or a Schedule"):
        graph_report("ring")
    with pytest.raises(InputError, match=r"got gamma=1, need a number from 0 to less than 1; try gamma=0\.95"):
        graph_report(ring(4), gamma=1)
    with pytest.raises(InputError, match=r"got eps=0, need a number between 0 and 1; try eps=0\.001"):
        graph_report(ring(4), eps=0)
