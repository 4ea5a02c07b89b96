"""Pictures of sweeps, of nodes and of confusion matrices, and the curve that grows."""

from __future__ import annotations

import sys
import types

import numpy as np
import pandas
import pytest

from jdl.checks import InputError
from jdl.show import confusion, heatmap, live, node_plots, sweep_plots

ROUNDS, LRS, GRAPHS = (0, 10, 20), (0.01, 0.1, 1.0), ("torus", "ring")


def frame(seeds=2, diverged=(), graphs=GRAPHS):
    """The accuracy of graph g (0 or 1), rate l (0, 1 or 2) and seed s at round t is (t + 10 l + 5 g + s) / 100."""
    rows = [
        {"point": len(LRS) * g + i, "lr": lr, "topology": graph, "seed": seed, "round": t}
        | {"mean_accuracy": np.nan if (lr, graph, seed) in diverged and t else (t + 10 * i + 5 * g + seed) / 100}
        | {"mean_loss": 10.0 ** (-i), "megabytes": t * (g + 1.0)}
        for g, graph in enumerate(graphs)
        for i, lr in enumerate(LRS)
        for seed in range(seeds)
        for t in ROUNDS
    ]
    return pandas.DataFrame(rows)


def legend(figure):
    return [text.get_text().replace("\n", " ") for one in figure.legends for text in one.get_texts()]


def data_of(axes):
    """The lines of several points, without crosses."""
    return [np.asarray(line.get_ydata(), float) for line in axes.lines if line.get_marker() != "x"]


def crosses(axes):
    return [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "x"]


def test_lines_are_means_over_seeds_in_panels_of_equal_limits(tmp_path):
    figure = sweep_plots.lines(frame(), hue="lr", facet="topology", path=tmp_path / "sweep.png")
    left, right = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["topology = torus", "topology = ring"]
    expected = [[(t + 10 * i + 0.5) / 100 for t in ROUNDS] for i in range(3)]
    assert np.array(data_of(left)) == pytest.approx(np.array(expected))
    assert np.array(data_of(right)) == pytest.approx(np.array(expected) + 0.05)
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[1] >= 0.46
    assert figure.legends[0].get_title().get_text() == "lr"
    assert legend(figure) == [
        "0.01",
        "0.1",
        "1",
        "mean over 2 seeds",
        "95% bootstrap interval of the mean over 2 seeds",
    ]
    shades = [np.mean(line.get_color()[:3]) for line in left.lines]
    assert shades == sorted(shades)  # from dark to light with the number
    assert (tmp_path / "sweep.png").stat().st_size > 0


def test_without_accuracies_the_loss_is_shown():
    (axes,) = sweep_plots.lines(frame().drop(columns="mean_accuracy"), hue="lr", style="topology", band="none").axes
    assert axes.get_ylabel() == "loss, mean over nodes"
    assert {line[0] for line in data_of(axes)} == {1.0, 0.1, 0.01}


def test_colours_and_dashes_show_two_axes():
    figure = sweep_plots.lines(frame(), hue="topology", style="lr", band="none")
    (axes,) = figure.axes
    assert len({(line.get_color(), str(line._dash_pattern)) for line in axes.lines}) == 6
    assert legend(figure)[:5] == ["topology = torus", "topology = ring", "lr = 0.01", "lr = 0.1", "lr = 1"]


def test_the_last_evaluations_against_an_axis():
    lost = [(1.0, "ring", 1)]
    figure = sweep_plots.lines(frame(diverged=lost), x="lr", hue="topology")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "lr"
    torus, ring = data_of(axes)
    assert torus == pytest.approx([0.205, 0.305, 0.405]) and ring == pytest.approx([0.255, 0.355, np.nan], nan_ok=True)
    assert crosses(axes) == [1.0] and "a seed has diverged" in legend(figure)
    assert "after 20 rounds" in axes.get_ylabel()


