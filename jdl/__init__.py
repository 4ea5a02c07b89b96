"""jdl: JAX decentralized learning. Thousands of peers that train together without a server, as one compiled program.

Importing jdl computes nothing and touches no device.
"""

import importlib.metadata

from jdl import (
    algorithms,
    checks,
    compressors,
    data,
    exchange,
    metrics,
    models,
    oracle,
    problems,
    schedule,
    sim,
    theory,
    topology,
    tree,
    types,
)
from jdl.compose import simulation
from jdl.drawing import draw
from jdl.graph_report import graph_report
from jdl.history import History
from jdl.result import Result
from jdl.run import run
from jdl.sharding import use_cores
from jdl.sim import simulate
from jdl.tune import tune

__version__ = importlib.metadata.version("jdl")

__all__ = [
    "History",
    "Result",
    "algorithms",
    "checks",
    "compressors",
    "data",
    "draw",
    "exchange",
    "graph_report",
    "metrics",
    "models",
    "oracle",
    "problems",
    "run",
    "schedule",
    "sim",
    "simulate",
    "simulation",
    "theory",
    "topology",
    "tree",
    "tune",
    "types",
    "use_cores",
]
