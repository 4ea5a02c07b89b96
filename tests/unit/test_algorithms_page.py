"""The page of algorithms lists every one of them once, in its family, with a run's numbers, and explains weak ones."""

import re
from pathlib import Path

import jdl
from jdl.command import catalogue

PAGE = (Path(jdl.algorithms.__file__).parent / "README.md").read_text()
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "algorithms_on_digits" / "table.md"
# The lines of the table under the heading of each family.
TABLES = {
    family: [line for line in text.splitlines() if re.match(r"\| (?!algorithm )[a-z0-9_]+ \| ", line)]
    for family, text in re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S)
}
ROWS = [line.strip("| ").split(" | ") for lines in TABLES.values() for line in lines]
WEAK = 0.8


def test_every_algorithm_has_a_row():
    assert sorted(row[0] for row in ROWS) == sorted(catalogue.members("algorithms"))


def test_a_row_stands_in_the_table_of_its_family():
    assert tuple(TABLES) == catalogue.FAMILIES
    for family, lines in TABLES.items():
        files = {path.stem for path in (Path(jdl.algorithms.__file__).parent / family).glob("*.py")} - {"__init__"}
        assert {line.split(" | ")[0].strip("| ") for line in lines} == files


def test_rows_are_ranked_and_worst_nodes_are_worst():
    """A run that diverges at every rate would stand here as nan, which no comparison lets pass."""
    rows = {name: [float(cell) for cell in cells] for name, *cells in ROWS}
    for lines in TABLES.values():
        means = [float(line.split(" | ")[2]) for line in lines]
        assert means == sorted(means, reverse=True)
    assert all(0 <= worst <= mean <= 1 and 0 <= merged <= 1 for _, mean, worst, merged, *_ in rows.values())
    assert all(bits >= 0 and milliseconds > 0 for *_, bits, milliseconds in rows.values())


def test_the_tables_are_those_of_the_run():
    """Every line of the run stands once on the page, and no other does; each table has the run's head."""
    head, rule, *lines = RESULTS.read_text().splitlines()
    assert sorted(lines) == sorted(line for lines in TABLES.values() for line in lines)
    assert PAGE.count(f"{head}\n{rule}\n") == len(TABLES)


def test_numbers_of_the_advice_are_those_of_the_tables():
    """An accuracy in "Which method when" is one of the tables, or of the list of weak methods."""
    advice, measured = PAGE.split("## Side by side")
    said = re.findall(r"\b0\.\d{3}\b|\b\d+\.\d(?= megabits)", advice)
    assert len(said) > 20 and not [number for number in said if number not in measured]


def test_the_advice_names_algorithms():
    rows = [line.split(" | ") for line in PAGE.split("## Side by side")[0].splitlines() if line.startswith("| ")][2:]
    named = {name for _, methods, _ in rows for name in re.findall(r"`(\w+)`", methods)}
    assert 10 <= len(rows) <= 14 and named <= set(catalogue.members("algorithms"))


def test_what_is_weak_is_explained():
    """Each has a point of the list below the table, and nothing else has."""
    points = re.findall(r"^- ((?:`\w+`(?:,| and)? )+)", PAGE, re.M)
    named = [name for point in points for name in re.findall(r"`(\w+)`", point)]
    assert sorted(named) == sorted(row[0] for row in ROWS if float(row[2]) < WEAK)