def test_categories_are_points_in_the_order_of_the_frame():
    figure = sweep_plots.lines(frame(), x="topology", hue="lr", band="std")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["torus", "ring"]
    means = [line for line in axes.lines if line.get_marker() == "o"]
    assert all(line.get_linestyle() == "None" for line in means) and len(means) == 3
    expected = np.array([[0.205, 0.255], [0.305, 0.355], [0.405, 0.455]])
    assert np.array([line.get_ydata() for line in means]) == pytest.approx(expected)
    assert [line.get_xdata()[0] for line in means] == sorted(line.get_xdata()[0] for line in means)


def test_metrics_along_the_axis_and_a_seed_that_diverges():
    rows = frame(diverged=[(0.1, "torus", 0)])
    figure = sweep_plots.lines(rows[rows.lr == 0.1], x="megabytes", hue="topology")
    (axes,) = figure.axes
    assert list(axes.lines[1].get_xdata()) == [0, 20, 40]
    assert crosses(axes) == [0] and {"torus", "ring", "a seed has diverged"} <= set(legend(figure))
    by_status = frame().assign(status="finished")
    by_status.loc[by_status.lr == 1.0, "status"] = "diverged"
    (axes,) = sweep_plots.lines(by_status[by_status.topology == "ring"], x="lr").axes
    assert crosses(axes) == [1.0]


def test_nothing_is_averaged_but_seeds():
    with pytest.raises(InputError, match="got several points for one mark, which differ in 'lr'") as caught:
        sweep_plots.lines(frame(), hue="topology")
    assert "'topology'" not in str(caught.value) and "give hue=, style= or facet=" in str(caught.value)
    with pytest.raises(InputError, match=r"'lr' \(0.01, 0.1, 1\) and 'topology' \(torus, ring\)"):
        sweep_plots.lines(frame())
    twice = pandas.concat([frame().assign(batch=8), frame().assign(batch=16, point=lambda rows: rows.point + 6)])
    with pytest.raises(InputError, match=r"which differ in 'batch' \(8, 16\)"):
        heatmap.heatmap(twice, "lr", "topology", axes=("lr", "topology", "batch"))
    together = frame().assign(again=lambda rows: rows.topology + "!")  # an axis that goes with another one
    sweep_plots.lines(together, hue="lr", facet="topology", axes=("lr", "topology", "again"))


def test_seeds_can_be_the_axis():
    (axes,) = sweep_plots.lines(frame()[frame().lr == 0.1], hue="seed", style="topology").axes
    assert len(data_of(axes)) == 4
    shown = heatmap.heatmap(frame(graphs=GRAPHS[:1]), "seed", "lr").axes[0].images[0].get_array().filled(np.nan)
    assert shown == pytest.approx(np.array([[0.2, 0.21], [0.3, 0.31], [0.4, 0.41]]))


