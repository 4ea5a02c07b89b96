"""A small problem, and what an oracle is told of one of its nodes."""

import jax
import jax.numpy as jnp
import numpy as np

from jdl.data import Dataset, Partition
from jdl.models import Linear
from jdl.problems import Supervised
from jdl.types import Data

COUNTS = np.array([3, 0, 6, 2], np.int32)
INDICES = np.array([[8, 1, 2, 0, 0, 0], [0] * 6, [3, 4, 5, 6, 7, 9], [0, 10, 0, 0, 0, 0]], np.int32)
CLASSES = 3


def small(batch_size=0, **options):
    """Eleven examples of two features and three classes over four nodes, one without data; seven to test on."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((18, 2)).astype(np.float32), (np.arange(18) % 5 % CLASSES).astype(np.int32)
    data = Dataset(x[:11], y[:11], x[11:], y[11:], num_classes=CLASSES, name="small", source="Drawn here.")
    return Supervised.from_data(data, Partition(INDICES, COUNTS), Linear(classes=CLASSES), batch_size, **options)


def model(problem, seed=0):
    """Parameters of the shapes of `init`, drawn by NumPy."""
    rng, shapes = np.random.default_rng(seed), jax.eval_shape(problem.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.standard_normal(leaf.shape), leaf.dtype), shapes)


def about(problem, id=0, t=0, **fields):
    """What an oracle is told of node `id` in round t."""
    keys = dict(zip(("key", "order_key", "public_key"), jax.random.split(jax.random.key(7 + t), 3), strict=True))
    usual = {"count": jnp.int32(t), "honest": jnp.bool_(True), "group": jnp.int32(0), **keys}
    return Data(problem, jnp.int32(id), jnp.int32(t), **usual | fields)


@jax.jit
def grad(oracle, data, params, which, weights=None):
    """The gradient, as one program for all nodes and numbers of minibatches."""
    return oracle.grad(data, params, which, "loss", weights)[0]


def same(one, other):
    """Whether two pytrees are equal to the last bit."""
    return all(np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def numpy_gradients(params, x, y):
    """The gradient of the cross-entropy of softmax regression for each example, as rows [B, 2 * 3 + 3], in NumPy."""
    kernel, bias = (np.asarray(params["params"]["Dense_0"][name], np.float64) for name in ("kernel", "bias"))
    logits = np.asarray(x, np.float64) @ kernel + bias[None, :]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    excess = chances - np.eye(CLASSES)[np.asarray(y)]
    return np.concatenate([(np.asarray(x)[:, :, None] * excess[:, None, :]).reshape(len(x), -1), excess], axis=1)


def flat(gradient):
    """A gradient of this model as one vector, the kernel first."""
    layer = gradient["params"]["Dense_0"]
    return np.concatenate([np.asarray(layer["kernel"]).ravel(), np.asarray(layer["bias"])])
