"""The memory of a run over the size of its state: what the compiled program holds, and the peak of the process.

    python benchmarks/memory.py [--out benchmarks/results/memory.json]

D-PSGD, 64-32-10 network, batch 16, random 4-regular graph, at most 256 models evaluated; and 64 GN-LeNet nodes on
images of 32 x 32. Each case runs in a process of its own. `program` is from XLA: arguments and temporary memory of the
compiled rounds, over all arrays of the state. The peaks are resident memory: of the whole process, and above what it
held before the run with the problem in memory.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import tyro

CASES = (("digits", 16384, False), ("digits", 16384, True), ("digits", 65536, False), ("digits", 65536, True))
CASES += (("gn_lenet", 64, False),)


def measured(kind: str, n: int, saves: bool) -> dict[str, float]:
    """The figures of one case, in this process."""
    import jdl

    task = getattr(sys.modules[__name__], kind)(n)
    graph, method = jdl.topology.random_regular(n, degree=4), jdl.algorithms.DPSGD(lr=0.01)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    rounds, nodes = (10, 256) if kind == "digits" else (2, 16)
    with tempfile.TemporaryDirectory() as place:
        where = {"run_dir": Path(place) / "run"} if saves else {}
        run = jdl.run(task, method, graph, rounds=rounds, eval_nodes=nodes, eval_every=5, progress=False, **where)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(run.sim))
    advance = jax.jit(lambda s, sim, k: jdl.sim.advance(s, sim, sim.t + k)[0], donate_argnums=1)
    memory = advance.lower(run.simulation, run.sim, 1).compile().memory_analysis()
    return {
        "state_mb": state / 1e6,
        "program_over_state": (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / state,
        "peak_of_run_over_state": (peak - before) / state,
        "peak_of_process_over_state": peak / state,
        "peak_of_process_gb": peak / 1e9,
    }


def digits(n: int):
    """Every node holds 32 examples, so that batches of 16 are drawn."""
    import jdl
    from jdl.data.readers.embedded import digits

    data = digits()
    rows = np.random.default_rng(0).integers(0, len(data.train_y), (n, 32), dtype=np.int32)
    split = jdl.data.Partition(indices=rows, counts=np.full(n, 32, np.int32))
    return jdl.problems.Supervised.from_data(data, split, jdl.models.MLP(hidden=(32,), classes=10), batch_size=16)


def gn_lenet(n: int):
    """Random images of 32 x 32, 64 for each node and batches of 32: only shapes matter."""
    import jdl

    draw = np.random.default_rng(0)
    images = lambda count: draw.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = lambda count: draw.integers(0, 10, count, dtype=np.int32)
    data = jdl.data.Dataset(images(64 * n), labels(64 * n), images(256), labels(256), 10, "random", "random numbers")
    rows = np.arange(64 * n, dtype=np.int32).reshape(n, 64)
    split = jdl.data.Partition(indices=rows, counts=np.full(n, 64, np.int32))
    return jdl.problems.Supervised.from_data(data, split, jdl.models.GNLeNet(), batch_size=32)


def main(out: Path = Path("benchmarks/results/memory.json")) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
    """
    figures: dict[str, object] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"}
    for kind, n, saves in CASES:
        code = f"import json, memory; print(json.dumps(memory.measured({kind!r}, {n}, {saves})))"
        path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=True, stdout=subprocess.PIPE
        )
        name = f"{kind}, n={n}" + (", with checkpoints" if saves else "")
        figures[name] = {key: round(value, 3) for key, value in json.loads(done.stdout.splitlines()[-1]).items()}
        print(name, figures[name], flush=True)
    print("goals: the program at most 4 states; GN-LeNet below 2 GB")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
