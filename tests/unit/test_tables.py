"""Tables: rounding against known pairs, and each format read back by a reader of its own."""

import csv
import html.parser
import io
import re

import matplotlib.mathtext
import numpy as np
import pandas
import pytest
import rich.console

from jdl.show import report, tables
from jdl.show.cells import Cell, as_latex, as_text, escaped


@pytest.mark.parametrize(
    ("cell", "text", "latex"),
    [
        (Cell(0.912345, 0.00417), "0.9123 ± 0.0042", r"$0.9123 \pm 0.0042$"),
        (Cell(0.912345, 0.0996), "0.91 ± 0.10", r"$0.91 \pm 0.10$"),
        (Cell(0.912345, 0.0994), "0.912 ± 0.099", r"$0.912 \pm 0.099$"),
        (Cell(0.912345, 0.00417, "{:.1%}"), "91.23 ± 0.42%", r"$91.23 \pm 0.42\%$"),
        (Cell(0.912345, None, "{:.1%}"), "91.2%", r"$91.2\%$"),
        (Cell(12.3, 456.0), "10 ± 460", r"$10 \pm 460$"),
        (Cell(12345.6, 789.0), "12,350 ± 790", r"$12{,}350 \pm 790$"),
        (Cell(-0.00049, 0.12), "0.00 ± 0.12", r"$0.00 \pm 0.12$"),
        (Cell(-1.5, 0.12), "-1.50 ± 0.12", r"$-1.50 \pm 0.12$"),
        (Cell(3.21e-6, 1.23e-7), "(3.21 ± 0.12)e-06", r"$(3.21 \pm 0.12) \times 10^{-6}$"),
        (Cell(4.567e8, 1e6), "(4.567 ± 0.010)e+08", r"$(4.567 \pm 0.010) \times 10^{8}$"),
        (Cell(4.567e-8, None, "{:.2g}"), "4.6e-08", r"$4.6 \times 10^{-8}$"),
        (Cell(1234567.0, None, "{:,.0f}"), "1,234,567", r"$1{,}234{,}567$"),
        (Cell(0.5, (0.4123, 0.6341)), "0.50 [0.41, 0.63]", r"$0.50 [0.41,\, 0.63]$"),
        (Cell(0.5, (0.4123, 0.6341), "{:.1%}"), "50 [41, 63]%", r"$50 [41,\, 63]\%$"),
        (Cell(0.25, 0.0, "{:.3g}"), "0.25 ± 0", r"$0.25 \pm 0$"),
        (Cell(0.25, np.nan, "{:.3g}"), "0.25", r"$0.25$"),
        (Cell(1 / 3, 1e-12), "0.3333333 ± 0", r"$0.3333333 \pm 0$"),
        (Cell(7), "7", "$7$"),
        (Cell(None), "-", "--"),
        (Cell(np.nan, 0.1), "-", "--"),
        (Cell(np.inf), "-", "--"),
        (Cell(True), "True", "True"),
        (Cell("top_k & 50% #2"), "top_k & 50% #2", r"top\_k \& 50\% \#2"),
    ],
)
def test_cells_have_two_digits_of_their_interval(cell, text, latex):
    assert (as_text(cell), as_latex(cell)) == (text, latex)
    for formula in re.findall(r"\$[^$]+\$", latex):
        matplotlib.mathtext.MathTextParser("path").parse(formula)


def test_all_special_characters_are_escaped():
    text = escaped("a\\b{c}_d^e~f&g%h$i#j<k>l|m±n")
    commands = (
        r"\\(?:textbackslash|textasciicircum|textasciitilde|textless|textgreater|textbar)\{\}|\$\\pm\$|\\[{}_&%$#]"
    )
    assert re.sub(commands, "", text) == "abcdefghijklmn"


TABLE = tables.Table(
    "accuracy, mean ± 95% t-interval",
    ["graph | n", "lr", "accuracy", "sent_MB"],
    [
        [Cell("ring(8)"), Cell(0.1), Cell(0.912345, 0.00417, "{:.1%}"), Cell(12.0, None, "{:.3g}")],
        [Cell("a|b & <c>"), Cell(0.03), Cell(None), Cell(3456.0, None, "{:,.4g}")],
    ],
    ["a|b & <c>: diverged in 1 of 5 seeds"],
)


def test_text_is_aligned():
    title, *lines, note = tables.to_text(TABLE).splitlines()
    assert (title, note) == (TABLE.title, TABLE.notes[0])
    assert [line.split("  ")[0] for line in lines] == ["graph | n", "ring(8)", "a|b & <c>"]
    assert len({len(line) for line in lines}) == 1 and lines[1].endswith("91.23 ± 0.42%       12")


