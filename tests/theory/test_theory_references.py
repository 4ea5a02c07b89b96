"""Every row of the table of methods against its independent NumPy reference, round by round and node by node.

Peers: over the ring and over a graph that is as directed as the method allows, both of one form, so that one program
serves both. Servers: with all clients and with a sample of three, where the reference knows samples.
"""

import os
import pathlib
import zlib

import beds
import numpy as np
import pytest
import rows
from rows import PEERS, ROWS, SERVER
from table import NOISE, Case

from jdl import algorithms

SEED = int(os.environ["JDL_TEST_SEED"])

pytestmark = pytest.mark.usefixtures("x64")


def proves(name, run, expected):
    """The models, and the states of nodes and server. The reference moves, and stays where numbers mean something."""
    row = ROWS[name]
    expected = expected if isinstance(expected, tuple) else (expected,)
    models = expected[0] if expected[0].ndim == 3 else expected[0][:, None]  # of each node or user, or of the server
    assert run.models.shape == models.shape
    assert np.abs(models[-1] - models[0]).max() > 0.1 and np.abs(models).max() < 100
    most = np.abs(run.models - models)[: row.rounds + 1].max()
    assert most < row.tolerance, f"the models of {name} are {most} off"
    for i, (ours, theirs, tolerance) in enumerate(row.states(run, expected) if row.states else ()):
        assert ours.shape == theirs.shape
        most = np.abs(ours - theirs).max()
        assert most < tolerance, f"state {i} of {name} is {most} off"


def in_turn(name):
    """The first row of each method is proved every day; of its further rows, with other options, a third is drawn."""
    return " " not in name or (SEED + zlib.crc32(name.encode())) % 3 == 0


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if in_turn(name) else [pytest.mark.slow]) for name in PEERS]
)
def test_every_iterate_of_every_node_is_the_references(name):
    problem = rows.problem_of(name, noise=NOISE)
    for W in ROWS[name].W or beds.graphs(rows.method(name).needs):
        run = rows.run(name, W, problem)
        proves(name, run, ROWS[name].reference(Case(problem, W, before=run.before)))


def samples():
    """Each row with each number of clients in it; one is drawn, the others are slow."""
    for name in SERVER:
        row = ROWS[name]
        several = list(row.participants) if row.talk is None else [beds.N]
        drawn = several[(SEED + zlib.crc32(name.encode())) % len(several)]
        for participants in several:
            marks = [] if participants == drawn and in_turn(name) else [pytest.mark.slow]
            yield pytest.param(name, participants, marks=marks, id=f"{name}-{participants}")


@pytest.mark.parametrize(("name", "participants"), list(samples()))
def test_every_iterate_of_the_server_is_the_references(name, participants):
    problem = rows.problem_of(name, noise=NOISE)
    run = rows.run(name, problem=problem, participants=participants)
    proves(name, run, ROWS[name].reference(Case(problem, None, participants)))


def test_every_method_has_a_row_or_a_file_that_proves_it():
    proved = {name.split()[0] for name in [*ROWS, *rows.ELSEWHERE]}
    add = (
        "add its NumPy reference and a row to tests/theory/table_peers.py or table_servers.py, or name the file that "
        "proves it in ELSEWHERE of tests/theory/rows.py"
    )
    missing = sorted(set(algorithms.__all__) - proved)
    assert not missing, f"{missing}: no trajectory is proved; {add}"
    gone = sorted(proved - set(algorithms.__all__))
    assert not gone, f"{gone}: rows of methods that are not exported; take them out of the table"
    for name, (file, _) in rows.ELSEWHERE.items():
        assert f"{name}(" in pathlib.Path(__file__).with_name(file).read_text(), f"{file} does not mention {name}"
