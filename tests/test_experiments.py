"""Every experiment runs with tiny settings, and what it writes agrees with closed forms.

Those that train on MNIST, on digits or until agreement over many graphs run with the slow checks; the default ones
import all of them, look up every name of jdl that they use, and run the two whose numbers are known in closed form.
"""

import csv
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from jdl.checks import InputError

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiments.{name}", EXPERIMENTS / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def is_a_picture(path: Path) -> bool:
    import matplotlib.image

    pixels = matplotlib.image.imread(path)
    return min(pixels.shape[:2]) > 300 and pixels.std() > 0.01


def test_no_experiment_is_forgotten():
    assert {path.stem for path in EXPERIMENTS.glob("*.py")} == {
        "accuracy_against_bits", "accuracy_against_seconds", "algorithms_on_digits", "diloco_utilisation",
        "dpsgd_mnist", "effective_neighbours", "fedavg_mnist", "learned_weights", "lost_messages", "lost_nodes",
        "moshpit_table", "privacy_against_accuracy", "relay_quadratics", "stable_rates", "theory_over_measured",
        "time_line", "topologies", "which_graph", "worst_over_attacks",
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.py")), ids=lambda path: path.stem)
def test_an_experiment_names_what_exists(path):
    assert callable(load(path.stem).main)
    names = set(re.findall(r"\bjdl(?:\.\w+)+", path.read_text()))
    assert names
    for name in names:
        pkgutil.resolve_name(name)


@pytest.mark.slow
def test_the_utilisation_of_diloco_has_its_closed_form(tmp_path):
    """A round computes H steps, and sends and receives 3/4 of a model."""
    experiment = load("diloco_utilisation")
    experiment.main(out=tmp_path)
    rows = rows_of(tmp_path / "diloco_utilisation.csv")
    for row in rows:
        computes = int(row["steps"]) * experiment.STEP
        waits = 1.5 * 32 * 30_846_720 / float(row["bandwidth"])
        assert float(row["clock"]) == pytest.approx(computes / (computes + waits), rel=1e-3)
    assert len(rows) == 16 and is_a_picture(tmp_path / "diloco_utilisation.png")


@pytest.fixture(scope="module")
def topologies(tmp_path_factory):
    out = tmp_path_factory.mktemp("topologies")
    names = ("ring", "one_peer_hypercube", "epidemic_local", "chain")
    load("topologies").main(names=names, nodes=9, eps=1e-6, most_rounds=150, out=out)
    return out, {row["topology"]: row for row in rows_of(out / "table.csv")}


@pytest.mark.slow
def test_topologies_take_a_number_of_nodes_that_they_accept(topologies):
    _, rows = topologies
    assert {name: int(row["nodes"]) for name, row in rows.items()} == {
        "ring": 9, "one_peer_hypercube": 8, "epidemic_local": 9, "chain": 9,
    }  # fmt: skip


def test_rounds_and_messages_until_agreement(topologies):
    _, rows = topologies
    assert (rows["one_peer_hypercube"]["rounds"], float(rows["one_peer_hypercube"]["messages_per_node"])) == ("3", 3)
    # lambda_2 = (1 + 2 cos(2 pi / 9)) / 3 bounds every round, and is the slope but for a constant, the share of the
    # start in the slowest modes.
    slowest = (1 + 2 * np.cos(2 * np.pi / 9)) / 3
    rounds = int(rows["ring"]["rounds"])
    assert np.log(1e-2) / np.log(slowest) < rounds <= np.ceil(np.log(1e-6) / np.log(slowest))
    assert float(rows["ring"]["messages_per_node"]) == 2 * rounds
    assert float(rows["ring"]["lambda_2"]) == pytest.approx(slowest)
    assert float(rows["ring"]["measured_contraction_per_round"]) == pytest.approx(slowest, abs=0.03)
    values = (1 + 2 * np.cos(2 * np.pi * np.arange(9) / 9)) / 3
    variance = np.mean(values**2 / (1 - 0.95 * values**2))
    assert float(rows["ring"]["effective_neighbours"]) == pytest.approx(20 / variance)


@pytest.mark.slow
def test_rounds_and_messages_on_further_graphs(tmp_path):
    load("topologies").main(names=("complete", "hypercube"), nodes=9, eps=1e-6, most_rounds=150, out=tmp_path)
    rows = {row["topology"]: row for row in rows_of(tmp_path / "table.csv")}
    assert (rows["complete"]["rounds"], float(rows["complete"]["messages_per_node"])) == ("1", 8)
    # The eigenvalues of hypercube(8) are (1 + 3 - 2 j) / 4, with multiplicities 1, 3, 3, 1.
    variance = np.mean([v**2 / (1 - 0.95 * v**2) for v in [1, *[0.5] * 3, *[0] * 3, -0.5]])
    assert float(rows["hypercube"]["effective_neighbours"]) == pytest.approx(20 / variance)


def test_what_does_not_keep_the_mean_is_told_apart(topologies):
    _, rows = topologies
    assert float(rows["epidemic_local"]["mean_moved_by"]) > 1e-3
    assert all(float(row["mean_moved_by"]) < 1e-12 for name, row in rows.items() if name != "epidemic_local")


def test_a_topology_is_given_up(topologies):
    """chain(9): lambda_2 = (1 + 2 cos(pi / 9)) / 3 = 0.96, and 0.96^150 = 2e-3."""
    _, rows = topologies
    assert rows["chain"]["rounds"] == rows["chain"]["messages_per_node"] == ""
    assert float(rows["chain"]["disagreement_left"]) > 1e-6


def test_topologies_are_drawn(topologies):
    out, _ = topologies
    assert is_a_picture(out / "messages.png")


def test_names_of_topologies(tmp_path):
    with pytest.raises(InputError, match="did you mean ring"):
        load("topologies").main(names=("rnig",), out=tmp_path)


def neighbours(module, out, **settings):
    """Simulated and theoretical numbers agree, and two of the latter are those of a formula."""
    module.main(nodes=16, dim=64, points=2, out=out, **settings)
    rows = rows_of(out / "neighbours.csv")
    assert {row["graph"] for row in rows} == set(module.GRAPHS) and is_a_picture(out / "neighbours.png")
    for row in rows:
        theory, gamma = float(row["theory"]), float(row["gamma"])
        assert float(row["simulated"]) == pytest.approx(theory, rel=0.1)  # 2 / sqrt(500 * 64 / 8), three times
        if row["graph"] == "complete":
            assert theory == pytest.approx(16)
        if row["graph"] == "ring":
            squares = ((1 + 2 * np.cos(2 * np.pi * np.arange(16) / 16)) / 3) ** 2
            assert theory == pytest.approx(1 / (1 - gamma) / np.mean(squares / (1 - gamma * squares)))


def test_effective_neighbours_of_the_ring(tmp_path, monkeypatch):
    module = load("effective_neighbours")
    monkeypatch.setattr(module, "GRAPHS", {"ring": module.GRAPHS["ring"]})
    neighbours(module, tmp_path, spans=30, longest=8.0)


@pytest.mark.slow
def test_effective_neighbours_of_all_graphs(tmp_path):
    neighbours(load("effective_neighbours"), tmp_path, spans=30, longest=8.0)


def test_published_numbers():
    """Vogels, Hendrikx, Jaggi 2022; printed to three or four digits, their best rates found on a grid."""
    for what, published, ours in load("effective_neighbours").table(32):
        assert ours == pytest.approx(published, rel=0.01 if "rate" in what else 6e-4), what


@pytest.mark.slow
def test_rounds_on_random_quadratics(tmp_path):
    """Vogels et al. 2021; D-SGD's number of n = 4 varies much from draw to draw, and is left to the whole table."""
    module = load("relay_quadratics")
    module.main(nodes=(6,), seeds=5, out=tmp_path)
    rows = {row["method"]: row for row in rows_of(tmp_path / "table.csv")}
    assert set(rows) == {"all-reduce", "D2, ring", "tracking, ring"}
    for row in rows.values():
        assert float(row["rounds"]) == pytest.approx(float(row["published"]), rel=0.2), row
        assert 0.8 * float(row["published"]) <= float(row["rounds_of_best_rate"]) <= float(row["rounds"])


def test_random_quadratics_are_as_stated(x64):
    problem = load("relay_quadratics").problem(nodes=5, heterogeneity=0.3, distance=7.0, seed=1)
    assert np.linalg.norm(problem.optimum.params) == pytest.approx(7)
    assert problem.heterogeneity == pytest.approx(0.3)
    np.testing.assert_allclose(np.linalg.eigvalsh(problem.A), np.tile(np.linspace(0.5, 1, 10) ** 2, (5, 1)))


@pytest.mark.slow
def test_algorithms_on_digits_goes_on_where_it_stopped(tmp_path, capsys):
    module = load("algorithms_on_digits")
    module.main(names=("dpsgd",), nodes=8, rounds=20, out=tmp_path)
    first = rows_of(tmp_path / "table.csv")
    module.main(names=("dpsgd", "fedavg"), nodes=8, rounds=20, out=tmp_path)
    rows = rows_of(tmp_path / "table.csv")
    assert rows[0] == first[0] and [row["algorithm"] for row in rows] == ["dpsgd", "fedavg"]
    assert float(rows[0]["mean"]) > 0.4 and all(float(row["worst"]) < float(row["mean"]) + 1e-6 for row in rows)
    # 2,410 float32 numbers to 4 neighbours in each of 20 rounds.
    assert float(rows[0]["megabits_per_node"]) == pytest.approx(20 * 4 * 2410 * 32 / 1e6)
    assert (tmp_path / "table.md").read_text().count("\n") == 4


@pytest.mark.slow
def test_fedavg_on_mnist(tiny_mnist, tmp_path, capsys):
    module = load("fedavg_mnist")
    settings = module.Settings(
        data_dir=str(tiny_mnist), partitions=("iid",), rates=(0.5,), clients=4, participants=2, batch_size=5,
        rounds=40, target=0.9, out=tmp_path / "out",
    )  # fmt: skip
    module.main(settings)
    first = capsys.readouterr().out
    curve = np.array([float(row["accuracy"]) for row in rows_of(tmp_path / "out" / "curves.csv")])
    (row,) = rows_of(tmp_path / "out" / "table.csv")
    assert curve.shape == (41,) and float(row["best_accuracy"]) == curve.max() > 0.9
    reached = int(np.argmax(np.maximum.accumulate(curve) >= 0.9))
    assert reached - 1 < float(row["rounds"]) <= reached
    assert float(row["ratio"]) == float(row["rounds"]) / 87
    assert is_a_picture(tmp_path / "out" / "curves.png")
    module.main(settings)  # again: nothing is left to do
    assert capsys.readouterr().out == first


def test_crossings_are_interpolated_on_the_best_so_far():
    crossing = load("fedavg_mnist").crossing
    assert crossing(np.array([0.1, 0.5, 0.3, 0.9]), 0.7) == pytest.approx(2.5)
    assert crossing(np.array([0.1, 0.5]), 0.5) == 1 and crossing(np.array([0.8]), 0.5) == 0
    assert crossing(np.array([0.1, 0.5]), 0.6) == np.inf


@pytest.mark.slow
def test_dpsgd_on_mnist(tiny_mnist, tmp_path, capsys):
    module = load("dpsgd_mnist")
    settings = module.Settings(
        data_dir=str(tiny_mnist), graphs=("ring", "complete"), partitions=("iid",), nodes=8, batch_size=2, rounds=30,
        test_examples=0, out=tmp_path / "out",
    )  # fmt: skip
    module.main(settings)
    rows = rows_of(tmp_path / "out" / "table.csv")
    assert [row["graph"] for row in rows] == ["ring", "complete"]
    for row, degree in zip(rows, (2, 7), strict=True):
        assert float(row["megabytes_per_node"]) == pytest.approx(30 * degree * 199_210 * 4 / 1e6, rel=1e-6)
        assert float(row["worst"]) <= float(row["mean"])
    assert float(rows[1]["mean"]) > 0.9
    assert is_a_picture(tmp_path / "out" / "curves.png")


@pytest.mark.slow
def test_which_graph_tunes_and_draws(tmp_path):
    """On a complete graph of few nodes every rate that learns beats a star; the best rows are those of the sweep."""
    load("which_graph").main(nodes=16, rounds=20, seeds=2, out=tmp_path)
    rows = rows_of(tmp_path / "best.csv")
    assert len(rows) == 12 * 3 and is_a_picture(tmp_path / "which_graph.png")
    accuracy = {(row["topology"], row["problem"]): float(row["mean_accuracy"]) for row in rows}
    assert all(
        accuracy["complete", name] > accuracy["star", name] for name in ("iid", "Dirichlet(1)", "Dirichlet(0.1)")
    )


@pytest.mark.slow
def test_learned_weights_win_where_groups_differ(tmp_path, monkeypatch):
    module = load("learned_weights")
    torus = module.graphs()["torus"]
    monkeypatch.setattr(module, "graphs", lambda: {"torus": torus})
    monkeypatch.setattr(module, "RATES", module.RATES[15::4])
    module.main(rounds=20, steps=100, batch=8, tune=32, held_out=60, out=tmp_path)
    rows = {(row["problem"], row["weights"]): row for row in rows_of(tmp_path / "learned_weights.csv")}
    assert len(rows) == 4 * 3 and is_a_picture(tmp_path / "learned_weights.png")
    for other in ("Metropolis", "fastest"):
        row = rows["four groups", other]
        assert float(row["ratio_low"]) < float(row["ratio_of_learned"]) < float(row["ratio_high"]) < 0.9
        # Both are the one weight of all links for which W mixes fastest: eigenvalues 1 - 2 w to 1 - 8 w, w = 1 / 5.
        assert float(row["second_eigenvalue"]) == pytest.approx(0.6, abs=1e-3)


@pytest.mark.slow
def test_predictions_lie_over_what_is_measured(tmp_path):
    load("theory_over_measured").main(nodes=16, dim=2, rounds=30, eval_every=10, out=tmp_path)
    rows = rows_of(tmp_path / "theory_over_measured.csv")
    assert len(rows) == 3 * 4 * 3 * 3 and is_a_picture(tmp_path / "theory_over_measured.png")
    compared = [row for row in rows if row["z"]]
    assert len(compared) == len(rows) - 3 * 3  # on the complete graph nodes agree
    assert all(abs(float(row["z"])) < 5 for row in compared)
    lazy = {row["graph"] for row in rows if row["method"] == "D2" and row["weights"] != "W"}
    assert lazy == {"ring", "torus"}  # their smallest eigenvalues are -1/3 and -0.6


@pytest.mark.slow
def test_stable_rates_of_equal_hessians_are_those_of_closed_forms(tmp_path, monkeypatch):
    """With the Hessian L I: 2 / L; DGD leaves it at 1 + lambda_n, and D2 is stable on an interval, by Jury's criterion.

    The smallest eigenvalue of torus(16) is -0.6.
    """
    module = load("stable_rates")
    some = {name: module.METHODS[name] for name in ("D-PSGD", "DGD", "D2", module.FEDAVG)}
    every = module.graphs
    monkeypatch.setattr(module, "METHODS", some)
    monkeypatch.setattr(module, "graphs", lambda n: {name: every(n)[name] for name in ("torus", "exponential")})
    module.main(condition=1.0, out=tmp_path)
    assert is_a_picture(tmp_path / "stable_rates.png")
    rows = {(row["method"], row["graph"]): row for row in rows_of(tmp_path / "stable_rates.csv")}
    interval = lambda *key: [float(rows[key]["low"]), float(rows[key]["high"])]
    assert interval("D-PSGD", "torus") == pytest.approx([0, 2])
    assert interval("DGD", "torus") == pytest.approx([0, 1 - 0.6])
    assert interval("D2", "torus") == pytest.approx([(3 * 0.6 - 1) / (2 * 0.6), 2])
    assert interval(module.FEDAVG, "a server") == pytest.approx([0, 2])
    assert rows["D2", "exponential"]["status"] == "refused"


@pytest.mark.slow
def test_a_codec_of_a_byte_sends_a_quarter(tmp_path, monkeypatch):
    """2,410 numbers to 4 neighbours: of fp8 a byte each and 4 arrays' scales, of the sign a bit each and the scales."""
    module = load("accuracy_against_bits")
    monkeypatch.setattr(module, "DIRECT", {name: module.DIRECT[name] for name in (module.NONE, "fp8")})
    monkeypatch.setattr(module, "DENSE", {"sign, 1 bit": module.DENSE["sign, 1 bit"]})
    monkeypatch.setattr(module, "SPARSE", {})
    monkeypatch.setattr(module, "PANELS", {"all": [module.NONE, "fp8", "sign, 1 bit"]})
    monkeypatch.setattr(module, "LEVEL", 0.4)
    monkeypatch.setattr(module, "RATES", (0.6,))
    module.main(nodes=8, rounds=20, seeds=2, every=5, out=tmp_path)
    rows = {row["codec"]: row for row in rows_of(tmp_path / "best.csv")}
    assert is_a_picture(tmp_path / "accuracy_against_bits.png")
    bytes_of_a_message = {module.NONE: 4 * 2410, "fp8": 2410 + 4 * 4, "sign, 1 bit": 2410 / 8 + 4 * 4}
    for name, size in bytes_of_a_message.items():
        assert float(rows[name]["kilobytes_a_round"]) == pytest.approx(4 * size / 1e3)
        assert float(rows[name]["megabytes"]) <= 20 * 4 * size / 1e6 + 1e-12


@pytest.mark.slow
def test_a_slow_tenth_holds_up_those_who_wait_for_all(tmp_path, monkeypatch):
    """Twenty nodes, of which two take 1 s a step: five steps of all, and of those who are not late."""
    module = load("accuracy_against_seconds")
    names = ("D-PSGD", "FedAvg, all", "FedAvg, first 90 %")
    chosen = {name: module.methods()[name] for name in names}
    monkeypatch.setattr(module, "methods", lambda: chosen)
    module.main(nodes=20, seconds=30.0, seeds=2, out=tmp_path)
    rows = {row["method"]: row for row in rows_of(tmp_path / "accuracy_against_seconds.csv")}
    assert is_a_picture(tmp_path / "accuracy_against_seconds.png")
    message = 0.02 + 2410 * 32 / 1e6  # over a node's line; the server's takes all copies at once
    assert int(rows["FedAvg, all"]["rounds"]) == -(-30 // (5 + 2 * message))
    assert abs(int(rows["FedAvg, first 90 %"]["rounds"]) - 30 / (0.5 + 2 * message)) <= 8  # an evaluation
    assert float(rows["FedAvg, first 90 %"]["idle_share"]) < 0.5 < float(rows["FedAvg, all"]["idle_share"])


def test_the_time_line_of_a_slow_node_is_drawn(tmp_path):
    load("time_line").main(rounds=2, out=tmp_path)
    assert is_a_picture(tmp_path / "time_line.png")


def test_megabytes_until_a_level_are_interpolated():
    import pandas

    run = pandas.DataFrame({"megabytes": [0.0, 1.0, 2.0, 3.0], "mean_accuracy": [0.1, 0.3, 0.9, 0.2]})
    until = load("accuracy_against_bits").until
    assert until(run, 0.6) == pytest.approx(1.5) and until(run, 0.1) == 0 and until(run, 0.95) == np.inf


@pytest.mark.slow
def test_noise_of_a_budget_keeps_it_and_costs_accuracy(tmp_path, monkeypatch):
    import jdl

    module = load("privacy_against_accuracy")
    for name, values in {"BUDGETS": (0.1,), "RATES": (0.6,), "CLIPS": (2.0,)}.items():
        monkeypatch.setattr(module, name, values)
    module.main(nodes=8, rounds=20, seeds=2, out=tmp_path)
    assert is_a_picture(tmp_path / "privacy_against_accuracy.png")
    rows = {(row["topology"], row["epsilon"]): row for row in rows_of(tmp_path / "best.csv")}
    assert len(rows) == 3 * 2
    for graph in ("ring", "hypercube", "complete"):
        private, open_ = rows[graph, "0.1"], rows[graph, "none"]
        assert float(open_["mean_accuracy"]) > 0.6 > 0.4 > float(private["mean_accuracy"])
        z = float(private["noise_multiplier"])
        assert 0.09 < jdl.privacy.epsilon(z, 1e-5, 16 / (1437 // 8), 20) <= 0.1


def test_what_nodes_learn_of_each_other_by_gossip():
    """On a ring, differences of messages cancel: noisy values up to 4 links away are read off, and nothing beyond."""
    told, learnt = load("privacy_against_accuracy").pairwise(16)
    mean = told.set_index("graph")["mean"]
    assert mean["ring"] == pytest.approx(2 * 4 / 15) and mean["complete"] == pytest.approx(1)
    distance = np.minimum(np.arange(16), 16 - np.arange(16))
    np.testing.assert_allclose(learnt["ring"][0, 1:], (distance <= 4)[1:].astype(float), atol=1e-9)


def test_liars_are_as_many_among_the_neighbours_as_rules_are_told():
    module = load("worst_over_attacks")
    graphs = module.graphs(32)
    # Two in a clique of 16, all weights 1/16 but those of the two ends of the bridge; four in eight at random.
    assert module.heard(graphs["two cliques"]) == (2, pytest.approx(2 / 16))
    lies = np.isin(np.arange(32), module.liars(32))
    edges = graphs["random, degree 8"].edges
    links = np.concatenate([edges, edges[:, ::-1]])
    counts = np.bincount(links[lies[links[:, 0]], 1], minlength=32)[~lies]
    assert counts.max() == 2 and module.heard(graphs["random, degree 8"]) == (2, pytest.approx(2 / 9))


def test_the_worst_of_all_attacks():
    import pandas

    rows = [
        {"graph": "ring", "rule": rule, "attack": attack, "mean_accuracy": accuracy}
        for rule, every in {"median": (0.9, 0.8, 0.7), "mean": (0.95, 0.1, 0.5)}.items()
        for attack, accuracy in zip(("none", "dissensus", "ALIE"), every, strict=True)
    ]
    table = load("worst_over_attacks").with_worst(pandas.DataFrame(rows))["ring"]
    assert [*table.columns] == ["none", "ALIE", "dissensus", "worst"] and [*table.index] == ["median", "mean"]
    assert table["worst"].tolist() == [0.7, 0.1]


@pytest.mark.slow
def test_rules_under_all_attacks(tmp_path, monkeypatch):
    """A number chooses the attack: the rows are those of runs with the attack alone."""
    import jdl

    module = load("worst_over_attacks")
    every = module.rules
    monkeypatch.setattr(module, "rules", lambda *of: {"mean": every(*of)["mean"]})
    monkeypatch.setattr(module, "RATES", (0.4,))
    module.main(nodes=16, rounds=10, seeds=1, out=tmp_path)
    rows = {
        (row["graph"], row["attack"]): float(row["mean_accuracy"])
        for row in rows_of(tmp_path / "worst_over_attacks.csv")
    }
    assert len(rows) == 9 + 9 + 8 and is_a_picture(tmp_path / "worst_over_attacks.png")
    parts = {"network": [jdl.exchange.SignFlip()]}, {"oracle": [jdl.oracle.LabelFlip()]}
    problem, graph = module.problem(16)(seed=0), module.graphs(16)["two cliques"]
    for attack, part in zip(("sign flip", "label flip"), parts, strict=True):
        alone = jdl.run(problem, jdl.algorithms.DPSGD(lr=0.4), graph, attackers=module.liars(16), rounds=10, **part)
        assert rows["two cliques", attack] == pytest.approx(alone.history["mean_accuracy"][-1], abs=0.01)


def test_survivors_of_a_lost_hub():
    """Node 0 of a star is the first hub: 16 leaves stay alone."""
    module = load("lost_nodes")
    module.graph = lambda n, seed: importlib.import_module("jdl").topology.star(n)
    assert module.parts(17, 0.0, True, seed=0) == 1 and module.parts(17, 1 / 17, True, seed=3) == 16
    assert int(module.survivors(17, 4 / 17, False, seed=1).honest.sum()) == 13


@pytest.mark.slow
def test_lost_nodes_are_drawn_and_counted(tmp_path, monkeypatch):
    module = load("lost_nodes")
    monkeypatch.setattr(module, "FRACTIONS", (0.0, 0.5))
    module.main(nodes=16, rounds=12, seeds=2, out=tmp_path)
    rows = {(row["fraction"], row["which"], row["how"]): row for row in rows_of(tmp_path / "lost_nodes.csv")}
    assert len(rows) == 2 * 2 * 2 and is_a_picture(tmp_path / "lost_nodes.png")
    whole = {float(row["mean_accuracy"]) for key, row in rows.items() if key[0] == "0.0"}
    assert max(whole) - min(whole) < 1e-3  # nothing is lost, in whatever way
    accuracy = {key: float(row["mean_accuracy"]) for key, row in rows.items()}
    assert accuracy["0.5", "hubs", "gone"] < min(whole)


@pytest.mark.slow
def test_moshpit_averaging_takes_the_published_iterations():
    """All but the all-reduce with failures, a geometric time, of which ten restarts say little."""
    module = load("moshpit_table")
    for fail in (0.0, 0.005):
        for row in module.table(512, fail):
            near = 5 * 12.5 / np.sqrt(10) if (row["method"], fail) == ("all-reduce", 0.005) else 0.5
            assert row["ours"] == pytest.approx(row["published"], abs=near), row
    assert module.expected(512, 0.0) == 1 and module.expected(512, 0.005) == pytest.approx(12.8, abs=0.05)


@pytest.mark.slow
def test_lost_messages_says_what_is_refused(tmp_path, monkeypatch):
    module = load("lost_messages")
    every = module.methods
    monkeypatch.setattr(module, "methods", lambda n: {name: every(n)[name] for name in ("SGP", "D2")})
    monkeypatch.setattr(module, "RATES", (0.2,))
    module.main(nodes=8, rounds=10, seeds=2, out=tmp_path)
    rows = {(row["method"], row["losses"]): row for row in rows_of(tmp_path / "lost_messages.csv")}
    assert len(rows) == 2 * 3 and is_a_picture(tmp_path / "lost_messages.png")
    refused = [key for key, row in rows.items() if row["refused"]]
    assert refused == [("D2", module.EACH)] and "doubly_stochastic" in rows[refused[0]]["refused"]
