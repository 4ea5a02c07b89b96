"""Of the tests of exchanges, and of codecs beside them, half is drawn by `JDL_TEST_SEED`; the others are slow.

Exchanges meet methods in `tests/laws/`, whose refusals and samples are drawn too.
"""

import os
import pathlib
import zlib

import pytest

HERE = pathlib.Path(__file__).parent
FOLDERS = (HERE, HERE.parent / "compressors")
SEED = int(os.environ["JDL_TEST_SEED"])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All cases of one test are drawn together, since they share what is compiled."""
    for item in items:
        name = f"{item.path.stem} {item.name.partition('[')[0]}"
        if item.path.parent in FOLDERS and (SEED + zlib.crc32(name.encode())) % 2:
            item.add_marker(pytest.mark.slow)
