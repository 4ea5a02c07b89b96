"""What nodes ask of their data: selections, single examples, named losses, public inputs; and who has no answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from oracle_cases import INDICES, about, flat, grad, model, numpy_gradients, same, small

import jdl
from jdl import checks
from jdl.oracle import DataOracle
from jdl.problems import offers
from jdl.types import FULL, PUBLIC, Minibatch, Part

ORACLE = DataOracle()
PROBLEMS = {
    "supervised": lambda: small(2),
    "logistic": lambda: jdl.problems.logistic(nodes=3, dim=4, examples=11),
    "quadratic": lambda: jdl.problems.quadratic(nodes=3, dim=4),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_mean_over_parts_is_the_whole(name, x64):
    problem = PROBLEMS[name]()
    x = model(problem)
    v = jax.tree.map(jnp.ones_like, x)

    @jax.jit
    def asked(data, which):
        return (
            ORACLE.grad(data, x, which)[0],
            ORACLE.loss(data, x, which),
            ORACLE.hvp(data, x, v, which),
        )

    for id in range(2):
        data = about(problem, id)
        parts, whole = [asked(data, Part(jnp.int32(part), 4)) for part in range(4)], asked(data, FULL)
        mean = jax.tree.map(lambda *each: np.mean(each, axis=0), *parts)
        jax.tree.map(lambda ours, full: np.testing.assert_allclose(ours, full, atol=1e-12), mean, whole)
    parts = [asked(about(problem, 0), Part(jnp.int32(part), 4))[0] for part in range(2)]
    assert same(*parts) == (name == "quadratic")


def test_a_number_is_short_for_a_minibatch_and_each_number_names_one():
    problem = small(2)
    x, data = model(problem), about(problem, 2)
    one, short, other = (grad(ORACLE, data, x, which) for which in (Minibatch(3), 3, jnp.int32(4)))
    assert same(one, short) and not same(one, other)
    with pytest.raises(checks.InputError, match=r"got 'PUBLIC' as a selection|got 'Public' as a selection"):
        ORACLE.grad(data, x, PUBLIC)


@pytest.mark.parametrize("name", ["supervised", "logistic"])
def test_weights_of_one_change_no_bit_and_others_are_factors_on_the_losses(name):
    problem = PROBLEMS[name]()
    x, data = model(problem), about(problem, 2)
    places, weighted = problem.width, lambda weights: grad(ORACLE, data, x, FULL, weights)
    assert same(grad(ORACLE, data, x, FULL), weighted(np.ones(places, np.float32)))
    weights, units = np.arange(places, dtype=np.float32), np.eye(places, dtype=np.float32)
    each = [weighted(unit) for unit in units]
    total = jax.tree.map(lambda *each: sum(w * np.asarray(g) for w, g in zip(weights, each, strict=True)), *each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), weighted(weights), total)
    with pytest.raises(checks.InputError, match=r"got a query for 'losses' of the problem Quadratic"):
        other = PROBLEMS["quadratic"]()
        ORACLE.grad(about(other), model(other), 0, "loss", jnp.ones(1))


@pytest.mark.parametrize("which", [FULL, 1, Part(1, 2)], ids=str)
def test_examples_come_with_their_losses_names_and_classes(which):
    problem = small(2)
    x = model(problem)
    asked = jax.jit(lambda data, which: (ORACLE.losses(data, x, which), ORACLE.batch(data, which)))
    for id in (1, 2):
        data = about(problem, id)
        found, (_, labels, mask) = asked(data, which)
        np.testing.assert_array_equal(found.real, mask)
        np.testing.assert_array_equal(found.group, labels)
        rows = INDICES[id][np.asarray(found.place)[np.asarray(mask)]]
        layer = x["params"]["Dense_0"]
        logits = np.asarray(problem.train_x)[rows] @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])[None, :]
        targets = np.asarray(problem.train_y)[rows]
        each = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(rows)), targets]
        np.testing.assert_allclose(np.asarray(found.loss)[np.asarray(mask)], each, rtol=1e-5)
        assert not np.asarray(found.loss)[~np.asarray(mask)].any()
        assert mask.any() == (id == 2)
    assert ORACLE.width(data) == 8  # six, padded


def test_losses_of_logistic_examples_are_those_of_the_objective(x64):
    problem = PROBLEMS["logistic"]()
    x, data = model(problem), about(problem, 1)
    asked = jax.jit(lambda data, x: (ORACLE.losses(data, x, FULL), ORACLE.loss(data, x, FULL)))
    found, loss = asked(data, x)
    assert found.real.all() and sorted(set(found.group.tolist())) == [0, 1]
    np.testing.assert_allclose(np.mean(found.loss), loss, rtol=1e-12)
    logits = ORACLE.predict(data, x, ORACLE.inputs(data, FULL))
    penalty = float(problem.regularization) / 2 * np.sum(np.square(x))
    signs = 2 * np.asarray(found.group) - 1
    np.testing.assert_allclose(found.loss, np.log1p(np.exp(-signs * np.asarray(logits))) + penalty, rtol=1e-12)


@struct.dataclass
class TwoLosses(jdl.problems.Quadratic):
    """A second objective for each node, ||x||^2 / 2 - sum(b), beside the first."""

    offers = jdl.problems.Quadratic.offers | {"loss:lower"}

    def lower(self, params, batch):
        return jnp.sum(jnp.square(params)) / 2 - jnp.sum(batch[1]), {"seen": batch[1][0]}


def test_losses_have_names():
    plain = jdl.problems.quadratic(nodes=3, dim=4)
    problem = TwoLosses(plain.A, plain.b)
    x, data = model(problem), about(problem, 1)
    gradient, aux = ORACLE.grad(data, x, FULL, "lower")
    np.testing.assert_array_equal(gradient, x)
    assert aux["seen"] == problem.b[1, 0]
    np.testing.assert_allclose(ORACLE.loss(data, x, FULL, "lower"), np.square(x).sum() / 2 - problem.b[1].sum(), 1e-6)
    np.testing.assert_array_equal(ORACLE.hvp(data, x, 3 * x, FULL, "lower"), 3 * x)
    assert "loss:lower" in offers.of(problem) & jdl.oracle.answers(ORACLE, problem)
    with pytest.raises(checks.InputError, match=r"got Odd, which offers 'loss:upper' and lacks upper"):
        offers.of(type("Odd", (), {"offers": frozenset({"loss:upper"})})())


def test_public_minibatches_are_the_same_for_all_nodes_and_new_in_every_round():
    problem = small(2, public=(np.arange(80, dtype=np.float32).reshape(40, 2), None))
    asked = jax.jit(ORACLE.batch)
    cases = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    batches = [asked(about(problem, id, t), PUBLIC(k)) for id, t, k in cases]
    assert same(batches[0], batches[1]) and not same(batches[0], batches[2]) and not same(batches[0], batches[3])
    data, x = about(problem, 2), model(problem)
    inputs = ORACLE.inputs(data, PUBLIC(0))
    assert inputs.shape == (2, 2) and set(np.asarray(inputs).ravel()) <= set(range(80))
    assert ORACLE.predict(data, x, inputs).shape == (2, 3)
    with pytest.raises(checks.InputError, match="got public inputs without targets"):
        ORACLE.grad(data, x, PUBLIC(0))
    known = small(0, public=(np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])))
    mean = numpy_gradients(x, np.ones((4, 2)), np.array([0, 1, 2, 0])).mean(axis=0)
    np.testing.assert_allclose(flat(grad(ORACLE, about(known), x, PUBLIC(0))), mean, atol=1e-6)
    with pytest.raises(checks.InputError, match=r"got a query for 'public' of the problem Supervised"):
        ORACLE.batch(about(small(2)), PUBLIC(0))


def test_the_desk_of_a_server_answers_about_public_data_alone():
    problem = small(2, public=(np.ones((5, 2), np.float32), None))
    desk = about(problem).replace(id=np.int32(-1))
    assert ORACLE.inputs(desk, PUBLIC(0)).shape == (2, 2)
    for which in (0, FULL, Part(0, 2)):
        with pytest.raises(checks.InputError, match=r"the server's desk, which has public data alone; ask for PUBLIC"):
            ORACLE.grad(desk, model(problem), which)


def test_a_node_without_data_answers_with_zeros():
    problem = small(2, validation=0.2)
    x, data = model(problem), about(problem, 1)

    @jax.jit
    def answers(data):
        found = [ORACLE.grad(data, x, which)[0] for which in (0, FULL, Part(0, 2))]
        found += [ORACLE.loss(data, x, 0), ORACLE.hvp(data, x, x, 0), ORACLE.losses(data, x, 0).loss]
        return [*found, ORACLE.inputs(data, FULL), ORACLE.held_out(data, x)]

    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(answers(data)))
    *others, held_out = answers(about(problem, 2))
    assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(others)) and held_out["loss"] > 0


def test_a_node_that_does_not_work_has_no_gradient_and_no_step():
    problem = jdl.problems.quadratic(nodes=3, dim=4)
    x = model(problem)
    idle, busy = (about(problem, 1, works=jnp.bool_(works)) for works in (False, True))
    hvp = jax.jit(lambda data, which: ORACLE.hvp(data, x, x, which))
    for which in (0, FULL, Part(1, 2)):
        assert not grad(ORACLE, idle, x, which).any() and not hvp(idle, which).any()
        np.testing.assert_array_equal(*(grad(ORACLE, data, x, which) for data in (busy, about(problem, 1))))
    np.testing.assert_array_equal(ORACLE.prox(idle, x, 0.5), x)
    assert ORACLE.steps(idle) == 0 and ORACLE.steps(busy) > 10**9 and ORACLE.steps(about(problem, 1)) is None
    few = DataOracle(epochs=2.0)
    own = small(2)
    assert [int(few.steps(about(own, 2, works=jnp.bool_(works)))) for works in (False, True)] == [0, 6]


def test_the_proximal_point_is_where_its_gradient_vanishes(x64):
    problem = jdl.problems.quadratic(nodes=3, dim=4)
    data, v, step = about(problem, 2), model(problem), 0.7
    x = ORACLE.prox(data, v, step)
    np.testing.assert_allclose(ORACLE.grad(data, x, FULL)[0] + (x - v) / step, 0, atol=1e-12)


def test_what_is_answered_depends_on_oracle_and_problem():
    supervised, logistic, quadratic = (jdl.oracle.answers(ORACLE, make()) for make in PROBLEMS.values())
    basis = {"grad", "loss", "hvp", "full", "parts"}
    assert quadratic == basis | {"prox"} and logistic == supervised == basis | {"predict", "losses"}
    more = small(2, validation=0.2, public=(np.ones((5, 2), np.float32), None))
    assert jdl.oracle.answers(ORACLE, more) == supervised | {"public", "held_out"}
    with pytest.raises(checks.InputError, match=r"got offer of Odd 'proxx'.*did you mean prox"):
        offers.of(type("Odd", (), {"offers": frozenset({"proxx"})})())
