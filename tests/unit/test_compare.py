"""Several runs in one figure: lines, bands, limits, legends, and sentences for bad input."""

from __future__ import annotations

import numpy as np
import pytest

from jdl.checks import InputError
from jdl.runs.history import History
from jdl.show import intervals, plots
from jdl.show.compare import compare
from jdl.show.style import COLOURS

T = np.arange(0, 101, 5)
LONG = [
    f"{method} on {graph} through top_k(fraction=0.1)"
    for method in ("DPSGD(lr=0.1)", "GradientTracking(lr=0.1)", "DPSGD(lr=0.1, momentum=0.9)")
    for graph in ("ring(64)", "torus(64)", "random_regular(64, degree=4)", "exponential(64)")
]


def accuracy(top=0.9, seeds=None, rounds=T):
    mean = top - (top - 0.1) * np.exp(-rounds / 20)
    if seeds:
        mean = mean[:, None] + 0.01 * np.arange(seeds) * (rounds > 0)[:, None]
    found = {"round": rounds, "seconds": rounds / 10, "mean_accuracy": mean, "mean_loss": 3 - 2 * mean}
    found |= {"worst_accuracy": mean - 0.05, "best_accuracy": mean + 0.02}
    return found | {"bits_sent": 8e6 * rounds}


def suboptimal(rate=0.15, diverges=()):
    """Two seeds; the loss at the optimum is 0.5 for one and 1 for the other."""
    above = np.exp(-rate * T)[:, None] * np.array([1.0, 3.0])
    for seed in diverges:
        above[:, seed] = np.where(T < 50, np.exp(0.3 * T), np.nan)
    optimum = np.array([0.5, 1.0])
    found = {"mean_loss": optimum + 2 * above, "mean_model_loss": optimum + above, "suboptimality": above}
    return {"round": T, **found, "worst_loss": optimum + 3 * above, "best_loss": optimum + above}


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def legend(figure):
    return [text.get_text().replace("\n", " ") for one in figure.legends for text in one.get_texts()]


def texts(axes):
    return [text.get_text().replace("\n", " ") for text in axes.texts]


def boxes(figure):
    """The legends and the labels of a figure, and its axes, as rectangles of pixels."""
    figure.draw_without_rendering()
    labels = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    return (
        labels,
        [one.get_window_extent() for one in figure.legends],
        [axes.get_window_extent() for axes in figure.axes],
    )


def overlap(a, b):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5


