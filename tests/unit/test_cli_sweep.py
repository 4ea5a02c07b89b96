"""The command line of seeds and sweeps: parsing is pure, and one tiny sweep and one run of three seeds are run."""

import json
import types

import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.command import axes, cli, executors, grid, record, seeds, sweep, sweep_points, sweep_shown, until
from jdl.command.fixed import Sweep
from jdl.runs.history_files import read_rows
from jdl.sweeps.table import SweepTable

TINY = ["--problem", "quadratic", "--nodes", "4", "--rounds", "6", "--eval-every", "3"]


def labels(line, *zips):
    """The labels of the points that a command line names."""
    return [cell.labels for cell in grid.cells(axes.dimensions(axes.axes_in(line.split()), zips))]


@pytest.fixture
def call(call_and_draw):
    return call_and_draw


def test_a_grid_varies_the_last_flag_fastest_and_each_flag_where_it_applies():
    assert labels("--lr 0.1,0.3 --topology ring,Random-Regular --nodes 8") == [
        {"lr": 0.1, "topology": "ring"},
        {"lr": 0.1, "topology": "random_regular"},
        {"lr": 0.3, "topology": "ring"},
        {"lr": 0.3, "topology": "random_regular"},
    ]
    assert labels("--degree 3,4 --topology ring,random_regular") == [
        {"topology": "ring"},
        {"degree": 3, "topology": "random_regular"},
        {"degree": 4, "topology": "random_regular"},
    ]
    assert labels("--algorithm dpsgd,dsgdm --momentum 0.5,0.9") == [
        {"algorithm": "dpsgd"},
        {"algorithm": "dsgdm", "momentum": 0.5},
        {"algorithm": "dsgdm", "momentum": 0.9},
    ]
    assert labels("--partition iid,dirichlet --alpha 0.1,1")[1:] == [
        {"partition": "dirichlet", "alpha": 0.1},
        {"partition": "dirichlet", "alpha": 1.0},
    ]
    assert labels("--lr 0.1 --nodes 8") == [{}]


def test_graphs_are_for_peers_ways_down_for_servers_and_partitions_for_data_that_are_divided():
    found = labels("--algorithm dpsgd,fedavg --topology ring,star --network_down none,lossy")
    assert found == [
        {"algorithm": "dpsgd", "topology": "ring"},
        {"algorithm": "dpsgd", "topology": "star"},
        {"algorithm": "fedavg", "network_down": "none"},
        {"algorithm": "fedavg", "network_down": "lossy"},
    ]
    assert labels("--problem quadratic,digits --partition iid,shards") == [
        {"problem": "quadratic"},
        {"problem": "digits", "partition": "iid"},
        {"problem": "digits", "partition": "shards"},
    ]


def test_networks_are_compared_as_lists_of_parts():
    found = labels("--network none,top_k,top-k+lossy --top_k.fraction 0.1,0.2")
    assert [tuple(one.values()) for one in found] == [
        ("none",),
        *[(network, share) for network in ("top_k", "top_k+lossy") for share in (0.1, 0.2)],
    ]
    assert labels("--network top_k lossy") == [{}]  # as in `jdl run`, one network of two exchanges
    cells = grid.cells(axes.dimensions(axes.axes_in(["--network", "top_k", "lossy"]), ()))
    assert cells[0].chosen.network == ("top_k", "lossy")


def test_attacks_and_rules_are_axes_and_options_follow_names():
    found = labels(
        "--attack none,sign_flip:strength=2 --rule linear,trimmed-mean:trim=2 --network lossy:probability=0.2"
    )
    assert found == [
        {"attack": attack, "rule": rule}
        for attack in ("none", "sign_flip:strength=2")
        for rule in ("linear", "trimmed_mean:trim=2")
    ]


def test_schedules_and_parts_inside_parts_are_axes():
    found = labels("--schedule none,crashes:fail=0.1+windowed:every=2 --network rotated:inner=qsgd:levels=3,choco")
    assert found == [
        {"schedule": schedule, "network": network}
        for schedule in ("none", "crashes:fail=0.1+windowed:every=2")
        for network in ("rotated:inner=[qsgd:levels=3]", "choco")
    ]
    served = labels("--algorithm dpsgd,fedavg --schedule none,crashes --nodes 8")  # a server has no links to change
    assert [tuple(one.values()) for one in served] == [("dpsgd", "none"), ("dpsgd", "crashes"), ("fedavg",)]
    compressors = labels("--algorithm beer --compressor sign,qsgd:contractive=true")
    assert compressors == [{"compressor": "sign"}, {"compressor": "qsgd:contractive=true"}]


