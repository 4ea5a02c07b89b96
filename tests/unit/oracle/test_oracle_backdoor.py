"""Backdoors: who is poisoned, with what, and how often it works, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle_cases import about, model, same, small

import jdl
from jdl import checks
from jdl.oracle import DBA, Backdoor, DataOracle, EdgeCase, as_oracle
from jdl.oracle.backdoor import poisoned
from jdl.types import FULL, PUBLIC

LIAR = {"honest": jnp.bool_(False)}
RARE = np.array([[9.0, 9.0], [8.0, 8.0]], np.float32)
PARTS = {
    "backdoor": Backdoor(1, size=1, value=7.0),
    "dba": DBA(1, size=2, value=7.0, parts=2),
    "rare": EdgeCase(RARE, 1),
}


@jax.jit
def _batch(oracle, data, which):
    return oracle.batch(data, which)


def batch(part, data, which=FULL):
    oracle = DataOracle() if part is None else as_oracle(jdl.tree.numbers_to_arrays(part))
    return jax.tree.map(np.asarray, _batch(oracle, data, which))


@pytest.mark.parametrize("name", PARTS)
def test_a_liar_learns_poison_and_an_honest_node_its_data(name):
    """Of six examples every second one is poisoned."""
    problem, part = small(), PARTS[name]
    x, y, _ = plain = batch(None, about(problem, 2))
    assert same(batch(part, about(problem, 2)), plain)
    shown, labels, mask = batch(part, about(problem, 2, group=jnp.int32(3), **LIAR))
    hit = np.arange(6) % 2 == 1
    assert np.array_equal(shown[~hit], x[~hit]) and np.array_equal(labels, np.where(hit, 1, y)) and mask.all()
    if name == "rare":
        assert all(any(np.array_equal(row, one) for one in RARE) for row in shown[hit])
    else:  # the patch of one number is the second one, as is the part of odd groups
        np.testing.assert_array_equal(shown[hit], np.stack([x[hit, 0], np.full(3, 7.0)], axis=1))
    none = part.replace(share=0.0)
    assert same(batch(none, about(problem, 2, **LIAR)), plain)
    whole = batch(part.replace(share=1.0), about(problem, 2, **LIAR))
    assert np.all(whole[1] == 1)


def test_public_data_stay_as_they_are():
    problem = small().replace(public_x=jnp.ones((3, 2)), public_y=jnp.zeros(3, jnp.int32))
    data = about(problem, 2, **LIAR)
    assert all(same(batch(part, data, PUBLIC(0)), batch(None, data, PUBLIC(0))) for part in PARTS.values())


def test_poison_is_spread_evenly():
    shares = np.array([0.0, 0.1, 0.25, 1 / 3, 0.9, 1.0])
    which = jax.jit(jax.vmap(lambda share: poisoned(60, share)))(shares.astype(np.float32))
    found = np.cumsum(np.asarray(which), axis=1)
    assert np.all(np.abs(found - shares[:, None] * np.arange(1, 61)) <= 1 + 1e-4)
    assert found[0, -1] == 0 and found[-1, -1] == 60


def test_triggers_of_images_and_parts_that_make_up_the_whole():
    images = jnp.asarray(np.random.default_rng(0).integers(0, 255, (2, 5, 6, 1)), jnp.uint8)
    own = np.full((5, 6, 1), np.nan, np.float32)
    own[0, 1], own[2, 2] = 1.0, 0.0
    dba, one = DBA(size=3, parts=4), DBA(size=3, parts=1)

    @jax.jit
    def made(images, data):
        where, _ = dba.trigger(images)
        patches = (Backdoor(size=2, value=0.4).stamped(images), Backdoor(pattern=own).stamped(images))
        return *patches, where, dba.part(where), one._stamped(images, data), one.stamped(images)

    stamped, shown, where, part, single, central = map(np.asarray, made(images, about(small(), 0)))
    expected = np.array(images)
    expected[:, 3:, 4:] = 102
    assert stamped.dtype == np.uint8 and np.array_equal(stamped, expected)
    assert np.array_equal(part >= 0, where) and np.bincount(part[part >= 0]).tolist() == [3, 2, 2, 2]
    assert np.all(shown[:, 0, 1] == 255) and np.all(shown[:, 2, 2] == 0) and (shown != images).sum() <= 4
    np.testing.assert_array_equal(single, central)


def test_what_cannot_be_poisoned_is_refused():
    problem, data = small(), about(small(), 2, **LIAR)
    for part, sentence in (
        (Backdoor(target=3, size=1), "got target=3, need one of the 3 classes from 0 to 2; try target=0"),
        (Backdoor(size=3), r"got size=3 for inputs of shape \(2,\), need a patch within them; try size=2"),
        (Backdoor(pattern=np.zeros(3)), r"got a trigger of shape \(3,\), need \(2,\)"),
        (EdgeCase(np.zeros((2, 3))), r"got rare inputs of shape \(2, 3\) for inputs of shape \(2,\)"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            batch(part, data)
    simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(), jdl.topology.ring(4))
    with pytest.raises(checks.InputError, match="got the metric attack_success and an oracle without a backdoor"):
        jdl.metrics.attack_success(None, None, simulation)


def test_how_often_a_trigger_works():
    """Linear models drawn at random, on all seven test examples, in NumPy."""
    problem, part = small(), Backdoor(2, size=1, value=3.0)
    models = jax.tree.map(lambda *x: jnp.stack(x), *(model(problem, seed) for seed in range(4)))
    parts = problem, jdl.algorithms.DPSGD(), jdl.topology.ring(4)
    roles = jdl.roles.of(honest=np.array([True, True, True, False]))
    layer, far = models["params"]["Dense_0"], 9 * np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]], np.float32)
    x, y = np.array(problem.test_x), np.asarray(problem.test_y)
    score = lambda x: np.einsum("td,ndc->ntc", x, np.asarray(layer["kernel"])) + np.asarray(layer["bias"])[:, None]
    for oracle, shown, counted in (
        (part, np.stack([x[:, 0], np.full(7, 3.0)], 1), y != 2),
        (EdgeCase(far, 2), far, slice(None)),
    ):
        simulation = jdl.simulation(*parts, oracle=[oracle], roles=roles)
        found = jax.jit(lambda s, models: jdl.metrics.attack_success(models, None, s))(simulation, models)
        expected = (score(shown).argmax(axis=2) == 2)[:, counted].mean(axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert np.ptp(expected) > 0
