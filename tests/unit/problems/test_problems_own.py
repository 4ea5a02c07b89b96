"""What a node meets: its share of the test set, what it keeps aside, and inputs that belong to nobody."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import full_batch

import jdl
from jdl import checks
from jdl.data import Dataset, Partition
from jdl.data.partition import ByOwner, Dirichlet
from jdl.models import Linear
from jdl.problems import Supervised, supervised
from jdl.problems.own import own_groups

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 3)).astype(np.float32), (np.arange(60) % 3).astype(np.int32)
OWNER = (np.arange(40) % 4).astype(np.int32)
DATA = Dataset(X[:40], Y[:40], X[40:], Y[40:], num_classes=3, name="own", source="Drawn here.")
OWNED = DATA._replace(train_owner=OWNER, test_owner=np.array([0, 1, 2, 3, -1] * 4, np.int32))


def made(rows, data=DATA, outputs=3, **options):
    counts = np.array([len(row) for row in rows], np.int32)
    table = np.zeros((len(rows), counts.max()), np.int32)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return Supervised.from_data(data, Partition(table, counts), Linear(classes=outputs), **options)


def model(seed=1):
    rng = np.random.default_rng(seed)
    kernel, bias = rng.standard_normal((3, 3)).astype(np.float32), np.array([2, 0, -1], np.float32)
    return {"params": {"Dense_0": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}}


def in_numpy(params, x, y):
    """The loss and the accuracy of each example."""
    layer = params["params"]["Dense_0"]
    logits = np.asarray(x, np.float64) @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])[None, :]
    loss = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), np.asarray(y)]
    return {"loss": loss, "accuracy": (logits.argmax(axis=1) == np.asarray(y)).astype(float)}


@jax.jit
def measured(problem, params):
    ids = jnp.arange(problem.n, dtype=jnp.int32)
    own = jax.vmap(lambda id: problem.evaluate(params, id))(ids)
    return problem.evaluate(params), problem.evaluate_for_all(params), own


def agree(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=2e-5, atol=1e-6)


def test_classes_count_as_often_as_the_node_has_them():
    """A test example is drawn by drawing a label of the node's own, then a test example of this class."""
    rows = [[0, 3, 6, 1], [], [2, 5, 8], list(range(30))]
    problem, params = made(rows), model()
    each, whole = in_numpy(params, DATA.test_x, DATA.test_y), {"loss": [], "accuracy": []}
    for row in rows:
        for name, values in each.items():
            of_label = [values[DATA.test_y == DATA.train_y[example]].mean() for example in row]
            whole[name].append(np.mean(of_label) if row else values.mean())
    evaluated, for_all, one_by_one = measured(problem, params)
    agree(evaluated, {name: values.mean() for name, values in each.items()})
    agree(for_all, whole)
    agree(one_by_one, for_all)
    assert "own" in problem.offers and np.ptp(whole["accuracy"]) > 0.05 and np.ptp(whole["loss"]) > 0.2


def test_a_node_whose_labels_are_those_of_the_test_set_meets_the_test_set():
    share = np.bincount(DATA.test_y)
    row = np.concatenate([np.flatnonzero(DATA.train_y == label)[: share[label]] for label in range(3)])
    evaluated, for_all, _ = measured(made([row, [0]]), model())
    agree({name: values[0] for name, values in for_all.items()}, evaluated)


def test_owners_meet_their_own_test_examples():
    rows = [np.flatnonzero(OWNER == owner) for owner in (2, 0)] + [np.flatnonzero(OWNER % 2 == 1)]
    problem, params = made(rows, OWNED), model()
    each, of = in_numpy(params, OWNED.test_x, OWNED.test_y), OWNED.test_owner
    met = of == 2, of == 0, (of == 1) | (of == 3)
    agree(measured(problem, params)[1], {name: [values[own].mean() for own in met] for name, values in each.items()})
    # Where nodes have examples of several owners, and owners are at several nodes, labels say what a node meets.
    mixed = Partition(np.array([[0, 1], [4, 5]], np.int32), np.array([2, 2], np.int32))
    np.testing.assert_array_equal(own_groups(OWNED, mixed)[0], OWNED.test_y)
    tokens = OWNED._replace(train_y=np.stack([Y[:40]] * 2, 1), test_y=np.stack([Y[40:]] * 2, 1))
    assert own_groups(tokens, mixed) is None
    assert own_groups(tokens, Partition(np.flatnonzero(OWNER == 1)[None], np.array([10])))[1].shape == (1, 5)


def test_pooled_data_meet_what_all_nodes_meet_together():
    rows = [[0, 3, 6, 1], [], [2, 5], list(range(9, 30))]
    together = made([[0, 3, 6, 1, 2, 5, *range(9, 30)]])
    pooled, params = made(rows).pooled(), model()
    agree(measured(pooled, params)[1], measured(together, params)[1])


