"""jdl: JAX decentralized learning. It simulates thousands of peers that train together, as one compiled program.

Importing jdl computes nothing and does not use any device.
"""

import importlib.metadata
import sys

from jdl import (
    algorithms,
    checks,
    compressors,
    data,
    exchange,
    models,
    oracle,
    plan,
    problems,
    roles,
    schedule,
    theory,
    topology,
    tree,
    types,
)
from jdl.engine import metrics, sim
from jdl.engine.placement import use_cores
from jdl.engine.sim import simulate
from jdl.runs.compose import simulation
from jdl.runs.history import History
from jdl.runs.result import Result
from jdl.runs.run import run
from jdl.runs.tune import rounds_until, tune
from jdl.show.drawing import draw
from jdl.show.graph_report import graph_report
from jdl.show.partition_picture import draw as draw_partition

# `jdl.run` is a function; scripts for earlier versions import a module of this name by `importlib.import_module`.
sys.modules[f"{__name__}.run"] = sys.modules[run.__module__]

__version__ = importlib.metadata.version("jdl")

__all__ = [
    "History",
    "Result",
    "algorithms",
    "checks",
    "compressors",
    "data",
    "draw",
    "draw_partition",
    "exchange",
    "graph_report",
    "metrics",
    "models",
    "oracle",
    "plan",
    "problems",
    "roles",
    "rounds_until",
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

# The module of types imports nothing of jdl, so its old names are here.
checks.renamed(
    types.__name__,
    {
        "Draw": "jdl.types.BatchId",
        "Link": "jdl.types.ExchangeState",
        "Memory": "jdl.types.ScheduleState",
        "Packed": "jdl.types.Sized",
    },
)
