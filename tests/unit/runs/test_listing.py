"""The listing of run directories, from directories written by hand, and without JAX."""

import json
import os
import subprocess
import sys

import pytest

from jdl import checks
from jdl.runs.listing import runs_below
from jdl.runs.lock import Lock
from jdl.runs.said import read_config

ROWS = ["round,seconds,mean_loss,mean_accuracy", "0,0.1,2.5,0.1", "10,0.5,1.5,0.75"]


def make(path, rows=ROWS, summary=None, **config):
    path.mkdir(parents=True)
    whole = {"command": None, "label": path.name, "run": {"rounds": 20}, "simulation": {}} | config
    (path / "config.json").write_text(json.dumps(whole))
    (path / "history.csv").write_text("".join(f"{row}\n" for row in rows))
    if summary is not None:
        (path / "summary.json").write_text(json.dumps(summary))
    return path


@pytest.fixture
def folder(tmp_path):
    done = {"rounds": 20, "status": "finished", "message": "finished 20 rounds"}
    command = {"algorithm": {"name": "dpsgd"}, "topology": {"name": "ring"}, "nodes": 8}
    make(tmp_path / "a" / "done", [*ROWS, "20,0.9,1.0,0.875"], done, command=command)
    make(tmp_path / "a" / "killed", [*ROWS, "20,0.9,1"])  # the last line is cut short
    make(tmp_path / "begun", ROWS[:1])
    make(tmp_path / "went_on", [*ROWS, "20,0.9,1.0,0.875"], done, run={"rounds": 40})
    lines = ["round,seed,seconds,mean_loss", "0,3,0.1,2.0", "0,5,0.1,4.0", "10,3,0.2,1.0", "10,5,0.2,nan", "20,3,0.3,1"]
    make(tmp_path / "seeds", lines, run={"rounds": 20, "seeds": [3, 5]})
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    (tmp_path / "damaged" / "history.csv").write_text("")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "config.json").write_text('{"model": "bert"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("of another program")
    return tmp_path


def test_a_line_for_each_run(folder):
    lock = Lock(make(folder / "running") / "lock", "a test")
    found = {line.path.removeprefix(f"{folder}/"): line for line in runs_below(folder)}
    lock.release()
    assert list(found) == sorted(found) and not {"foreign", "broken"} & found.keys()
    told = {name: (line.status, line.rounds, line.asked, line.metric, line.value) for name, line in found.items()}
    assert told == {
        "a/done": ("finished", 20, 20, "mean_accuracy", 0.875),
        "a/killed": ("interrupted", 10, 20, "mean_accuracy", 0.75),
        "begun": ("interrupted", 0, 20, None, None),
        "damaged": ("damaged", 0, None, None, None),
        "running": ("running", 10, 20, "mean_accuracy", 0.75),
        "seeds": ("interrupted", 10, 20, "mean_loss", 1.0),  # the mean of the seed that has not diverged
        "went_on": ("interrupted", 20, 40, "mean_accuracy", 0.875),
    }
    assert found["a/done"].label == "gossip: dpsgd on ring(8)" and found["begun"].label == "begun"
    assert found["seeds"].seeds == 2
    for line in found.values():
        files = [file for file in os.scandir(line.path) if file.name != "lock"]
        assert line.size >= sum(file.stat().st_size for file in files) > 0 or line.status == "damaged"


def test_a_sweep_is_one_line_and_its_units_are_none(tmp_path):
    content = {"constants": {}, "first_rounds": 10, "jobs": {"a": {}, "b": {}, "c": {}}, "units": [{}, {}]}
    units = tmp_path / "sweep" / "units"
    for name in ("x", "y"):
        make(units / name, command=None, simulation={"jobs": []})
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(content))
    (units / "x" / "done.json").write_text('{"rounds": 10}')
    (line,) = runs_below(tmp_path)
    assert line.label == "sweep of 3 runs, 1 of 2 units done"
    assert (line.status, line.rounds, line.asked, line.value) == ("interrupted", 0, 10, None)
    lock = Lock(units / "y.lock", "a test")
    assert runs_below(tmp_path)[0].status == "running"
    lock.release()
    (units / "y" / "done.json").write_text('{"rounds": 20}')
    (line,) = runs_below(tmp_path)
    assert (line.status, line.rounds, line.asked) == ("finished", 10, 20)
    assert runs_below(units) == []
    for path in (tmp_path / "sweep", units / "x"):
        with pytest.raises(checks.InputError, match=r"the directory of a sweep, .* jdl.load_sweep\('.*/sweep'\)"):
            read_config(path)
    (tmp_path / "sweep" / "sweep.json").write_text("{")
    assert runs_below(tmp_path)[0].status == "damaged"


def test_there_is_something_to_list(tmp_path):
    with pytest.raises(checks.InputError, match="which is no directory, need one with runs"):
        runs_below(tmp_path / "none")
    assert runs_below(tmp_path) == []


def test_the_command_needs_neither_jax_nor_numpy(folder):
    code = "import sys, atexit; from jdl.command import start; "
    code += "atexit.register(lambda: print(sorted({'jax', 'numpy', 'pandas'} & sys.modules.keys())));"
    code += f"start.main(['runs', {str(folder)!r}])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[-1] == "[]" and out[0].split() == ["run", "label", "rounds", "status", "mean", "changed", "size"]
    assert len(out) == 1 + 6 + 1 and "87.5%" in out[1] and "20 of 20" in out[1]
