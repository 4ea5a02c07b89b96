"""Pairs of functions as models; and all models from elsewhere as values, of which equal ones are one program."""

import jax
import numpy as np
import pytest
from module_cases import Normalised, NormalisedNNX, Plain, X, drawn

from jdl.models import FromNNX, Functions, PersonalStatistics


def start(key, x):
    return jax.random.normal(key, (x.shape[-1],), x.dtype)


def run(params, x):
    return x @ params


def test_functions_are_a_model():
    model = Functions(start, run)
    variables = model.init(jax.random.key(0), X[:1])
    np.testing.assert_array_equal(variables["params"], start(jax.random.key(0), X))
    np.testing.assert_array_equal(model.apply(variables, X), X @ variables["params"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Functions(start, run),
        lambda: FromNNX(Plain),
        lambda: PersonalStatistics(Normalised()),
        lambda: PersonalStatistics(FromNNX(NormalisedNNX)),
    ],
)
def test_equal_models_are_one_program(make):
    traces = []

    def apply(model, variables, x):
        traces.append(model)
        return model.apply(variables, x)

    program, variables = jax.jit(apply, static_argnums=0), drawn(make())
    for _ in range(2):
        program(make(), variables, X)
    assert len(traces) == 1 and make() == make() and hash(make()) == hash(make())