def test_markdown_is_aligned_and_escaped():
    title, _, head, rule, *rows, _, note = tables.to_markdown(TABLE).splitlines()
    assert title == f"**{TABLE.title}**" and note == TABLE.notes[0]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in (head, *rows)]
    assert cells == [
        [r"graph \| n", "lr", "accuracy", "sent_MB"],
        ["ring(8)", "0.1", "91.23 ± 0.42%", "12"],
        [r"a\|b & <c>", "0.03", "-", "3,456"],
    ]
    assert len({len(line) for line in (head, rule, *rows)}) == 1
    bars = [[place.start() for place in re.finditer(r"(?<!\\)\|", line)] for line in (head, rule, *rows)]
    assert all(one == bars[0] for one in bars)
    assert [one[-1] for one in rule.split("|")[1:-1]] == ["-", ":", ":", ":"]


def test_latex_has_balanced_environments_and_as_many_cells_in_each_row():
    text = tables.to_latex(TABLE)
    opened, closed = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert opened == closed[::-1] == ["table", "tabular"]
    assert r"\caption{accuracy, mean $\pm$ 95\% t-interval. a\textbar{}b" in text
    assert r"\begin{tabular}{lrrr}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3 and all(len(re.findall(r"(?<!\\)&", row)) == 3 for row in rows)
    assert r"sent\_MB" in rows[0] and r"a\textbar{}b \& \textless{}c\textgreater{}" in rows[2]
    # No bare special character is left: % would comment, # and _ would stop LaTeX.
    assert not re.search(r"(?<!\\)[%#_]", text)
    assert text.count("$") % 2 == 0 and text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_csv_keeps_all_digits():
    frame = pandas.read_csv(io.StringIO(tables.to_csv(TABLE)))
    assert list(frame.columns) == ["graph | n", "lr", "accuracy", "accuracy ±", "sent_MB"]
    assert frame["accuracy"][0] == 0.912345 and frame["accuracy ±"][0] == 0.00417 and np.isnan(frame["accuracy"][1])
    assert list(frame["graph | n"]) == ["ring(8)", "a|b & <c>"]
    ends = tables.Table("", ["x"], [[Cell(1.0, (0.5, 2.0))], [Cell(1.0, 0.25)], [Cell(None)]])
    assert list(csv.reader(io.StringIO(tables.to_csv(ends)))) == [
        ["x", "x low", "x high"],
        ["1.0", "0.5", "2.0"],
        ["1.0", "0.75", "1.25"],
        ["", "", ""],
    ]


def test_html_holds_the_texts():
    class Reader(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.cells = []

        def handle_data(self, data):
            self.cells.append(data)

    reader = Reader()
    reader.feed(tables.to_html(TABLE))
    assert reader.cells == [
        TABLE.title, *TABLE.columns, "ring(8)", "0.1", "91.23 ± 0.42%", "12", "a|b & <c>", "0.03", "-", "3,456",
        TABLE.notes[0],
    ]  # fmt: skip


def test_rich_shows_brackets_as_they_are():
    one = tables.Table("[bold]", ["a[b]"], [[Cell(0.5, (0.4123, 0.6341))]], ["[note]"])
    console = rich.console.Console(width=80, record=True, file=io.StringIO())
    console.print(tables.to_rich(one))
    text = console.export_text()
    assert all(part in text for part in ("[bold]", "a[b]", "0.50 [0.41, 0.63]", "[note]"))


def test_a_table_without_rows_is_its_head():
    empty = tables.Table("", ["a", "b"], [])
    assert tables.to_text(empty) == "a  b"
    assert tables.to_csv(empty) == "a,b\n"
    assert tables.to_markdown(empty).splitlines() == ["| a | b |", "|:--|:--|"]
    assert r"\begin{tabular}{ll}" in tables.to_latex(empty) and "caption" not in tables.to_latex(empty)


def test_the_table_of_runs_names_those_that_did_not_finish():
    class Run:
        def __init__(self, **row):
            self.summary = {"rounds": 4, "nodes": 2, "bits_sent": 16e6, **row}

    good = Run(mean_accuracy=0.9, worst_accuracy=0.8, mean_model_accuracy=0.95, status="finished", message="finished")
    bad = Run(mean_accuracy=None, status="diverged", message="diverged in round 3; try a smaller lr")
    found = report.rows_of({"ring": good, "torus": bad})
    assert found.title == "test accuracy, after 4 rounds"
    assert [as_text(cell) for cell in found.rows[0]] == ["ring", "90.0%", "80.0%", "95.0%", "1"]
    assert [as_text(cell) for cell in found.rows[1]] == ["torus", "-", "-", "-", "1"]
    assert found.notes == ["torus: diverged in round 3; try a smaller lr"]