def test_flags_that_go_together():
    line = "--algorithm dpsgd,gradient_tracking --topology ring,star --lr 0.3,0.1"
    assert labels(line, "algorithm,lr") == [
        {"algorithm": name, "lr": lr, "topology": graph}
        for name, lr in (("dpsgd", 0.3), ("gradient_tracking", 0.1))
        for graph in ("ring", "star")
    ]
    # A value may occur twice in one of them.
    assert labels("--topology ring,random_regular,random_regular --degree 2,3,4", "--topology,--degree") == [
        {"topology": "ring"},
        {"topology": "random_regular", "degree": 3},
        {"topology": "random_regular", "degree": 4},
    ]


def test_commas_within_values_and_spaces_between_them():
    assert axes.axes_in(["--data_dir", "a\\,b c,d"])[0].values == ("a,b c", "d")
    assert axes.axes_in(["--lr", "0.1,", "0.3"])[0].values == ("0.1", "0.3")
    assert axes.axes_in(["--lr=-1,2"])[0].values == ("-1", "2")


def of_sweep(**flags):
    return types.SimpleNamespace(**{**{name: getattr(Sweep(), name) for name in sweep_points.SHARED}, **flags})


@pytest.mark.parametrize(
    "line",
    [
        "--lr 0.2 --topology Random-Regular --degree 3 --graph-seed 5 --data_seed 4 --nodes 8 --weights lazy",
        "--algorithm dsgdm --no-nesterov --momentum 0.5 --network top_k lossy --top_k.fraction 0.5 --problem quadratic",
        "--algorithm fedavg --network-down lossy --down.lossy.probability 0.5 --no-weighted --participants 3 --own",
        "--oracle gradient_noise --gradient-noise.sigma 0.5 --partition shards --shards-per-node 3 --hidden 8",
        "--problem mnist --model mlp --dishonest 0.25 --groups 2 --per-node --eval-nodes all --mapping vmap",
    ],
)
def test_a_point_is_the_run_that_jdl_run_makes_of_the_same_flags(line, call, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "_run", lambda given, command: seen.append(command) or 0)
    code, _, err = call("run", *line.split())
    assert (code, err) == (0, "")
    ((_, command),) = sweep_points.commands(line.split(), (), of_sweep())
    assert command == seen[0]


def test_a_thousand_points_share_their_parts(monkeypatch):
    chosen = []
    monkeypatch.setattr(grid, "choose", lambda choices: chosen.append(choices) or choose(choices))
    rates = ",".join(str(rate / 100) for rate in range(1, 126))
    words = f"--problem quadratic --nodes 9 --lr {rates} --topology ring,torus --data_seed 0,1,2,3"
    found = sweep_points.commands(words.split(), (), of_sweep())
    assert len(found) == 1000 and len(chosen) <= 2  # the parts are chosen once for each of their combinations
    points = sweep_points.points(found)
    parts = {name: len({id(point.arguments[name]) for point in points}) for name in points[0].arguments}
    assert (parts["problem"], parts["topology"], parts["algorithm"], parts["network"]) == (4, 2, 125, 1)
    same, own = sweep_points.shared(points)
    assert {*own[0].arguments} == {"problem", "topology", "algorithm"} and same["rounds"] == 3000
    assert not {*same} & {"seed", "seeds", "checkpoint_every"}


choose = grid.choose


