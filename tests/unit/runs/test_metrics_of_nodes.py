"""A run with metrics of every node: their frame, and the same bits after a crash and a resume."""

import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import checks, sim

DISHONEST = 2


def drift(models, state, simulation):
    return jnp.sum(jnp.square(models), axis=1)


def done(models, state, simulation):
    return state.t


def parts():
    """Forty rounds, evaluated at 0, 7, ..., 35, 40."""
    return {
        "problem": jdl.problems.quadratic(nodes=4, dim=3, noise=0.1),
        "algorithm": jdl.algorithms.DPSGD(lr=0.2),
        "topology": jdl.topology.chain(4),
        "roles": jdl.roles.of(honest=np.arange(4) != DISHONEST, group=[0, 0, 1, 1]),
        "metrics": {"drift": drift, "done": done},
        "own": True,
        "rounds": 40,
        "eval_every": 7,
        "progress": False,
        "checkpoint_every": 10,
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A finished run with checkpoints of rounds 30 and 40, of which the first counts on five evaluations."""
    return jdl.run(**parts(), run_dir=tmp_path_factory.mktemp("base") / "run")


@pytest.fixture
def copy(base, tmp_path):
    """A copy of it that a test may damage."""
    return pathlib.Path(shutil.copytree(base.run_dir, tmp_path / "copy"))


def same_after_resuming(copy, base):
    found = jdl.run(**parts(), run_dir=copy, resume=True)
    assert found.history.nodes.keys() == base.history.nodes.keys()
    for name, values in base.history.nodes.items():
        np.testing.assert_array_equal(found.history.nodes[name], values, err_msg=name)
    seconds = {"seconds": 0}
    assert [row | seconds for row in found.history.rows] == [row | seconds for row in base.history.rows]
    assert (copy / "nodes.csv").read_text() == (base.run_dir / "nodes.csv").read_text()


def test_columns_and_the_frame_say_the_same(base):
    history, frame = base.history, base.nodes
    assert list(frame.columns)[:5] == ["round", "node", "degree", "honest", "group"] and len(frame) == 7 * 4
    np.testing.assert_array_equal(history.done, history["round"])
    last = frame[frame["round"] == 40]
    assert last["node"].tolist() == [0, 1, 2, 3] and last["group"].tolist() == [0, 0, 1, 1]
    assert last["degree"].tolist() == [1, 2, 2, 1] and last["honest"].tolist() == [True, True, False, True]
    np.testing.assert_allclose(last["drift"], np.sum(np.square(np.asarray(base.models, np.float64)), axis=1), rtol=1e-5)
    honest = frame[frame["honest"]].groupby("round")
    np.testing.assert_allclose(honest["drift"].mean(), history.mean_drift, rtol=1e-6)
    np.testing.assert_allclose(honest["own_loss"].mean(), history.own_loss, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(honest["own_loss"].max(), history.worst_own_loss, rtol=1e-6)


def test_an_evaluation_that_a_crash_cut_short_is_computed_again(base, copy):
    """The process died while it wrote the last evaluation, before its checkpoint."""
    shutil.rmtree(copy / "checkpoint" / "40")
    text = (copy / "nodes.csv").read_text()
    (copy / "nodes.csv").write_text(text[: text.index("\n40,2,") + 9])
    lines = (copy / "history.csv").read_text().splitlines(keepends=True)
    (copy / "history.csv").write_text("".join(lines[:-1]))
    same_after_resuming(copy, base)


def test_numbers_of_nodes_that_are_lost_are_made_again_or_refused(base, copy):
    text = (copy / "nodes.csv").read_text()
    (copy / "nodes.csv").write_text(text[: text.index("\n35,0,") + 1])
    with pytest.warns(checks.Note, match="nodes.csv has 5 of the 7 rows up to round 40; going on from round 30"):
        same_after_resuming(copy, base)
    (copy / "nodes.csv").unlink()
    with pytest.raises(checks.InputError, match=r"nodes.csv has 0 of the 7 rows up to round 40; .* 0 of the 5 rows"):
        same_after_resuming(copy, base)


def test_another_metric_is_another_configuration(copy):
    with pytest.raises(checks.InputError, match=r"another configuration: simulation.metrics.own was True, is False"):
        jdl.run(**(parts() | {"own": False}), run_dir=copy, resume=True)


def test_a_metric_with_the_name_of_a_report_is_refused():
    with pytest.raises(checks.InputError, match="got a metric named loss, which the method reports as well"):
        sim.with_reports({"mean_loss": jnp.zeros(()), "loss": jnp.zeros(())}, {"loss": jnp.zeros(())})


@pytest.mark.parametrize("name", ["round", "nodes/loss"])
def test_a_report_with_the_name_of_another_column_is_refused(name):
    with pytest.raises(checks.InputError, match=f"got a report named {name}, a name of another column"):
        sim.with_reports({"mean_loss": jnp.zeros(())}, {name: jnp.zeros(())})


def test_a_server_has_no_degree_and_serves_its_model_to_all(base):
    changes = {"algorithm": jdl.algorithms.FedAvg(lr=0.2), "topology": None, "metrics": None}
    found = jdl.run(**(parts() | changes))
    assert list(found.nodes.columns) == ["round", "node", "honest", "group", "num_examples", "own_loss"]
    A, b, x = (np.asarray(one, np.float64) for one in (parts()["problem"].A, parts()["problem"].b, found.models[0]))
    own = [x @ A[i] @ x / 2 - b[i] @ x for i in range(4)]
    np.testing.assert_allclose(found.history.nodes["own_loss"][-1], own, rtol=1e-4, atol=1e-6)
    assert found.history.own_loss[-1] == pytest.approx(np.mean(np.delete(own, DISHONEST)), rel=1e-4)
