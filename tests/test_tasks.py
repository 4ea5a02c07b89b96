"""The tasks of a new user run with tiny settings, and what they write is plausible.

Each script has at most 25 lines, blank ones aside. Runs of quadratics on a ring of eight nodes share their programs;
the tasks that train networks or compile many programs are slow.
"""

import csv
import importlib.util
import json
import pkgutil
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import jdl

TASKS = {path.stem: path for path in sorted((Path(__file__).parent.parent / "experiments" / "tasks").glob("*.py"))}


def run(name, out, **settings):
    spec = importlib.util.spec_from_file_location(f"tasks_{name}", TASKS[name])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(out=out, **settings)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def assert_picture(path):
    import matplotlib.image

    pixels = matplotlib.image.imread(path)
    assert min(pixels.shape[:2]) > 300 and pixels.std() > 0.01, path


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_short_and_names_what_exists(name):
    text = TASKS[name].read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 25
    for found in set(re.findall(r"\bjdl(?:\.\w+)+", text)):
        pkgutil.resolve_name(found)
    assert f"runs/tasks/{name}" in text


def test_every_task_is_run():
    tested = set(re.findall(r'run\("(\w+)"', Path(__file__).read_text()))
    assert tested == set(TASKS)


def test_own_graph(tmp_path):
    run("own_graph", tmp_path, dim=10, rounds=20)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["nodes"], report["edges"], report["degree_max"], report["diameter"]) == (34, 78, 17, 5)
    assert_picture(tmp_path / "graph.png")
    assert_picture(tmp_path / "curves.png")


def test_theory(tmp_path):
    """The bound is met with equality from the worst start: lambda_2 of ring(8) is (1 + sqrt(2)) / 3 = 0.805."""
    run("theory", tmp_path, nodes=8, rounds=30)
    reached = json.loads((tmp_path / "rounds.json").read_text())
    assert reached["predicted"] == int(np.ceil(np.log(0.1) / np.log((1 + np.sqrt(2)) / 3))) == 11
    assert abs(reached["worst start"] - 11) <= 1 and 0 < reached["random start"] <= 11
    assert_picture(tmp_path / "curves.png")


def test_out_and_back(tmp_path):
    run("out_and_back", tmp_path, make=jdl.problems.quadratic, nodes=8, rounds=30, goal=("mean_loss", 0.0))
    rows = rows_of(tmp_path / "history.csv")
    assert [int(row["round"]) for row in rows][-1] == 60 and float(rows[-1]["mean_loss"]) < float(rows[0]["mean_loss"])
    assert jdl.load_models(tmp_path / "models.npz").shape == (8, 10)
    assert_picture(tmp_path / "curves.png")


def test_own_exchange_and_metric(tmp_path):
    run("own_exchange_and_metric", tmp_path, make=jdl.problems.quadratic, nodes=8, rounds=20)
    last = [float(row["size"]) for row in rows_of(tmp_path / "run" / "nodes.csv") if row["round"] == "20"]
    assert len(last) == 8 and len(set(last)) == 8 and min(last) > 0
    (row,) = [row for row in rows_of(tmp_path / "run" / "history.csv") if row["round"] == "20"]
    assert float(row["mean_size"]) == pytest.approx(np.mean(last), rel=1e-5)
    assert_picture(tmp_path / "curves.png")


def test_own_algorithm(tmp_path):
    run("own_algorithm", tmp_path, make=jdl.problems.quadratic, nodes=8, rounds=20)
    assert_picture(tmp_path / "curves.png")


@pytest.mark.slow
def test_heterogeneity(tmp_path):
    """On quadratics the bias of D-PSGD is proportional to the heterogeneity; gradient tracking has none."""
    run("heterogeneity", tmp_path, nodes=8, rounds=300, seeds=2)
    rows = rows_of(tmp_path / "summary.csv")
    end = {(row["algorithm"], float(row["heterogeneity"])): float(row["suboptimality"]) for row in rows}
    assert end["D-PSGD", 10.0] == pytest.approx(10 * end["D-PSGD", 1.0], rel=0.1)
    assert all(end["gradient tracking", level] < 1e-2 * end["D-PSGD", level] for level in (1.0, 10.0))
    assert_picture(tmp_path / "heterogeneity.png")


@pytest.mark.slow
def test_five_graphs(tmp_path):
    run("five_graphs", tmp_path, nodes=9, rounds=20, seeds=2)
    assert_picture(tmp_path / "rounds.png")
    assert_picture(tmp_path / "megabytes.png")


@pytest.mark.slow
def test_own_model_and_data(tmp_path):
    run("own_model_and_data", tmp_path, nodes=4, rounds=100)
    assert float(rows_of(tmp_path / "run" / "history.csv")[-1]["mean_accuracy"]) > 0.8  # 0.72 at the start
    assert_picture(tmp_path / "curves.png")


@pytest.mark.slow
def test_by_degree(tmp_path):
    with jax.numpy_dtype_promotion("standard"):  # optax divides rounds, which are whole numbers, by a float
        run("by_degree", tmp_path, nodes=8, rounds=60)
    rows = rows_of(tmp_path / "by_degree.csv")
    assert sum(int(row["count"]) for row in rows) == 8 and all(0.2 < float(row["mean"]) < 1 for row in rows)
    assert_picture(tmp_path / "by_degree.png")


@pytest.mark.slow
def test_server_methods(tmp_path):
    run("server_methods", tmp_path, nodes=8, rounds=40, seeds=2, target=0.5)
    text = (tmp_path / "table.tex").read_text()
    body = [line for line in text.splitlines() if re.match(r"\s*(FedAvg|FedProx|SCAFFOLD) &", line)]
    assert len(body) == 3 and all(line.count("&") == 3 and line.endswith(r"\\") for line in body)
    rounds = [float(re.search(r"& \$?([\d.]+)", line)[1]) for line in body]
    assert all(1 <= number <= 40 for number in rounds) and any(number < 40 for number in rounds)


@pytest.mark.slow
def test_scale(tmp_path):
    run("scale", tmp_path, nodes=64, rounds=30, sample=8)
    rows = rows_of(tmp_path / "run" / "history.csv")
    assert rows[0]["eval_nodes"] == "8" and rows[-1]["eval_nodes"] in ("8", "64")
    assert_picture(tmp_path / "curves.png")
