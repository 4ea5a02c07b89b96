"""The table of methods: each row is a method with its options, and its independent reference in NumPy.

A new method: write its reference into `numpy_decentralized.py` or `numpy_federated.py`, from the paper and without
jdl, and add a row to `table_peers.py` or `table_servers.py`; or, where its iterates are better proved in a file of
their own, name that file in ELSEWHERE.

`test_theory_references.py` proves every row. The files of limits and identities run the programs of these rows, with
other rates, weights, data and starts, which are arguments: `run("D2", W, lr=0.1)`. A row names the options that are
static, for each of them is a program of its own; further rows of a method have its name first.
"""

from __future__ import annotations

import beds
import numpy as np
from beds import N
from table import LR, NOISE, WIDE, T, X, slow
from table_peers import PEERS
from table_servers import SERVER

import jdl
from jdl import algorithms, schedule

ROWS = PEERS | SERVER

# Methods whose trajectory is proved elsewhere: the file that does, and why not here.
ELSEWHERE: dict[str, tuple[str, str]] = {
    "PENS": ("test_theory_pens.py", "a node asks its data for losses of the models that it hears"),
}


# ---- runs --------------------------------------------------------------------------------------------------------


def method(name: str, **numbers):
    """The method of a row, with other numbers."""
    return getattr(algorithms, name.split()[0])(**({"lr": LR} | ROWS[name].fields | numbers))


def problem_of(name: str, **bed):
    return beds.quadratic(**(ROWS[name].bed | bed))


def simulation(name: str, W=None, problem=None, participants=N, budgets=None, **numbers):
    """A row's simulation. W: for peers. problem: None for the row's own, with noise."""
    row = ROWS[name]
    algorithm = method(name, **numbers)
    problem = problem_of(name, noise=NOISE) if problem is None else problem
    oracle = row.oracle() if row.oracle is not None else None
    oracle = oracle if budgets is None else slow(budgets)
    if name in PEERS:
        return jdl.simulation(problem, algorithm, beds.talk(W, algorithm.needs, row.form), row.network, oracle=oracle)
    talk = schedule.Sampling(N, participants) if row.talk is None else row.talk()
    return jdl.simulation(problem, algorithm, talk, row.network, oracle=oracle)


def run(name: str, W=None, problem=None, start=None, first: int = 0, **options) -> beds.Run:
    """A run by the row's program; `options` as of `simulation`."""
    default = WIDE if ROWS[name].bed.get("dim") == WIDE.shape[1] else X
    start = default if start is None else start
    start = start[0] if name in SERVER and start.ndim > 1 else start
    built = simulation(name, W, problem, **options)
    return beds.record(built, built.problem.form(start), first=first)


def limit(name: str, rounds: int, W=None, problem=None, **options) -> np.ndarray:
    """The models after `rounds` rounds, on data without noise by default: `[n, d]`, or `[1, d]` of a server."""
    problem = problem_of(name) if problem is None else problem
    return run(name, W, problem, first=rounds - T, **options).models[-1]
