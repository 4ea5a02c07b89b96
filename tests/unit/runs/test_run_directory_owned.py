"""A run directory belongs to one run at a time, and what is damaged in it is passed over aloud or refused."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import sys

import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.runs.history_files import append_csv, read_csv

REFUSED = checks.InputError


def parts():
    """Forty rounds, evaluated at 0, 7, ..., 35, 40."""
    return {
        "problem": jdl.problems.quadratic(nodes=4, dim=3, noise=0.1),
        "algorithm": jdl.algorithms.DPSGD(lr=0.2),
        "topology": jdl.topology.ring(4),
        "rounds": 40,
        "eval_every": 7,
        "progress": False,
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A finished run with checkpoints of rounds 30 and 40, and ten rows less one before the first of them."""
    place = tmp_path_factory.mktemp("base") / "run"
    return jdl.run(**parts(), run_dir=place, checkpoint_every=10)


@pytest.fixture
def copy(base, tmp_path):
    """A copy of it that a test may damage."""
    return pathlib.Path(shutil.copytree(base.run_dir, tmp_path / "copy"))


def resume(place):
    return jdl.run(**parts(), run_dir=place, checkpoint_every=10, resume=True)


def same(result, base):
    rows = [[{**row, "seconds": 0} for row in found] for found in (result.history.rows, base.history.rows)]
    assert rows[0] == rows[1] and result.status == "finished"
    assert [{**row, "seconds": 0} for row in read_csv(result.run_dir / "history.csv")] == rows[1]
    np.testing.assert_array_equal(result.models, base.models)


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def newest(place, what):
    """The largest file of a part of the newest checkpoint, or one by name."""
    folder = place / "checkpoint" / "40"
    if what == "data":
        return max((path for path in folder.glob("state/**/d/*")), key=lambda path: path.stat().st_size)
    return folder / what


DAMAGE = [
    ("progress/metadata", emptied),
    ("progress/metadata", cut),
    ("state/manifest.ocdbt", emptied),
    ("state/manifest.ocdbt", flipped),
    ("state/_METADATA", emptied),
    ("data", emptied),
    ("data", cut),
    ("data", flipped),
    ("state", shutil.rmtree),
    ("progress", shutil.rmtree),
]


# Half of them, drawn by `JDL_TEST_SEED`; all with the slow checks.
DRAWN = DAMAGE[int(os.environ["JDL_TEST_SEED"]) % 2 :: 2]


@pytest.mark.parametrize(
    ("what", "damage"),
    [pytest.param(*one, marks=[] if one in DRAWN else [pytest.mark.slow]) for one in DAMAGE],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_a_damaged_checkpoint_is_passed_over_with_a_note(base, copy, what, damage):
    damage(newest(copy, what))
    with pytest.warns(checks.Note, match="the checkpoint of round 40 is damaged .*; going on from round 30"):
        found = resume(copy)
    same(found, base)
    assert {path.name for path in (copy / "checkpoint").iterdir()} >= {"30", "40"}
    same(resume(copy), base)  # the new checkpoint of round 40 is whole


def test_a_missing_checkpoint_is_no_damage(base, copy):
    shutil.rmtree(copy / "checkpoint" / "40")
    same(resume(copy), base)


def test_without_one_whole_checkpoint_the_run_is_refused_until_it_is_to_begin_anew(base, copy):
    for step in ("30", "40"):
        emptied(copy / "checkpoint" / step / "progress" / "metadata")
    with pytest.raises(REFUSED, match=r"round 40 is damaged .* round 30 is damaged .* delete .*checkpoint to begin"):
        resume(copy)
    shutil.rmtree(copy / "checkpoint")
    same(resume(copy), base)


@pytest.mark.parametrize("damage", [emptied, pathlib.Path.unlink, lambda path: path.write_bytes(b"\0" * 900)])
def test_a_history_without_the_rows_that_a_checkpoint_counts_on_is_refused(copy, damage):
    damage(copy / "history.csv")
    with pytest.raises(REFUSED, match=r"history.csv has 0 of the 7 rows up to round 40; .* 0 of the 5 rows"):
        resume(copy)


def test_rows_lost_after_the_checkpoint_before_are_made_again(base, copy):
    rows = read_csv(copy / "history.csv")
    (copy / "history.csv").unlink()
    for row in rows[:5]:
        append_csv(copy / "history.csv", row)
    with pytest.warns(checks.Note, match="5 of the 7 rows up to round 40; going on from round 30"):
        same(resume(copy), base)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"run": {}}', "null"])
