"""The table of a sweep: its frames against the rows, its statistics against numpy and scipy, its formats read back."""

import io
import pickle
import re
import sys
import types

import numpy as np
import pandas
import pytest
import scipy.stats

import jdl.show
from jdl.checks import InputError
from jdl.sweeps.arrays import grid
from jdl.sweeps.table import SweepTable

LABELS = [
    {"algorithm": "dpsgd", "lr": 0.1},
    {"algorithm": "dpsgd", "lr": 0.3},
    {"algorithm": "dpsgd", "lr": 1.0},
    {"algorithm": "local_only"},
]
SEEDS, ROUNDS = (0, 1, 2, 3), (0, 10, 20)


def accuracy(point, seed, round_):
    return min(0.99, 0.1 + 0.2 * (point + 1) * round_ / 20 + 0.01 * seed**2)


def make_rows():
    """Point 2 diverges: with seed 1 before round 10, with seed 3 before round 20."""
    for point in range(4):
        for seed in SEEDS:
            for round_ in ROUNDS:
                value = accuracy(point, seed, round_)
                if point == 2 and (seed, round_) in ((1, 10), (1, 20), (3, 20)):
                    value = np.nan
                yield {"point": point, "seed": seed, "round": round_, "mean_accuracy": value} | {
                    "mean_loss": 1 - value,
                    "seconds": 0.1 * round_,
                    "nodes/drift": np.zeros(3),
                }


STATUS = {(point, seed): "finished" for point in range(4) for seed in SEEDS} | {
    (2, 1): "diverged",
    (2, 3): "diverged",
}


@pytest.fixture(scope="module")
def table():
    return SweepTable(LABELS, make_rows(), STATUS, [{"rounds": 20, "point": point} for point in range(4)])


def values(point, round_=20, seeds=SEEDS):
    return np.array([accuracy(point, seed, round_) for seed in seeds])


def test_the_frame_has_a_row_for_each_evaluation(table):
    frame = table.frame
    columns = ["point", "algorithm", "lr", "seed", "round", "mean_accuracy", "mean_loss", "seconds"]
    assert list(frame.columns) == columns and len(frame) == 4 * 4 * 3
    row = frame[(frame["point"] == 1) & (frame["seed"] == 2) & (frame["round"] == 10)].iloc[0]
    assert (row["algorithm"], row["lr"], row["mean_accuracy"]) == ("dpsgd", 0.3, accuracy(1, 2, 10))
    assert frame[frame["point"] == 3]["lr"].isna().all()
    assert table.metrics == ["mean_accuracy", "mean_loss", "seconds"] and table.axes == ["algorithm", "lr"]


def test_points_have_the_status_of_each_seed(table):
    assert list(table.points.columns) == ["algorithm", "lr", *(f"status_{seed}" for seed in SEEDS)]
    assert table.points.loc[2, ["status_0", "status_1", "status_3"]].tolist() == ["finished", "diverged", "diverged"]
    assert len(table) == len(table.points) == 4 and table.seeds == [0, 1, 2, 3]


def test_the_summary_is_of_the_last_round(table):
    summary = table.summary
    assert list(summary.columns)[:7] == [
        "algorithm", "lr", "seeds", "diverged", "mean_accuracy", "mean_accuracy_low", "mean_accuracy_high",
    ]  # fmt: skip
    assert summary["mean_accuracy"][1] == pytest.approx(values(1).mean())
    assert summary["mean_accuracy_low"][1] < values(1).mean() < summary["mean_accuracy_high"][1]
    assert summary["diverged"].tolist() == [0, 0, 2, 0] and summary["seeds"].tolist() == [4] * 4
    assert summary["mean_accuracy"][2] == pytest.approx(values(2, seeds=(0, 2)).mean())


def test_summaries_at_a_round_and_with_other_intervals(table):
    found = table.summarize(["mean_loss"], at=10, interval="t")
    assert list(found.columns) == ["algorithm", "lr", "seeds", "diverged"] + [
        f"mean_loss{ending}" for ending in ("", "_low", "_high")
    ]
    expected = scipy.stats.ttest_1samp(1 - values(0, 10), 0).confidence_interval(0.95)
    assert (found["mean_loss_low"][0], found["mean_loss_high"][0]) == pytest.approx(tuple(expected))
    # Seed 3 diverges later: at round 10 it counts.
    assert found["diverged"].tolist() == [0, 0, 1, 0]
    assert found["mean_loss"][2] == pytest.approx(1 - values(2, 10, (0, 2, 3)).mean())
    between = table.summarize(["mean_loss"], at=19, interval="t")  # the last evaluation up to round 19
    pandas.testing.assert_frame_equal(between, found)
    assert table.summarize("mean_loss", at=30)["mean_loss"].isna().all()


