import numpy as np
import pytest
from sklearn.datasets import load_digits

from jdl import checks
from jdl.data import load


def rows(x, y):
    return {(features.tobytes(), int(label)) for features, label in zip(x, y, strict=True)}


def test_digits_shapes_and_types():
    data = load.digits()
    assert data.train_x.shape == (1437, 64) and data.test_x.shape == (360, 64)
    assert data.train_y.shape == (1437,) and data.test_y.shape == (360,)
    assert data.train_x.dtype == data.test_x.dtype == np.float32
    assert data.train_y.dtype == data.test_y.dtype == np.int32
    assert data.num_classes == 10 and data.name == "digits" and data.source.endswith(".")


def test_digits_are_the_bundled_images_scaled():
    pixels, labels = load_digits(return_X_y=True)
    data = load.digits()
    x, y = np.concatenate([data.train_x, data.test_x]), np.concatenate([data.train_y, data.test_y])
    assert x.min() == 0 and x.max() == 1
    order, expected = np.lexsort([y, *x.T]), np.lexsort([labels, *pixels.T])
    np.testing.assert_array_equal(x[order] * 16, pixels[expected])
    np.testing.assert_array_equal(y[order], labels[expected])


def test_digits_test_set_is_held_out_and_stratified():
    data = load.digits()
    assert not rows(data.train_x, data.train_y) & rows(data.test_x, data.test_y)
    total = np.bincount(load_digits().target)
    assert np.all(np.abs(np.bincount(data.test_y) - total * 360 / 1797) <= 1)


def test_digits_are_named_by_seed_and_fraction():
    one, same, other = load.digits(seed=1), load.digits(seed=1), load.digits(seed=2)
    np.testing.assert_array_equal(one.test_x, same.test_x)
    assert not np.array_equal(one.test_x, other.test_x)
    assert load.digits(test_fraction=0.5).test_y.size == 899  # 898.5, rounded up


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_digits_refuses_a_set_that_holds_nothing(fraction):
    with pytest.raises(checks.InputError, match=r"test_fraction=.*between 0.01 and 0.99; try test_fraction=0.2"):
        load.digits(test_fraction=fraction)
