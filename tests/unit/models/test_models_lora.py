"""Adapters of low rank: counts, the same function merged, one base for all nodes, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from transformer_cases import NEXT, ONE, SMALL, TOKENS, along, cross_entropy, descended, drawn, shapes, size

from jdl.checks import InputError
from jdl.models import MLP, BagOfWords, LoRA, with_base

DENSE = ("attention/key", "attention/out", "attention/query", "attention/value", "mlp/down", "mlp/up")
ALL = tuple(f"block_{i}/{name}" for i in (0, 1) for name in DENSE)
ADAPTED = LoRA(ONE, rank=2, alpha=4.0, targets=())


def started(model):
    """Adapters as they are drawn, over a base filled by NumPy."""
    adapters = jax.jit(lambda key: model.init(key, TOKENS[:1])["params"])(jax.random.key(0))
    return {"params": adapters, "frozen": drawn(model)["frozen"]}


def test_the_start_is_the_base_to_the_bit():
    variables = started(ADAPTED)
    base = jax.jit(ONE.apply)(variables["frozen"], TOKENS)
    np.testing.assert_array_equal(jax.jit(ADAPTED.apply)(variables, TOKENS), base)
    names, attention = ("key", "out", "query", "value"), variables["params"]["block_0"]["attention"]
    for name in names:
        a, b = attention[name]["A"], attention[name]["B"]
        assert not b.any() and 0.1 < np.std(a) < 0.3 and np.abs(a).max() <= 8**-0.5  # 8^-0.5 / sqrt(3) = 0.204
    pairs = [(attention[one]["A"], attention[other]["A"]) for one in names for other in names if one < other]
    assert all((x != y).any() for x, y in pairs)


@pytest.mark.parametrize(
    ("targets", "paths"),
    [
        (("query", "value"), [path for path in ALL if path.endswith(("query", "value"))]),
        (("mlp",), [path for path in ALL if "mlp" in path]),
        (("block_1/mlp", "out"), [path for path in ALL if path.startswith("block_1/mlp") or path.endswith("out")]),
        ((), ALL),
    ],
)  # fmt: skip
def test_adapters_have_r_times_inputs_and_outputs_numbers(targets, paths):
    found = shapes(LoRA(SMALL, rank=3, targets=targets))
    assert jax.tree.map(lambda leaf: leaf.shape, found["frozen"]) == jax.tree.map(
        lambda leaf: leaf.shape, shapes(SMALL)
    )
    widths = {"up": (8, 32), "down": (32, 8)}
    assert size(found["params"]) == sum(3 * sum(widths.get(path.split("/")[-1], (8, 8))) for path in paths)
    words = {
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(found["params"])
    }
    assert words == {f"{path}/{factor}" for path in paths for factor in "AB"}


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (ADAPTED, TOKENS),
        (LoRA(ONE, rank=3, alpha=1.0, targets=("key", "mlp")), TOKENS),
        (LoRA(MLP((5,), 3), rank=1, targets=("Dense_1",)), np.ones((2, 4), np.float32)),
        (LoRA(BagOfWords(vocab=11, width=4), rank=1, targets=("Dense_0",)), TOKENS),
    ],
)
def test_merged_weights_are_the_same_function(x64, model, x):
    x = x.astype(np.float64) if x.dtype == np.float32 else x
    variables = drawn(model, x=x[:1])
    merged = model.merged(variables)
    assert jax.tree.structure(merged) == jax.tree.structure(variables["frozen"])
    outputs, base = jax.jit(model.apply)(variables, x), jax.jit(model.base.apply)
    np.testing.assert_allclose(outputs, base(merged, x), rtol=1e-9, atol=1e-11)
    assert np.abs(outputs - base(variables["frozen"], x)).max() > 1e-3


def test_the_correction_is_alpha_over_rank_times_the_product():
    model = LoRA(MLP((), 3), rank=2, alpha=6.0, targets=())
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    variables = drawn(model, x=x[:1])
    dense, factors = variables["frozen"]["params"]["Dense_0"], variables["params"]["Dense_0"]
    expected = x @ dense["kernel"] + dense["bias"][None] + 6.0 / 2 * x @ factors["A"] @ factors["B"]
    np.testing.assert_allclose(model.apply(variables, x), expected, rtol=1e-5, atol=1e-6)


def loss(params, frozen, x, y):
    return cross_entropy(ADAPTED.apply({**params, **frozen}, x), y)


def parted(variables):
    return {"params": variables["params"]}, {"frozen": variables["frozen"]}


def test_the_gradient_of_adapters_is_the_slope(x64):
    params, frozen = parted(drawn(ADAPTED))
    by_gradient, by_difference = along(lambda params: loss(params, frozen, TOKENS, NEXT), params)
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-7)


def test_training_the_adapters_lowers_the_loss():
    """Of the frozen base no gradient is asked for: what is learnt is handed over apart."""
    params, frozen = parted(started(ADAPTED))
    before, after = descended(lambda params: loss(params, frozen, TOKENS, NEXT), params)
    assert before > 2 and after < before - 0.3


def test_nodes_share_the_base_and_have_adapters_of_their_own():
    (params, _), (_, frozen) = parted(drawn(ADAPTED, 3)), parted(drawn(ADAPTED))
    x = np.stack([TOKENS, TOKENS[::-1], NEXT])
    outputs = jax.jit(lambda params, frozen, x: ADAPTED.apply({**params, **frozen}, x))
    together = jax.jit(jax.vmap(outputs, in_axes=(0, None, 0)))(params, frozen, x)
    for i in range(3):
        alone = outputs(jax.tree.map(lambda leaf, i=i: leaf[i], params), frozen, x[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-4, atol=1e-5)


def test_products_with_the_base_are_one_for_all_nodes():
    """Read in the program: with W merged, each node would have a W of its own, f[n, 8, 32] for the hidden layers."""
    params, frozen = parted(jax.eval_shape(lambda: jax.tree.map(jnp.asarray, drawn(ADAPTED))))
    stacked = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((7, *leaf.shape), leaf.dtype), params)
    grads = jax.vmap(jax.grad(loss), in_axes=(0, None, None, None))
    program = str(jax.make_jaxpr(grads)(stacked, frozen, TOKENS, NEXT))
    assert "f32[7,8,2]" in program and "f32[7,8,32]" not in program and "f32[7,32,8]" not in program


def test_a_trained_model_becomes_the_base():
    trained = drawn(ONE, scale=0.5)
    variables = with_base(started(ADAPTED), trained)
    np.testing.assert_array_equal(jax.jit(ADAPTED.apply)(variables, TOKENS), jax.jit(ONE.apply)(trained, TOKENS))
    with pytest.raises(InputError, match=r"differs in 1 arrays \(params/words of shape \(12, 8\) for \(11, 8\)\)"):
        with_base(variables, drawn(ONE.clone(vocab=12)))
    with pytest.raises(InputError, match="differs in"):
        with_base(variables, trained["params"])


def test_models_are_values():
    assert LoRA(SMALL, 2) == LoRA(SMALL.clone(), 2) and hash(LoRA(SMALL, 2)) == hash(LoRA(SMALL.clone(), 2))
    assert LoRA(SMALL, 2) != LoRA(SMALL, 3)


def test_a_target_that_is_nowhere_is_refused_with_those_there_are():
    with pytest.raises(
        InputError, match=r"got target 'querry'.*attention, block_0, block_1, down, key, mlp, out, query"
    ):
        shapes(LoRA(SMALL, targets=("querry",)))
    with pytest.raises(InputError, match="got target 'block'"):  # which begins a name, but is none
        shapes(LoRA(SMALL, targets=("block",)))
    with pytest.raises(InputError, match="got rank=0"):
        shapes(LoRA(SMALL, rank=0))
    with pytest.raises(InputError, match="got a base with frozen"):
        shapes(LoRA(ADAPTED, targets=()))
    with pytest.raises(InputError, match="got LayerNorm, need a flax"):
        shapes(LoRA(nn.LayerNorm()), np.ones((1, 4), np.float32))
    lifted = nn.vmap(nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True})
    with pytest.raises(InputError, match=r"got weights of shape \(2, 4, 3\) in layers_1"):
        shapes(LoRA(nn.Sequential([MLP((), 4), lifted(3)]), targets=()), np.ones((2, 4), np.float32))
