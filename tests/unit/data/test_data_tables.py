import gzip
import time

import numpy as np
import pytest
from test_data_libsvm import folder

from jdl import checks
from jdl.data.readers import tables


def written(path, rows, end="\n"):
    path.write_text(end.join(rows) + end)
    return path


SENTENCES = [
    "sentence\tlabel",
    *[f'"a good film {i}\t1' for i in range(10)],
    *[f"null bad plot {i}\t0" for i in range(10)],
]


def test_sentences_become_numbers_of_words(tmp_path):
    train = written(tmp_path / "train.tsv", SENTENCES)
    test = written(tmp_path / "test.tsv", ["label\tsentence", "0\tNULL \"unseen don't film", "1\t   "])
    data = tables.read(train, test, length=4)
    words = data.truth["vocabulary"].tolist()
    # Ten times each in the alphabet's order, then once each or twice the numbers.
    assert words[:8] == ["", "<unknown>", '"', "a", "bad", "film", "good", "null"] and words[8] == "plot"
    assert data.train_x.shape == (20, 4) and data.train_x.dtype == np.int32
    assert [words[k] for k in data.train_x[0]] == ['"', "a", "good", "film"]  # cut
    assert data.test_x.tolist() == [[7, 2, 1, 1], [0, 0, 0, 0]]
    assert data.train_y.tolist() == [1] * 10 + [0] * 10 and data.test_y.tolist() == [0, 1]
    assert data.truth["labels"].tolist() == [0, 1] and data.num_classes == 2 and data.name == "train"
    few = tables.read(train, test, words=4)
    assert few.truth["vocabulary"].tolist() == ["", "<unknown>", '"', "a"] and few.train_x.max() == 3


def test_vocabulary_knows_nothing_of_what_is_held_out(tmp_path):
    rows = ["text,class", *[f"word{i},{'yes' if i % 2 else 'no'}" for i in range(40)]]
    data = tables.read_any(written(tmp_path / "any.csv", rows))
    assert len(data.train_x) == 32 and len(data.truth["vocabulary"]) == 34
    assert np.all(data.test_x[:, 0] == 1) and np.all(data.train_x[:, 0] > 1)
    assert data.truth["labels"].tolist() == ["no", "yes"]
    np.testing.assert_array_equal(np.bincount(data.test_y), [4, 4])


def test_quoted_commas_stay_in_their_cell(tmp_path):
    rows = ["Label,Text", *['1,"well, ""fine"", it is"', "0,bad"] * 5]
    data = tables.read(written(tmp_path / "any.csv", rows), length=8)
    spoken = [data.truth["vocabulary"][row[row > 0]].tolist() for row in data.train_x[data.train_y == 1]]
    assert spoken[0] == ["well", ",", '"', "fine", '"', ",", "it", "is"]


@pytest.mark.parametrize("header", [True, False])
def test_numbers_become_features(tmp_path, header):
    rows = (["u,v,kind"] if header else []) + [f"{i},{-i / 2},{9 + i % 2}" for i in range(20)]
    path = tmp_path / "numbers.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    data = tables.read(path)
    assert data.train_x.shape == (16, 2) and data.train_x.dtype == np.float32 and data.num_classes == 2
    np.testing.assert_array_equal(data.train_x[:, 1], -data.train_x[:, 0] / 2)
    np.testing.assert_array_equal(data.train_y, data.train_x[:, 0] % 2)
    assert data.truth["labels"].tolist() == [9, 10]  # as numbers: "10" sorts before "9"
    assert "vocabulary" not in data.truth and data.name == "numbers"


def test_classes_of_both_parts_are_compared_as_numbers(tmp_path):
    train = written(tmp_path / "train.csv", ["u,label", *["1,10", "2,9"] * 5])
    data = tables.read(train, written(tmp_path / "test.csv", ["u,label", "3,9.0"]))
    assert data.num_classes == 2 and data.test_y.tolist() == [0]


