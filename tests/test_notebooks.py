"""Every notebook runs from top to bottom, within its two minutes, and is committed with its outputs."""

import json
import pkgutil
import re
import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
EVERY = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert NOTEBOOKS


@EVERY
def test_notebook_is_committed_with_outputs_and_names_what_exists(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code), "commit the notebook with its outputs"
    names = {name for cell in code for name in re.findall(r"\bjdl(?:\.\w+)+", "".join(cell["source"]))}
    assert names
    for name in names:
        pkgutil.resolve_name(name)


@pytest.mark.slow  # the promise of two minutes needs a quiet machine
@EVERY
@pytest.mark.filterwarnings("default")  # of the notebook machinery; the kernel is a process of its own
def test_notebook_runs(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # one device, as a reader has
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    begun = time.monotonic()
    nbclient.NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert time.monotonic() - begun < 180  # the promise is 120 s on two quiet cores
