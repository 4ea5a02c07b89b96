"""A quarter of the limits is drawn; and one process runs what shares programs: the theory of peers, or of servers."""

import os
import pathlib
import zlib

import pytest

HERE = pathlib.Path(__file__).parent
SERVERS = ("outer", "federated", "federated_2")
SEED = int(os.environ["JDL_TEST_SEED"])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Limits and identities that `JDL_TEST_SEED` does not draw are slow; groups for pytest-xdist, where it is there.

    Every iterate of every method is always compared with its NumPy recursion (`test_theory_references.py`).
    """
    grouped = config.pluginmanager.hasplugin("xdist")
    for item in items:
        if item.path.parent != HERE or not item.path.stem.startswith("test_theory_"):
            continue
        name = item.path.stem.removeprefix("test_theory_")
        if name != "references" and (SEED + zlib.crc32(item.name.encode())) % 4:
            item.add_marker(pytest.mark.slow)
        if grouped:
            servers = name in SERVERS or "of_the_server" in item.name
            item.add_marker(pytest.mark.xdist_group("theory of servers" if servers else "theory of peers"))