def test_what_is_held_out_is_the_end_of_each_row_and_changes_no_gradient():
    rows = [list(range(10)), [10], list(range(20, 25)), []]
    problem, params = made(rows, validation=0.2), model()
    assert problem.num_examples.tolist() == [8, 1, 4, 0] and problem.num_held.tolist() == [2, 0, 1, 0]
    held = [[8, 9], [], [24], []]
    found = jax.jit(jax.vmap(lambda id: problem.held_out(params, id)))(jnp.arange(4))
    for node, row in enumerate(held):
        each = in_numpy(params, DATA.train_x[row], DATA.train_y[row])
        for name, values in each.items():
            np.testing.assert_allclose(found[name][node], values.mean() if row else 0, rtol=2e-5)
    other = problem.replace(train_x=problem.train_x.at[jnp.array([8, 9, 24])].set(1e6))
    for node in range(4):
        for one, two in zip(full_batch(problem, node), full_batch(other, node), strict=True):
            np.testing.assert_array_equal(one, two)
    kept = np.asarray(problem.indices)[np.arange(problem.width) < np.asarray(problem.num_examples)[:, None]]
    assert not {8, 9, 24} & set(kept.tolist()) and "held_out" in problem.offers
    pooled = problem.pooled()
    assert pooled.num_examples.tolist() == [13] and sorted(pooled.held[0].tolist()) == [8, 9, 24]
    real = made(rows, DATA._replace(train_y=X[:40, 0], test_y=X[40:, 0], num_classes=0), 1, validation=0.2)
    assert "own" in real.offers and "labels" not in real.offers
    cases = {1.0: "need a share from 0 to below 1", 0.01: "nodes with at most 10 examples, which is none"}
    for share, sentence in cases.items():
        with pytest.raises(checks.InputError, match=sentence):
            made(rows, validation=share)


def test_public_inputs_belong_to_nobody():
    options = {"nodes": 4, "model": "linear", "partition": Dirichlet(alpha=1.0)}
    problem = supervised(DATA, **options, public=0.25)
    assert problem.public_x.shape == (10, 3) and problem.public_y.shape == (10,) and len(problem.train_y) == 30
    both = np.concatenate([np.asarray(problem.public_x), np.asarray(problem.train_x)])
    np.testing.assert_array_equal(np.sort(both[:, 0]), np.sort(DATA.train_x[:, 0]))
    given = supervised(DATA, **options, public=X[:7] + 1)
    assert given.public_x.shape == (7, 3) and given.public_y is None and len(given.train_y) == 40
    assert "public" in given.offers and "public" not in supervised(DATA, **options).offers
    owned = supervised(OWNED, nodes=4, model="linear", partition=ByOwner(), public=0.25, test_examples=9)
    assert len(owned.test_group) == 9 and int(owned.num_examples.sum()) == 30
    for public, sentence in (
        (1.5, r"got public=1.5, which is 60 of 40 training examples, need some and not all"),
        (X[:5, :2], r"got public inputs of shape \(5, 2\) and type float32, need inputs of \(3,\), as in own"),
        (np.ones((5, 3), int), "need float32, as in own; convert them"),
        (np.full((5, 3), np.nan, np.float32), "not finite"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            supervised(DATA, **options, public=public)
    digits = jdl.problems.digits(nodes=4, hidden=0, public=0.1, validation=0.1)
    assert digits.public_x.shape == (144, 64) and {"public", "held_out", "own", "labels"} <= digits.offers


@pytest.mark.parametrize("make", [jdl.problems.logistic, jdl.problems.quadratic], ids=lambda make: make.__name__)
def test_an_objective_of_its_own_is_what_a_node_meets(make, x64):
    problem = make(nodes=3, dim=4)
    params = jnp.arange(4.0) / 3
    evaluated, for_all, one_by_one = measured(problem, params)
    losses = [float(problem.loss(params, problem.full_batch(id))[0]) for id in range(3)]
    agree(for_all, {"loss": np.array(losses)})
    agree(one_by_one, for_all)
    np.testing.assert_allclose(np.mean(losses), evaluated["loss"], rtol=1e-12)


class Features:
    """A model with two outputs, which also begins at its second layer."""

    def init(self, key, x):
        return {"params": {"w": jnp.eye(3, dtype=x.dtype)}}

    def apply(self, variables, x=None, features=None):
        features = x * 2 if features is None else features
        return {"features": features, "logits": features @ variables["params"]["w"]}


def test_models_may_have_several_outputs_and_inputs():
    problem = Supervised.from_data(DATA, Partition(np.arange(40)[None], np.array([40])), Features())
    params = {"params": {"w": jnp.asarray(RNG.standard_normal((3, 3)), jnp.float32)}}
    outputs = problem.predict(params, problem.inputs(problem.full_batch(0)))
    np.testing.assert_array_equal(outputs["features"], 2 * X[:40])
    again = problem.predict(params, {"features": outputs["features"]})
    np.testing.assert_array_equal(again["logits"], outputs["logits"])
    logits = 2 * X[:40].astype(np.float64) @ np.asarray(params["params"]["w"])
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), Y[:40]])
    np.testing.assert_allclose(problem.loss(params, problem.full_batch(0))[0], expected, rtol=1e-5)
