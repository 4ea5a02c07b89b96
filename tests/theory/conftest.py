"""Of limits and identities, an eighth is drawn."""

import os
import pathlib
import zlib

import pytest

HERE = pathlib.Path(__file__).parent
SEED = int(os.environ["JDL_TEST_SEED"])


def pytest_collection_modifyitems(items):
    """Those that `JDL_TEST_SEED` does not draw are slow.

    Every iterate of every method is always compared with its NumPy recursion (`test_theory_references.py`).
    """
    for item in items:
        limit = item.path.parent == HERE and item.path.stem.startswith("test_theory_")
        if limit and item.path.stem != "test_theory_references" and (SEED + zlib.crc32(item.name.encode())) % 8:
            item.add_marker(pytest.mark.slow)
