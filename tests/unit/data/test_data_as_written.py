"""Arrays, ratings and LEAF's json as other programs write them: told by their content, and nothing merged or lost."""

import gzip
import json

import numpy as np
import pytest

from jdl import checks
from jdl.data.load import load
from jdl.data.readers import leaf, movielens, npz

DRAW = np.random.default_rng(0)
GRAY = DRAW.integers(0, 256, (20, 8, 8)).astype(np.uint8)
COLOUR = DRAW.integers(0, 256, (20, 9, 9, 3)).astype(np.uint8)
Y = np.arange(20) % 2


def arrays(tmp_path, x, y=Y, **more):
    np.savez(tmp_path / "a.npz", train_x=x, train_y=y, test_x=x[:6], test_y=y[:6], **more)
    return npz.read_any(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("rows", [False, True])
def test_pixels_are_bytes_whatever_their_shape_and_type(tmp_path, dtype, rows):
    x = GRAY.reshape(20, 64) if rows else GRAY
    found = arrays(tmp_path, x.astype(dtype)).train_x
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found.reshape(20, 64), GRAY.reshape(20, 64))


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (GRAY // 128, (GRAY // 128 * 255)[..., None]),  # black and white
        ((GRAY // 128).reshape(20, 64), (GRAY // 128).reshape(20, 64).astype(np.float32)),  # indicators
        (GRAY.astype(int)[:, 0], GRAY[:, 0].astype(np.float32)),  # eight numbers are no image
        (GRAY / 255.0, (GRAY / 255.0).astype(np.float32)),
        (GRAY - 128.0, (GRAY - 128.0).astype(np.float32)),
        (GRAY * 0.99, (GRAY * 0.99 / 255).astype(np.float32)),
        (GRAY[:, 0, 0], GRAY[:, 0, :1].astype(np.float32)),
        (np.arange(20) * 1000, np.arange(20.0, dtype=np.float32)[:, None] * 1000),
    ],
)
def test_other_numbers_are_what_they_are(tmp_path, x, expected):
    found = arrays(tmp_path, x).train_x
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_dark_test_part_is_scaled_as_the_other_is(tmp_path):
    np.savez(tmp_path / "a.npz", train_x=GRAY.astype(int), train_y=Y, test_x=GRAY.astype(int) // 9, test_y=Y)
    data = npz.read_any(tmp_path / "a.npz")
    assert data.train_x.dtype == data.test_x.dtype == np.uint8 and data.test_x.max() <= 28


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_first_are_turned(tmp_path, dtype, channels):
    x = DRAW.integers(0, 256, (20, 9, 9, channels)).astype(dtype)
    data = arrays(tmp_path, np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(data.train_x, x)
    assert "channels are moved" in data.source
    np.testing.assert_array_equal(arrays(tmp_path, x).train_x, x)


def test_classes_of_arrays_that_count_from_1_are_numbered_from_0(tmp_path):
    data = arrays(tmp_path, GRAY, 1 + Y)
    assert data.num_classes == 2 and data.truth["labels"].tolist() == [1, 2]
    np.testing.assert_array_equal(data.train_y, Y)
    assert arrays(tmp_path, GRAY, 1 + Y, num_classes=5).num_classes == 5


# Ratings.


def rated(tmp_path, header, form, users, items=range(10)):
    lines = [
        form.format(user=user, item=item, stars=1 + (k + item) % 5) for k, user in enumerate(users) for item in items
    ]
    (tmp_path / "ratings.csv").write_text(header + "\n".join(lines) + "\n")
    return movielens.read(tmp_path / "ratings.csv")


NAMED, FORM = "userId,movieId,rating,timestamp\n", "{user},{item},{stars},0"
WIDE = [76561197960265728 + k for k in range(8)]


@pytest.mark.parametrize(
    ("header", "form", "users", "expected"),
    [
        (NAMED, FORM, WIDE, WIDE),
        ("", FORM, WIDE, WIDE),
        ("", "{user}::{item}::{stars}::0", WIDE, WIDE),
        (NAMED, '"{user}",{item},{stars},0', WIDE, WIDE),
        (NAMED, FORM, [10**20 + k for k in range(4)], [str(10**20 + k) for k in range(4)]),
        (NAMED, FORM, [2**63 + k for k in range(4)], [2**63 + k for k in range(4)]),
        ("", FORM, ["A1X", "b7", "f00"], ["A1X", "b7", "f00"]),
        ("", FORM, ["u1", "2", "3"], ["2", "3", "u1"]),
        ("", FORM, ["007", "7", "07"], ["007", "07", "7"]),
        (NAMED, FORM, ["7.0", "8.0"], [7, 8]),
        ("item_id,rating,user_id\n", "{item},{stars},{user}", [3, 5], [3, 5]),
        ("time;stars;movie;user\n", "0;{stars};{item};{user}", [3, 5], [3, 5]),
        ("asin,reviewerID,overall\n", "{item},{user},{stars}", ["A", "B"], ["A", "B"]),
    ],
)
def test_every_user_is_one(tmp_path, header, form, users, expected):
    data = rated(tmp_path, header, form, users)
    assert data.truth["users"].tolist() == expected and data.truth["items"].tolist() == list(range(10))
    assert sorted({*data.train_y.tolist(), *data.test_y.tolist()}) == [1, 2, 3, 4, 5]
    assert len(data.train_x) + len(data.test_x) == 10 * len(users)


@pytest.mark.parametrize(
    ("user", "item", "stars", "sentence"),
    [
        ("", 1, 3, "no id in line 2"),
        ("nan", 1, 3, "no id in line 2"),
        ("1.5", 1, 3, "the id '1.5' in line 2"),
        (1, 1, "nan", "the rating .* in line 2"),
        (1, 1, "much", "the rating 'much' in line 2"),
    ],
)
def test_a_line_without_an_id_or_a_rating_is_named(tmp_path, user, item, stars, sentence):
    rest = "".join(f"{u},{i},3,0\n" for u in range(4) for i in range(5))
    (tmp_path / "r.csv").write_text(f"{NAMED}{user},{item},{stars},0\n{rest}")
    with pytest.raises(checks.InputError, match=f"not a file of ratings: {sentence}"):
        movielens.read(tmp_path / "r.csv")


# LEAF's json.


def users(width, low=0.0, high=1.0, labels=(0, 1), whole=False):
    x = DRAW.uniform(low, high, (4, 12, width)).round(0 if whole else 4)
    y = DRAW.choice(labels, (4, 12))
    names = [f"f_{i}" for i in range(4)]
    told = {name: {"x": a.tolist(), "y": b.tolist()} for name, a, b in zip(names, x, y, strict=True)}
    return {"users": names, "num_samples": [12] * 4, "user_data": told}


def leaf_of(tmp_path, train, test=None, more=lambda folder: None):
    for part, content in (("train", train), ("test", test or train)):
        (tmp_path / part).mkdir()
        (tmp_path / part / "all.json").write_text(json.dumps(content))
    more(tmp_path)
    return leaf.read(tmp_path)


def packed(folder):
    path = folder / "train" / "all.json"
    (folder / "train" / "all.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


TWICE = users(6)
TWICE = TWICE | {"users": [*TWICE["users"], "f_0"], "num_samples": [12] * 5}
UNLISTED = {"user_data": users(6)["user_data"]}
NESTED = users(6)
NESTED["user_data"] = {
    name: {"x": [[one[:3], one[3:]] for one in data["x"]], "y": [[k] for k in data["y"]]}
    for name, data in NESTED["user_data"].items()
}
NOBODY = {"users": [], "num_samples": [], "user_data": {}}


@pytest.mark.parametrize(
    ("train", "test", "more", "shape"),
    [
        (users(784, -3, 3), None, lambda f: None, (48, 28, 28, 1)),  # standardised, as FedProx does
        (users(6), None, lambda f: (f / "train" / "._all.json").write_bytes(b"\0\5\x16"), (48, 6)),  # a Mac's
        (users(6), NOBODY, lambda f: None, (44, 6)),
        (TWICE, None, lambda f: None, (48, 6)),
        (UNLISTED, None, lambda f: None, (48, 6)),
        (users(6), None, packed, (48, 6)),
        (NESTED, None, lambda f: None, (48, 2, 3, 1)),
    ],
)
def test_leafs_json_as_others_write_it(tmp_path, train, test, more, shape):
    data = leaf_of(tmp_path, train, test, more)
    assert data.train_x.shape == shape and data.train_x.dtype == np.float32 and data.num_classes == 2
    assert len(np.unique(data.train_owner)) == 4
    if len(data.train_x) == 48:
        expected = np.concatenate([one["x"] for one in train["user_data"].values()]).reshape(shape)
        np.testing.assert_allclose(data.train_x, expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [255, 1])
def test_levels_of_gray_are_bytes_by_either_scale(tmp_path, scale):
    levels = users(784, 0, 255, whole=True)
    levels["user_data"]["f_0"]["x"] = [[255 * (i % 2) for i in range(784)]] * 12  # black and white alone
    told = {
        name: {"x": (np.array(d["x"]) * scale / 255).tolist(), "y": d["y"]} for name, d in levels["user_data"].items()
    }
    data = leaf_of(tmp_path, levels | {"user_data": told})
    assert data.train_x.dtype == np.uint8
    expected = np.concatenate([one["x"] for one in levels["user_data"].values()]).reshape(48, 28, 28, 1)
    np.testing.assert_array_equal(data.train_x, expected)


def test_users_in_two_scales_are_real_numbers(tmp_path):
    gray, real = users(784, 0, 255, whole=True), users(784, -2, 2)
    gray["user_data"] = {"f_0": {"x": (np.array(gray["user_data"]["f_0"]["x"]) / 255).tolist(), "y": [0] * 12}} | {
        name: real["user_data"][name] for name in ("f_1", "f_2", "f_3")
    }
    data = leaf_of(tmp_path, gray, real)
    assert data.train_x.dtype == data.test_x.dtype == np.float32
    expected = np.concatenate([one["x"] for one in gray["user_data"].values()]).reshape(48, 28, 28, 1)
    np.testing.assert_allclose(data.train_x, expected, atol=1e-6)


def test_classes_of_leaf_that_count_from_1_are_numbered_from_0(tmp_path):
    train = users(6, labels=(1, 2, 3))
    data = leaf_of(tmp_path, train)
    assert data.num_classes == 3 and data.truth["labels"].tolist() == [1, 2, 3]
    expected = np.concatenate([one["y"] for one in train["user_data"].values()]) - 1
    np.testing.assert_array_equal(data.train_y, expected)


def test_nobody_to_train_on_is_told(tmp_path):
    with pytest.raises(checks.InputError, match="without examples to train on"):
        leaf_of(tmp_path, NOBODY, users(6))


@pytest.mark.parametrize("prefix", ["table", "csv", "CSV", "tsv"])
def test_a_csv_file_is_a_table(tmp_path, prefix, monkeypatch):
    monkeypatch.setenv("JDL_DATA_CACHE", "off")
    (tmp_path / "a.csv").write_text("a,label\n" + "".join(f"{i},{i % 2}\n" for i in range(20)))
    assert load(f"{prefix}:{tmp_path / 'a.csv'}").num_classes == 2
    with pytest.raises(checks.InputError, match=rf"a file without its format, .* try table:{tmp_path}/a.csv$"):
        load(str(tmp_path / "a.csv"))
