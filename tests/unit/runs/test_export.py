"""Results in other forms: files of models, labelled arrays, tables, pictures of nodes."""

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import checks
from jdl.runs.history import History
from jdl.runs.model_files import read_models, save_models
from jdl.runs.node_facts import NodeFacts
from jdl.runs.result import Result
from jdl.runs.results import Results

N = 3
NESTED = {
    "layers": [{"kernel": np.arange(6, dtype=np.float32).reshape(3, 2).T, "steps": np.int32(7)}, (np.ones(2, bool),)],
    "half": jnp.array([[1.5, -2.0]], jnp.bfloat16),
    "layers/0": np.zeros((0, 4)),
    "none": None,
}
ENDINGS = [".npz", ".safetensors"]


def result(seed=0, history=None, models=None):
    """A result of a run that was never made."""
    rows = [{"round": t, "seconds": t / 2, "mean_loss": 2.0 - t, "worst_loss": 3.0, "own_loss": 1.0} for t in (0, 1)]
    rows = [row | {"mean_model_loss": 0.5, "nodes/own_loss": np.arange(3.0) + seed} for row in rows]
    facts = NodeFacts(N, np.array([True, True, False]), np.zeros(N, np.int32), np.array([4, 5, 6 + seed]))
    origin = SimpleNamespace(models=lambda: models, described=dict)
    history = history or History(rows)
    return Result("ring", history, facts, seed, "finished", "finished 1 rounds", 1, 0.5, 0.1, origin)


def several():
    both = [result(seed) for seed in (0, 4)]
    rows = [dict(row) for row in both[0].history._whole]
    for row in rows:
        row |= {name: np.full(2, row[name]) for name in ("mean_loss", "worst_loss", "own_loss", "mean_model_loss")}
        row["nodes/own_loss"] = np.stack([np.arange(3.0), np.arange(3.0) + 4])
        row["mean_loss"] = row["mean_loss"] + np.array([0.0, 1.0])
    history = History(rows, (0, 4))
    return Results("ring", tuple(result(seed, history.of(seed)) for seed in (0, 4)), history)


def equal(x, y):
    assert jax.tree.structure(x) == jax.tree.structure(y)
    for one, other in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(np.asarray(one, np.float64), np.asarray(other, np.float64))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("models", [NESTED, np.ones((2, 3)), [np.float32(2)], {"jdl": np.ones(1), "model": np.ones(2)}])
def test_models_come_back_as_they_were(tmp_path, models, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    path = save_models(tmp_path / f"models{ending}", models, round=3)
    equal(jdl.load_models(path), models)
    assert read_models(path)[1]["round"] == 3 and [one.name for one in tmp_path.iterdir()] == [path.name]


def test_other_containers_need_their_structure(tmp_path):
    models = jdl.types.Traffic(bits=np.ones((2, 3)), messages=np.zeros(2))
    path = save_models(tmp_path / "models.npz", models)
    with pytest.raises(checks.InputError, match="need their structure; give like="):
        jdl.load_models(path)
    equal(jdl.load_models(path, like=models), models)
    with pytest.raises(checks.InputError, match="with 2 arrays, need 1"):
        jdl.load_models(path, like=np.ones(2))


def test_the_mean_model_is_the_start_of_another_run(tmp_path):
    models = np.arange(6, dtype=np.float32).reshape(N, 2)
    found = result(models=models)
    equal(jdl.load_models(found.save_models(tmp_path / "all.npz")), models)
    path = found.save_mean_model(tmp_path / "mean.npz")
    parts = jdl.problems.quadratic(N, dim=2), jdl.algorithms.DPSGD(lr=0.0), jdl.topology.ring(N)
    start = jdl.run(*parts, rounds=1, params=jdl.load_models(path), progress=False)
    np.testing.assert_array_equal(start.models, np.tile(models.mean(0), (N, 1)))


def test_files_that_hold_no_models_are_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    for name, sentence in (
        ("none.npz", "which is no file"),
        ("other.npz", "a file that jdl has not written"),
        ("damaged.npz", "which cannot be read"),
        ("models.pt", r"need a file whose name ends in \.npz or \.safetensors; try .*models\.npz"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            jdl.load_models(tmp_path / name)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(checks.InputError, match=r"pip install 'jdl\[export\]'"):
        save_models(tmp_path / "models.safetensors", NESTED)
    assert not (tmp_path / "models.safetensors").exists()


def test_labelled_arrays_have_rounds_seeds_and_nodes(monkeypatch):
    xarray = pytest.importorskip("xarray")
    found = result().to_xarray()
    assert isinstance(found, xarray.Dataset) and found.sizes == {"round": 2, "node": 3}
    assert found.own_loss.dims == ("round",) and found.node_own_loss.dims == ("round", "node")
    assert float(found.mean_loss.sel(round=1)) == 1.0 and found.attrs["status"] == "finished"
    assert float(found.node_own_loss.where(found.honest).mean("node")[0]) == 0.5
    both = several().to_xarray()
    assert both.sizes == {"round": 2, "node": 3, "seed": 2} and both.seconds.dims == ("round",)
    assert float(both.mean_loss.sel(round=1, seed=4)) == 2.0 and both.status.dims == ("seed",)
    assert both.honest.dims == ("node",) and both.num_examples.sel(seed=4).values.tolist() == [4, 5, 10]
    assert float(both.node_own_loss.sel(seed=4, node=2, round=0)) == 6.0
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(checks.InputError, match=r"pip install 'jdl\[export\]'"):
        result().to_xarray()


def test_tables_in_all_formats():
    found = several()
    assert "1.5" in found.table() and "interval" in found.table()
    assert found.table("markdown", by_seed=True).count("\n| seed ") == 2
    assert r"\begin{tabular}" in found.table("latex") and found.table("csv").startswith(",mean over nodes")
    assert "1" in result().table("CSV")
    with pytest.raises(checks.InputError, match="did you mean markdown"):
        found.table("markdwn")


def test_pictures_of_nodes_are_those_of_the_frame(monkeypatch, tmp_path):
    from jdl.show import node_plots

    seen = []
    monkeypatch.setattr(node_plots, "nodes", lambda *given: seen.append(given))
    result().plot_nodes("own_loss", by="group", path=tmp_path / "a.png")
    ((frame, *rest),), both = seen, several().nodes
    assert rest == ["own_loss", "group", tmp_path / "a.png"] and frame.own_loss.tolist() == [0, 1, 2] * 2
    assert both.seed.tolist() == [0] * 6 + [4] * 6 and both.num_examples.tolist() == [4, 5, 6] * 2 + [4, 5, 10] * 2


def test_a_confusion_matrix_is_that_of_all_models_together(monkeypatch):
    matrices = np.array([[[3, 1], [0, 4]], [[2, 2], [1, 3]]])
    monkeypatch.setattr(jdl.metrics, "confusion", lambda models, simulation: matrices[: len(models)])
    found = result(models=np.ones(2))
    found.origin.simulation = lambda: None
    shares = np.asarray(found.confusion().axes[0].images[0].get_array())
    np.testing.assert_allclose(shares, [[5 / 8, 3 / 8], [1 / 8, 7 / 8]])
