"""Data of every kind with every model that suits it, and problems by the name of their data."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import draw

import jdl
from jdl import checks, problems
from jdl.command import catalogue
from jdl.command.cli import main
from jdl.data import Dataset, Partition, partition
from jdl.problems.division import divide, rule_of
from jdl.problems.fitting import MODELS, USUAL, fit, kind_of

RNG = np.random.default_rng(0)


def made(x, y, classes, **more):
    return Dataset(x, y, x[:5], y[:5], num_classes=classes, name="made", source="Drawn here.", **more)


CLASSES = RNG.integers(0, 3, 12).astype(np.int32)
WORDS = RNG.integers(0, 7, (12, 6)).astype(np.int32)
KINDS = {
    "features": made(RNG.standard_normal((12, 4)).astype(np.float32), CLASSES, 3),
    "images": made(RNG.integers(0, 256, (12, 28, 28, 1)).astype(np.uint8), CLASSES, 3),
    "text": made(WORDS, np.roll(WORDS, -1, axis=1), 7, train_owner=np.arange(12, dtype=np.int32) // 3),
    "sentences": made(WORDS, CLASSES, 3, truth={"vocabulary": list("abcdefg")}),
    "ratings": made(
        RNG.integers(0, 4, (12, 2)).astype(np.int32),
        RNG.random(12, np.float32),
        0,
        truth={"users": list(range(4)), "items": list(range(4))},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_told_by_shapes_and_types(kind):
    assert kind_of(KINDS[kind]) == kind and kind in MODELS[USUAL[kind]].kinds


@pytest.mark.parametrize("name", MODELS)
def test_every_model_fits_data_of_its_kinds(name):
    for kind in MODELS[name].kinds:
        model, data = fit(KINDS[kind], name)
        dtype = jnp.float32 if data.train_x.dtype == np.uint8 else data.train_x.dtype
        x = jax.ShapeDtypeStruct((2, *data.train_x.shape[1:]), dtype)
        variables = jax.eval_shape(model.init, jax.random.key(0), x)
        outputs = jax.eval_shape(model.apply, variables, x)
        expected = {"text": (2, 6, 7), "ratings": (2,)}.get(kind, (2, 3))
        assert outputs.shape == expected and outputs.dtype == jnp.float32


def test_models_are_refused_where_they_do_not_fit():
    with pytest.raises(checks.InputError, match=r"got model 'lstm' for made, whose examples are images; need one of "):
        fit(KINDS["images"], "lstm")
    with pytest.raises(checks.InputError, match=r"got model 'lenett', .*did you mean lenet"):
        fit(KINDS["images"], "lenett")
    own = object()
    assert fit(KINDS["images"], own) == (own, KINDS["images"])


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        (partition.Shards(1), "train_y"),
        (partition.FeatureSkew(0.5), "train_x"),
        (partition.ByOwner(), "train_owner"),
    ],
)
def test_a_rule_is_given_what_it_asks_for(rule, asked):
    data = KINDS["images"]._replace(train_owner=np.arange(12) // 3)
    own = rule(getattr(data, asked), 3, seed=5)
    found = divide(data, 3, rule_of(rule), seed=5)
    np.testing.assert_array_equal(found.indices, own.indices)
    np.testing.assert_array_equal(problems.supervised(data, 3, partition=rule, seed=5).indices, own.indices)


def test_a_name_is_the_rule_with_its_defaults():
    assert rule_of("Dirichlet-per-node") == partition.DirichletPerNode()


def test_options_of_a_partition_given_by_its_name_still_work_with_a_warning():
    said = r"^supervised\(partition='shards', shards_per_node=1\) is spelled supervised\(partition=jdl\.data\.partition"
    with pytest.warns(DeprecationWarning, match=said):
        found = problems.supervised(KINDS["images"], 3, partition="shards", shards_per_node=1, seed=5)
    expected = problems.supervised(KINDS["images"], 3, partition=partition.Shards(1), seed=5)
    np.testing.assert_array_equal(found.indices, expected.indices)
    with pytest.warns(DeprecationWarning, match=r"^digits\(partition='dirichlet', alpha=0\.1\) is spelled digits\("):
        found = problems.digits(20, "dirichlet", alpha=0.1)
    np.testing.assert_array_equal(found.indices, problems.digits(20, partition.Dirichlet(0.1)).indices)
    with pytest.warns(
        DeprecationWarning, match=r"^jdl\.problems\.learn\(\.\.\.\) is spelled jdl\.problems\.supervised"
    ):
        problems.learn(KINDS["images"], 3)


def backwards(labels, nodes, last=0, seed=0):
    """A rule of the user's own."""
    return Partition(np.arange(len(labels))[::-1].reshape(nodes, -1) + last, np.full(nodes, len(labels) // nodes))


def test_partitions_of_the_users_own():
    data = KINDS["features"]
    expected = np.arange(12)[::-1].reshape(3, 4)
    for own in (backwards, functools.partial(backwards, last=0), backwards(data.train_y, 3)):
        np.testing.assert_array_equal(problems.supervised(data, 3, partition=own).indices, expected)
    order = np.array([2, 0, 1])  # no number: from Python alone
    found = problems.supervised(data, 3, partition=partition.AlongGraph(order), seed=1).indices
    np.testing.assert_array_equal(found, partition.AlongGraph(order)(data.train_y, 3, seed=1).indices)


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        (
            "iid",
            {"alpha": 0.1},
            r"got alpha=0.1, which is no argument of supervised; .*or give .*Dirichlet\(alpha=0.1\)",
        ),
        ("dirichlet", {"shards_per_node": 3}, r"or give partition=jdl.data.partition.Shards\(shards_per_node=3\)$"),
        ("shards", {"shards": 3}, r"got shards=3, which is no argument of supervised; leave it out$"),
        ("iid", {"batchsize": 3}, r"got batchsize=3, which is no argument of supervised"),
        (backwards, {"alpha": 1}, r"got alpha=1, which is no argument of supervised"),
        (functools.partial(backwards, last=1), {}, r"got a partition of examples . to 12"),
        (partition.Dirichlet, {}, r"got the class Dirichlet as a partition, need .*; call it: Dirichlet\(...\)"),
        (backwards(CLASSES, 4), {}, r"got 4 nodes from the partition given, need .* of 3 nodes; try nodes=4"),
        (backwards(CLASSES, 3), {"alpha": 1}, r"got alpha=1, which is no argument of supervised"),
        (lambda labels, nodes, seed: None, {}, r"got a NoneType from the partition <lambda>, need a jdl.data.Part"),
        (lambda y, nodes, seed: None, {}, r"got partition=<function .*need a name, .* or a function of labels \(or"),
        (lambda labels, nodes: None, {}, r"got partition=<function .*need a name, "),
        (max, {}, r"got partition=<built-in function max>, need a name, a jdl.data.Partition, .* or a function"),
        (3, {}, r"got partition=3, need a name, a jdl.data.Partition, .* or a function"),
        ("by_owner", {}, r"got partition 'by_owner' of made, whose examples have no owners; try"),
        ("direchlet", {}, r"got partition 'direchlet', .*did you mean dirichlet"),
    ],
)
def test_partitions_are_refused_with_a_sentence(given, options, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        problems.supervised(KINDS["images"], 3, partition=given, **options)


def test_an_option_is_refused_before_data_are_read(tmp_path):
    for make in (problems.mnist, problems.a9a):
        with pytest.raises(checks.InputError, match=r"got alpha=1, which is no argument of"):
            make(nodes=4, alpha=1, data_dir=str(tmp_path))


def test_learn_flattens_images_for_dense_models_and_keeps_some_test_examples():
    problem = problems.supervised(KINDS["images"], nodes=3, model="2nn", test_examples=2, batch_size=2)
    assert problem.train_x.shape == (12, 784) and problem.train_x.dtype == jnp.uint8
    assert problem.test_y.shape == (2,) and problem.n == 3
    whole = problems.supervised(KINDS["images"], nodes=3, test_examples=0)
    assert whole.test_y.shape == (5,) and whole.train_x.shape == (12, 28, 28, 1)
    shapes = jax.eval_shape(problem.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 785 * 200 + 201 * 200 + 201 * 3


def test_adapters_are_learnt_over_a_base_that_is_held_once():
    problem = problems.supervised(KINDS["text"], nodes=2, model="transformer_lora", batch_size=2)
    learnt, held = (sum(x.size for x in jax.tree.leaves(one)) for one in (_shapes(problem), problem.frozen))
    assert learnt == 2 * 2 * 8 * (128 + 128) and held > 40 * learnt  # two layers, query and value, rank 8
    again = problems.supervised(KINDS["text"], nodes=2, model="transformer_lora", batch_size=2, seed=1)
    assert not np.array_equal(*(jax.tree.leaves(one.frozen)[-1] for one in (problem, again)))


def _shapes(problem):
    return jax.eval_shape(problem.init, jax.random.key(0))


def test_regression_knows_its_optimum_and_refuses_other_data(x64):
    x = RNG.standard_normal((40, 3)).astype(np.float32)
    data = made(x, (x[:, 0] + 0.5 * RNG.standard_normal(40) > 0).astype(np.int32), 2)
    problem = problems.logistic_regression(data, nodes=4, partition=partition.Dirichlet(0.3), regularization=0.01)
    gradient = jax.grad(lambda w: problem.evaluate(w)["loss"])(problem.optimum.params)
    assert problem.optimum.params.shape == (4,) and float(jnp.max(jnp.abs(gradient))) < 1e-9
    with pytest.raises(checks.InputError, match=r"got made, features of 3 classes, need features of two"):
        problems.logistic_regression(KINDS["features"], nodes=2)


@pytest.mark.parametrize("name", problems.named.DATA_SETS)
def test_named_problems_are_those_of_one_data_set(name):
    make = catalogue.members("problems")[name]
    parameters = inspect.signature(make).parameters
    assert "data" not in parameters and next(iter(parameters)) == "nodes" and make.__name__ == name
    told = {option.name: option.help for option in catalogue.options(make)}
    assert all(told.values()) and {"data_dir", "partition"} <= set(told)
    row = problems.named.DATA_SETS[name]
    assert make.__doc__.startswith(row.summary) and f"`jdl.problems.{row.make.__name__}`" in make.__doc__
    assert all(parameters[option].default == value for option, value in row.defaults.items())


def test_data_sets_from_the_command_line(tiny_mnist, tmp_path, capsys):
    words = "run --problem mnist --model linear --topology ring --nodes 4 --rounds 60 --lr 0.5 --batch-size 5"
    words = f"{words} --data-dir {tiny_mnist}"
    with pytest.raises(SystemExit) as done:
        main([*words.split(), "--no-baselines", "--no-progress", "--json", "--out", str(tmp_path / "run")])
    out, err = capsys.readouterr()
    assert done.value.code == 0, err
    assert '"mean_accuracy": 1.0' in out  # a row of white pixels says which class it is


def test_a_missing_file_is_named_with_where_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JDL_DATA_DIR", raising=False)
    for more, said in (("", "no data directory"), (f" --data-dir {tmp_path}", f"{tmp_path}")):
        with pytest.raises(SystemExit) as done:
            main(f"run --problem mnist --nodes 4{more}".split())
        err = capsys.readouterr().err
        assert done.value.code == 2 and "train-images" in err and said in err and "get them from https://" in err


def test_passes_over_rounds_take_as_many_minibatches_as_there_are_local_steps():
    """Otherwise rounds would skip some, or see some twice: 12 examples, 2 nodes, batches of 2, 3 steps a round."""
    how = {"nodes": 2, "model": "linear", "batch_size": 2, "sampling": "epochs"}
    algorithm, graph = jdl.algorithms.DPSGD(local_steps=3), jdl.topology.ring(2)
    sentence = (
        r"got DPSGD, which draws 3 minibatches a round, and data of steps_per_round=1, .*give .*steps_per_round=3"
    )
    with pytest.raises(checks.InputError, match=sentence):
        jdl.simulation(problems.supervised(KINDS["images"], **how), algorithm, graph)
    problem = problems.supervised(KINDS["images"], **how, steps_per_round=3)
    jdl.simulation(problem, algorithm, graph)
    drawn = [problem.batch(0, draw(t=k // 3, k=k % 3))[0] for k in range(3)]
    assert len(np.unique(np.concatenate(drawn), axis=0)) == 6
    assert problem.advances == 3 and problem.replace(sampling="round").advances is None
