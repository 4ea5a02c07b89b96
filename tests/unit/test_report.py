"""Baselines against the closed form of gradient descent; tables and curves against the numbers they show."""

import sys

import jax
import numpy as np
import pytest
import rich.console

from jdl import algorithms, problems, rng, topology
from jdl.runs import baselines
from jdl.runs.history import History
from jdl.runs.run import run
from jdl.show import plots, report

ROUNDS, SEED, LR = 5, 3, 0.3


@pytest.fixture(scope="module")
def quadratic():
    return problems.quadratic(nodes=6, dim=3, seed=1)


@pytest.fixture(scope="module")
def gossip(quadratic):
    return run(quadratic, algorithms.DGD(lr=LR), topology.ring(6), rounds=ROUNDS, eval_every=2, seed=SEED)


@pytest.fixture(scope="module")
def references(gossip):
    return baselines.baselines(gossip)


def descend(A, b, x):
    """ROUNDS steps of gradient descent on x^T A x / 2 - b^T x, in closed form."""
    optimum = np.linalg.solve(A, b)
    return optimum + np.linalg.matrix_power(np.eye(len(b)) - LR * A, ROUNDS) @ (x - optimum)


def test_baselines_are_gradient_descent_on_the_mean_and_on_each_node(quadratic, references):
    A, b = np.asarray(quadratic.A, np.float64), np.asarray(quadratic.b, np.float64)
    start = np.asarray(quadratic.init(rng.key_of(jax.random.key(SEED), "init", 0)), np.float64)

    def loss(x):
        return x @ A.mean(0) @ x / 2 - b.mean(0) @ x

    central, alone = references[baselines.CENTRALISED], references[baselines.ALONE]
    assert central.history.mean_loss[-1] == pytest.approx(loss(descend(A.mean(0), b.mean(0), start)), rel=1e-5)
    ends = [loss(descend(A[i], b[i], start)) for i in range(6)]
    assert alone.history.mean_loss[-1] == pytest.approx(np.mean(ends), rel=1e-5)
    assert alone.history.worst_loss[-1] == pytest.approx(max(ends), rel=1e-5)
    assert list(central.history["round"]) == [0, ROUNDS]
    assert alone.history.bits_sent[-1] == 0


def test_learning_alone_is_not_compared_with_itself(quadratic):
    result = run(quadratic, algorithms.LocalOnly(lr=LR), rounds=2)
    assert list(baselines.baselines(result)) == [baselines.CENTRALISED]


def test_labels_say_who_talks():
    digits = {"nodes": 8, "network": [{"name": "top_k", "fraction": 0.1}, {"name": "lossy", "probability": 0.2}]}
    graph = {"name": "random_regular", "degree": 3, "seed": 7}
    assert report.label({**digits, "algorithm": {"name": "dpsgd"}, "topology": graph}) == (
        "gossip: dpsgd on random_regular(8, degree=3) through top_k(fraction=0.1), lossy(probability=0.2)"
    )
    server = {"name": "sampling", "participants": 2}
    command = {"algorithm": {"name": "fedavg"}, "topology": server, "network": [], "nodes": 1024}
    assert report.label(command) == "server: fedavg, 2 of 1,024 clients a round"
    command |= {"algorithm": {"name": "local_only"}, "topology": None}
    assert report.label(command) == "alone: local_only, 1,024 nodes"


def test_table_shows_losses_where_there_is_no_accuracy(gossip, references):
    console = rich.console.Console(width=140, record=True, file=sys.stderr)
    console.print(report.table({"gossip": gossip, **references}))
    text = console.export_text()
    row = next(line for line in text.splitlines() if "gossip" in line)
    last = gossip.history
    # Six nodes, two links each, three float32 numbers a message.
    for value in (f"{last.mean_loss[-1]:.4g}", f"{last.suboptimality[-1]:.2g}", f"{ROUNDS * 2 * 3 * 32 / 8e6:,.3g}"):
        assert value in row
    assert "accuracy" not in text and "above the optimum" in text


ROWS = [
    {"round": t, "bits_sent": 8e6 * t, "mean_accuracy": t / 10, "worst_accuracy": t / 20, "best_accuracy": t / 8}
    | {"mean_model_accuracy": t / 9, "mean_model_loss": 3.0 - t / 10, "consensus_distance": 0.1 * t}
    for t in range(5)
]


