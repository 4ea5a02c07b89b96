"""Sentences as bags of words, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl import checks
from jdl.models import BagOfWords

MODEL = BagOfWords(vocab=7, classes=3, width=4)
APPLY = jax.jit(MODEL.apply)


def drawn():
    rng, shapes = np.random.default_rng(0), jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 5), jnp.int32))
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(leaf.dtype), shapes)


def test_logits_are_those_of_numpy():
    variables = drawn()
    table, layer = variables["params"]["embedding"], variables["params"]["Dense_0"]
    sentences = [[1, 6, 6], [3], []]
    x = np.array([one + [0] * (5 - len(one)) for one in sentences], np.int32)
    means = np.stack([np.mean([table[word] for word in one] or np.zeros((1, 4)), axis=0) for one in sentences])
    expected = means @ layer["kernel"] + layer["bias"][None]
    np.testing.assert_allclose(APPLY(variables, x), expected, rtol=1e-5, atol=1e-6)


def test_order_and_padding_do_not_matter():
    variables = drawn()
    one, other = (APPLY(variables, jnp.array([x], jnp.int32)) for x in ([2, 5, 0, 0], [0, 5, 2]))
    np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("word", [7, -1])
def test_a_word_out_of_range_is_no_other_word(word):
    logits = APPLY(drawn(), jnp.array([[1, word], [1, 2]], jnp.int32))
    assert np.isnan(logits[0]).all() and np.isfinite(logits[1]).all()


def test_refuses_what_is_no_sentence():
    with pytest.raises(checks.InputError, match=r"got x of type float32 and shape \(1, 5\), need words, i32\[B, L\]"):
        APPLY(drawn(), jnp.zeros((1, 5)))
