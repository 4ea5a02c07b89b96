"""Models in files as a start: of jdl and of others, by name, and sentences for what does not fit."""

import types

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.command.choices import Choices, choose
from jdl.command.flags import flags_of
from jdl.command.record import build, record
from jdl.runs.model_files import save_models
from jdl.runs.pretrained import start_of


def save_file(arrays, path):
    """In the format of safetensors, which is an optional package."""
    pytest.importorskip("safetensors.numpy").save_file(arrays, path)


N = 3
FLAT = {"first/kernel": (4, 5), "first/bias": (5,), "last/kernel": (5, N)}


def init(key):
    nested = {"first": {"kernel": jnp.zeros((4, 5)), "bias": jnp.zeros(5)}, "last": {"kernel": jnp.zeros((5, N))}}
    return {"params": nested}


SIMULATION = types.SimpleNamespace(problem=types.SimpleNamespace(init=init, n=N))


def drawn(*lead):
    draw = np.random.default_rng(0).standard_normal
    return {name: draw(lead + shape).astype(np.float32) for name, shape in FLAT.items()}


def leaves(params):
    return {"/".join(key.key for key in path[1:]): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}


@pytest.mark.parametrize("lead", [(), (N,)])
@pytest.mark.parametrize("ending", ["npz", "safetensors"])
@pytest.mark.parametrize("naming", ["jdl", "params/{}", "{}", "dots"])
def test_names_of_arrays_say_where_they_belong(tmp_path, lead, ending, naming):
    path, arrays = tmp_path / f"models.{ending}", drawn(*lead)
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    if naming == "jdl":
        nested = {"first": {name: arrays[f"first/{name}"] for name in ("kernel", "bias")}}
        save_models(path, {"params": nested | {"last": {"kernel": arrays["last/kernel"]}}})
    else:
        named = {name.replace("/", ".") if naming == "dots" else naming.format(name): x for name, x in arrays.items()}
        np.savez(path, **named) if ending == "npz" else save_file(named, path)
    found = start_of(SIMULATION, str(path))
    assert jax.tree.structure(found) == jax.tree.structure(init(None))
    assert leaves(found).keys() == arrays.keys()
    assert all(np.array_equal(array, arrays[name]) for name, array in leaves(found).items())


def test_other_types_become_the_models(tmp_path):
    half = {name: x.astype(ml_dtypes.bfloat16) for name, x in drawn().items()}
    save_file(half, tmp_path / "half.safetensors")
    found = leaves(start_of(SIMULATION, tmp_path / "half.safetensors"))
    assert all(x.dtype == np.float32 and np.array_equal(x, half[name].astype(np.float32)) for name, x in found.items())


def test_the_one_model_of_a_server_is_one_model(tmp_path):
    np.savez(tmp_path / "models.npz", **drawn(1))
    found = leaves(start_of(SIMULATION, tmp_path / "models.npz"))
    assert all(np.array_equal(array, drawn()[name]) for name, array in found.items())


def test_what_is_no_name_is_left_alone():
    params = init(None)
    assert start_of(SIMULATION, params) is params


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda x: x.pop("first/bias"),
            "without first/bias, need the arrays of the problem's model: first/bias, first/k",
        ),
        (lambda x: x.update(more=np.zeros(2)), "with more as well"),
        (
            lambda x: x.update({"first/bias": np.zeros(7)}),
            r"whose first/bias has the shape \(7,\), need \(5,\), or \(3, 5\)",
        ),
        (
            lambda x: x.update({"first/bias": np.zeros((N, 5))}),
            "whose first/kernel, last/kernel are those of one model",
        ),
        (lambda x: x.update({"first/bias": np.array(list("abcde"))}), "of type <U1, need numbers"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, change, sentence):
    arrays = drawn()
    change(arrays)
    np.savez(tmp_path / "models.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        start_of(SIMULATION, tmp_path / "models.npz")


def test_files_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    for name, sentence in (
        ("none.npz", "which is no file"),
        ("broken.npz", "cannot be read"),
        ("a.pt", "ends in .npz"),
    ):
        with pytest.raises(InputError, match=sentence):
            start_of(SIMULATION, tmp_path / name)


def test_a_run_starts_from_a_file_and_the_command_line_names_it(tmp_path):
    problem = jdl.problems.quadratic(4, 2)
    start = np.arange(8, dtype=np.float32).reshape(4, 2)
    path = save_models(tmp_path / "start.npz", start)
    parts = problem, jdl.algorithms.DPSGD(lr=0.0), jdl.topology.from_weights(np.eye(4), allow_disconnected=True)
    result = jdl.run(*parts, rounds=1, params=path, progress=False)
    np.testing.assert_array_equal(result.models, start)

    chosen = choose(Choices(topology="ring", problem="quadratic"))
    command = record(flags_of(chosen)(nodes=4, params=str(path)), chosen)
    assert build(command)["params"] == command["params"] == str(path.resolve())
    assert "params" not in build(record(flags_of(chosen)(nodes=4), chosen))