def test_the_best_point_has_no_diverged_run(table):
    best = table.best("mean_accuracy")
    assert best.point == 3 and best.labels == {"algorithm": "local_only"} and best.arguments["point"] == 3
    assert best.row["mean_accuracy"] == pytest.approx(values(3).mean())
    rest = SweepTable(
        LABELS[:3], [row for row in make_rows() if row["point"] < 3], {k: v for k, v in STATUS.items() if k[0] < 3}
    )
    best = rest.best("mean_accuracy")
    assert best.point == 1 and best.arguments is None
    assert rest.best("mean_loss").point == 1 and rest.best("mean_loss", largest=True).point == 0
    assert rest.best("mean_accuracy", at=0).point == 0  # equal at the start: the first
    assert rest.best("mean_accuracy", largest=False).point == 0


def test_a_run_that_ended_early_has_no_value_at_the_end():
    """A run of one seed stops where it diverges, with a last row that may be finite."""
    rows = [{"point": 0, "seed": 0, "round": t, "mean_loss": 1e30 * t} for t in (0, 5)]
    rows += [{"point": 1, "seed": 0, "round": t, "mean_loss": 1.0} for t in (0, 5, 10)]
    table = SweepTable([{"lr": 9.0}, {"lr": 0.1}], rows, {(0, 0): "diverged", (1, 0): "finished"})
    assert np.isnan(table.summary["mean_loss"][0]) and table.summary["diverged"].tolist() == [1, 0]
    assert table.best("mean_loss").point == 1 == table.best("mean_loss", largest=True).point
    assert "lr=9.0: diverged." in repr(table) and "one seed, at the last round of each point" in repr(table)


def test_the_round_in_which_runs_reached_their_goal():
    rows = [{"point": 0, "seed": s, "round": t, "mean_loss": 1.0} for s, end in ((0, 4), (1, 6)) for t in (0, 2, end)]
    table = SweepTable([{"lr": 0.1}], rows, {(0, 0): "reached", (0, 1): "reached"})
    found = table.summarize(["round"], interval="minmax")
    assert found[["round", "round_low", "round_high"]].values.tolist() == [[5, 4, 6]]


def test_runs_that_are_missing_yet(table):
    status = {(0, 0): "finished", (0, 1): "finished", (1, 0): "finished", (1, 1): "missing"}
    rows = [{"point": p, "seed": s, "round": 5, "mean_loss": 1.0 - p} for p, s in ((0, 0), (0, 1), (1, 0))]
    part = SweepTable([{"lr": 0.1}, {"lr": 0.2}], rows, status)
    assert part.points.loc[1].tolist() == [0.2, "finished", "missing"]
    assert part.best("mean_loss").point == 0
    none = SweepTable([{"lr": 0.1}], [], {(0, 0): "missing"})
    assert len(none.frame) == 0 and list(none.frame.columns) == ["point", "lr", "seed", "round"]
    assert "without evaluations" in repr(none)


def test_all_formats_show_the_same_numbers(table):
    t = scipy.stats.t.ppf(0.975, 3)
    half = t * values(1).std(ddof=1) / 2
    cell = f"{100 * values(1).mean():.1f} ± {100 * half:.1f}%"
    assert re.fullmatch(r"\d\d\.\d ± \d\.\d%", cell)
    text, markdown = table.to_text(interval="t"), table.to_markdown(interval="t")
    title = "mean ± half the 95% t-interval of the mean over 4 seeds, after 20 rounds"
    assert text.splitlines()[0] == title and cell in text and f"**{title}**" in markdown and cell in markdown
    note = "algorithm=dpsgd, lr=1.0: 2 of 4 seeds diverged; the mean is that of the others."
    assert text.splitlines()[-1] == markdown.splitlines()[-1] == note
    latex = table.to_latex(interval="t")
    assert r"$" + cell.replace("±", r"\pm").replace("%", r"\%") + "$" in latex
    assert (
        r"local\_only & -- & $" in latex and r"mean\_accuracy" in latex and r"$\pm$ half the 95\% t-interval" in latex
    )
    frame = pandas.read_csv(io.StringIO(table.to_csv(interval="t")))
    assert frame["mean_accuracy"][1] == pytest.approx(values(1).mean())
    assert frame["mean_accuracy ±"][1] == pytest.approx(half) and list(frame["lr"][:3]) == [0.1, 0.3, 1.0]
    assert cell in SweepTable._repr_html_(types.SimpleNamespace(table=lambda: table.table(interval="t")))
    ends = table.to_text(["mean_loss"], at=10, interval="minmax")
    assert ends.startswith("mean [smallest to largest of 4 seeds], after 10 rounds") and " [" in ends.splitlines()[2]
    assert table.to_text(interval="std").startswith("mean ± one standard deviation over 4 seeds, ")


def test_long_tables_are_shortened_in_a_terminal():
    rows = [{"point": point, "seed": 0, "round": 1, "mean_loss": 0.1 * point} for point in range(1000)]
    many = SweepTable([{"lr": point} for point in range(1000)], rows, {(point, 0): "finished" for point in range(1000)})
    assert len(repr(many).splitlines()) == 43 and repr(many).endswith("40 of 1,000 rows.")
    assert len(many.to_text().splitlines()) == 1002


