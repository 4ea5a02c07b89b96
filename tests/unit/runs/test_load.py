"""Results made again from their directories: ended, killed, going on, damaged, foreign, and of older versions."""

import json
import shutil

import jax
import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.command import choices, flags, record
from jdl.runs import load, run
from jdl.runs.baselines import ALONE, CENTRALISED, baselines
from jdl.runs.checkpoint import Checkpoints
from jdl.runs.lock import Lock, is_held

N, ROUNDS = 6, 20
PARTS = {
    "problem": jdl.problems.quadratic(nodes=N, dim=3, noise=0.5),
    "algorithm": jdl.algorithms.DPSGD(lr=0.1),
    "topology": jdl.topology.ring(N),
    "metrics": {"first": lambda models, state, s: models[:, 0]},
    "roles": jdl.roles.of(honest=[True] * 5 + [False], group=[0, 1] * 3),
}
HOW = {"progress": False, "eval_every": 8, "rounds": ROUNDS}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return jdl.run(**PARTS, **HOW, seed=3, eval_nodes=4, run_dir=tmp_path_factory.mktemp("one") / "run")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return jdl.run(**PARTS, **HOW, seeds=[3, 7], run_dir=tmp_path_factory.mktemp("several") / "run")


@pytest.fixture(scope="module")
def by_command(tmp_path_factory):
    chosen = choices.choose(choices.Choices(problem="quadratic", topology="ring"))
    command = json.loads(json.dumps(record.record(flags.flags_of(chosen)(nodes=N, rounds=ROUNDS), chosen)))
    folder = tmp_path_factory.mktemp("command") / "run"
    return jdl.run(**record.build(command), command=command, run_dir=folder, progress=False)


@pytest.fixture
def copy(one, tmp_path):
    """A directory that a test may damage."""
    return shutil.copytree(one.run_dir, tmp_path / "run")


def same(found, expected):
    assert found.history.columns.keys() == expected.history.columns.keys()
    for name, values in {**expected.history.columns, **expected.history.nodes}.items():
        got = {**found.history.columns, **found.history.nodes}[name]
        np.testing.assert_array_equal(got, values, err_msg=name)
    assert found.nodes.equals(expected.nodes) and found.summary == {**expected.summary, "run_dir": str(found.run_dir)}
    for name in ("name", "seed", "status", "message", "rounds", "n"):
        assert getattr(found, name) == getattr(expected, name), name


def equal(x, y):
    assert jax.tree.structure(x) == jax.tree.structure(y)
    jax.tree.map(np.testing.assert_array_equal, x, y)


def test_a_result_is_what_the_run_gave(one):
    found = jdl.load(one.run_dir)
    same(found, one)
    equal(found.models, one.models)
    equal(found.mean_model, one.mean_model)
    assert repr(found).splitlines()[:3] == repr(one).splitlines()[:3]
    assert len(found.eval_nodes) == 4 and 5 not in found.eval_nodes  # of the honest nodes
    np.testing.assert_array_equal(found.eval_nodes, one.eval_nodes)
    last = found.nodes[found.nodes["round"] == ROUNDS]
    assert last.honest.tolist() == [True] * 5 + [False] and last.group.tolist() == [0, 1] * 3
    assert last.num_examples.tolist() == np.asarray(PARTS["problem"].num_examples).tolist()


def test_several_seeds_are_what_they_were(several):
    found = jdl.load(several.run_dir, **PARTS)
    assert found.seeds == (3, 7) and found.history.mean_loss.shape == (4, 2)
    assert found.nodes.equals(several.nodes) and found.nodes.seed.unique().tolist() == [3, 7]
    for again, was in zip(found, several, strict=True):
        same(again, was)
        equal(again.models, was.models)
        equal(again.sim, was.sim)


def test_graphs_of_seeds_have_the_form_that_they_had(several, monkeypatch):
    """It depends on a number of rounds, which is not that of the run, since a run can be extended."""
    asked, before = [], load.aligned
    monkeypatch.setattr(load, "aligned", lambda made, rounds: asked.append(rounds) or before(made, rounds))
    assert len(jdl.load(several.run_dir, **PARTS)) == 2 and asked == [run.ROUNDS] and ROUNDS not in asked


