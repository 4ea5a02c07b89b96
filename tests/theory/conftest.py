"""One process runs what shares programs: the theory of peers, and that of methods with a server."""

import pathlib

import pytest

SERVERS = ("outer", "federated", "federated_2")


def pytest_collection_modifyitems(config, items):
    """Groups for pytest-xdist, where it is there."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.path.parent == pathlib.Path(__file__).parent and not item.path.stem.startswith("test_numpy"):
            name = item.path.stem.removeprefix("test_theory_")
            servers = name in SERVERS or "of_the_server" in item.name
            item.add_marker(pytest.mark.xdist_group("theory of servers" if servers else "theory of peers"))
