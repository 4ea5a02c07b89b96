"""Tables with an odd cell, line or sign: decided by what most cells say, and the odd one named or nothing lost."""

import csv

import numpy as np
import pandas as pd
import pytest

from jdl import checks
from jdl.data.readers import tables

ROWS = [f"{i / 7:.3f},{i / 3:.3f},{i % 2}" for i in range(40)]
REAL = [f"{i},{i * 2},{i / 7:.3f}" for i in range(40)]
CATS = [f"{i},{2 * i},{'cat' if i % 2 else 'dog'}" for i in range(40)]


def read(path, rows, **options):
    path.write_text("\n".join(rows) + "\n")
    return tables.read(path, **options)


def whole(data):
    """Both parts as (x, the name of the class), sorted: nothing lost and nothing more."""
    labels = data.truth["labels"][np.concatenate([data.train_y, data.test_y])]
    return sorted(zip(np.concatenate([data.train_x, data.test_x]).tolist(), labels.tolist(), strict=True))


@pytest.mark.parametrize(
    ("header", "rows", "odd", "sentence"),
    [
        ("a,b,label", ROWS, "0.1,0.2,", "without a class in line 7, column 'label', need one in every row"),
        *(
            ("a,b,label", ROWS, f"0.1,0.2,{missing}", "without a class in line 7, column 'label'")
            for missing in ("nan", "NA", "?", " ", "null", "None", "N/A", '""')
        ),
        ("a,b,label", CATS, "1,2,NaN", "without a class in line 7"),
        ("a,b,label", CATS, "1,2,None", "without a class in line 7"),
        ("a,b,label", ROWS, "0.1,0.2", "with 2 cells in line 7, where most lines have 3"),
        ("a,b,label", ROWS, "0.1,0.2,1,7", "with 4 cells in line 7, where most lines have 3"),
        ("a,b,label", ROWS, "0.1,0.2,one", "with 'one' in line 7, column 'label', where most rows have numbers"),
        ("a,b,label", ROWS, "0.1,,1", "with '' in line 7, column 'b', need finite numbers as features; leave the row"),
        ("a,b,label", ROWS, "0.1,1_0,1", "with '1_0' in line 7, column 'b', need finite"),
        ("a,b,label", ROWS, "0.1,inf,1", "with 'inf' in line 7, column 'b', need finite"),
        ("a,b,target", REAL, "1,2,", "without a class in line 7, column 'target'"),
        ("a,b,target", REAL, "1,2,much", "with 'much' in line 7, column 'target', where most rows have numbers"),
        ("a,b,target", REAL, "1,2,3", "a class such as 0.143 in 'target'"),
        ("a,b,target", [f"{i},{i},{7 * i}" for i in range(40)], "1,2,3", "41 classes in 'target' for 41 examples"),
        ("a,b,label", [f"{i},word,{i % 2}" for i in range(40)], "1,word,1", "column 'b', most of whose cells are no"),
        ("a,a,label", ROWS, "1,2,1", "two columns 'a'"),
    ],
)  # fmt: skip
def test_an_odd_line_is_named(header, rows, odd, sentence, tmp_path):
    with pytest.raises(checks.InputError, match=sentence):
        read(tmp_path / "a.csv", [header, *rows[:5], odd, *rows[5:]])


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (CATS, ["cat", "dog"]),
        ([f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in ROWS], [0, 1]),
        (["?" + ROWS[0][5:], *ROWS[1:]], None),
        ([f"{row}," for row in ROWS], [0, 1]),
        ([row.replace(",", ";") for row in ROWS], [0, 1]),
        ([row.replace(",", "|") for row in ROWS], [0, 1]),
        ([row.replace(",", "  ") for row in ROWS], [0, 1]),
        ([row.replace(",", ", ") for row in CATS], ["cat", "dog"]),
    ],
)
def test_no_example_is_lost_where_no_line_has_names(rows, labels, tmp_path):
    if labels is None:
        with pytest.raises(checks.InputError, match=r"with '\?' in line 1, column '0', need finite"):
            read(tmp_path / "a.csv", rows)
        return
    data = read(tmp_path / "a.csv", rows)
    assert data.truth["labels"].tolist() == labels and data.train_x.shape[1] == 2
    source = [row.split(",") for row in (CATS if labels[0] == "cat" else ROWS)]
    expected = sorted(([np.float32(a), np.float32(b)], c if labels[0] == "cat" else float(c)) for a, b, c in source)
    assert whole(data) == expected


