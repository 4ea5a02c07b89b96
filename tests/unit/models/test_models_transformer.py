"""The transformer: logits against NumPy, counts, causality, gradients, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transformer_cases import NEXT, ONE, SMALL, TOKENS, along, cross_entropy, descended, drawn, shapes, size

from jdl.checks import InputError
from jdl.models import Transformer


def normal(x, p):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]


def in_numpy(params, x, heads):
    """The same network for one row of tokens, place by place and head by head."""
    linear = lambda x, p: x @ p["kernel"] + p["bias"]
    h = params["words"][x] + params["positions"][: len(x)]
    for name in sorted(name for name in params if name.startswith("block")):
        block = params[name]
        z, attention = normal(h, block["norm_attention"]), block["attention"]
        q, k, v = (np.split(linear(z, attention[part]), heads, axis=-1) for part in ("query", "key", "value"))
        rows = []
        for t in range(len(x)):
            row = []
            for head in range(heads):
                scores = k[head][: t + 1] @ q[head][t] / np.sqrt(q[head].shape[-1])
                shares = np.exp(scores - scores.max())
                row.append(shares @ v[head][: t + 1] / shares.sum())
            rows.append(np.concatenate(row))
        h = h + linear(np.array(rows), attention["out"])
        z = linear(normal(h, block["norm_mlp"]), block["mlp"]["up"])
        z = 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
        h = h + linear(z, block["mlp"]["down"])
    return normal(h, params["norm"]) @ params["words"].T


def test_logits_equal_those_of_the_network_in_numpy(x64):
    variables = drawn(SMALL)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float64")}
    logits = jax.jit(SMALL.apply)(variables, TOKENS)
    assert logits.shape == (4, 6, 11)
    for b in range(4):
        np.testing.assert_allclose(logits[b], in_numpy(variables["params"], TOKENS[b], heads=2), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "module", [SMALL, Transformer(vocab=65), Transformer(vocab=5, width=6, layers=3, heads=3, multiple=2, max_length=9)]
)
def test_the_count_is_that_of_the_docstring(module):
    v, w, m = module.vocab, module.width, module.multiple
    count = (v + module.max_length + 2) * w + module.layers * ((4 + 2 * m) * w**2 + (9 + m) * w)
    assert size(shapes(module)) == count and set(shapes(module)) == {"params"}


def test_the_start_knows_nothing():
    """At width 128 the logits have the deviation 0.02 sqrt(128), the loss ln(vocab) + 0.026, but for chance."""
    module = Transformer(vocab=11, layers=1, max_length=6)
    logits = jax.jit(lambda key: module.apply(module.init(key, TOKENS[:1]), TOKENS))(jax.random.key(0))
    assert 0.15 < np.std(logits) < 0.3
    assert abs(float(cross_entropy(logits, NEXT)) - np.log(11)) < 0.1


def test_no_logit_depends_on_later_tokens():
    variables, apply = drawn(SMALL), jax.jit(SMALL.apply)
    before = np.asarray(apply(variables, TOKENS))
    for t in range(6):
        x = TOKENS.copy()
        x[:, t] = (x[:, t] + 1) % 11
        after = np.asarray(apply(variables, x))
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any(axis=(0, 2)).all()


def test_large_scores_stay_finite():
    logits, grads = jax.jit(
        jax.value_and_grad(lambda variables: jnp.sum(ONE.apply(variables, TOKENS)))
    )(drawn(ONE, scale=100.0))  # fmt: skip
    assert np.isfinite(logits) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


@pytest.mark.slow
def test_the_gradient_is_the_slope(x64):
    by_gradient, by_difference = along(lambda params: cross_entropy(ONE.apply(params, TOKENS), NEXT), drawn(ONE))
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-7)


@pytest.mark.slow
def test_one_batch_is_learnt_by_heart():
    """Four rows of six tokens, for which the network has a thousand numbers."""
    before, after = descended(lambda params: cross_entropy(ONE.apply(params, TOKENS), NEXT), drawn(ONE))
    assert before > 2 and after < 0.05


def test_vmapped_equals_looped():
    variables, x = drawn(ONE, 3), np.stack([TOKENS, TOKENS[::-1], NEXT])
    together, apply = jax.jit(jax.vmap(ONE.apply))(variables, x), jax.jit(ONE.apply)
    for i in range(3):
        alone = apply(jax.tree.map(lambda leaf, i=i: leaf[i], variables), x[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-4, atol=1e-5)


def test_bfloat16_computes_in_bfloat16():
    variables, apply = drawn(ONE), jax.jit(ONE.apply)
    narrow = apply(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), variables), TOKENS)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.astype(jnp.float32), apply(variables, TOKENS), atol=0.1)


def test_a_token_outside_of_the_vocabulary_is_nobody():
    """Its row has no logits; others have."""
    x = np.array([[1, 10], [1, 11], [1, -1]], np.int32)
    logits = np.asarray(jax.jit(ONE.apply)(drawn(ONE), x))
    assert np.isfinite(logits[0]).all() and np.isnan(logits[1:]).all()


@pytest.mark.parametrize(
    ("module", "x", "sentence"),
    [
        (SMALL, np.zeros((1, 7), np.int32), "got 7 tokens in a row, max_length=6 allows 6"),
        (SMALL, np.zeros((1, 6), np.float32), "needs tokens i32"),
        (SMALL, np.zeros(6, np.int32), "needs tokens i32"),
        (Transformer(vocab=11, width=10, heads=4), TOKENS, "got width=10 and heads=4, .* try width=8"),
        (Transformer(vocab=0), TOKENS, "got vocab=0"),
    ],
)
def test_what_does_not_fit_is_refused(module, x, sentence):
    with pytest.raises(InputError, match=sentence):
        shapes(module, x)
