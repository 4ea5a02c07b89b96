import numpy as np
import pytest

from jdl import checks
from jdl.data.held_out import classes, held_out


def test_held_out_takes_the_same_share_of_each_group():
    groups = np.random.default_rng(0).permutation(np.repeat(["a", "b", "c", "d"], [100, 52, 3, 2]))
    held = held_out(groups)
    counts = {name: int(held[groups == name].sum()) for name in "abcd"}
    assert counts == {"a": 20, "b": 10, "c": 1, "d": 0}  # rounded
    np.testing.assert_array_equal(held, held_out(groups))
    assert not np.array_equal(held, held_out(groups, seed=1))
    with pytest.raises(checks.InputError, match=r"got 3 examples in 3 groups, too few to hold out 20%"):
        held_out(np.arange(3))
    with pytest.raises(checks.InputError, match="too few"):
        held_out(np.zeros(3), fraction=1.0)


@pytest.mark.parametrize("seed", [-1, 1.5, None])  # None would draw another part in each run
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(checks.InputError, match=r"got seed=.*need a whole number of at least 0; try seed=0"):
        held_out(np.zeros(10), seed=seed)


def test_held_out_is_uniform_within_a_group():
    # 400 seeds, four of twenty each: each place is taken 80 times, binomially.
    times = sum(held_out(np.zeros(20), seed=seed).astype(int) for seed in range(400))
    assert np.all(np.abs(times - 80) < 5 * np.sqrt(400 * 0.2 * 0.8))


def test_classes_are_numbered_in_the_order_of_labels():
    train, test, labels = classes(np.array([10.0, 9.0, 10.0]), np.array([-1.0]))
    assert train.tolist() == [2, 1, 2] and test.tolist() == [0] and labels.tolist() == [-1, 9, 10]
    assert classes(np.array(["x"]))[1] is None and train.dtype == np.int32