def test_a_configuration_that_cannot_be_read_is_named(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(REFUSED, match=r"config\.json, which cannot be read .*; restore it, or run anew"):
        resume(copy)


def test_a_run_that_goes_on_is_neither_resumed_nor_joined(base, copy, monkeypatch):
    """From inside the loop, where the directory is held."""
    bar = sys.modules[jdl.run.__module__].Bar
    said = []

    def update(self, t, row, original=bar.update):
        original(self, t, row)
        if not said:
            for again in (True, False):
                with pytest.raises(REFUSED) as error:
                    jdl.run(**parts(), run_dir=copy, checkpoint_every=10, resume=again)
                said.append(str(error.value))

    shutil.rmtree(copy / "checkpoint" / "40")
    monkeypatch.setattr(bar, "update", update)
    same(resume(copy), base)
    assert "in which a run goes on (process " in said[0] and "which is not empty" in said[1]
    assert not (copy / "lock").exists()


def test_a_lock_that_a_killed_process_left_is_taken_over(base, copy):
    (copy / "lock").write_text('{"pid": 1, "host": "elsewhere"}')
    same(resume(copy), base)


def test_runs_side_by_side_never_share_a_directory(tmp_path):
    """Sixteen makers of one name, from as many threads."""
    rundir = sys.modules[jdl.run.__module__.rpartition(".")[0] + ".rundir"]
    place = rundir.Place(tmp_path / "runs" / "name", numbered=True)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: place.make(), range(16)))
    assert len(set(made)) == 16 and {path.name for path in made} == {"name", *(f"name-{i}" for i in range(2, 17))}


def test_one_directory_asked_for_twice_at_once_goes_to_one(tmp_path):
    rundir = sys.modules[jdl.run.__module__.rpartition(".")[0] + ".rundir"]

    def begin(_):
        try:
            return rundir.RunDir(rundir.Place(tmp_path / "a"), {"run": {}, "simulation": {}}, resume=False)
        except checks.InputError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(begin, range(8)))
    owners = [one for one in found if not isinstance(one, str)]
    assert len(owners) == 1 and all("got run_dir=" in one for one in found if isinstance(one, str))
    owners[0].close()


@pytest.mark.parametrize("left", [[], ["config.json.part"], ["lock"], ["lock", "config.json.part"]])
def test_what_a_kill_before_the_configuration_leaves_is_taken_by_a_new_run(tmp_path, left):
    (tmp_path / "a").mkdir()
    for name in left:
        (tmp_path / "a" / name).write_text('{"pid": 1')
    with pytest.raises(REFUSED, match=r"holds no config\.json; name the directory of a run, or begin anew"):
        jdl.run(**parts(), run_dir=tmp_path / "a", resume=True)
    assert jdl.run(**parts(), run_dir=tmp_path / "a").status == "finished"


@pytest.mark.parametrize("name", ["[dpsgd] lr=0.1", "a*", "b?"])
def test_names_that_checkpoints_are_not_found_under_are_refused_at_the_start(tmp_path, name):
    with pytest.raises(REFUSED, match="need one without"):
        jdl.run(**parts(), run_dir=tmp_path / name / "run")
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a b", "c#1", "d%20", "e{x}", "f'\"", "g]", "ü~", "-h", "a:b", "a;b&c"])
def test_other_names_can_be_resumed(base, tmp_path, name):
    shutil.copytree(base.run_dir, tmp_path / name)
    same(resume(tmp_path / name), base)


def test_sentences_are_in_words_of_python(base, tmp_path):
    with pytest.raises(REFUSED) as error:
        jdl.run(**parts(), run_dir=base.run_dir)
    assert str(error.value).endswith(
        f"resume the run in it with `jdl.run(..., run_dir={str(base.run_dir)!r}, resume=True)`, or give another run_dir"
    )
    with pytest.raises(REFUSED, match="to start anew give another run_dir"):
        jdl.run(**parts(), seed=9, run_dir=base.run_dir, resume=True)


@pytest.mark.parametrize("command", [{"a": np.float32(1)}, {"a": {1, 2}}, {(1, 2): 3}])
def test_a_command_that_is_no_json_is_refused_and_leaves_nothing(tmp_path, command):
    with pytest.raises(REFUSED, match="got a command that cannot be written as JSON"):
        jdl.run(**parts(), run_dir=tmp_path / "a", command=command)
    assert not (tmp_path / "a").exists()


def test_a_run_that_fails_before_its_first_evaluation_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(sys.modules["jdl.runs.program"], "compiled_chunk", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        jdl.run(**parts(), run_dir=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_home_is_a_home_here_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = jdl.run(**parts(), run_dir="~/runs/a")
    assert found.run_dir == tmp_path / "runs" / "a"
    assert json.loads((found.run_dir / "summary.json").read_text())["run_dir"] == str(found.run_dir)
