import time

import numpy as np
import pytest

from jdl import checks
from jdl.data.readers import movielens

# user, item, stars, time: 4 users with 10, 20, 5 and 1 ratings; ids with gaps.
COUNTS = {7: 10, 3: 20, 12: 5, 900: 1}
RATINGS = [
    (user, 50 + 3 * i, 1 + (user + i) % 5, 978300000 + i) for user, count in COUNTS.items() for i in range(count)
]


def written(path, form, header="", ratings=RATINGS):
    path.write_text(header + "".join(form.format(*one) for one in ratings))
    return path


FORMS = {"u.data": "{}\t{}\t{}\t{}\n", "ratings.dat": "{}::{}::{}::{}\n", "ratings.csv": "{},{},{}.5,{}\n"}


@pytest.mark.parametrize("file", sorted(FORMS))
def test_all_forms_are_read(tmp_path, file):
    header, half = ("userId,movieId,rating,timestamp\n", 0.5) if file == "ratings.csv" else ("", 0.0)
    data = movielens.read_any(written(tmp_path / file, FORMS[file], header))
    assert data.train_x.dtype == data.train_owner.dtype == np.int32
    assert data.train_y.dtype == data.test_y.dtype == np.float32
    assert data.num_classes == 0 and data.name == file.split(".")[0] and "36 ratings" in data.source
    np.testing.assert_array_equal(data.truth["users"], [3, 7, 12, 900])
    np.testing.assert_array_equal(data.truth["items"], 50 + 3 * np.arange(20))
    np.testing.assert_array_equal(data.train_owner, data.train_x[:, 0])
    np.testing.assert_array_equal(np.bincount(data.test_x[:, 0], minlength=4), [4, 2, 1, 0])
    found = {
        (int(data.truth["users"][user]), int(data.truth["items"][item]), float(stars))
        for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y))
        for (user, item), stars in zip(x, y, strict=True)
    }
    assert found == {(user, item, stars + half) for user, item, stars, _ in RATINGS} and len(found) == 36


def test_what_is_held_out_is_named_by_the_seed(tmp_path):
    path = written(tmp_path / "u.data", FORMS["u.data"])
    one, same, other = movielens.read(path), movielens.read(path), movielens.read(path, seed=1)
    np.testing.assert_array_equal(one.test_x, same.test_x)
    assert not np.array_equal(one.test_x, other.test_x)


def test_as_many_ratings_as_1m_take_seconds(tmp_path):
    # 200,000 lines, a fifth of 1M's; pandas' splitting by a pattern takes ten times as long.
    rng = np.random.default_rng(0)
    ratings = zip(*(rng.integers(1, top, 200_000) for top in (1200, 3900, 6, 10**9)), strict=True)
    path = written(tmp_path / "ratings.dat", FORMS["ratings.dat"], ratings=ratings)
    start = time.perf_counter()
    data = movielens.SOURCES["movielens_1m"].read(path)
    assert time.perf_counter() - start < 2
    assert len(data.train_y) + len(data.test_y) == 200_000 and data.name == "movielens_1m"


@pytest.mark.parametrize(
    "content", ["", "1\t2\n", "a\tb\tc\td\n", "1::2::x::3\n", "1.5,2,3,4\n", "1,2,,4\n", "userId,x\n"]
)
def test_unfit_files_are_refused(tmp_path, content):
    (tmp_path / "u.data").write_text(content)
    with pytest.raises(checks.InputError, match=r"which is not a file of ratings.*u.data.*ratings.csv"):
        movielens.read(tmp_path / "u.data")


def test_too_few_ratings_for_a_test_are_refused(tmp_path):
    with pytest.raises(checks.InputError, match=r"got 2 examples in 2 groups, too few to hold out 20%"):
        movielens.read(written(tmp_path / "u.data", FORMS["u.data"], ratings=[(1, 2, 3, 4), (2, 2, 3, 4)]))