def test_class_is_found_by_name_or_given(tmp_path):
    rows = ["target;u;v", *[f"{'cat' if i % 2 else 'dog'};{i};{2 * i}" for i in range(10)]]
    path = written(tmp_path / "pets.csv", rows, end="\r\n")
    data = tables.read(path)
    assert data.train_x.shape == (8, 2) and data.truth["labels"].tolist() == ["cat", "dog"]
    other = written(tmp_path / "other.csv", ["w,u,v", *[f"{i % 2},{i},3" for i in range(10)]])
    assert tables.read(other).num_classes == 1 and tables.read(other, label="w").num_classes == 2


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        (["text,label", "good,1"], {"text": "body"}, r"got column 'body'.*try one of text, label"),
        (["text,value", "good,1"], {}, r"with columns text, value, need one with the class, named label or class"),
        (["a,b", "1,2", "x,3"], {}, r"with 'x' in line 3, column 'a', need finite numbers"),
        (["a,b", "1,2", ",3"], {}, r"with '' in line 3, column 'a', .* leave the row out"),
        (["a,b", "inf,2", "1,3"], {}, r"with 'inf' in line 2, column 'a', need finite"),
        (["a,b", "1,2", "1,2,3"], {}, r"with 3 cells in line 3, where most lines have 2"),
        (["a,b"], {}, r"with 0 rows below its first line"),
        (["a,b", "1,2,3", "1,2,3"], {}, r"with 2 cells in line 1, where most lines have 3"),
        (["a,b", *["1,2.5", "1,3"] * 5], {}, r"a class such as 2.5 in 'b', need whole numbers or words"),
        (["a", "1", "2"], {}, r"with one column, need features"),
        ([""], {}, r"which is not a table|with 0 rows"),
        (["text,label", "good,1"], {"length": 0}, r"got length=0"),
    ],
)
def test_unfit_tables_are_refused(tmp_path, rows, options, sentence):
    path = written(tmp_path / "bad.csv", rows)
    with pytest.raises(checks.InputError, match=sentence):
        tables.read(path, **options)


def test_damaged_files_and_folders_are_told_once(tmp_path):
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" * 100)[:-9])
    for place, sentence in ((path, "which does not unpack"), (tmp_path, "a folder, need the file of that name in it")):
        with pytest.raises(checks.InputError, match=sentence) as refusal:
            tables.read(place)
        assert str(refusal.value).count("got ") == 1 and "no table" not in str(refusal.value)


def test_parts_must_have_the_same_columns(tmp_path):
    train = written(tmp_path / "train.csv", ["u,v,label", *["1,2,0", "1,3,1"] * 5])
    with pytest.raises(checks.InputError, match=r"test.csv without the columns v that .*train.csv has"):
        tables.read(train, written(tmp_path / "test.csv", ["u,label", "1,0"]))
    swapped = written(tmp_path / "swapped.csv", ["label,v,u", "0,2,1"])  # by name, not by place
    np.testing.assert_array_equal(tables.read(train, swapped).test_x, [[1, 2]])


def test_sst2_is_read_as_handed_out_by_glue_and_as_split_again(tmp_path):
    train = written(tmp_path / "train.tsv", SENTENCES)
    dev = written(tmp_path / "dev.tsv", ["sentence\tlabel", "good\t1", "bad\t0"])
    test = written(tmp_path / "test.tsv", ["sentence\tlabel", "plot\t0"])
    read = tables.SOURCES["sst2"].read
    data = read(train, dev, test)
    assert (len(data.train_y), len(data.test_y)) == (22, 1) and data.train_y[-2:].tolist() == [1, 0]
    data = read(train, dev, written(test, ["index\tsentence", "0\tplot"]))
    assert (len(data.train_y), len(data.test_y)) == (20, 2) and data.name == "sst2"


def test_sst2_has_the_numbers_of_its_page():
    # GLUE (Wang et al. 2019, table 1): 67k phrases to train on, 872 sentences to test on.
    place = folder("sst2", "train.tsv", "dev.tsv", "test.tsv")
    start = time.perf_counter()
    data = tables.SOURCES["sst2"].read(*(place / f"{part}.tsv" for part in ("train", "dev", "test")))
    assert time.perf_counter() - start < 10
    assert data.train_x.shape == (60_614 + 6_735, 64) == (67_349, 64) and data.test_x.shape == (872, 64)
    assert len(data.truth["vocabulary"]) == 8000 and data.num_classes == 2
    first = data.train_x[0]
    assert data.truth["vocabulary"][first[first > 0]].tolist() == ["when", "are", "bears", "bears", "and"]
    assert data.train_y[:4].tolist() == [1, 1, 1, 0]