def test_a_map_has_numbers_hatches_and_blanks():
    rows = frame(diverged=[(1.0, "ring", 1)])
    rows = rows[(rows.lr != 0.1) | (rows.topology != "torus")]
    figure = heatmap.heatmap(rows, "lr", "topology")
    axes = figure.axes[0]
    shown = axes.images[0].get_array().filled(np.nan)
    assert shown == pytest.approx(np.array([[0.205, np.nan, 0.405], [0.255, 0.355, np.nan]]), nan_ok=True)
    assert sorted(text.get_text() for text in axes.texts) == ["1 of 2", "20.5%", "25.5%", "35.5%", "40.5%"]
    assert legend(figure) == ["diverged: how many of the seeds", "not run"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.01", "0.1", "1"]
    (hatched,) = axes.patches
    assert hatched.get_hatch() and hatched.get_xy() == (1.5, 0.5)
    many = [f"graph {i}" for i in range(60)]
    crowded = heatmap.heatmap(frame(seeds=1, graphs=many), "topology", "lr").axes[0]
    assert not crowded.texts and len(crowded.get_xticklabels()) <= heatmap.TICKS


@pytest.mark.parametrize(
    ("draw", "words"),
    (
        (lambda: sweep_plots.lines([1]), "need a pandas frame"),
        (lambda: sweep_plots.lines(frame()[:0]), "without rows"),
        (lambda: sweep_plots.lines(frame(), y="accuracy"), "there are point, lr, topology, seed, round, mean_accuracy"),
        (lambda: sweep_plots.lines(frame(), hue="mean_loss"), "use one of lr, topology, seed"),
        (lambda: sweep_plots.lines(frame(), band="nodes"), "use one of minmax, std, bootstrap, t, none"),
        (lambda: sweep_plots.lines(frame(graphs="abcde"), style="topology", hue="lr"), "need 4 at most"),
        (
            lambda: sweep_plots.lines(frame(), x="seed"),
            "which is no metric of the sweep, need a metric; use one of mean_acc",
        ),
        (lambda: sweep_plots.lines(frame(), y="topology"), "y='topology', which is no metric"),
        (lambda: sweep_plots.lines(frame(), y="round"), "y='round', which is no metric"),
        (lambda: heatmap.heatmap(frame(), "lr", "topology", "lr"), "value='lr', which is no metric"),
        (lambda: heatmap.heatmap(frame(), "lr", "lr"), "need two axes"),
        (lambda: heatmap.heatmap(frame(), "lr", "graph"), "which is no axis of the sweep"),
        (lambda: node_plots.nodes(nodes_frame(), "loss"), "there are accuracy, distance"),
        (lambda: node_plots.nodes(nodes_frame(), by="city"), "there are degree, honest, group, num_examples"),
        (lambda: node_plots.nodes(nodes_frame(), by="degree", at=3), "there are 0, 10"),
        (lambda: node_plots.nodes(nodes_frame().iloc[:, :6]), "run with per_node=True"),
        (lambda: node_plots.nodes(pandas.concat([nodes_frame().assign(seed=s) for s in (0, 1)])), "of several seeds"),
        (lambda: confusion.confusion(np.ones((2, 3))), "one row and one column for each class"),
        (lambda: confusion.confusion(-np.eye(2)), "negative"),
        (lambda: confusion.confusion(np.eye(2), ["a"]), "got 1 names for 2 classes"),
        (lambda: live.live_curve(every=-1), "number of seconds"),
    ),
)
def test_bad_input_is_a_sentence(draw, words):
    with pytest.raises(InputError) as caught:
        draw()
    assert words in str(caught.value)


def nodes_frame(n=24, dishonest=0):
    """At round 10 the accuracy of a node is a tenth of its degree, which is 2, 4 or 6."""
    node = np.arange(n)
    degree, honest = 2 + 2 * (node % 3), node >= dishonest
    parts = [
        {"round": t, "node": node, "degree": degree, "honest": honest, "group": node % 2, "num_examples": 10 + node}
        | {"accuracy": degree / 10 if t else np.full(n, 0.1), "distance": (1.0 + node) * 10.0 ** (-t)}
        for t in (0, 10)
    ]
    return pandas.concat([pandas.DataFrame(part) for part in parts], ignore_index=True)


def test_a_dot_for_each_node_and_means_by_degree(tmp_path):
    figure = node_plots.nodes(nodes_frame(dishonest=3), by="degree", path=tmp_path / "n.png")
    (axes,) = figure.axes
    honest, dishonest = (dots.get_offsets() for dots in axes.collections[:2])
    assert (len(honest), len(dishonest)) == (21, 3)
    assert np.abs(honest[:, 0] - 10 * honest[:, 1]).max() < 0.5  # each stands at its degree, moved a little
    assert len(set(honest[:, 0])) == 21  # no two on each other
    mean = axes.lines[0]
    assert list(mean.get_xdata()) == [2, 4, 6] and list(mean.get_ydata()) == pytest.approx([0.2, 0.4, 0.6])
    assert legend(figure) == ["mean ± standard deviation", "3 dishonest nodes"]
    again = node_plots.scatter_by(nodes_frame(dishonest=3)).axes[0].collections[0].get_offsets()
    assert np.array_equal(again, honest)
    binned = node_plots.nodes(nodes_frame(n=64), by="num_examples")
    assert legend(binned) == ["mean ± standard deviation of 8 bins of nodes"]
    assert binned.axes[0].lines[0].get_xdata()[0] == pytest.approx(10 + 3.5)  # the mean of the first eight nodes


def test_distributions_over_nodes():
    figure = node_plots.nodes(nodes_frame(n=30, dishonest=2), "distance")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log" and legend(figure)[-1] == "28 honest of 30 nodes"
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert medians == pytest.approx([16.5, 16.5e-10])  # nodes 2 to 29 are at 3 to 30
    violin = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (violin.min(), violin.max()) == pytest.approx((3, 30))
    grouped = node_plots.nodes(nodes_frame(n=8), by="group").axes[0]
    assert [text.get_text() for text in grouped.get_xticklabels()] == ["0", "1"]
    assert sum(len(dots.get_offsets()) for dots in grouped.collections) == 8
    assert node_plots.violins(nodes_frame(), at=0).axes[0].get_xticks() == [0]


def test_confusion_is_divided_by_rows():
    figure = confusion.confusion(np.array([[6, 2, 0], [0, 0, 0], [1, 0, 3]]), ["cat", "dog", "ox"])
    axes = figure.axes[0]
    shares = axes.images[0].get_array().filled(np.nan)
    assert np.allclose(shares, [[0.75, 0.25, 0], [np.nan] * 3, [0.25, 0, 0.75]], equal_nan=True)
    assert [text.get_text() for text in axes.texts] == ["75%", "25%", "0%", "25%", "0%", "75%"]
    assert axes.get_title().startswith("12 examples, 75.0% right") and legend(figure) == ["no examples of this class"]


ROW = {"mean_loss": 1.0, "nodes/own_loss": np.ones(3)}


@pytest.fixture
def kernel(monkeypatch):
    """A notebook that keeps what is displayed and what waits for the end of the cell."""
    IPython = pytest.importorskip("IPython")
    shown, waiting = [], {}
    events = types.SimpleNamespace(register=waiting.__setitem__, unregister=lambda name, f: waiting.pop(name))
    monkeypatch.setattr(IPython, "get_ipython", lambda: types.SimpleNamespace(kernel=None, events=events))
    update = types.SimpleNamespace(update=shown.append)
    monkeypatch.setattr("IPython.display.display", lambda picture, display_id: shown.append(picture) or update)
    return types.SimpleNamespace(shown=shown, waiting=waiting)


def test_a_live_curve_is_drawn_now_and_then_and_at_the_end(kernel):
    now = [0.0]
    hook = live.LiveCurve(2.0, None, clock=lambda: now[0])
    for t, now[0] in enumerate((10.0, 11.0, 12.5, 13.0)):
        hook({"round": t, **ROW})
    assert len(kernel.shown) == 2 and kernel.shown[0].data[:4] == b"\x89PNG"
    kernel.waiting["post_run_cell"](None)
    assert len(kernel.shown) == 3 and not kernel.waiting
    assert len(hook.rows) == 4 and "nodes/own_loss" not in hook.rows[0]
    hook({"round": 0, "mean_loss": np.ones(2)})  # another run, of two seeds
    assert len(hook.rows) == 1


def test_a_live_curve_never_fails_a_run(kernel, capsys):
    hook = live.live_curve(y="accuracy")
    for t in range(3):
        hook({"round": t, **ROW})
    text = capsys.readouterr().err
    assert text.startswith("the live curve is left out: got column 'accuracy'") and text.count("left out") == 1


def test_a_live_curve_outside_of_notebooks_says_one_sentence(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    hook = live.live_curve()
    for t in range(3):
        hook({"round": t, **ROW})
    assert capsys.readouterr().err.splitlines() == [
        "the live curve needs a notebook; here result.plot() draws the curve when the run has ended"
    ]


def test_a_point_without_a_finite_loss_has_diverged():
    rows = frame()
    rows.loc[(rows.lr == 1.0) & (rows["round"] == 20), "mean_loss"] = np.nan
    (axes,) = sweep_plots.lines(rows[rows.topology == "ring"], x="lr").axes
    assert crosses(axes) == [1.0] and data_of(axes)[0][:2] == pytest.approx([0.255, 0.355])
    shown = sweep_plots.heatmap(rows, "lr", "topology").axes[0].images[0].get_array().filled(np.nan)
    assert np.isnan(shown[:, 2]).all() and np.isfinite(shown[:, :2]).all()