BAD = {
    "nothing": ("--seeds 3", "got no flags of runs, need what varies; try jdl sweep --lr 0.1,0.3"),
    "several first seeds": ("--seed 0,1 --lr 1", "see `jdl sweep --help`"),
    "number": ("--lr fast,0.1", "got --lr fast, need a number"),
    "whole number": ("--nodes 4,8.5", "got --nodes 8.5, need a whole number"),
    "switch": ("--own maybe", "got --own maybe, need true or false"),
    "no value": ("--lr --nodes 4", "got --lr without a value, need a number"),
    "empty value": ("--lr 0.1,,0.3", "got --lr 0.1,,0.3, in which a value is empty"),
    "spaces": ("--lr 0.1 0.3", "got --lr 0.1 0.3, need commas between values; write --lr 0.1,0.3"),
    "twice": ("--lr 0.1 --nodes 4 --lr 0.3", "got --lr twice, need all values at once"),
    "equal values": ("--lr 0.1,0.1", "got --lr 0.1,0.1, with 0.1 twice; leave one out"),
    "equal points": ("--lr 0.1,0.10", "got points 1 and 2 that are equal, lr=0.1"),
    "stray word": ("ring", "got 'ring', which follows no flag; see `jdl sweep --help`"),
    "no flag": ("--lrr 0.1,0.2", "got --lrr, which is no flag of this sweep; did you mean --lr"),
    "argument of Python": ("--run-dir x", "which is no flag of this sweep; did you mean --out?"),
    "flag of a run": ("--baselines", "got --baselines, which is no flag of this sweep"),
    "flag of no point": (
        "--problem quadratic --alpha 0.1,1",
        "got --alpha, which belongs to dirichlet and by_cluster and dirichlet_per_node and 1 others, not to dpsgd",
    ),
    "no such part": ("--topology ring,toros", "got topology 'toros', which does not exist; did you mean torus"),
    "topology of servers": ("--algorithm fedavg,fedprox --topology ring,star", "got topology 'ring' with fedavg"),
    "none among parts": ("--network top_k+none", "got --network top_k+none, need parts, or none alone"),
    "zip of nothing": ("--lr 0.1,0.3 --zip lr,nodes", "got --zip lr,nodes, but no --nodes, need flags of this command"),
    "zip of one": ("--lr 0.1,0.3 --zip lr", "got --zip lr, need two flags or more"),
    "zip of unequal": ("--lr 0.1,0.3 --nodes 4 --zip lr,nodes", "with 2 of --lr and 1 of --nodes, need equally many"),
    "point": (
        "--problem quadratic --topology ring,torus --nodes 9,7",
        "point topology=torus, nodes=7: got n=7, a torus needs",
    ),
    "command of a point": ("--nodes 8,0 --problem quadratic", "point nodes=0: got nodes=0, need a whole number"),
    "method of a point": ("--lr 0.1,-1 --problem quadratic --nodes 8", "point lr=-1.0: got DPSGD.lr=-1.0"),
    "seeds": ("--lr 1 --seeds many", "got --seeds many, need how many seeds, or the seeds themselves"),
    "vary": ("--lr 1 --seeds 2 --vary dta", "got thing to vary 'dta', which does not exist; did you mean data"),
    "vary nothing": ("--lr 1 --vary data", "got --vary data, need several seeds with which they vary; give --seeds 5"),
    "until": ("--lr 1 --until fast", "got --until 'fast', need COLUMN=VALUE"),
    "executor": (f"{' '.join(TINY)} --topology ring --executor threads:2", "got --executor threads:2, need processes"),
    "shard": (f"{' '.join(TINY)} --topology ring --shard 3/2", "got shard='3/2'"),
    "status": ("--status nowhere", "nowhere, which holds no sweep.json"),
    "status of flags": ("--status nowhere --lr 1", "got --status with ['--lr'], which it does not take"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_code_2(name, call, tmp_path):
    line, sentence = BAD[name]
    code, out, err = call("sweep", *line.split())
    assert sentence in err and (code, out) == (2, "")
    assert err.startswith("jdl: ") and err.count("\n") == 1 and not (tmp_path / "runs").exists()


def test_a_goal_of_no_column_is_refused_before_a_directory_holds_the_sweep(call, tmp_path):
    line = [*TINY, "--topology", "ring", "--no-progress", "--out", "a"]
    code, _, err = call("sweep", *line, "--until", "suboptimalty=1")
    assert (
        code == 2 and "got column of the history in until 'suboptimalty', which does not exist; did you mean sub" in err
    )
    assert not (tmp_path / "a" / "sweep.json").exists()
    assert call("sweep", *line, "--until", "suboptimality=1e9")[0] == 0
    code, _, err = call("run", *TINY, "--topology", "ring", "--out", "b", "--until", "accuracy=0.9")
    assert code == 2 and "until 'accuracy', which does not exist" in err and not (tmp_path / "b").exists()


def test_the_seed_of_the_run_moves_what_vary_names():
    flags = "--problem quadratic --nodes 8 --topology random_regular --degree 3 --data-seed 4 --graph-seed 7".split()
    flags += "--dishonest 2 --role_seed 1".split()

    def parts(**given):
        ((_, command),) = sweep_points.commands(flags, (), of_sweep(**given))
        assert json.loads(json.dumps(command)) == command
        return record.build(command)

    found = parts(seed=10, seeds="3", vary=("graph", "data", "roles"))
    assert (found["seed"], found["seeds"]) == (10, [10, 11, 12])
    for seed, moved in ((10, 0), (12, 2)):
        same = jdl.problems.quadratic(8, seed=4 + moved)
        np.testing.assert_array_equal(found["problem"](seed=seed).A, same.A)
        links = jdl.topology.random_regular(8, 3, seed=7 + moved).weights.toarray()
        np.testing.assert_array_equal(found["topology"](seed=seed).weights.toarray(), links)
        who = jdl.roles.draw(8, 2, seed=1 + moved)
        np.testing.assert_array_equal(found["roles"](seed=seed).honest, who.honest)
    found = parts(seeds="3,8", vary=("data",))
    assert found["seeds"] == [3, 8]
    np.testing.assert_array_equal(found["problem"](seed=8).A, jdl.problems.quadratic(8, seed=12).A)
    links = jdl.topology.random_regular(8, 3, seed=7).weights.toarray()
    np.testing.assert_array_equal(found["topology"].weights.toarray(), links)
    found = parts(seeds="2")
    np.testing.assert_array_equal(found["problem"].A, jdl.problems.quadratic(8, seed=4).A)


def test_weights_by_data_size_follow_the_data_of_the_seed():
    words = "--nodes 6 --partition dirichlet --alpha 0.2 --hidden 0 --topology complete --weights data_size".split()
    ((_, command),) = sweep_points.commands(words, (), of_sweep(seeds="2", vary=("data",)))
    found = record.build(command)
    for seed in (0, 1):
        problem = jdl.problems.digits(6, jdl.data.partition.Dirichlet(0.2), hidden=0, seed=seed)
        graph = seeds.graph({"name": "complete", "weights": "data_size"}, 6, problem.num_examples)
        np.testing.assert_array_equal(found["topology"](seed=seed).weights.toarray(), graph.weights.toarray())


def test_seeds_are_a_number_or_a_list():
    assert seeds.seeds_in("2,5", 0) == [2, 5]
    for word, seed, sentence in (
        ("2,2", 0, "with 2 twice"),
        ("0", 0, "need how many seeds"),
        ("1,5", 3, "leave --seed out"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            seeds.seeds_in(word, seed)


def test_goals_of_columns():
    assert until.until_in(["suboptimality=1e-3", "gap >= 2"]) == {"suboptimality": 1e-3, "gap": ">= 2"}
    assert until.until_in([]) is None
    for words, accuracy in ((["a"], None), (["a=b"], None), (["a=1", "a=2"], None), (["mean_accuracy=1"], 0.9)):
        with pytest.raises(checks.InputError):
            until.until_in(words, accuracy)


def test_a_run_of_three_seeds(call, tmp_path, monkeypatch):
    monkeypatch.setattr(cli.plots, "curves", lambda runs, path, **_: path.touch())
    argv = [*TINY, "--topology", "ring", "--seeds", "3", "--vary", "data", "--no-progress", "--out", "a"]
    code, out, err = call("run", *argv, "--until", "mean_loss<=-100", "--per-node")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert "mean ± half the width of the 95% t-interval of the mean over 3 seeds" in text
    assert out.count("±") > 10 and "alone (local-only)" in out and "centralised" in out
    (tmp_path / "a" / "curves.png").unlink()
    code, out, _ = call("resume", "a", "--json")
    found = json.loads(out)
    assert code == 0 and found["seeds"] == [0, 1, 2] and (tmp_path / "a" / "curves.png").exists()
    losses = np.array([one["mean_loss"] for one in found["runs"]])
    half = 4.302652729911275 * losses.std(ddof=1) / np.sqrt(3)  # 97.5 % of Student's t with two degrees of freedom
    assert found["mean_loss"] == pytest.approx(losses.mean())
    assert found["low"]["mean_loss"] == pytest.approx(losses.mean() - half)
    assert found["high"]["mean_loss"] == pytest.approx(losses.mean() + half)
    assert len(read_rows(tmp_path / "a" / "history.csv", (0, 1, 2))) == 3 and (tmp_path / "a" / "nodes.csv").exists()
    kept = json.loads((tmp_path / "a" / "config.json").read_text())["command"]
    assert (kept["seeds"], kept["vary"]) == ([0, 1, 2], ["run", "data"]) and kept["until"] == {"mean_loss": "<= -100"}


@pytest.fixture
def undrawn(monkeypatch):
    drawn = []
    draw = lambda frame, *_, path, **how: drawn.append((frame, how)) or path.touch()
    monkeypatch.setattr("jdl.show.sweep_plots.lines", draw)
    return drawn


def test_a_sweep_from_flags_to_tables(call, tmp_path, undrawn):
    argv = [*TINY, "--topology", "ring,complete", "--lr", "0.05,0.2,1e30", "--seeds", "2", "--no-progress"]
    code, out, err = call("sweep", *argv, "--dry-run", "--json")
    found = json.loads(out)
    assert code == 0 and (found["points"], found["runs"], found["done"]) == (6, 12, 0)
    assert not (tmp_path / found["run_dir"]).exists()
    code, out, err = call("sweep", *argv)
    assert (code, err) == (0, "")
    assert "95% t-interval of the mean over 2 seeds" in out and "best suboptimality:" in out and "lr=0.2" in out
    assert "8 runs finished, 4 runs diverged" in out
    run_dir = tmp_path / found["run_dir"]
    assert (run_dir / "summary.md").read_text().count("\n| ") == 1 + 6
    assert (run_dir / "summary.csv").read_text().startswith("topology,lr,") and (run_dir / "curves.png").exists()
    assert undrawn[0][1]["hue"] == "topology" and undrawn[0][1]["facet"] == "lr"
    before = {path: path.stat().st_mtime_ns for path in run_dir.glob("units/*/history.csv")}
    assert before
    code, out, _ = call("sweep", *argv, "--json")  # nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in run_dir.glob("units/*/history.csv")} == before
    again = json.loads(out)
    assert again["axes"] == ["topology", "lr"] and again["seeds"] == [0, 1] and len(again["points"]) == 6
    best = again["points"][again["best"]]
    assert best["labels"]["lr"] == 0.2 and best["low"]["mean_loss"] < best["mean_loss"] < best["high"]["mean_loss"]
    assert again["points"][2]["status"] == {"0": "diverged", "1": "diverged"}
    # The numbers are those of `jdl.run` with the same arguments.
    graph = getattr(jdl.topology, best["labels"]["topology"])(4)
    parts = jdl.problems.quadratic(4), jdl.algorithms.DPSGD(lr=0.2), graph
    each = [jdl.run(*parts, rounds=6, eval_every=3, seed=seed, progress=False) for seed in (0, 1)]
    assert best["mean_loss"] == pytest.approx(np.mean([one.history.mean_loss[-1] for one in each]), rel=1e-5)
    code, out, _ = call("sweep", "--status", run_dir)
    assert code == 0 and out.startswith("done: 12 runs in ") and "8 runs finished, 4 runs diverged" in out


def test_after_an_interruption_the_same_command_goes_on(call, monkeypatch):
    def interrupted(**_):
        checks.note("the sweep was interrupted, and its table holds what is done so far; make the same call to go on")
        return SweepTable([{}], [], {(0, 0): "missing"})

    argv = [*TINY, "--topology", "ring,star", "--until", "mean_loss<=0", "--no-progress", "--out", "a"]
    monkeypatch.setattr(sweep, "sweep", interrupted)
    code, out, err = call("sweep", *argv)
    assert code == 130 and out == "1 runs missing\n"
    typed = (
        "jdl: interrupted; go on with the same command: jdl sweep --problem quadratic --nodes 4 --rounds 6 "
        "--eval-every 3 --topology ring,star --until 'mean_loss<=0' --out a --no-progress\n"
    )
    assert err == typed

    def failed(**_):
        raise RuntimeError("1 of 2 units failed")

    monkeypatch.setattr(sweep, "sweep", failed)
    assert call("sweep", *argv) == (1, "", "jdl: 1 of 2 units failed\n")


def test_a_figure_shows_the_best_of_what_it_cannot_show(tmp_path, undrawn):
    points = [{"topology": t, "lr": lr} for t in ("ring", "star") for lr in range(20)]
    losses = {number: abs(one["lr"] - (3 if one["topology"] == "ring" else 7)) for number, one in enumerate(points)}
    rows = [{"point": number, "seed": 0, "round": 9, "mean_loss": loss} for number, loss in losses.items()]
    table = SweepTable(points, rows, {(number, 0): "finished" for number in losses})
    assert sweep_shown.figure(table, tmp_path / "curves.png") == " (each line with the best lr)"
    ((frame, how),) = undrawn
    assert sorted(zip(frame["topology"], frame["lr"], strict=True)) == [("ring", 3), ("star", 7)]
    assert (how["hue"], how["facet"], how["style"]) == ("topology", None, None)


def test_processes_share_all_cores(monkeypatch):
    monkeypatch.setattr(executors.os, "sched_getaffinity", lambda _: {4, 5, 6}, raising=False)
    assert executors._shares(2) == [[4, 6], [5]] and executors._shares(4) == [[4], [5], [6], [4]]