def test_curves_show_the_history(tmp_path):
    last = History([{**ROWS[-1], "mean_accuracy": 0.9}])
    figure = plots.curves({"dpsgd": History(ROWS)}, tmp_path / "c.png", references={"together": last}, nodes=2)
    left, right = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    assert list(lines["mean over nodes"]) == [0, 0.1, 0.2, 0.3, 0.4]
    assert list(lines["mean model"]) == [t / 9 for t in range(5)]
    assert list(left.lines[-1].get_ydata()) == [0.9, 0.9]
    assert {text.get_text().replace("\n", " ") for text in left.texts} == {"dpsgd 40.0%", "together 90.0%"}
    assert np.array_equal(right.lines[0].get_ydata(), [np.nan, 0.1, 0.2, 0.30000000000000004, 0.4], equal_nan=True)
    (above,) = left.child_axes
    assert above.get_xlabel() == "sent, MB a node"
    assert above.get_xlim() == pytest.approx((0, 2))  # four rounds of 8e6 bits are 4 MB, of two nodes
    assert (tmp_path / "c.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_curves_and_table_show_the_accuracy_on_own_data_beside_the_mean():
    rows = [{**row, "own_accuracy": t / 5, "worst_own_accuracy": t / 6} for t, row in enumerate(ROWS)]
    figure = plots.curves({"alone": History(rows), "dpsgd": History(ROWS)})
    left, (legend,) = figure.axes[0], figure.legends
    own = [list(line.get_ydata()) for line in left.lines if line.get_label() == "mean over nodes, own data"]
    assert own == [[t / 5 for t in range(5)]]
    assert "alone, own data 80.0%" in {text.get_text().replace("\n", " ") for text in left.texts}
    assert [text.get_text() for text in legend.get_texts()][1] == "mean over nodes, own data"
    assert len(plots.curves({"dpsgd": History(ROWS)}).legends[0].get_texts()) == 3

    class Run:
        def __init__(self, row):
            self.summary = {"rounds": 4, "nodes": 2, **row}

    console = rich.console.Console(width=140, record=True, file=sys.stderr)
    console.print(report.table({"alone": Run(rows[-1]), "dpsgd": Run(ROWS[-1])}))
    lines = [line.replace("┃", "│") for line in console.export_text().splitlines()]
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.count("│") > 2]
    heads, *cells = table
    shown = [{head: row[place] for place, head in enumerate(heads)} for row in cells]
    assert [(row["own data"], row["worst own data"]) for row in shown] == [("80.0%", "66.7%"), ("-", "-")]


def test_curves_leave_pyplot_alone_and_still_show_in_a_notebook():
    before = "matplotlib.pyplot" in sys.modules
    figure = plots.curves({"dpsgd": History(ROWS)})
    assert ("matplotlib.pyplot" in sys.modules) == before
    assert figure._repr_png_()[:4] == b"\x89PNG"


def test_curves_without_disagreement_show_the_loss():
    same = [{**row, "consensus_distance": 0.0} for row in ROWS]
    _, right = plots.curves({"fedavg": History(same)}).axes
    assert right.get_ylabel() == "test loss"
    assert list(right.lines[0].get_ydata()) == [row["mean_model_loss"] for row in ROWS]


def test_curves_of_several_runs_name_each():
    texts = [text.get_text() for text in plots.curves({"a": History(ROWS), "b": History(ROWS[:3])}).axes[0].texts]
    assert texts == ["b 20.0%", "a 40.0%"]


def test_loss_above_the_optimum_is_above_the_optimum():
    rows = [
        {"round": t, "mean_model_loss": 2.0 + 0.1**t, "mean_loss": 2.0 + 2 * 0.1**t, "suboptimality": 0.1**t}
        | {"worst_loss": 2 + 4 * 0.1**t, "best_loss": 2 + 0.5 * 0.1**t, "consensus_distance": 0.1**t}
        for t in range(4)
    ]
    left, _ = plots.curves({"d2": History(rows)}).axes
    assert left.get_yscale() == "log"
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    assert lines["mean over nodes"] == pytest.approx([2 * 0.1**t for t in range(4)])


def test_accuracies_fill_their_axes_and_the_legend_covers_no_curve():
    """A run that stays at chance, and one that is good from the start."""

    def drawn(*means):
        rows = [
            {"round": t, "mean_accuracy": m, "worst_accuracy": m - 0.02, "best_accuracy": m + 0.02}
            | {"mean_model_accuracy": m + 0.01, "mean_model_loss": 1.0, "mean_loss": 1.0, "consensus_distance": 0.1}
            for t, m in enumerate(means)
        ]
        figure = plots.curves({"dpsgd": History(rows)})
        figure.draw_without_rendering()
        return figure, figure.axes[0]

    for means, limits in (((0.1, 0.12, 0.11), (0.0, 0.2)), ((0.93, 0.95), (0.8, 1.0)), ((0.1, 0.95), (0.0, 1.0))):
        figure, left = drawn(*means)
        assert left.get_ylim() == pytest.approx(limits)
        (legend,) = figure.legends
        assert left.get_legend() is None and legend.get_window_extent().y1 < left.get_window_extent().y0


def test_a_run_with_an_account_has_a_column_of_epsilon():
    """Beside one without; of several seeds the mean, and infinity is not known as a number."""

    class Ran:
        def __init__(self, **more):
            self.summary = {"nodes": 2, "rounds": 9, "mean_accuracy": 0.5, "worst_accuracy": 0.4, "status": "finished"}
            self.summary |= {"mean_model_accuracy": 0.6, "bits_sent": 16e6, **more}

    plain, private, bare = Ran(), Ran(epsilon=1.2345, delta=1e-4), Ran(epsilon=None, delta=1e-5)
    assert not any("epsilon" in one for one in report.rows_of({"a": plain}).columns)
    table = report.rows_of({"a": plain, "b": private, "c": bare})
    place = list(table.columns).index("epsilon at delta 1e-05 or 0.0001")
    assert [row[place].value for row in table.rows] == [None, 1.2345, None]
    several = Ran(epsilon=2.0, delta=1e-4, runs=[private.summary, private.summary | {"epsilon": 2.7655}])
    (row,) = report.rows_of({"several": several}).rows
    assert row[place].value == pytest.approx(2.0)
