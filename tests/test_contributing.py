"""The page "a new algorithm in fifteen lines", followed to the letter: in a notebook, and into the library."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import numpy as np

import jdl

ROOT = pathlib.Path(jdl.__file__).parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
SECTION = PAGE.split("## A new algorithm in fifteen lines")[1].split("\n## ")[0]
ALGORITHM, RUN = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)

# Both commands in one process, which takes seconds to start.
COMMANDS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from jdl.command.cli import main
for words in json.loads(sys.argv[2]):
    try:
        main(words)
    except SystemExit as stop:
        assert not stop.code, stop.code
    print("-- end --")
"""


def test_the_class_has_fifteen_lines():
    body = ALGORITHM[ALGORITHM.index("@struct.dataclass") :]
    assert len([line for line in body.splitlines() if line.strip()]) == 15


def test_it_runs_in_a_notebook_and_does_what_it_says():
    scope = {}
    exec(ALGORITHM, scope)
    exec(RUN, scope)
    history = scope["result"].history
    assert history.mean_accuracy[-1] > 0.8 > 0.3 > history.mean_accuracy[0]

    problem = jdl.problems.quadratic(nodes=6, dim=3)
    start = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    simulation = jdl.simulation(problem, scope["SignGossip"](lr=0.1), jdl.topology.ring(6))
    after = jax.jit(lambda built, x: jdl.sim.models(built, jdl.sim.advance(built, jdl.sim.init(built, x), 4)[0]))
    W, X = jdl.topology.ring(6).weights.toarray(), start
    for _ in range(4):
        X = W @ (X - 0.1 * np.sign(np.einsum("nij,nj->ni", problem.A, X) - problem.b))
    np.testing.assert_allclose(after(simulation, start), X, rtol=0, atol=1e-5)


def test_four_steps_bring_it_into_the_library(tmp_path):
    library = tmp_path / "jdl"
    shutil.copytree(ROOT, library, ignore=shutil.ignore_patterns("__pycache__"))
    folder = library / "algorithms"
    text = (folder / "_skeleton.py").read_text()
    head, tail = text.split("class State(NamedTuple)")[0], ALGORITHM[ALGORITHM.index("@struct.dataclass") :]
    head = head.replace('"Skeleton"', '"SignGossip"')
    head = head.replace("from flax", "import jax\nimport jax.numpy as jnp\nfrom flax")
    (folder / "gossip" / "sign_gossip.py").write_text(head + tail)
    init = folder / "__init__.py"
    exported = init.read_text().replace("__all__ = [", '__all__ = [\n    "SignGossip",')
    init.write_text(
        exported.replace("\n__all__", "from jdl.algorithms.gossip.sign_gossip import SignGossip\n\n__all__", 1)
    )

    small = "run --algorithm sign-gossip --lr 0.02 --problem quadratic --nodes 8 --rounds 3 --json".split()
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(tmp_path), json.dumps([["list"], small])],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed, ran = done.stdout.split("-- end --\n")[:2]
    assert "sign_gossip" in listed and "steps of one size" in listed
    found = json.loads(ran)
    assert (found["algorithm"], found["rounds"], found["status"]) == ("sign_gossip", 3, "finished")
    assert found["bits_sent"] > 0