def test_parts_are_given_for_a_run_from_python(one):
    with pytest.raises(checks.InputError, match="made from Python, need the parts of its run for the simulation"):
        jdl.load(one.run_dir).simulation  # noqa: B018
    found = jdl.load(one.run_dir, **PARTS)
    equal(found.sim, one.sim)
    assert int(found.sim.t) == ROUNDS
    equal(*(jax.random.key_data(each.simulation.key) for each in (found, one)))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"algorithm": jdl.algorithms.DPSGD(lr=0.2)}, r"parts of another run.*algorithm.lr was 0\.1.*is 0\.2"),
        ({"algorithm": None}, "need the problem and the algorithm as well"),
        ({"rounds": 3}, "no argument of jdl.load"),
        ({"roles": None}, "simulation.roles"),
    ],
)
def test_other_parts_are_refused(one, wrong, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        jdl.load(one.run_dir, **PARTS | wrong)


def test_a_run_of_the_command_line_has_its_simulation(by_command):
    found = jdl.load(by_command.run_dir)
    same(found, by_command)
    equal(found.sim, by_command.sim)
    (by_command.run_dir / "models.npz").rename(by_command.run_dir / "away.npz")
    equal(jdl.load(by_command.run_dir).models, by_command.models)  # those of the checkpoint
    assert found.simulation.problem.n == N and found.simulation.algorithm.lr == by_command.simulation.algorithm.lr


def test_baselines_of_several_seeds_have_the_same_seeds(several):
    """Node i of the nodes that train alone is a run of one node, with the data and the seeds of the run."""
    found = baselines(jdl.load(several.run_dir, **PARTS))
    assert list(found) == [ALONE, CENTRALISED]
    for other in found.values():
        assert other.seeds == (3, 7) and other.history["round"].tolist() == [0, ROUNDS]
    both = found[ALONE]
    start = both.history.mean_loss[0] - several.history.mean_loss[0]
    np.testing.assert_allclose(start, 0, atol=1e-6)  # the first models are those of the seeds
    assert both[0].simulation.roles is not None and found[CENTRALISED][0].n == 1


def test_a_run_goes_on_while_it_is_loaded(copy):
    lines = (copy / "history.csv").read_text().splitlines(keepends=True)
    (copy / "history.csv").write_text("".join(lines[:3]) + lines[3][:9])  # it is writing a line
    nodes = (copy / "nodes.csv").read_text()
    (copy / "nodes.csv").write_text(nodes[: nodes.index("\n16,1,")])
    (copy / "summary.json").unlink()
    lock = Lock(copy / "lock", "a test")
    found = jdl.load(copy)
    assert is_held(copy / "lock") and found.status == "running" and found.rounds == 8
    assert found.history["round"].tolist() == [0, 8] and found.history.nodes["first"].shape == (2, N)
    lock.release()
    found = jdl.load(copy)
    assert not is_held(copy / "lock") and found.status == "interrupted"
    assert f"of round 8 of {ROUNDS}; go on with `jdl.run(..., run_dir='{copy}', resume=True)`" in found.message
    with pytest.raises(checks.InputError, match="need the parts of its run for its models"):
        found.models  # noqa: B018


def test_a_run_that_was_killed_after_it_went_on_is_not_finished(copy):
    """Its summary, and its models, are those of the end before."""
    config = json.loads((copy / "config.json").read_text())
    config["run"]["rounds"] = 40
    (copy / "config.json").write_text(json.dumps(config))
    found = jdl.load(copy, **PARTS)
    assert found.status == "interrupted" and found.message.startswith("interrupted after the evaluation of round 20")
    equal(found.models, found.sim.nodes.x)


def test_a_directory_of_an_older_version_is_loaded(one, copy):
    for name in ("models.npz", "node_facts.npz"):
        (copy / name).unlink()
    config = json.loads((copy / "config.json").read_text())
    for name in ("label", "seed"):
        config.pop(name)
    (copy / "config.json").write_text(json.dumps(config))
    found = jdl.load(copy)
    assert (found.seed, found.n, found.name) == (3, N, "run") and found.summary["mean_loss"] == one.summary["mean_loss"]
    assert list(found.nodes.columns) == ["round", "node", "degree", "first"]  # the roles are not known
    with pytest.raises(checks.InputError, match="which its checkpoint alone holds"):
        found.models  # noqa: B018
    found = jdl.load(copy, **PARTS)
    equal(found.models, one.models)
    assert found.nodes.equals(one.nodes)


def test_damaged_files_are_noted_or_refused(one, copy):
    (copy / "models.npz").write_bytes((copy / "models.npz").read_bytes()[:200])
    with pytest.raises(checks.InputError, match=r"models.npz, which cannot be read"):
        jdl.load(copy).models  # noqa: B018
    with pytest.warns(checks.Note, match="taking the models of the checkpoint"):
        equal(jdl.load(copy, **PARTS).models, one.models)
    nodes = (copy / "nodes.csv").read_text()
    (copy / "nodes.csv").write_text(nodes[: nodes.index("\n16,1,")])
    with pytest.warns(checks.Note, match=r"nodes.csv has 2 of 4 evaluations; leaving the numbers of nodes out"):
        found = jdl.load(copy)
    assert len(found.history) == 4 and not found.history.nodes
    lines = (copy / "history.csv").read_text().splitlines(keepends=True)
    (copy / "history.csv").write_text("".join([*lines[:3], "16,?\n", *lines[4:]]))
    with pytest.warns(checks.Note, match="is damaged after round 8: 2 of its evaluations are left out"):
        assert jdl.load(copy).history["round"].tolist() == [0, 8]
    shutil.rmtree(copy / "checkpoint")
    with pytest.warns(checks.Note), pytest.raises(checks.InputError, match="without a whole checkpoint"):
        jdl.load(copy, **PARTS).sim  # noqa: B018
    (copy / "config.json").write_text("{")
    with pytest.raises(checks.InputError, match="cannot be read"):
        jdl.load(copy)


def test_foreign_directories_are_refused(one, tmp_path):
    for path, sentence in (
        (tmp_path / "none", "does not exist"),
        (one.run_dir / "config.json", "is no directory"),
        (tmp_path, "holds no config.json; name the directory of a run"),
        (one.run_dir.parent, "holds no config.json, but directories that do: run; name one of them"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            jdl.load(path)
    (tmp_path / "config.json").write_text('{"model": "bert"}')
    with pytest.raises(checks.InputError, match="is not the configuration of a run of jdl"):
        jdl.load(tmp_path)


def test_to_read_a_checkpoint_writes_nothing(one):
    before = sorted((path, path.stat().st_mtime_ns) for path in one.run_dir.rglob("*"))
    jdl.load(one.run_dir, **PARTS).sim  # noqa: B018
    Checkpoints(one.run_dir / "nothing", read_only=True).close()
    assert sorted((path, path.stat().st_mtime_ns) for path in one.run_dir.rglob("*")) == before
