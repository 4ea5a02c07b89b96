"""Paths, pipes and settings of the environment, as a shell gives them."""

import io
import json
import pathlib
import sys

import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.command import cli
from jdl.data.load import absolute

QUICK = ["--nodes", "3", "--rounds", "2", "--no-progress", "--no-baselines", "--json"]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Run a command in a directory beside the home: its exit code."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")

    def call(*argv):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in argv])
        return stop.value.code or 0

    return call


def test_the_home_has_one_name_everywhere(call, tmp_path):
    home = tmp_path / "home"
    (home / "g.edges").write_text("0 1\n1 2\n2 0\n")
    graph = ["--topology", "from_file", "--path", "~/g.edges"]
    assert call("run", "--problem", "quadratic", *graph, *QUICK, "--out", "~/runs/a") == 0
    assert (home / "runs" / "a" / "summary.json").is_file()
    assert call("resume", "~/runs/a", "--json") == 0
    assert call("topo", "--graph", "from_file", "--nodes", "3", "--path", "~/g.edges", "--plot", "~/g.png") == 0
    assert (home / "g.png").is_file()
    result = jdl.run(jdl.problems.quadratic(nodes=3), jdl.algorithms.LocalOnly(), rounds=2, run_dir="~/b")
    result.plot("~/curves.svg")
    assert (home / "b" / "config.json").is_file() and (home / "curves.svg").is_file()
    assert not list(pathlib.Path.cwd().iterdir())


def test_a_run_begun_with_relative_paths_goes_on_from_anywhere(call, tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    np.savez("m.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    pathlib.Path("g.edges").write_text("0 1\n1 2\n2 0\n")
    data = ["--problem", "supervised", "--data", "npz:m.npz", "--topology", "from_file", "--path", "g.edges"]
    assert call("run", *data, *QUICK, "--out", "a") == 0
    command = json.loads(pathlib.Path("a/config.json").read_text())["command"]
    here = pathlib.Path.cwd()
    assert (
        command["topology"]["path"] == str(here / "g.edges") and command["problem"]["data"] == f"npz:{here / 'm.npz'}"
    )
    monkeypatch.chdir("/")
    assert call("resume", here / "a", "--json") == 0


def test_names_of_data_sets_that_are_no_files_stay(call):
    for name in ("mnist", "digits", "tfds:mnist", "odd:thing"):
        assert absolute(name) == name
    assert absolute("csv:rows.csv") == f"csv:{pathlib.Path.cwd() / 'rows.csv'}"
    assert absolute("table:~/rows.csv") == f"table:{pathlib.Path.home() / 'rows.csv'}"


class Closed(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("argv", [["list"], ["run", "--help"], ["list", "scaffold", "--json"], ["--version"]])
def test_a_reader_that_left_ends_a_command_without_a_word(call, argv, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Closed())
    assert call(*argv) == 141
    assert capsys.readouterr().err == ""


def test_a_device_that_is_not_there_is_a_sentence(call, monkeypatch, capsys):
    import jax

    def fail(platform=None):
        raise RuntimeError("Unable to initialize backend 'cuda': no driver\nmore")

    monkeypatch.setattr(jax, "devices", fail)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    for argv in (["run", "--problem", "quadratic", *QUICK], ["topo", "--graph", "ring", "--nodes", "4"]):
        assert call(*argv) == 2
        said = capsys.readouterr().err
        assert said.startswith("jdl: got JAX_PLATFORMS=cuda, where JAX finds no device (Unable to initialize backend")
        assert "set JAX_PLATFORMS=cpu" in said and said.count("\n") == 1


@pytest.mark.slow
def test_without_compilation_the_numbers_are_those_of_a_loop(call):
    import jax

    parts = jdl.problems.quadratic(nodes=3, dim=2), jdl.algorithms.DPSGD(), jdl.topology.ring(3)
    with jax.disable_jit():
        found = jdl.run(*parts, rounds=2, progress=False)
    np.testing.assert_allclose(found.models, jdl.run(*parts, rounds=2, progress=False).models, rtol=1e-5)


def test_settings_of_a_run_are_no_settings_of_its_resumption(call, capsys):
    assert call("resume", "a", "--lr", "0.1") == 2
    assert "a run resumes with the settings it began with" in capsys.readouterr().err


def test_a_home_that_nobody_knows_is_a_sentence():
    with pytest.raises(checks.InputError, match="whose home is not known"):
        checks.path("~nobody-of-this-name/a")
