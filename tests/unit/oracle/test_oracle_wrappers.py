"""Wrappers of an oracle: each changes one piece, nothing changes nothing, and what each remembers is its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from oracle_cases import about, flat, grad, model, numpy_gradients, same, small

import jdl
from jdl import checks
from jdl.oracle import DataOracle, GradientNoise, LabelFlip, PrivateGradients, Stragglers, as_oracle
from jdl.types import FULL, PUBLIC, Part


@struct.dataclass
class Nothing:
    """All pieces as they are."""

    def batch(self, inner, data, query):
        return inner(data, query)

    def objective(self, inner, data, params, batch, query):
        return inner(data, params, batch, query)

    def grad(self, inner, data, params, batch, query):
        return inner(data, params, batch, query)

    def steps(self, inner, data):
        return inner(data)


NOTHING = {
    "every piece": Nothing(),
    "nobody lies": LabelFlip(),
    "classes as themselves": LabelFlip(to=(0, 1, 2)),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_wrapper_of_nothing_changes_no_bit(name):
    problem = small(2)
    x, liar = model(problem), about(problem, 2, honest=jnp.bool_(name != "classes as themselves"))
    asked = jax.jit(
        lambda oracle, data: [
            *(oracle.grad(data, x, which)[0] for which in (0, FULL, Part(1, 2))),
            *(oracle.loss(data, x, 0), oracle.losses(data, x, FULL), oracle.hvp(data, x, x, 0), oracle.steps(data)),
        ]
    )
    base = DataOracle(epochs=2.0)
    assert same(asked(base, liar), asked(as_oracle([NOTHING[name], base]), liar))


@pytest.mark.parametrize("wrapper", [GradientNoise(0.0), PrivateGradients(1e6, 0.0)], ids=["noise", "clipping"])
def test_no_noise_and_a_norm_that_no_gradient_reaches_change_rounding_alone(wrapper):
    """XLA may fuse the product with zero, and a sum over examples has another order."""
    problem = small(2)
    x, data = model(problem), about(problem, 2)
    plain, other = (grad(oracle, data, x, 0) for oracle in (DataOracle(), as_oracle(wrapper)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), plain, other)


@pytest.mark.parametrize("kind", ["supervised", "logistic"])
def test_gradients_of_single_examples_are_clipped(kind):
    """Against a loop over examples in NumPy."""
    clip = {"supervised": 1.3, "logistic": 0.7}[kind]
    if kind == "supervised":
        problem = small(2)
        x, data = model(problem), about(problem, 2)
        inputs, labels, mask = problem.full_batch(2)
        each = numpy_gradients(x, inputs, labels)[np.asarray(mask)]
    else:
        problem = jdl.problems.logistic(nodes=3, dim=4, examples=9)
        x, data = 3 * model(problem), about(problem, 2)
        a, y = np.asarray(problem.features[2], np.float64), np.asarray(problem.labels[2], np.float64)
        each = -(y / (1 + np.exp(y * (a @ np.asarray(x)))))[:, None] * a + float(problem.regularization) * np.asarray(x)
    norms = [np.linalg.norm(one) for one in each]
    assert min(norms) < clip < max(norms)
    total = sum(one * min(1, clip / norm) for one, norm in zip(each, norms, strict=True)) / len(each)
    found = grad(as_oracle(PrivateGradients(clip, 0.0)), data, x, FULL)
    np.testing.assert_allclose(flat(found) if kind == "supervised" else found, total, rtol=1e-5, atol=1e-6)


def test_private_noise_is_scaled_by_clip_and_batch_and_spares_public_data():
    problem = small(2, public=(np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])))
    x, data = model(problem), about(problem, 2)
    quiet, loud = (as_oracle(PrivateGradients(0.5, noise)) for noise in (0.0, 3.0))

    @jax.jit
    def noise_of(keys, which):
        one = lambda key: jax.tree.map(
            jnp.subtract, *(oracle.grad(data.replace(key=key), x, which)[0] for oracle in (loud, quiet))
        )
        return jax.vmap(one)(keys)

    keys = jax.random.split(jax.random.key(3), 500)
    for which, examples in ((FULL, 6), (0, 2)):
        noise = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(noise_of(keys, which))])
        sigma = 3.0 * 0.5 / examples  # 4,500 numbers: their standard deviation is known to 1.1 % at one sigma
        assert abs(noise.std() / sigma - 1) < 0.05 and abs(noise.mean()) < 5 * sigma / np.sqrt(noise.size)
    assert same(grad(loud, data, x, PUBLIC(0)), grad(DataOracle(), data, x, PUBLIC(0)))
    empty = grad(loud, about(problem, 1), x, FULL)
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(empty))
    assert not {"hvp", "prox"} & loud.offers


def test_labels_are_flipped_at_dishonest_nodes_alone():
    problem = small(2, public=(np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])))
    oracle = as_oracle([LabelFlip()])
    asked = jax.jit(lambda oracle, data, which: oracle.batch(data, which))
    for which in (0, FULL, Part(1, 2)):
        for id in (0, 2):
            honest, liar = (about(problem, id, honest=jnp.bool_(honest)) for honest in (True, False))
            (x, y, mask), (x_, flipped, mask_) = asked(DataOracle(), honest, which), asked(oracle, liar, which)
            assert same((x, y, mask), asked(oracle, honest, which)) and same((x, mask), (x_, mask_))
            np.testing.assert_array_equal(flipped, 2 - np.asarray(y))
    assert same(asked(oracle, liar, PUBLIC(0)), asked(DataOracle(), liar, PUBLIC(0)))
    moved = asked(as_oracle([LabelFlip(to=(1, 2, 0))]), liar, FULL)[1]
    np.testing.assert_array_equal(moved, (np.asarray(problem.full_batch(2)[1]) + 1) % 3)
    logistic = jdl.problems.logistic(nodes=3, dim=4, examples=9)
    found = oracle.batch(about(logistic, 1, honest=jnp.bool_(False)), FULL)[1]
    np.testing.assert_array_equal(found, -np.asarray(logistic.labels[1]))
    assert "prox" not in oracle.offers
    with pytest.raises(checks.InputError, match=r"got LabelFlip\(to=\(0, 1\)\), need one of the 3 classes"):
        as_oracle(LabelFlip(to=(0, 1))).batch(liar, FULL)


@struct.dataclass
class Drift:
    """Adds to the loss what the node remembers times the sum of the model, and one more in every round."""

    by: float = 1.0

    def init(self, problem, key):
        return jnp.zeros(problem.n)

    def begin(self, memory, data, model):
        return memory + self.by

    def objective(self, inner, data, params, batch, query):
        value, aux = inner(data, params, batch, query)
        return value + data.memory * jnp.sum(params), aux


def test_each_wrapper_has_its_own_memory_and_the_loss_of_all_has_a_gradient():
    problem = jdl.problems.quadratic(nodes=3, dim=4)
    oracle, x = as_oracle([Drift(1.0), GradientNoise(0.0), Drift(10.0)]), model(problem)
    memory = oracle.init(problem, jax.random.key(0))
    data = about(problem, 1)
    own = jax.tree.map(lambda leaf: leaf[1], memory)
    for _ in range(2):
        own = oracle.begin(own, data, x)
    assert [float(part) for part in jax.tree.leaves(own)] == [2.0, 20.0]
    plain = DataOracle().grad(data, x, FULL)[0]
    np.testing.assert_allclose(oracle.grad(data.replace(memory=own), x, FULL)[0], plain + 22.0, rtol=1e-6)
    extra = oracle.loss(data.replace(memory=own), x, FULL) - DataOracle().loss(data, x, FULL)
    np.testing.assert_allclose(extra, 22.0 * x.sum(), rtol=1e-4)
    key = jax.random.key(0)
    assert as_oracle([GradientNoise(0.0)]).init(problem, key) == () == DataOracle().init(problem, key)


def test_a_run_remembers_what_its_oracle_remembers():
    """Descent on zero objectives with the loss t sum(x): after T rounds of steps lr, x = x0 - lr (1 + ... + T)."""
    problem = jdl.problems.quadratic(nodes=3, dim=4)
    flat_ = problem.replace(A=jnp.zeros_like(problem.A), b=jnp.zeros_like(problem.b))
    result = jdl.run(
        flat_, jdl.algorithms.LocalOnly(lr=0.5), rounds=4, oracle=Drift(1.0), params=jnp.zeros(4), progress=False
    )
    np.testing.assert_allclose(result.models, -0.5 * (1 + 2 + 3 + 4), rtol=1e-6)


def test_who_is_asked_first():
    """Noise on top of clipped gradients is not clipped; noise below is."""
    problem = small(2)
    x, data = model(problem), about(problem, 2)
    clip = PrivateGradients(clip=1e-3, noise_multiplier=0.0)
    outside, inside = (as_oracle(parts) for parts in ([GradientNoise(1.0), clip], [clip, GradientNoise(1.0)]))
    norms = [np.linalg.norm(flat(grad(oracle, data, x, 0))) for oracle in (outside, inside)]
    assert norms[0] > 0.5 and norms[1] <= 1e-3 * (1 + 1e-5)


def test_what_is_given_as_an_oracle():
    base = DataOracle(epochs=2)
    assert as_oracle(None) == as_oracle([]) == DataOracle() and as_oracle(base) is base is as_oracle([base])
    assert as_oracle(GradientNoise(0.1)) == as_oracle([GradientNoise(0.1)]) == as_oracle([[GradientNoise(0.1)][0]])
    nested = as_oracle([LabelFlip(), as_oracle([GradientNoise(0.1), base])])
    assert nested == as_oracle([LabelFlip(), GradientNoise(0.1), base]) and nested.inner == base
    with pytest.warns(DeprecationWarning, match=r"GradientNoise\(inner=...\) is spelled oracle=\[GradientNoise"):
        assert as_oracle(GradientNoise(0.1, inner=base)) == as_oracle([GradientNoise(0.1), base])
    for given, sentence in (
        ([base, GradientNoise(0.1)], "got the oracle DataOracle before another part, need it last; move it"),
        (GradientNoise, "got the class GradientNoise, need an oracle or a wrapper; call it"),
        (3, "got an oracle of type int, need an oracle, or a wrapper, which has one of the methods batch, objective"),
        ([type("Loose", (), {"batch": lambda *_: None})()], "got Loose, a class that JAX does not know as a pytree"),
    ):
        with pytest.raises(checks.InputError, match=sentence):
            as_oracle(given)


def test_two_wrappers_of_noise_draw_it_apart():
    """The variances of two noises add up; with one key for both, the deviations would."""
    problem = small(2)
    x, one_noise = model(problem), GradientNoise(1.0)
    oracles = [as_oracle(parts) for parts in ([], [one_noise], [one_noise, one_noise])]
    drawn = [[flat(grad(oracle, about(problem, 2, t), x, 0)) for oracle in oracles] for t in range(30)]
    clean, one, two = np.moveaxis(np.array(drawn), 1, 0)
    first, second = (one - clean).ravel(), (two - one).ravel()
    assert abs(np.std(first) - 1) < 0.2 and abs(np.std(second) - 1) < 0.2
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)


def test_slow_nodes_take_fewer_steps():
    """Those that are drawn once are the same in all rounds; another budget that is smaller holds."""
    problem, rounds, nodes, key = small(batch_size=2), 6, 400, jax.random.key(3)

    def budgets(oracle):
        def one(id, t):
            keys = {"key": jax.random.fold_in(jax.random.fold_in(key, t), id), "order_key": jax.random.fold_in(key, id)}
            return oracle.steps(about(problem).replace(**keys))

        return np.asarray(jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(jnp.arange(nodes), jnp.arange(rounds)))

    once = budgets(as_oracle([Stragglers(share=0.3, most=4)]))
    assert set(np.unique(once)) == {4, np.iinfo(np.int32).max} and np.all(once == once[:, :1])
    assert abs(np.mean(once[:, 0] == 4) - 0.3) < 5 * 0.5 / np.sqrt(nodes)
    # Three examples in batches of two: an epoch is two steps. A slow node draws 1, 2 or 3.
    anew = budgets(as_oracle([Stragglers(share=0.3, most=3, least=1, anew=True), DataOracle(epochs=1)]))
    assert set(np.unique(anew)) == {1, 2} and np.any(anew != anew[:, :1])
    assert abs(np.mean(anew == 1) - 0.1) < 5 * 0.3 / np.sqrt(nodes * rounds)


def test_batches_of_random_size_are_divided_by_the_mean_size():
    """Clipped gradients of those who joined, over the mean number; and noise also where nobody joined."""
    problem = small(2, sampling="poisson")
    assert problem.mean_batch == 2 and small(2).mean_batch is None
    x, quiet = model(problem), as_oracle(PrivateGradients(0.5, 0.0))
    batch, sizes = jax.jit(lambda data: DataOracle().batch(data, 0)), set()
    for key in jax.random.split(jax.random.key(1), 25):
        data = about(problem, 2).replace(key=key)
        inputs, labels, real = batch(data)
        each = numpy_gradients(x, inputs, labels)[np.asarray(real)]
        total = sum((one * min(1, 0.5 / np.linalg.norm(one)) for one in each), np.zeros(9)) / 2
        np.testing.assert_allclose(flat(grad(quiet, data, x, 0)), total, rtol=1e-5, atol=1e-6)
        sizes.add(len(each))
        if not len(each):
            loud = flat(grad(as_oracle(PrivateGradients(0.5, 3.0)), data, x, 0))
            assert np.all(loud != 0) and np.abs(loud).max() < 6 * 3 * 0.5 / 2
    assert 0 in sizes and len(sizes) > 2


def test_private_gradients_for_a_budget_keep_it():
    pytest.importorskip("dp_accounting")
    made = PrivateGradients.for_budget(4, 1e-5, rounds=25, batches=2, sampling_rate=0.1, clip=0.5)
    spent = jdl.privacy.epsilon(made.noise_multiplier, 1e-5, 0.1, 50)
    assert 3.98 < spent <= 4 and made.clip == 0.5
    with pytest.raises(checks.InputError, match="rounds"):
        PrivateGradients.for_budget(rounds=0)