@pytest.mark.parametrize(
    "header", ["id,2019,label", "x0,x1,y", "a;b;c", "0,1,label", "u,v,w", ",a,label", "a,b,label,", "label,text"]
)
def test_a_line_of_names_is_no_example(header, tmp_path):
    rows = CATS if header in ("0,1,label", "x0,x1,y") else ROWS
    if header == "a;b;c":
        rows = [row.replace(",", ";") for row in ROWS]
    if header == ",a,label":
        rows = [f"{i},{i / 2},{i % 2}" for i in range(40)]  # the numbers of rows, as pandas writes them
    if header == "a,b,label,":
        rows = [f"{row}," for row in ROWS]
    if header == "label,text":
        rows = [f"{'ham' if i % 2 else 'spam'},word {i}" for i in range(40)]
    data = read(tmp_path / "a.csv", [header, *rows])
    assert len(data.train_x) + len(data.test_x) == 40 and data.num_classes == 2
    assert data.train_x.shape[1] == {",a,label": 1, "label,text": 64}.get(header, 2)


def test_numbers_that_pandas_gives_as_names_are_names(tmp_path):
    draw = np.random.default_rng(0).normal(size=(40, 4)).round(3)
    draw[:, 3] = np.arange(40) % 2
    pd.DataFrame(draw).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(draw).to_csv(tmp_path / "b.csv")
    for name in ("a.csv", "b.csv"):
        data = tables.read(tmp_path / name)
        assert len(data.train_x) + len(data.test_x) == 40 and data.train_x.shape[1] == 3 and data.num_classes == 2


def test_none_is_a_class_where_it_is_no_rarer_than_another(tmp_path):
    rows = ["a,severity", *[f"{i},{('None', 'mild', 'severe')[i % 3]}" for i in range(30)]]
    assert read(tmp_path / "a.csv", rows).truth["labels"].tolist() == ["None", "mild", "severe"]


def test_words_among_numbers_are_classes_where_they_are_as_frequent(tmp_path):
    rows = ["a,label", *[f"{i},{'0123A'[i % 5]}" for i in range(50)]]
    assert read(tmp_path / "a.csv", rows).truth["labels"].tolist() == ["0", "1", "2", "3", "A"]


TEXTS = [
    ("good film" if i % 2 else "bad film") + ("\nsecond, line" if i == 4 else "\tend" if i == 6 else "")
    for i in range(30)
]


@pytest.mark.parametrize("order", [["text", "label"], ["label", "text"]])
@pytest.mark.parametrize("sep", ["\t", ",", ";"])
def test_a_text_with_its_own_signs_stays_in_its_cell(sep, order, tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "label": [i % 2 for i in range(30)]})[order]
    frame.to_csv(tmp_path / "t.tsv", sep=sep, index=False)
    data = tables.read(tmp_path / "t.tsv")
    assert len(data.train_x) + len(data.test_x) == 30 and data.truth["labels"].tolist() == [0, 1]
    assert {"second", "end"} & set(data.truth["vocabulary"].tolist()) and '"' not in data.truth["vocabulary"]


def test_quotes_without_partners_are_signs_as_in_glue(tmp_path):
    rows = ["sentence\tlabel", *[f'"a good film {i}\t{i % 2}' for i in range(20)]]
    data = read(tmp_path / "t.tsv", rows)
    assert len(data.train_x) + len(data.test_x) == 20 and '"' in data.truth["vocabulary"]
    rows = ["sentence,label", *[f'"a" film {i},{i % 2}' for i in range(20)]]
    assert '"' in read(tmp_path / "t.csv", rows).truth["vocabulary"]


def test_a_cell_longer_than_csv_allows_is_read(tmp_path):
    rows = ["text,label", *[f"{'word ' * 40_000 if i == 3 else 'short'} {i},{i % 2}" for i in range(20)]]
    assert len(read(tmp_path / "t.csv", rows).train_x) == 16
    assert csv.field_size_limit() == 131_072
