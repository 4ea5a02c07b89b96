"""The page of theory has a row for every exported function, and no other; each row says what was read and checked."""

import inspect
import re
from pathlib import Path

import jdl

PAGE = (Path(jdl.theory.__file__).parent / "README.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")] for line in PAGE.splitlines() if line.startswith("| `")
]
READ = {"paper", "notes", "memory", "proof"}


def exported():
    """The functions of `jdl.theory` and `jdl.theory.bounds`, by name."""
    both = (jdl.theory, jdl.theory.bounds)
    members = {name: getattr(module, name) for module in both for name in module.__all__}
    return {name: member for name, member in members.items() if inspect.isfunction(member)}


def test_every_exported_function_has_one_row_and_every_row_a_function():
    assert sorted(row[0].strip("`") for row in ROWS) == sorted(exported())


def test_a_row_names_source_reading_and_check():
    for row in ROWS:
        assert len(row) == 4 and all(row), row
        words = {re.sub(r" \(.*| for .*", "", part) for part in re.split(r", (?![^(]*\))", row[2])}
        assert words <= READ, row


def test_docstrings_say_what_was_verified():
    """Each bound has references, and says there how far it was verified, or names the function that does."""
    silent = []
    for name in jdl.theory.bounds.__all__:
        member = getattr(jdl.theory.bounds, name)
        text = inspect.getdoc(member) or ""
        if inspect.isfunction(member) and not re.search(r"References:\n.*(Verified|see `\w+`)", text, re.S):
            silent.append(name)
    assert not silent
