"""The page of algorithms names every one of them, once, with numbers that a run gave, and explains the weak ones."""

import re
from pathlib import Path

import jdl
from jdl.command import catalogue

PAGE = (Path(jdl.algorithms.__file__).parent / "README.md").read_text()
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "algorithms_on_digits" / "table.md"
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| [a-z0-9_]+ \| ", line)][1:]
WEAK = 0.8


def test_every_algorithm_has_a_row():
    assert sorted(row[0] for row in ROWS) == sorted(catalogue.members("algorithms"))


def test_rows_are_ranked_and_worst_nodes_are_worst():
    """A run that diverges at every rate would stand here as nan, which no comparison lets pass."""
    rows = {name: [float(cell) for cell in cells] for name, *cells in ROWS}
    means = [mean for _, mean, *_ in rows.values()]
    assert means == sorted(means, reverse=True)
    assert all(0 <= worst <= mean <= 1 and 0 <= merged <= 1 for _, mean, worst, merged, *_ in rows.values())
    assert all(bits >= 0 and milliseconds > 0 for *_, bits, milliseconds in rows.values())


def test_the_table_is_that_of_the_run():
    assert RESULTS.read_text() in PAGE


def test_what_is_weak_is_explained():
    """Each has a point of the list below the table, and nothing else has."""
    points = re.findall(r"^- ((?:`\w+`(?:,| and)? )+)", PAGE, re.M)
    named = [name for point in points for name in re.findall(r"`(\w+)`", point)]
    assert sorted(named) == sorted(row[0] for row in ROWS if float(row[2]) < WEAK)