def test_one_run_has_its_name_beside_it_and_its_band_in_the_legend(tmp_path):
    figure = compare({"ring": accuracy()}, path=tmp_path / "one.png")
    (axes,) = figure.axes
    assert axes.get_ylabel() == "test accuracy, mean over nodes" and axes.get_xlim() == (0, 100)
    assert texts(axes) == ["ring 89.5%"] and legend(figure) == ["worst to best node"]
    (band,) = axes.collections
    assert band.get_datalim(axes.transData).y1 == pytest.approx(accuracy()["best_accuracy"][-1])
    assert (tmp_path / "one.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("runs", (1, 4, 7, 12))
@pytest.mark.parametrize("names", ("short", "long"))
def test_names_cover_nothing(runs, names):
    names = LONG if names == "long" else [f"run {i}" for i in range(12)]
    figure = compare({name: accuracy(0.5 + 0.04 * i) for i, name in enumerate(names[:runs])})
    labels, legends, axes = boxes(figure)
    around = figure.bbox
    for number, box in enumerate([*labels, *legends]):
        assert not any(overlap(box, other) for other in axes + [*labels, *legends][:number])
        assert around.x0 <= box.x0 and box.x1 <= around.x1 and around.y0 <= box.y0 and box.y1 <= around.y1
    assert axes[0].height > 200  # the legend made the figure higher, not the axes smaller
    assert bool(labels) != (set(names[:runs]) <= set(legend(figure)))  # each name stands in one of the two places


def test_twelve_runs_are_told_apart():
    figure = compare({name: accuracy() for name in LONG})
    looks = {(line.get_color(), str(line.get_linestyle()), str(line._dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == 12
    assert not figure.axes[0].collections or all(not c.get_paths() for c in figure.axes[0].collections)


def test_seeds_are_a_mean_and_an_interval():
    found = accuracy(seeds=3)
    for band, words in {None: "95% bootstrap interval of the mean", "std": "± one standard deviation"}.items():
        figure = compare({"ring": found, "torus": accuracy(0.6, seeds=3)}, band=band)
        assert legend(figure) == ["mean over 3 seeds", f"{words} over 3 seeds"]
        assert lines(figure.axes[0])["ring"].get_ydata() == pytest.approx(found["mean_accuracy"].mean(axis=1))
    figure = compare({"ring": found}, band="minmax")
    assert legend(figure)[-1] == "smallest to largest of 3 seeds"
    band = figure.axes[0].collections[0].get_datalim(figure.axes[0].transData)
    assert band.y1 == pytest.approx(found["mean_accuracy"].max())
    assert legend(compare({"ring": found}, band="nodes"))[-1] == "worst to best node, mean over seeds"
    assert legend(compare({"ring": found}, band="none")) == ["mean over 3 seeds"]


def test_megabytes_are_of_one_node():
    figure = compare({"a": accuracy(), "b": accuracy(0.6, seeds=2)}, x="megabytes", nodes={"a": 2, "b": 4})
    drawn = lines(figure.axes[0])
    assert drawn["a"].get_xdata() == pytest.approx(T / 2) and drawn["b"].get_xdata() == pytest.approx(T / 4)
    assert {"a", "b"} <= set(legend(figure))  # b ends in the middle, so that its name would stand apart from it

    class Result:
        history, n = History([{"round": t, "mean_loss": 1.0 - t / 9, "bits_sent": 8e6 * t} for t in range(3)]), 2

    assert list(compare({"r": Result()}, x="megabytes").axes[0].lines[0].get_xdata()) == [0, 0.5, 1.0]
    silent = accuracy() | {"bits_sent": 0.0 * T}
    level = lines(compare({"a": accuracy(), "alone": silent}, x="megabytes", nodes=2).axes[0])["alone"].get_ydata()
    assert set(level) == {silent["mean_accuracy"][-1]}


def test_losses_over_decades_have_a_logarithmic_axis_around_all_values():
    figure = compare({"d2": suboptimal(), "dpsgd": suboptimal(rate=0.05)})
    (axes,) = figure.axes
    assert axes.get_yscale() == "log" and axes.get_ylabel() == "loss above the optimum, mean over nodes"
    means = 2 * np.exp(-0.15 * T) * 2
    assert lines(axes)["d2"].get_ydata() == pytest.approx(means, rel=1e-6)
    low, high = axes.get_ylim()
    assert low < means[-1] / 2 and high > 6  # the interval over two seeds is half as wide as the mean is high
    assert compare({"a": suboptimal(rate=0.01)}).axes[0].get_yscale() == "linear"


def test_what_diverges_leaves_the_picture_and_is_marked():
    runs = {"good": suboptimal(), "bad": suboptimal(diverges=[1])}
    figure = compare(runs)
    (axes,) = figure.axes
    assert axes.get_ylim()[1] < 20 and axes.get_xlim() == (0, 100)
    (cross,) = (line for line in axes.lines if line.get_marker() == "x")
    assert cross.get_color() == COLOURS[1] and cross.get_ydata() == [axes.get_ylim()[1]]
    assert "bad (1 of 2 diverged)" in legend(figure) + [text.rpartition(" ")[0] for text in texts(axes)]
    assert "a seed has diverged" in legend(figure)
    alone = compare({"bad": suboptimal(diverges=[0, 1])}).axes[0]
    assert alone.get_ylim()[1] > 2 * np.exp(0.3 * 45)


@pytest.mark.parametrize("rounds", ([0], [0, 7]))
def test_few_evaluations_are_marked(rounds):
    figure = compare({"a": accuracy(rounds=np.array(rounds)), "b": accuracy(0.5, rounds=np.array(rounds))})
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert all(line.get_marker() == "o" for line in axes.lines) and low <= 0 and high >= rounds[-1]


def test_several_columns_are_panels():
    figure = compare({"a": accuracy(), "b": accuracy(0.7)}, y=["mean_accuracy", "mean_loss", "bits_sent"])
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "test accuracy, mean over nodes",
        "loss, mean over nodes",
        "sent by all nodes, bits",
    ]
    assert legend(figure)[:2] == ["a", "b"]


def test_a_logarithmic_x_axis_leaves_round_zero_out():
    (axes,) = compare({"a": accuracy()}, logx=True).axes
    assert axes.get_xscale() == "log" and axes.get_xlim() == (5, 100)
    assert np.nanmin(axes.lines[0].get_xdata()) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        ({"runs": {}}, "got no runs"),
        ({"runs": {"a": 3}}, "got int for 'a'"),
        ({"runs": {"a": {"round": T[:0]}}}, "got no evaluations for 'a'"),
        ({"y": "acuracy"}, "there are best_accuracy, bits_sent, mean_accuracy"),
        ({"x": "epochs"}, "got column 'epochs', which 'a' does not have"),
        ({"y": []}, "got no columns as y"),
        ({"band": "sem"}, "use one of minmax, std, bootstrap, t, nodes, none"),
        ({"band": "std"}, "no run has several"),
        ({"band": "nodes", "y": "bits_sent"}, "no run has a worst and a best node"),
        ({"x": "megabytes"}, "pass nodes={'a': n}"),
        ({"y": "bits_sent", "logy": True}, "has values that are not positive, such as 0"),
        ({"logx": True, "runs": {"a": {"round": T[:1], "mean_loss": T[:1] + 1.0}}}, "has no positive value"),
    ),
)
def test_bad_input_is_a_sentence(arguments, words):
    with pytest.raises(InputError, match="got ") as caught:
        compare(**({"runs": {"a": accuracy()}} | arguments))
    assert words in str(caught.value)


def test_learning_curves_of_seeds_are_means_with_an_interval():
    ones, found = np.ones((T.size, 4)), accuracy(seeds=4)
    found |= {"mean_model_accuracy": ones, "mean_model_loss": ones, "consensus_distance": ones}
    figure = plots.curves({"ring": found})
    left = figure.axes[0]
    assert left.lines[0].get_ydata() == pytest.approx(found["mean_accuracy"].mean(axis=1))
    assert legend(figure)[0] == "mean over nodes and 4 seeds"
    assert legend(figure)[-1] == "95% bootstrap interval of the mean over 4 seeds"
    _, low, high = intervals.interval(found["mean_accuracy"], "bootstrap")
    band = left.collections[0].get_datalim(left.transData)
    assert (band.y0, band.y1) == pytest.approx((low.min(), high.max()))
    # The optimum differs by seed, and so does the loss above it.
    left, _ = plots.curves({"d2": suboptimal() | {"consensus_distance": np.ones((T.size, 2))}}).axes
    assert left.lines[0].get_ydata() == pytest.approx(4 * np.exp(-0.15 * T), rel=1e-6)


def test_accuracies_without_a_finite_loss_are_left_out():
    found = accuracy()
    found["mean_loss"] = np.where(T < 50, found["mean_loss"], np.inf)
    figure = compare({"bad": found, "good": accuracy()})
    drawn = [line for line in figure.axes[0].lines if line.get_color() == COLOURS[0] and line.get_marker() != "x"]
    assert np.isnan(drawn[0].get_ydata()[T >= 50]).all() and "bad (diverged)" in legend(figure)
