"""jdl: JAX decentralized learning. It simulates thousands of peers that train together, as one compiled program.

Importing jdl computes nothing and does not use any device. Its parts, and JAX, are imported when they are first asked
for, so that the command line answers `jdl --help` at once.
"""

import importlib
import sys
import types as python_types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdl import (
        algorithms,
        checks,
        clock,
        compressors,
        data,
        exchange,
        models,
        oracle,
        plan,
        privacy,
        problems,
        roles,
        schedule,
        theory,
        topology,
        tree,
        types,
    )
    from jdl.command.load import load
    from jdl.engine import metrics, sim
    from jdl.engine.differentiable import differentiable
    from jdl.engine.placement import use_cores
    from jdl.engine.sim import simulate
    from jdl.runs.compose import simulation
    from jdl.runs.history import History
    from jdl.runs.model_files import load_models
    from jdl.runs.result import Result
    from jdl.runs.results import Results
    from jdl.runs.run import run
    from jdl.runs.time_line import time_line
    from jdl.runs.timing import timing
    from jdl.runs.tune import rounds_until, tune
    from jdl.show.compare import compare
    from jdl.show.drawing import draw
    from jdl.show.graph_report import graph_report
    from jdl.show.live import live_curve
    from jdl.show.partition_picture import draw as draw_partition
    from jdl.show.privacy_matrix import privacy_matrix
    from jdl.sweeps.over import over
    from jdl.sweeps.results import load_sweep
    from jdl.sweeps.status import sweep_status
    from jdl.sweeps.sweep import sweep

__all__ = [
    "History",
    "Result",
    "Results",
    "algorithms",
    "checks",
    "clock",
    "compare",
    "compressors",
    "data",
    "differentiable",
    "draw",
    "draw_partition",
    "exchange",
    "graph_report",
    "live_curve",
    "load",
    "load_models",
    "load_sweep",
    "metrics",
    "models",
    "oracle",
    "over",
    "plan",
    "privacy",
    "privacy_matrix",
    "problems",
    "roles",
    "rounds_until",
    "run",
    "schedule",
    "sim",
    "simulate",
    "simulation",
    "sweep",
    "sweep_status",
    "theory",
    "time_line",
    "timing",
    "topology",
    "tree",
    "tune",
    "types",
    "use_cores",
]

# Where names lie that are no modules of this folder.
ELSEWHERE = {
    "History": "runs.history:History",
    "Result": "runs.result:Result",
    "Results": "runs.results:Results",
    "compare": "show.compare:compare",
    "differentiable": "engine.differentiable:differentiable",
    "draw": "show.drawing:draw",
    "draw_partition": "show.partition_picture:draw",
    "graph_report": "show.graph_report:graph_report",
    "live_curve": "show.live:live_curve",
    "load": "command.load:load",
    "load_models": "runs.model_files:load_models",
    "load_sweep": "sweeps.results:load_sweep",
    "metrics": "engine.metrics",
    "over": "sweeps.over:over",
    "privacy_matrix": "show.privacy_matrix:privacy_matrix",
    "rounds_until": "runs.tune:rounds_until",
    "run": "runs.run:run",
    "sim": "engine.sim",
    "simulate": "engine.sim:simulate",
    "simulation": "runs.compose:simulation",
    "sweep": "sweeps.sweep:sweep",
    "sweep_status": "sweeps.status:sweep_status",
    "time_line": "runs.time_line:time_line",
    "timing": "runs.timing:timing",
    "tune": "runs.tune:tune",
    "use_cores": "engine.placement:use_cores",
}
# Other folders and modules of jdl, found as attributes, too.
MORE = ("engine", "local", "rng", "runs", "show", "sweeps")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        found = importlib.import_module("importlib.metadata").version("jdl")
    elif name in ELSEWHERE:
        module, _, inside = ELSEWHERE[name].partition(":")
        found = importlib.import_module(f"{__name__}.{module}")
        found = getattr(found, inside) if inside else found
    elif name in __all__ or name in MORE:
        found = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


class _ModuleOfRun(python_types.ModuleType):
    """`jdl.run` is a function; scripts for earlier versions import a module of this name by `import_module`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python asks all modules
            raise AttributeError(name)
        return getattr(importlib.import_module("jdl.runs.run"), name)


sys.modules[f"{__name__}.run"] = _ModuleOfRun(f"{__name__}.run")
