"""The command line in-process: what it prints, how it exits, and every refusal by its text."""

import inspect
import json

import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.command import catalogue, choices, cli, flags, shown, start
from jdl.runs.describe import describe, value_of
from jdl.runs.history_files import read_csv
from jdl.runs.run import run

SERVERS = [kind for kind in catalogue.members("algorithms").values() if "server" in kind().needs]
SMALL = ["--problem", "quadratic", "--nodes", "8", "--topology", "ring", "--rounds", "6", "--eval-every", "2"]


@pytest.fixture
def undrawn(monkeypatch):
    """A run's picture is an empty file: drawing it takes longer than the run."""
    monkeypatch.setattr(cli.plots, "curves", lambda runs, path, **_: path.touch())


@pytest.fixture
def call(undrawn, call_and_draw):
    return call_and_draw


def rows(path):
    """A history without the times, which differ."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_csv(path / "history.csv")]


def test_json_is_the_last_line_and_all_there_is(call_and_draw, tmp_path):
    code, out, err = call_and_draw("run", *SMALL, "--json", "--out", tmp_path / "a")
    assert code == 0 and out.count("\n") == 1
    found = json.loads(out)
    for name in ("algorithm", "topology", "problem", "nodes", "rounds", "seconds", "compile_seconds", "bits_sent"):
        assert found[name] is not None, name
    assert (found["algorithm"], found["topology"], found["problem"]) == ("dpsgd", "ring", "quadratic")
    assert (found["nodes"], found["rounds"], found["status"]) == (8, 6, "finished")
    assert found["mean_model_accuracy"] is found["mean_accuracy"] is found["worst_accuracy"] is None
    assert found["suboptimality"] > 0 and found["mean_model_loss"] is not None and found["consensus_distance"] > 0
    assert found["bits_sent"] == 8 * 2 * 6 * 10 * 32  # nodes, links, rounds, numbers, bits
    assert found["run_dir"] == str(tmp_path / "a")
    files = {path.name for path in (tmp_path / "a").iterdir()}
    written = {"checkpoint", "config.json", "curves.png", "history.csv", "models.npz", "node_facts.npz", "summary.json"}
    assert files == written
    assert (tmp_path / "a" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert "finished 6 rounds" in err


def test_a_run_for_people_ends_in_a_table(call, tmp_path):
    code, out, _ = call("run", *SMALL, "--no-progress")
    assert code == 0
    assert "alone (local-only)" in out and "gossip: dpsgd on ring(8)" in out and "centralised, all data" in out
    assert "kept in runs/dpsgd-ring-8: checkpoint, config.json, curves.png, history.csv, models.npz, node_" in out
    code, out, err = call("run", *SMALL, "--no-progress", "--no-baselines")
    assert "kept in runs/dpsgd-ring-8-2" in out and "alone" not in out and err == ""


@pytest.fixture
def parts_of(call, monkeypatch):
    """The parts that a command makes, described as in config.json; nothing is run."""

    def parts_of(*argv):
        given = {}

        def seen(problem, algorithm, topology, network, network_down, oracle, roles, own, **_):
            what = {"network_down": network_down, "oracle": oracle, "roles": roles, "own": own}
            given["simulation"] = jdl.simulation(problem, algorithm, topology, network, **what)
            raise checks.InputError("seen")

        monkeypatch.setattr(cli, "run", seen)
        assert call("run", *argv)[0] == 2
        return json.loads(json.dumps(describe(given["simulation"])))

    return parts_of


def test_flags_reach_the_parts_whether_spelled_with_hyphens_or_underscores(parts_of):
    argv = ["--algorithm", "Gradient-Tracking", "--lr=0.25", "--topology", "random-regular", "--degree", "3"]
    argv += ["--graph_seed", "5", "--problem", "quadratic", "--condition", "2", "--data-seed", "4", "--nodes", "8"]
    argv += ["--network", "top_k", "lossy", "--network", "lossy", "--top_k.fraction", "0.5"]
    argv += ["--lossy.probability", "0.2"]
    simulation = parts_of(*argv, "--rounds", "4", "--eval_every", "4")
    assert simulation["algorithm"]["type"].endswith("GradientTracking") and simulation["algorithm"]["lr"] == 0.25
    assert simulation["exchange"]["compressor"]["fraction"] == 0.5
    assert simulation["exchange"]["inner"]["type"] == simulation["exchange"]["inner"]["inner"]["type"]
    assert simulation["exchange"]["inner"]["probability"] == pytest.approx(0.2)
    expected = jdl.simulation(
        jdl.problems.quadratic(8, condition=2, seed=4),
        jdl.algorithms.GradientTracking(lr=0.25),
        jdl.topology.random_regular(8, degree=3, seed=5),
        [jdl.compressors.TopK(0.5), jdl.exchange.Lossy(0.2), jdl.exchange.Lossy(0.2)],
    )
    assert simulation == json.loads(json.dumps(describe(expected)))


def test_a_server_without_rounds_is_a_topology(parts_of):
    argv = ["--algorithm", "fedbuff", "--topology", "arrivals", "--concurrency", "2", "--law", "constant"]
    found = parts_of(*argv, "--problem", "quadratic", "--nodes", "8", "--arrivals", "20", "--buffer", "3")
    assert found["algorithm"]["type"].endswith("FedBuff") and found["algorithm"]["buffer"] == 3
    expected = jdl.schedule.Arrivals.for_nodes(8, arrivals=20, concurrency=2, law="constant")
    parts = jdl.problems.quadratic(8), jdl.algorithms.FedBuff(buffer=3), expected
    assert found["schedule"] == json.loads(json.dumps(describe(jdl.simulation(*parts))))["schedule"]


def test_flags_say_who_is_dishonest_and_that_own_data_count(parts_of):
    found = parts_of(*SMALL, "--own", "--dishonest", "0.25", "--groups", "2", "--role-seed", "3")
    how = {"functions": [], "own": True, "honest_only": True, "per_node": None}
    assert found["metrics"] == {"type": "jdl.engine.metrics.Metrics", **how}
    parts = jdl.problems.quadratic(8), jdl.algorithms.DPSGD(), jdl.topology.ring(8)
    expected = jdl.simulation(*parts, roles=jdl.roles.draw(8, 0.25, seed=3, groups=2))
    assert found["roles"] == json.loads(json.dumps(describe(expected)))["roles"]
    assert parts_of(*SMALL, "--dishonest", "2")["roles"]["honest"] != found["roles"]["honest"]
    plain = parts_of(*SMALL)
    assert plain["roles"] is None and "metrics" not in plain


def test_options_follow_the_names_of_parts_so_that_a_part_may_occur_twice(parts_of):
    argv = [*SMALL, "--attack", "sign_flip:strength=3", "--attackers=0.25", "--lossy.probability", "0.3"]
    argv += ["--network", "lossy:probability=0.1", "top_k:fraction=0.5", "lossy", "--rule", "trimmed-mean:trim=2"]
    argv += ["--oracle", "gradient_noise:sigma=0.5", "gradient_noise:sigma=2"]
    found = parts_of(*argv)
    expected = jdl.simulation(
        jdl.problems.quadratic(8),
        jdl.algorithms.DPSGD(),
        jdl.topology.ring(8),
        [
            jdl.exchange.SignFlip(strength=3.0),
            jdl.exchange.Lossy(0.1),
            jdl.compressors.TopK(0.5),
            jdl.exchange.Lossy(0.3),
            jdl.exchange.TrimmedMean(2),
        ],
        oracle=[jdl.oracle.GradientNoise(0.5), jdl.oracle.GradientNoise(2.0)],
        attackers=0.25,
    )
    expected = json.loads(json.dumps(describe(expected)))
    for name in ("exchange", "oracle", "roles"):
        assert found[name] == expected[name], name


def test_an_option_that_is_a_part_is_written_in_brackets_or_last(parts_of):
    argv = [*SMALL, "--network", "rotated:inner=qsgd:levels=3", "error_feedback:compressor=[rand-k]"]
    argv += ["nearest_neighbour_mixing:rule=[krum:f=2]:f=1"]
    small = jdl.problems.quadratic(8), jdl.algorithms.DPSGD(), jdl.topology.ring(8)
    inside = [
        jdl.compressors.Rotated(jdl.compressors.QSGD(levels=3)),
        jdl.compressors.ErrorFeedback(jdl.compressors.RandK()),
        jdl.exchange.NearestNeighbourMixing(f=1, rule=jdl.exchange.Krum(f=2)),
    ]
    assert parts_of(*argv)["exchange"] == json.loads(json.dumps(describe(jdl.simulation(*small, inside))))["exchange"]
    choco = jdl.exchange.Choco(gamma=0.3, compressor=jdl.compressors.Chain(jdl.compressors.TopK(0.2)))
    expected = json.loads(json.dumps(describe(jdl.simulation(*small, [choco]))))["exchange"]
    chain = "codec_chain:first=[top_k:fraction=0.2]"
    assert parts_of(*SMALL, "--network", f"choco:compressor=[{chain}]:gamma=0.3")["exchange"] == expected
    flags = ["--choco.compressor", chain, "--choco.gamma", "0.3"]  # as with any other option
    assert parts_of(*SMALL, "--network", "choco", *flags)["exchange"] == expected
    beer = parts_of(*SMALL, "--algorithm", "beer", "--compressor", "sign")["algorithm"]
    assert beer["compressor"] == value_of(jdl.compressors.Sign()) and beer["gamma"] == pytest.approx(0.2)


def test_schedules_around_a_topology_are_a_list_and_a_trace_is_a_file(parts_of, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("".join(f"{node},0,{600 * (node + 1)}\n" for node in range(8)))
    around = ["--schedule", "sleeping:probability=0.25", f"traced:path={trace}:rounds=4", "windowed"]
    fixed = jdl.schedule.Fixed.of(jdl.topology.ring(8))
    traced = jdl.schedule.Traced.from_trace(jdl.schedule.Sleeping(fixed, probability=0.25), trace, rounds=4)
    parts = jdl.problems.quadratic(8), jdl.algorithms.DPSGD(), jdl.schedule.Windowed(traced, every=2)
    expected = json.loads(json.dumps(describe(jdl.simulation(*parts))))["schedule"]
    assert parts_of(*SMALL, *around, "--windowed.every", "2")["schedule"] == expected


def test_flags_reach_the_way_down_and_the_oracle(parts_of):
    argv = ["--algorithm", "fedavg", "--hidden", "0", "--nodes", "8", "--rounds", "4", "--local-steps", "2", "--lr=0.5"]
    argv += ["--network", "lossy", "--network-down", "half_precision", "lossy"]
    argv += ["--lossy.probability", "0.25", "--down.lossy.probability=0.5", "--down.half-precision.dtype", "float16"]
    argv += ["--oracle", "gradient-noise", "data_oracle", "--gradient_noise.sigma", "0.5", "--data_oracle.epochs", "2"]
    expected = jdl.simulation(
        jdl.problems.digits(8, hidden=0),
        jdl.algorithms.FedAvg(lr=0.5, local_steps=2),
        jdl.schedule.Sampling(8, 8),
        [jdl.exchange.Lossy(0.25)],
        network_down=[jdl.compressors.HalfPrecision("float16"), jdl.exchange.Lossy(0.5)],
        oracle=[jdl.oracle.GradientNoise(0.5), jdl.oracle.DataOracle(epochs=2)],
    )
    assert parts_of(*argv) == json.loads(json.dumps(describe(expected)))


def test_records_of_before_and_from_disk_build_the_same_parts():
    chosen = choices.choose(choices.Choices(problem="quadratic", topology="ring", oracle=(("gradient_noise",),)))
    command = cli.record(flags.flags_of(chosen)(nodes=8), chosen)
    assert json.loads(json.dumps(command)) == command and cli.build(command)["oracle"] == [jdl.oracle.GradientNoise()]
    new = {"network_down": [], "oracle": [], "roles": None, "own": False, "devices": 1}
    before = cli.build({name: value for name, value in command.items() if name not in new})
    assert {name: before[name] for name in new} == new


def test_a_server_talks_to_a_sample(call, parts_of):
    argv = ["--algorithm", "fedavg", "--problem", "quadratic", "--nodes", "8", "--rounds", "4", "--json"]
    code, out, _ = call("run", *argv, "--participants", "2")
    found = json.loads(out)
    assert code == 0 and found["topology"] == "sampling"
    assert found["messages_sent"] == 4 * (2 + 2)  # rounds, up and down
    assert parts_of(*argv)["schedule"]["participants"] == 8


def test_digits_has_accuracies_and_local_only_needs_no_topology(call):
    code, out, _ = call(*DIVIDED, "--partition", "shards", "--shards-per-node", "3", "--json")
    found = json.loads(out)
    assert code == 0 and found["topology"] is None and found["bits_sent"] == 0
    assert 0 <= found["worst_accuracy"] <= found["mean_accuracy"] <= 1


def test_divergence_is_a_status(call):
    code, out, _ = call("run", *SMALL, "--lr", "1e30", "--no-progress")
    assert code == 0 and "diverged in round" in out


def test_an_interrupted_run_resumes_to_the_same_end(call, tmp_path, interrupt):
    code, out, _ = call("run", *SMALL, "--no-progress", "--out", "a")
    assert code == 130 and "interrupted after round" in out and "jdl resume a" in out
    assert len(rows(tmp_path / "a")) < 4 and (tmp_path / "a" / "curves.png").exists()
    interrupt.undo()
    code, out, _ = call("resume", "a", "--json")
    assert code == 0 and json.loads(out)["status"] == "finished"
    call("run", *SMALL, "--json", "--out", "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_resuming_a_finished_run_says_so_and_shows_it_again(call):
    _, first, _ = call("run", *SMALL, "--json", "--out", "a")
    code, again, err = call("resume", "a", "--json")
    assert code == 0 and "the run in a is finished" in err
    first, again = json.loads(first), json.loads(again)
    times = {"seconds", "compile_seconds"}
    assert {k: v for k, v in first.items() if k not in times} == {k: v for k, v in again.items() if k not in times}


def test_a_run_resumes_with_another_goal_or_with_none(call):
    assert (
        json.loads(call("run", *SMALL, "--json", "--out", "a", "--until", "mean_loss<=1e9")[1])["status"] == "reached"
    )
    code, out, _ = call("resume", "a", "--json", "--until", "mean_loss<=1e-9")
    assert code == 0 and json.loads(out)["status"] == "finished" and json.loads(out)["rounds"] == 6
    code, out, _ = call("resume", "a", "--json", "--no-until", "--rounds", "7")
    assert code == 0 and json.loads(out)["rounds"] == 7
    assert "got --until and --no-until" in call("resume", "a", "--no-until", "--until", "mean_loss=1")[2]


def test_a_finished_run_goes_on_and_is_shown_beside_another(call, tmp_path, monkeypatch):
    call("run", *SMALL, "--json", "--out", "runs/a")
    code, out, err = call("resume", "runs/a", "--rounds", "9", "--json")
    assert code == 0 and json.loads(out)["rounds"] == 9 and "is finished" not in err
    assert json.loads((tmp_path / "runs" / "a" / "config.json").read_text())["command"]["rounds"] == 9
    call("run", *SMALL[:-4], "--rounds", "9", "--eval-every", "2", "--json", "--out", "runs/b")
    assert rows(tmp_path / "runs" / "a") == rows(tmp_path / "runs" / "b")
    assert "need at least as many" in call("resume", "runs/a", "--rounds", "6")[2]

    code, out, _ = call("runs")
    assert code == 0 and [line.split()[0] for line in out.splitlines()[1:]] == ["runs/a", "runs/b"]
    assert "gossip: dpsgd on ring(8)  9 of 9  finished  loss " in out.splitlines()[1]
    lines = json.loads(call("runs", "runs", "--json")[1])
    assert [line["rounds"] for line in lines] == [9, 9] and lines[0]["status"] == "finished"

    drawn = []
    monkeypatch.setattr(shown, "compare", lambda runs, **how: drawn.append((list(runs), how)))
    code, out, _ = call("show", "runs/a", "runs/b", "--x", "megabytes", "--y", "mean_loss", "worst_loss")
    assert code == 0 and "after 9 rounds" in out and "drawn in compared.png" in out and "b]" in out
    names, how = drawn[0]
    assert names == ["gossip: dpsgd on ring(8) [runs/a]", "gossip: dpsgd on ring(8) [runs/b]"]
    assert (how["x"], how["y"]) == ("megabytes", ["mean_loss", "worst_loss"])
    code, out, _ = call("show", "runs/a", "--json")
    assert code == 0 and json.loads(out)[0]["rounds"] == 9 and len(drawn) == 1
    code, out, _ = call("show", "runs/a", "--format", "markdown", "--out", "figure.pdf")
    assert out.count("|:") == 1 and len(drawn) == 2
    for words, sentence in (
        (["show"], "got no directory"),
        (["show", "runs"], "directories that do: a, b; name one of them"),
        (["show", "runs/a", "--format", "word"], "format 'word'"),
        (["runs", "none"], "which is no directory"),
        (["runs", "runs", "more"], "got 'more', which `jdl runs` does not take"),
    ):
        code, _, err = call(*words)
        assert code == 2 and sentence in err, words


def test_a_run_made_from_python_is_resumed_there(call, tmp_path):
    parts = jdl.problems.quadratic(8), jdl.algorithms.DPSGD(), jdl.topology.ring(8)
    run(*parts, rounds=2, run_dir=tmp_path / "a", progress=False)
    code, _, err = call("resume", "a")
    assert code == 2 and "made from Python" in err and "jdl.run(..., run_dir='a', resume=True)" in err


def test_list(call):
    code, out, _ = call("list")
    assert code == 0
    assert any(line.split()[:1] == ["dpsgd"] and "D-PSGD" in line for line in out.splitlines())
    code, out, _ = call("list", "--json")
    found = json.loads(out)
    kinds = ["algorithm", "topology", "schedule", "exchange", "oracle", "problem", "partition"]
    assert list(found) == [*kinds, "step time", "link model", "wait"]
    assert all(
        set(entry) == {"name", "summary", "paper", "sends", "memory"} for entries in found.values() for entry in entries
    )
    assert {entry["name"]: entry["paper"] for entry in found["topology"]}["ring"] is None


def test_list_says_more_about_what_is_named(call):
    code, out, _ = call("list", "Scaffold", "choco")
    assert code == 0 and "algorithms, federated" in out and "exchanges" in out and "dpsgd" not in out
    assert "published in: Karimireddy" in out and "    sends: " in out and "    memory: 2 models" in out
    _, out, _ = call("list", "scaffold", "--json")
    assert json.loads(out)["algorithm"][0]["memory"].startswith("2 models")


def test_topologies_are_listed_by_how_they_change(call):
    _, out, _ = call("list")
    lines = out.splitlines()
    heads = ["one graph", "one graph drawn at random", "a cycle of graphs, one a round", "a schedule, drawn anew"]
    starts = [next(i for i, line in enumerate(lines) if line.startswith(f"topologies, {head}")) for head in heads]
    names = ["ring", "random_regular", "one_peer_exponential", "matching"]
    places = [next(i for i, line in enumerate(lines) if line.startswith(f"  {name} ")) for name in names]
    order = [line for pair in zip(starts, places, strict=True) for line in pair]
    assert order == sorted(order)


def test_topo_as_json(call):
    code, out, err = call("topo", "--graph", "torus", "--nodes", "32", "--rows", "4", "--gamma", "0.951", "--json")
    found = json.loads(out)
    assert code == 0 and err == "" and out.count("\n") == 1
    assert (found["name"], found["nodes"], found["edges"], found["diameter"]) == ("torus", 32, 64, 6)
    assert found["effective_neighbours_mean"] == pytest.approx(20.64, abs=0.005)  # Vogels, Hendrikx, Jaggi 2022
    assert found["exact_after_rounds"] is None and found["weights"] is None


@pytest.mark.parametrize("flag", ["--graph", "--topology"])
def test_topo_for_people_with_the_flags_of_its_graph(call, tmp_path, flag):
    argv = ["topo", flag, "random-regular", "--nodes", "12", "--degree", "3", "--graph-seed", "5"]
    code, out, err = call(*argv, "--weights", "lazy", "--eps", "0.25", "--plot", "graph.png")
    assert code == 0 and err == "" and "random_regular, 12 nodes" in out and "to 0.25" in out and "lazy" in out
    assert "drawn in graph.png" in out and (tmp_path / "graph.png").read_bytes()[:4] == b"\x89PNG"
    plain = jdl.topology.random_regular(12, 3, seed=5)
    found = json.loads(call(*argv, "--weights", "lazy", "--json")[1])
    assert found["lambda_2"] == pytest.approx((1 + jdl.topology.second_largest_eigenvalue(plain)) / 2)
    assert found["weights"] == "lazy"


def test_topo_of_a_cycle_and_of_a_schedule(call):
    found = json.loads(call("topo", "--graph", "one_peer_exponential", "--nodes", "8", "--json")[1])
    assert found["exact_after_rounds"] == found["period"] == 3
    found = json.loads(call("topo", "--graph", "matching", "--nodes", "6", "--sampled-rounds", "20", "--json")[1])
    assert found["sampled_rounds"] == 20 and found["period"] is None


def test_topo_warns_on_standard_error(call, tmp_path):
    (tmp_path / "swap.csv").write_text("0,1\n1,0\n")
    code, out, err = call("topo", "--graph", "from_file", "--path", "swap.csv", "--nodes", "2", "--json")
    assert code == 0 and json.loads(out)["lambda_2"] == 1
    assert err.startswith("jdl: warning: the smallest eigenvalue is -1: gossip oscillates") and err.count("\n") == 1


def test_weights_of_a_run_are_kept_and_come_back(call, tmp_path, interrupt):
    code, out, _ = call("run", *SMALL, "--weights", "lazy", "--no-progress", "--out", "a")
    assert code == 130
    command = json.loads((tmp_path / "a" / "config.json").read_text())["command"]
    assert command["topology"] == {"name": "ring", "weights": "lazy"}
    np.testing.assert_allclose(
        cli.build(command)["topology"].weights.toarray(), (np.eye(8) + jdl.topology.ring(8).weights.toarray()) / 2
    )
    interrupt.undo()
    code, out, _ = call("resume", "a", "--json")
    assert code == 0 and json.loads(out)["status"] == "finished"
    call("run", *SMALL, "--weights", "lazy", "--json", "--out", "b")
    call("run", *SMALL, "--json", "--out", "c")
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != rows(tmp_path / "c")


DIVIDED = "run --algorithm local_only --nodes 20 --hidden 0 --rounds 4 --eval-every 1".split()


@pytest.mark.parametrize("rule", catalogue.members("partitions"))
def test_a_partition_brings_the_flags_of_its_rule(call, rule):
    _, out, _ = call(*DIVIDED, "--partition", rule.replace("_", "-").title(), "--help")
    own = set(inspect.signature(catalogue.maker("partitions", rule)).parameters) & OPTIONS
    assert {name for name in OPTIONS if f"--{name.replace('_', '-')} " in out} == own


OPTIONS = {"alpha", "classes_per_node", "clusters", "exponent", "minimum", "shards_per_node", "sigma", "skew"}


def test_a_partition_is_kept_and_comes_back(call, tmp_path, interrupt):
    shards = ["--partition", "Shards", "--shards-per-node", "3", "--data-seed", "4"]
    assert call(*DIVIDED, *shards, "--no-progress", "--out", "a")[0] == 130
    command = json.loads((tmp_path / "a" / "config.json").read_text())["command"]
    assert command["partition"] == {"name": "shards", "shards_per_node": 3}
    expected = jdl.problems.digits(20, jdl.data.partition.Shards(3), hidden=0, seed=4)
    np.testing.assert_array_equal(cli.build(command)["problem"].indices, expected.indices)
    interrupt.undo()
    code, out, _ = call("resume", "a", "--json")
    found = json.loads(out)
    assert code == 0 and (found["status"], found["partition"]) == ("finished", "shards")
    call(*DIVIDED, *shards, "--json", "--out", "b")
    call(*DIVIDED, *shards[:-1], "5", "--json", "--out", "c")
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != rows(tmp_path / "c")


def test_help_and_version(call):
    code, out, _ = call()
    assert code == 0 and all(command in out for command in ("run", "topo", "list", "resume"))
    code, out, _ = call("topo", "--graph", "torus", "--help")
    assert code == 0 and all(flag in out for flag in ("--rows", "--gamma", "--plot", "--weights", "--topology"))
    assert "--degree" not in out and "--lr" not in out
    code, out, _ = call("run", "--algorithm", "gradient_tracking", "--topology", "torus", "--help")
    assert code == 0 and "--rows" in out and "--partition {along_graph," in out and "--alpha" not in out
    assert "--degree" not in out and "--local-steps" not in out and "--hidden" in out
    code, out, _ = call("--version")
    assert (code, out) == (0, f"jdl {jdl.__version__}\n")


BAD = {
    "command": (["rnu"], "got command 'rnu', which does not exist; did you mean run"),
    "algorithm": (["run", "--algorithm", "dspgd"], "got algorithm 'dspgd', which does not exist; did you mean"),
    "topology": (["run", "--topology", "toros"], "got topology 'toros', which does not exist; did you mean torus"),
    "problem": (["run", "--problem", "digit"], "got problem 'digit', which does not exist; did you mean digits"),
    "exchange": (["run", "--network", "topk2"], "got exchange 'topk2', which does not exist; did you mean top_k"),
    "partition": (["run", "--partition", "shard"], "got partition 'shard', which does not exist; did you mean shards"),
    "optimizer": (["run", *SMALL, "--optimizer", "adm"], "got optimizer 'adm', which does not exist; did you mean"),
    "flag": (["run", "--lrr", "1"], "got --lrr, which is no flag of this run; did you mean --lr"),
    "stray word": (["run", "ring"], "got 'ring', which follows no flag"),
    "value": (["run", "--lr", "fast"], "could not convert string to float: 'fast'; see `jdl run --help`"),
    "no value": (["run", "--nodes"], "Missing value for argument '--nodes'"),
    "flag of another topology": (
        ["run", "--topology", "ring", "--degree", "4"],
        "not to dpsgd, ring, digits, iid; leave it out, or give --topology ",
    ),
    "flag of another problem": (["run", "--condition=3"], "got --condition, which belongs to quadratic"),
    "flag of another exchange": (["run", "--top_k.fraction", "1"], "or give --network top_k"),
    "option of no part": (
        ["run", *SMALL, "--network", "lossy:prob=0.1"],
        "got option of lossy 'prob', which does not exist; did you mean probability?",
    ),
    "option without a value": (
        ["run", *SMALL, "--network", "lossy:probability"],
        "got lossy:probability, need an option and its value; write lossy:probability=VALUE",
    ),
    "part without an option": (
        ["run", *SMALL, "--network", "rotated:qsgd"],
        "got rotated:qsgd, need an option and its value; write rotated:inner=[qsgd]",
    ),
    "bracket": (
        ["run", *SMALL, "--network", "rotated:inner=[qsgd"],
        "in which a bracket is missing; write as many [ as",
    ),
    "option behind a part": (
        ["run", *SMALL, "--network", "choco:compressor=qsgd:gamma=0.3"],
        "gamma=0.3 would be of qsgd, need it outside; write compressor=[qsgd]:gamma=0.3",
    ),
    "option of a part that is not there": (
        ["run", *SMALL, "--network", "choco:fraction=0.3:compressor=qsgd"],
        "with fraction=0.3, which is an option of its usual compressor, top_k; write compressor=[qsgd:...] alone",
    ),
    "no rule": (["run", *SMALL, "--network", "bucketing:rule=lossy"], "rule=lossy: 'lossy', which does not exist; did"),
    "part of arrays": (
        ["run", *SMALL, "--network", "lossy_links"],
        "got exchange lossy_links, which is Python only; write jdl.run(..., network=[jdl.exchange.LossyLinks.of(rates)",
    ),
    "schedule without what it needs": (
        ["run", *SMALL, "--schedule", "sleeping"],
        "got sleeping without probability, which it needs; write sleeping:probability=VALUE",
    ),
    "schedule of a server": (
        ["run", "--algorithm", "fedavg", "--schedule", "crashes"],
        "got --schedule with fedavg, need a topology whose links it changes; leave it out, or give --topology ring",
    ),
    "trace that is not there": (
        ["run", *SMALL, "--schedule", "traced:path=no.csv"],
        "need a file of times at which nodes are there; give its path",
    ),
    "comma between options": (
        ["run", *SMALL, "--network", "rand_k:fraction=0.1,unbiased=true"],
        "need a number; write a colon between options, rand_k:fraction=VALUE:...",
    ),
    "option of a part without options": (
        ["run", *SMALL, "--network", "linear:x=1"],
        "got linear:x=1, but linear has no options; write linear",
    ),
    "budget without colons": (
        ["run", *SMALL, "--dp", "eps=4,delta=1e-5"],
        "got --dp eps=4,delta=1e-5, need a number; with a colon between them",
    ),
    "budget of something": (["run", *SMALL, "--dp", "sigma=4"], "got part of --dp 'sigma', which does not exist"),
    "two private oracles": (
        ["run", *SMALL, "--dp", "eps=4", "--oracle", "private_gradients"],
        "got --dp and --oracle private_gradients, need one of them",
    ),
    "fault as an attack": (["run", *SMALL, "--attack", "lossy"], "got --attack lossy, need an attack; give it to --ne"),
    "validators as an attack": (
        ["run", *SMALL, "--attack", "verified"],
        "got --attack verified, need an attack; give it",
    ),
    "codec as a rule": (["run", *SMALL, "--rule", "top_k"], "got --rule top_k, need a rule in place of the mean; giv"),
    "flag of another oracle": (["run", "--label_flip.to", "3"], "got --label_flip.to, which is no flag of this run"),
    "oracle among exchanges": (["run", "--network", "gradient-noise"], "there is --oracle gradient_noise"),
    "flag of an oracle": (["run", "--private_gradients.clip", "3"], "or give --oracle private_gradients"),
    "way down from whom": (
        ["run", *SMALL, "--network-down", "lossy"],
        "got --network-down with dpsgd, which has no server, need a method with a server; leave it out, or give --alg",
    ),
    "flag of the way down": (
        ["run", "--network", "lossy", "--down.lossy.probability", "1"],
        "or give --network-down lossy",
    ),
    "flag of the way up": (
        ["run", "--algorithm", "fedavg", "--network-down", "lossy", "--lossy.probability", "1"],
        "got --lossy.probability and lossy in --network-down, whose flags begin with --down; give --down.lossy.pro",
    ),
    "attack on nobody": (
        ["run", *SMALL, "--network", "sign_flip"],
        "give attackers=0.25 (--attackers 0.25), or SignFlip a fraction of its own (--sign_flip.fraction 0.1)",
    ),
    "false labels of nobody": (["run", *SMALL, "--oracle", "label_flip"], "got LabelFlip that needs 'dishonest'"),
    "flag of another partition": (
        ["run", "--alpha", "1"],
        "got --alpha, which belongs to dirichlet and by_cluster and dirichlet_per_node and 1 others, "
        "not to dpsgd, random_regular, digits, iid; leave it out, or give --partition dirichlet",
    ),
    "flag of servers": (["run", "--participants", "8"], "or give --algorithm fedavg"),
    "flag of several algorithms": (["run", "--momentum", "0.9"], "or give --algorithm dsgdm"),
    "start of a flag": (
        ["run", "--partition", "shards", "--shards", "3"],
        "got --shards, which is no flag of this run; did you mean --shards-per-node",
    ),
    "partition of what is not divided": (
        ["run", *SMALL, "--partition", "iid"],
        "got partition 'iid' with quadratic, whose nodes have data of their own; leave --partition out, or give --pro",
    ),
    "partition by owner": (
        ["run", "--partition", "by_owner", "--nodes", "8"],
        "got partition 'by_owner' of digits, whose examples have no owners; try",
    ),
    "flag of a server": (
        ["run", "--participants", "3"],
        f"got --participants, which belongs to fedavg and afl and async_diloco and {len(SERVERS) - 3} others",
    ),
    "topology of a server": (["run", "--algorithm", "fedavg", "--topology", "ring"], "got topology 'ring' with fedavg"),
    "participants": (
        ["run", "--algorithm", "fedavg", "--problem", "quadratic", "--nodes", "8", "--participants", "9"],
        "got participants=9 with n=8",
    ),
    "weights": (["run", "--weights", "metropolic"], "got weights 'metropolic', which does not exist; did you mean me"),
    "weights of a schedule": (
        ["run", "--topology", "matching", "--weights", "lazy"],
        "got --weights lazy with matching",
    ),
    "weights of nobody": (
        ["run", "--algorithm", "local_only", "--weights", "lazy"],
        "got --weights lazy with no topology",
    ),
    "graph": (["topo", "--graph", "rnig"], "got topology 'rnig', which does not exist; did you mean ring"),
    "flag of another graph": (
        ["topo", "--graph", "ring", "--degree", "4"],
        "not to ring; leave it out, or give --topology",
    ),
    "flag of a run": (["topo", "--lr", "4"], "got --lr, which is no flag of this graph; did you mean"),
    "gamma": (["topo", "--graph", "ring", "--gamma", "1"], "got gamma=1.0, need a number from 0 to less than 1"),
    "no graph's nodes": (["topo", "--nodes", "0"], "got nodes=0, need a whole number of at least 1"),
    "graph's word": (["topo", "ring"], "got 'ring', which follows no flag; see `jdl topo --help`"),
    "nodes": (["run", "--nodes", "0"], "got nodes=0, need a whole number of at least 1"),
    "rounds": (["run", "--rounds", "0"], "got rounds=0, need a whole number of at least 1"),
    "evaluations": (["run", "--eval-every", "0"], "got eval_every=0"),
    "seed": (["run", "--seed", "-1"], "got seed=-1, need a whole number of at least 0"),
    "rate": (["run", "--lr", "-1"], "got DPSGD.lr=-1.0, need a number of at least 0"),
    "fraction": (["run", "--network", "top_k", "--top-k.fraction", "2"], "need a number between 0 and 1"),
    "mapping": (["run", *SMALL, "--mapping", "pmap"], "got mapping='pmap'"),
    "who is dishonest": (["run", *SMALL, "--dishonest", "some"], "got --dishonest some, need a share of peers below 1"),
    "all dishonest": (["run", *SMALL, "--dishonest", "8"], "got dishonest=8 of 8 nodes, need a share below 1"),
    "groups": (["run", *SMALL, "--groups", "9"], "got groups=9 for 8 nodes, need a node for each group"),
    "torus": (["run", "--nodes", "7", "--topology", "torus"], "got n=7, a torus needs rows x columns"),
    "degree": (["run", "--nodes", "8", "--degree", "8"], "got degree=8 with n=8, a regular graph needs degree < n"),
    "odd": (["run", "--nodes", "9", "--degree", "3"], "got degree=3 with n=9, a regular graph needs n * degree even"),
    "shards": (
        ["run", "--nodes", "16", "--partition", "shards", "--shards-per-node", "999"],
        "need at least one example a shard",
    ),
    "codec on lossy links": (
        ["run", *SMALL, "--network", "choco", "lossy"],
        "needs 'reliable', which the network breaks",
    ),
    "out taken": (["run", "--out", "taken"], "got --out=taken, which is not empty"),
    "out a file": (["run", "--out", "taken/file/x"], "got --out=taken/file/x, need a directory that can be written"),
    "resume nothing": (["resume", "nowhere"], "got run directory nowhere, which is no directory"),
    "resume what is no run": (["resume", "taken"], "got run directory taken, which holds no config.json"),
    "resume without a name": (["resume"], "Missing from jdl resume: DIR"),
    "list of what": (["list", "algorithms"], "got name 'algorithms', which does not exist"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_code_2(name, call, tmp_path):
    argv, sentence = BAD[name]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    code, out, err = call(*argv)
    assert sentence in err
    assert (code, out) == (2, "")
    assert err.startswith("jdl: ") and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_too_many_nodes_are_refused_with_the_estimate(call, monkeypatch):
    monkeypatch.setattr(checks.memory, "available_memory", lambda: 1024**2 * 10)
    code, _, err = call("run", "--nodes", "2000")
    assert code == 2 and "got nodes=2,000, which needs about 0.1 GiB; 0.0 GiB are available" in err


def test_defaults_are_better_on_problems_that_need_it_where_the_algorithm_has_the_usual_ones():
    def rates(problem, algorithm):
        chosen = choices.choose(choices.Choices(problem=problem, algorithm=algorithm))
        made = getattr(flags.flags_of(chosen)(), algorithm)
        return made.lr, getattr(made, "optimizer", None)

    assert rates("digits", "dpsgd") == (0.3, "sgd") and rates("mnist", "dpsgd") == (0.1, "sgd")
    assert rates("shakespeare", "dpsgd") == (0.003, "adam")
    assert rates("shakespeare", "gradient_tracking") == (0.1, None)  # which takes plain steps


@pytest.mark.parametrize("words", [["--help"], ["list", "--help"], ["resume", "--json", "-h"]])
def test_help_that_is_shown_early_is_that_of_the_whole_program(words, capsys):
    said = []
    for main in (start.main, cli.main):
        with pytest.raises(SystemExit) as stop:
            main(words)
        said.append((stop.value.code, *capsys.readouterr()))
    assert said[0] == said[1] and said[0][0] == 0 and "-h, --help" in said[0][1]


def test_a_budget_of_privacy_sets_the_noise_and_is_said(call, tmp_path):
    argv = ["--nodes", "8", "--hidden", "0", "--batch-size", "8", "--sampling", "poisson", "--topology", "ring"]
    argv += ["--rounds", "6", "--eval-every", "6", "--dp", "eps=2:delta=1e-4", "--no-baselines", "--no-progress"]
    code, out, _ = call("run", *argv, "--out", tmp_path / "a")
    assert code == 0 and "privacy: epsilon 2 at delta 0.0001 for an example of a node (PrivateGradients)" in out
    assert "epsilon at" in out  # the title of a column, over several lines
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["delta"] == 1e-4 and 1.99 < summary["epsilon"] <= 2
    code, _, said = call("resume", tmp_path / "a", "--rounds", "9", "--no-progress")
    assert code != 0 and "priced for 6 rounds" in said and "begin one with --rounds 9" in said
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    (private,) = config["simulation"]["oracle"]["wrappers"]
    fewest = min(jdl.problems.digits(8).num_examples)
    z = jdl.privacy.noise_multiplier(2, 1e-4, 8 / int(fewest), 6)
    assert private["clip"] == 1 and private["noise_multiplier"] == pytest.approx(z)
