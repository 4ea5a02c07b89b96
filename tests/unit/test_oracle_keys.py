"""The noise of an oracle is independent of the minibatch that it is added to: no key serves both."""

import jax
import jax.numpy as jnp
import numpy as np

import jdl
from jdl.types import FULL, Data, Part


def test_noise_is_drawn_from_no_key_that_a_problem_makes_of_its_minibatchs():
    """The second of two subkeys is `fold_in(key, 1)` in JAX; a problem may split its key in as many as it likes."""
    problem = jdl.problems.quadratic(nodes=2, dim=3)
    keys = {name: jax.random.key(number) for name, number in (("key", 5), ("order_key", 6), ("public_key", 7))}
    zero = jnp.int32(0)
    data = Data(problem, zero, zero, zero, **keys, honest=jnp.bool_(True), group=zero)
    x = jnp.zeros(3)
    oracles = jdl.oracle.as_oracle([jdl.oracle.GradientNoise(1.0)]), jdl.oracle.DataOracle()
    noisy, clean = (oracle.grad(data, x, 2)[0] for oracle in oracles)
    batch = jax.random.fold_in(data.key, 2)
    keys = [batch, *jax.random.split(batch), *jax.random.split(batch, 8)]
    keys += [jax.random.fold_in(batch, i) for i in range(8)]
    keys += [key for one in keys[:3] for key in jax.random.split(one, 2)] + [
        jax.random.split(key, 1)[0] for key in keys
    ]
    assert np.all(np.abs(noisy - clean) > 0)
    for key in keys:
        assert np.abs(np.asarray(jax.random.normal(key, (3,))) - (noisy - clean)).max() > 1e-3
    # The key of the first version: trajectories with noise stay as they were.
    own = jax.random.split(jax.random.fold_in(batch, 0x6E6F6973), 1)[0]
    np.testing.assert_array_equal(noisy, clean + jax.random.normal(own, (3,)))
    for which in (FULL, Part(0, 2)):
        np.testing.assert_array_equal(*(oracle.grad(data, x, which)[0] for oracle in oracles))