def test_axes_named_like_other_columns_have_columns_of_their_own():
    rows = [{"point": p, "seed": p, "round": 1, "mean_loss": float(p)} for p in (0, 1)]
    labels = [{"seed": 7, "network": None}, {"seed": 8, "network": "top_k"}]
    table = SweepTable(labels, rows, {(0, 0): "finished", (1, 1): "finished"})
    assert list(table.frame.columns) == ["point", "seed_axis", "network", "seed", "round", "mean_loss"]
    assert table.frame["seed_axis"].tolist() == [7, 8] and table.frame["network"].tolist() == ["none", "top_k"]
    assert table.best("mean_loss").labels == {"seed_axis": 7, "network": "none"}


def test_the_grid_has_a_place_for_each_run_and_nan_elsewhere(table):
    coordinates, arrays = grid(table.frame, ["algorithm", "lr", "seed", "round"], table.metrics)
    assert coordinates["algorithm"].tolist() == ["dpsgd", "local_only"]
    assert np.array_equal(coordinates["lr"], [0.1, 0.3, 1.0, np.nan], equal_nan=True)
    found = arrays["mean_accuracy"]
    assert found.shape == (2, 4, 4, 3)
    assert np.array_equal(found[0, 1], [[accuracy(1, seed, round_) for round_ in ROUNDS] for seed in SEEDS])
    assert np.array_equal(found[1, 3, :, 2], values(3)) and np.isnan(found[1, :3]).all() and np.isnan(found[0, 3]).all()


def test_latex_takes_names_a_caption_and_a_label(table):
    text = table.to_latex(["mean_loss"], names={"mean_loss": "loss"}, caption=r"Loss $f$", label="tab:loss")
    assert r"\caption{Loss $f$}" in text and r"\label{tab:loss}" in text
    head = next(line for line in text.splitlines() if "&" in line)
    assert "loss" in head and "mean" not in head
    with pytest.raises(jdl.checks.InputError, match="column of the table in names"):
        table.to_latex(names={"los": "loss"})


def test_xarray_holds_the_grid(table):
    pytest.importorskip("xarray")
    found = table.to_xarray()
    assert found["mean_accuracy"].dims == ("algorithm", "lr", "seed", "round")
    one = found["mean_loss"].sel(algorithm="dpsgd", lr=0.3, seed=2, round=10)
    assert float(one) == 1 - accuracy(1, 2, 10)
    assert float(found["mean_accuracy"].sel(algorithm="local_only", round=20).isel(lr=3).mean()) == pytest.approx(
        values(3).mean()
    )


def test_without_xarray_there_is_a_sentence(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match=r"pip install 'jdl\[export\]'"):
        table.to_xarray()


def test_figures_are_drawn_by_the_room_of_figures(table, monkeypatch):
    calls = []
    fake = types.SimpleNamespace(
        lines=lambda *args, theory: calls.append(args) or "lines", heatmap=lambda *args: calls.append(args) or "heatmap"
    )
    monkeypatch.setitem(sys.modules, "jdl.show.sweep_plots", fake)
    monkeypatch.setattr(jdl.show, "sweep_plots", fake, raising=False)
    assert table.plot("round", "mean_loss", hue="algorithm", band="std") == "lines"
    assert table.heatmap("lr", "algorithm", "mean_loss", "a.png") == "heatmap"
    assert calls[0][0] is table.frame and calls[0][1:] == ("round", "mean_loss", "algorithm", None, None, "std", None)
    assert calls[1][0] is table.frame and calls[1][1:] == ("lr", "algorithm", "mean_loss", "a.png")
    with pytest.raises(InputError, match="column of the sweep 'topologie'"):
        table.plot(hue="topologie")


def test_a_table_says_whether_all_runs_have_ended():
    rows = [{"point": 0, "seed": seed, "round": 9, "mean_loss": 1.0} for seed in (0, 1)]
    made = lambda status: SweepTable([{"lr": 0.1}], rows, status)
    assert made({(0, 0): "finished", (0, 1): "diverged"}).complete
    assert not made({(0, 0): "finished"}).complete and not made({(0, 0): "finished", (0, 1): "interrupted"}).complete


def test_a_table_is_plain_data(table):
    other = pickle.loads(pickle.dumps(table))
    pandas.testing.assert_frame_equal(other.frame, table.frame)
    assert other.best("mean_accuracy").arguments == {"rounds": 20, "point": 3} and repr(other) == repr(table)
    again = SweepTable(LABELS, table.frame[["point", "seed", "round", *table.metrics]], STATUS)
    pandas.testing.assert_frame_equal(again.frame, table.frame)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda table: table.summarize(["mean_acuracy"]), "did you mean mean_accuracy"),
        (lambda table: table.summarize(interval="sem"), "use one of minmax"),
        (lambda table: table.summarize(at=-1), r'got at=-1, need "last" or a whole number'),
        (lambda table: table.best("loss"), "metric of the sweep 'loss'"),
        (lambda table: table.best("mean_loss", at=99), "no point has a finite value for each seed"),
    ],
)
def test_mistakes_are_sentences(table, call, words):
    with pytest.raises(InputError, match=words):
        call(table)
