"""Pictures along simulated time, energy and bits, and time lines of nodes."""

import numpy as np
import pytest

import jdl
from jdl import algorithms, checks
from jdl.clock import Clock, First, Parallel
from jdl.runs.time_line import bars_of
from jdl.show import plots
from jdl.show.compare import compare


def columns(seeds=()):
    """Evaluations of a run of 16 nodes, whose seconds differ by seed."""
    t, factor = np.arange(4.0), np.ones((1, *seeds)) * (1 + 0.1 * np.arange(*seeds or (1,)))
    several = {"mean_loss": 2 - 0.1 * t, "mean_model_loss": 2 - 0.2 * t, "simulated_seconds": 3 * t, "joules": 50 * t}
    several |= {"consensus_distance": 0.1 + t, "bits_sent": 8e6 * 16 * t, "bits_received": 9e6 * t}
    wide = {name: (values[:, None] * factor if seeds else values) for name, values in several.items()}
    return {"round": 10 * t.astype(int), **wide}


def test_learning_curves_lie_along_any_column():
    expected = {"simulated_seconds": ("simulated time, s", 9.0), "joules": ("energy of all nodes, J", 150.0)}
    expected |= {"bits_received": ("received by all nodes, bits", 27e6), "megabytes": ("sent, MB a node", 3.0)}
    for x, (title, last) in expected.items():
        left, right = plots.curves({"run": columns()}, x=x, nodes=16).axes
        assert (left.get_xlabel(), right.get_xlabel(), left.get_xlim()) == (title, title, (0.0, last))
        np.testing.assert_allclose(left.lines[0].get_xdata(), np.linspace(0, last, 4))
        (axes,) = compare({"run": columns(), "seeds": columns((3,))}, x=x, nodes=16).axes
        assert axes.get_xlabel() == title
        np.testing.assert_allclose(axes.lines[1].get_xdata(), 1.1 * np.linspace(0, last, 4))  # the mean of three seeds
    with pytest.raises(checks.InputError, match="got column 'second', which 'run' does not have; there are bits_rec"):
        plots.curves({"run": columns()}, x="second")


def test_bars_are_when_nodes_compute():
    """One slow node in a ring, a server that waits for nine, steps after the message, and who sends nothing."""
    n, step = 12, np.ones(12, np.float32)
    step[3] = 5.0
    problem, ring, at_once = jdl.problems.quadratic(n), jdl.topology.ring(n), Parallel(rate=1e30, latency=0.25)
    build = lambda algorithm, graph=None, **options: jdl.simulation(
        problem, algorithm, graph, clock=Clock(step, at_once, **options)
    )
    bars, ends = bars_of(build(algorithms.DPSGD(0.1), ring), 2)
    assert bars[3].tolist() == [[0, 5], [5, 10]]
    assert bars[4].tolist() == [[0, 1], [5.25, 6.25]] and bars[0].tolist() == [[0, 1], [1.25, 2.25]]
    assert ends[:, 4].tolist() == [5.25, 10.25] and ends[:, 0].tolist() == [1.25, 2.5]
    bars, ends = bars_of(build(algorithms.CTA(0.1), ring), 1)
    assert bars[0].tolist() == [[0.25, 1.25]] and ends[0, 0] == 1.25  # the gradient is taken at what arrives
    bars, _ = bars_of(build(algorithms.FedAvg(0.1), wait=First(9)), 2)
    assert bars[0].tolist() == [[0.25, 1.25], [1.75, 2.75]] and bars[3].tolist() == [[0.25, 1.5], [1.75, 3.0]]
    bars, ends = bars_of(build(algorithms.LocalOnly(0.1)), 2)
    assert bars[3].tolist() == [[0, 5], [5, 10]] and ends[:, 0].tolist() == [1, 2]


def test_a_time_line_shows_the_nodes_that_are_asked_for():
    parts = jdl.problems.quadratic(20), algorithms.LocalOnly(0.1), None
    s = jdl.simulation(*parts, clock=Clock(1.0))
    (axes,) = jdl.time_line(s, rounds=2).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [str(node) for node in range(16)]
    assert axes.get_xlim() == (0.0, 2.0)
    (axes,) = jdl.time_line(s, rounds=2, nodes=[19, 3]).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["19", "3"]
    for of, options, sentence in (
        (jdl.simulation(*parts), {}, "got a run without a clock, need one"),
        (3, {}, "got int, need a simulation"),
        (s, {"nodes": [20]}, r"got nodes=\[20\], need nodes below n=20"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            jdl.time_line(of, **options)
