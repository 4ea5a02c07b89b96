"""The identity of a point: equal for equal content, in every process; different where anything differs."""

import dataclasses
import functools
import sys
import types

import jax
import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_array

from jdl import problems, topology
from jdl.algorithms import DPSGD
from jdl.checks import InputError
from jdl.compressors import TopK
from jdl.runs import fingerprint
from jdl.sweeps.identity import identity
from jdl.sweeps.over import over

FACTOR = 3


def scaled(t):
    return FACTOR * t


def closing_over(array):
    return lambda t: array @ t


def with_objects(one):
    array = np.empty(2, object)
    array[0], array[1] = one, "x"
    return array


# Makers of values, each different from all others; each is made twice.
MAKERS = [
    lambda: 1,
    lambda: True,
    lambda: 0.1,
    lambda: np.nextafter(0.1, 1),
    lambda: None,
    lambda: "a",
    lambda: {"a": 1},
    lambda: [1],
    lambda: [1, 2],
    lambda: {3, 4},
    lambda: {3, 5},
    lambda: DPSGD(lr=0.1),
    lambda: DPSGD(lr=0.2),
    lambda: DPSGD(lr=0.1, decay=lambda t: 1 / (1 + t)),
    lambda: DPSGD(lr=0.1, decay=lambda t: 1 / (2 + t)),
    lambda: [TopK(0.1)],
    lambda: np.arange(3),
    lambda: np.arange(3.0),
    lambda: np.arange(3).reshape(1, 3),
    lambda: with_objects("a"),
    lambda: with_objects("b"),
    lambda: jax.random.key(0),
    lambda: jax.random.key(1),
    lambda: topology.ring(8),
    lambda: topology.ring(9),
    lambda: topology.random_regular(16, 4, seed=0),
    lambda: topology.random_regular(16, 4, seed=1),
    lambda: topology.complete(8),
    lambda: nx.cycle_graph(5),
    lambda: nx.path_graph(5),
    lambda: csr_array(np.eye(3)),
    lambda: csr_array(2 * np.eye(3)),
    lambda: problems.quadratic(4, seed=0),
    lambda: problems.quadratic(4, seed=1),
    lambda: functools.partial(problems.digits, nodes=8),
    lambda: functools.partial(problems.digits, nodes=16),
    lambda: scaled,
    lambda: closing_over(np.eye(2)),
    lambda: closing_over(np.ones((2, 2))),
    lambda: closing_over(csr_array(np.eye(2))),
    lambda: closing_over(csr_array(np.ones((2, 2)))),
]


def test_identities_are_equal_for_equal_content_and_different_otherwise():
    first, second = ([identity({"x": make()}) for make in MAKERS] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(MAKERS)
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in first)


def test_the_names_of_arguments_count_and_their_order_does_not():
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1}) != identity({"a": 2, "b": 1})


def test_a_changed_global_is_another_point(monkeypatch):
    before = identity({"x": scaled})
    monkeypatch.setitem(globals(), "FACTOR", 4)
    assert identity({"x": scaled}) != before


def test_a_graph_that_was_looked_at_is_the_same():
    graph = nx.cycle_graph(5)
    before = identity({"topology": graph})
    assert nx.is_connected(graph) and len(graph.edges) == len(graph.adj) == 5
    assert identity({"topology": graph}) == before


def test_sparse_matrices_in_closures_enter_the_digest():
    one, two = closing_over(csr_array(np.eye(2))), closing_over(csr_array(np.ones((2, 2))))
    assert fingerprint.of_value(one) != fingerprint.of_value(two)


def test_the_script_of_a_spawned_process_is_that_of_its_parent(monkeypatch):
    for name in ("__main__", "__mp_main__"):  # here, the main module is that of pytest
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(__file__="script.py"))

    def part(module, number=1):
        fields = {"x": dataclasses.field(default=number)}
        made = type("Part", (), {"__module__": module, "__annotations__": {"x": int}, **fields})
        return dataclasses.dataclass(made)()

    assert identity({"x": part("__main__")}) == identity({"x": part("__mp_main__")}) != identity({"x": part("other")})
    assert identity({"x": part("__main__", 2)}) != identity({"x": part("__main__")})


def test_marks_have_no_identity():
    with pytest.raises(InputError, match=r"got over\(0.1, 0.2\) at algorithm.lr, need one value"):
        identity({"algorithm": DPSGD(lr=over(0.1, 0.2))})
