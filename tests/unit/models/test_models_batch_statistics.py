"""Models with batch statistics: refused, or wrapped and then equal to the network in NumPy and to flax in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from module_cases import ByTheCall, Normalised, NormalisedNNX, Plain, X, drawn

from jdl.checks import InputError
from jdl.models import (
    MLP,
    FromNNX,
    Functions,
    LoRA,
    PersonalStatistics,
    recalibrated,
    without_batch_statistics,
)

STATISTICAL = [Normalised(), ByTheCall(), FromNNX(NormalisedNNX)]


def normalised_in_numpy(params, x):
    """Dense, the batch's own mean and variance, relu, dense."""
    h = x @ params["first"]["kernel"] + params["first"]["bias"]
    h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) * params["centre"]["scale"] + params["centre"]["bias"]
    return np.maximum(h, 0) @ params["last"]["kernel"] + params["last"]["bias"]


@pytest.mark.parametrize("module", [*STATISTICAL, Functions(Normalised().init, Normalised().apply)])
def test_batch_statistics_are_refused_by_default(module):
    with pytest.raises(InputError, match=r"got batch statistics in centre: .* GroupNorm, or models.PersonalStatistics"):
        without_batch_statistics(module, X[:1])


@pytest.mark.parametrize("module", [MLP((5,), 3), LoRA(MLP((5,), 3), targets=()), FromNNX(Plain)])
def test_models_without_are_taken(module):
    without_batch_statistics(module, X[:1])
    without_batch_statistics(module, jax.ShapeDtypeStruct((1, 4), jnp.float32))


def test_layers_within_layers_are_named():
    module = nn.Sequential([nn.Dense(3), nn.BatchNorm(True), nn.Sequential([nn.BatchNorm(True)]), Normalised()])
    with pytest.raises(InputError, match="got batch statistics in layers_1, layers_2/layers_0, layers_3/centre:"):
        without_batch_statistics(module, X[:1])
    with pytest.raises(InputError, match="got batch statistics in the module itself:"):
        without_batch_statistics(nn.BatchNorm(True), X[:1])


def test_an_nnx_module_itself_is_refused():
    with pytest.raises(InputError, match=r"got Linear, an nnx module.*FromNNX"):
        without_batch_statistics(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), X[:1])


@pytest.mark.parametrize("module", STATISTICAL)
def test_wrapped_each_batch_has_its_own_statistics(module):
    model = PersonalStatistics(module)
    without_batch_statistics(model, X[:1])
    variables = drawn(model)
    assert set(variables) == {"params"}  # what is exchanged: no statistics
    assert not [path for path, _ in jax.tree.leaves_with_path(variables) if "mean" in str(path) or "var" in str(path)]
    named = {**variables["params"]}
    if isinstance(module, FromNNX):
        named |= {"first": named["layers"]["0"], "last": named["layers"]["1"]}
    apply = jax.jit(model.apply)
    for x in (X, X * X + 7):
        expected = normalised_in_numpy(named, x)
        np.testing.assert_allclose(apply(variables, x), expected, rtol=1e-3, atol=1e-4)


def test_wrapped_is_what_training_mode_computes():
    """flax's own training mode, of which the update is dropped; also where the module is in that mode already."""
    model, variables = PersonalStatistics(Normalised()), drawn(PersonalStatistics(Normalised()))
    statistics = jax.tree.map(np.asarray, drawn(Normalised())["batch_stats"])
    full = {**variables, "batch_stats": statistics}
    expected, changed = Normalised().apply(full, X, train=True, mutable=["batch_stats"])
    assert (changed["batch_stats"]["centre"]["mean"] != statistics["centre"]["mean"]).any()
    np.testing.assert_array_equal(model.apply(variables, X), expected)
    np.testing.assert_array_equal(PersonalStatistics(ByTheCall(train=True)).apply(variables, X), expected)


def test_wrapped_start_vmapped_and_learning():
    model = PersonalStatistics(Normalised())
    start = jax.jit(model.init)(jax.random.key(0), X[:1])
    np.testing.assert_array_equal(start["params"]["centre"]["scale"], np.ones(5))
    variables, x = drawn(model, 3), np.stack([X, X + 1, X * X])
    loss = lambda variables, x: jnp.mean(jnp.square(model.apply(variables, x)))
    together, grad = jax.jit(jax.vmap(jax.grad(loss)))(variables, x), jax.jit(jax.grad(loss))
    for i in range(3):
        alone = grad(jax.tree.map(lambda leaf, i=i: leaf[i], variables), x[i])
        for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-3, atol=1e-3)


class Spectral(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(True)(x)
        return nn.SpectralNorm(nn.Dense(3))(x, update_stats=False)


class Counted(nnx.Module):
    """Batch statistics of the user's own making."""

    def __init__(self, rngs):
        self.level = nnx.BatchStat(jnp.zeros(4))

    def __call__(self, x):
        return x - self.level[None]


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Spectral(), "got batch statistics in SpectralNorm_0, need them in BatchNorm alone"),
        (FromNNX(Counted), "got batch statistics in the module itself, need them in BatchNorm alone"),
        (MLP(), "got a model without batch statistics"),
        (FromNNX(Plain), "got a model without batch statistics"),
        (Functions(lambda key, x: (), lambda params, x: x), "need a flax.linen module or FromNNX"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(module, sentence):
    with pytest.raises(InputError, match=sentence):
        jax.eval_shape(PersonalStatistics(module).init, jax.random.key(0), X[:1])


class Fixed(nnx.Module):
    def __init__(self, rngs):
        self.centre = nnx.BatchNorm(4, rngs=rngs)

    def __call__(self, x):
        return self.centre(x, use_running_average=True)


def test_statistics_that_are_read_in_spite_of_all_are_nan():
    model = PersonalStatistics(FromNNX(Fixed))
    assert np.isnan(model.apply(drawn(model), X)).all()


# ---- statistics of a merged model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", STATISTICAL)
def test_recalibrated_over_all_data_it_predicts_as_the_batch_of_all_data_does(module):
    """Then the mode of training and that of prediction agree, and single examples have outputs of their own."""
    model = PersonalStatistics(module)
    variables = drawn(model)
    full = recalibrated(model, variables, X)
    apply = lambda x: np.asarray(module.apply(full, x))
    expected = model.apply(variables, X)
    np.testing.assert_allclose(apply(X), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([apply(x[None]) for x in X]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("module", [Normalised(), FromNNX(NormalisedNNX)])
def test_statistics_of_batches_are_averaged_by_their_examples(module):
    model = PersonalStatistics(module)
    variables = drawn(model)
    first = variables["params"]["layers"]["0"] if isinstance(module, FromNNX) else variables["params"]["first"]
    hidden = [x @ first["kernel"] + first["bias"] for x in (X[:4], X[4:])]
    means, variances = ([take(h, axis=0) for h in hidden] for take in (np.mean, np.var))
    found = recalibrated(model, variables, [X[:4], X[4:]])["batch_stats"]["centre"]
    np.testing.assert_allclose(found["mean"], (4 * means[0] + 2 * means[1]) / 6, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["var"], (4 * variances[0] + 2 * variances[1]) / 6, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_recalibrated_is_refused():
    model = PersonalStatistics(Normalised())
    for given, batches, sentence in (
        (MLP((5,), 3), X, "got MLP, need a models.PersonalStatistics"),
        (model, [], "got no batch"),
        (model, [X, X[:1]], "fewer than 2 examples"),
    ):
        with pytest.raises(InputError, match=sentence):
            recalibrated(given, drawn(model), batches)
