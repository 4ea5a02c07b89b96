"""The page "a new algorithm in fifteen lines", followed to the letter: in a notebook, and into the library."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

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


def section(title: str) -> tuple[str, str]:
    """The two programs of a section: the part, and a run with it."""
    return tuple(re.findall(r"```python\n(.*?)```", PAGE.split(f"## {title}")[1].split("\n## ")[0], re.DOTALL))


def read(title: str) -> dict:
    """What the programs of a section define, after they have run."""
    scope = {}
    for program in section(title):
        exec(program, scope)
    return scope


def trajectory(problem, method, talk, start, rounds=4, **parts):
    """The models before each round and after the last, `[T + 1, n, d]`."""
    simulation = jdl.simulation(problem, method, talk, **parts)
    step, models = jax.jit(lambda s, x: jdl.sim.step(s, x)[0]), [start]
    state = jax.jit(jdl.sim.init)(simulation, start)
    for _ in range(rounds):
        state = step(simulation, state)
        models.append(np.asarray(jdl.sim.models(simulation, state)))
    return models


@pytest.mark.parametrize(
    ("title", "lines"),
    [("A new exchange in fifteen lines", 15), ("A new oracle in ten lines", 7), ("A new schedule in ten lines", 8)],
)
def test_the_other_parts_are_as_short(title, lines):
    body = section(title)[0]
    assert len([line for line in body[body.index("@struct.dataclass") :].splitlines() if line.strip()]) <= lines


def test_a_new_exchange_adds_noise_to_what_neighbours_hear_and_to_nothing_else():
    scope = read("A new exchange in fifteen lines")
    assert 1e-4 < scope["result"].history.consensus_distance[-1] < 1
    problem, ring, start = jdl.problems.quadratic(40, dim=50), jdl.topology.ring(40), np.zeros(50, np.float32)
    noise = [scope["MessageNoise"](0.5)]
    noisy = trajectory(problem, jdl.algorithms.DPSGD(lr=0.0), ring, start, 1, network=noise)[1]
    # Two neighbours of weight 1/3 each: the variance of the inbox is 2 (0.5 / 3)^2, here of 2,000 numbers.
    np.testing.assert_allclose(np.std(noisy), 0.5 * np.sqrt(2) / 3, rtol=0.06)


def test_a_new_oracle_changes_the_loss_and_so_the_gradient():
    scope = read("A new oracle in ten lines")
    assert scope["result"].status == "finished"
    problem, ring = jdl.problems.quadratic(6, dim=3), jdl.topology.ring(6)
    X = start = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    found = trajectory(problem, jdl.algorithms.DPSGD(lr=0.1), ring, start, oracle=[scope["Ridge"](0.3)])
    W = ring.weights.toarray()
    for _ in range(4):
        X = W @ (X - 0.1 * (np.einsum("nij,nj->ni", problem.A, X) - problem.b + 0.3 * X))
    np.testing.assert_allclose(found[-1], X, rtol=0, atol=1e-5)


def test_a_new_schedule_asks_clients_one_by_one():
    scope = read("A new schedule in ten lines")
    assert scope["result"].history.suboptimality[-1] < scope["result"].history.suboptimality[0] / 5
    problem, x = jdl.problems.quadratic(3, dim=3), np.ones(3, np.float32)
    found = trajectory(problem, jdl.algorithms.FedAvg(lr=0.1), scope["OneByOne"](3), x, 5)
    for t in range(5):
        x = x - 0.1 * (np.asarray(problem.A)[t % 3] @ x - np.asarray(problem.b)[t % 3])
        np.testing.assert_allclose(found[t + 1][0], x, rtol=0, atol=1e-5)


# The rest of the docstring, as the skeleton asks for it.
MORE = """

    Sends:
      the model after the step, once a round.

    Memory:
      1 model per node.

    Args:
      lr: size of a step in each coordinate.

    References:
      The page "A new algorithm in fifteen lines".
    \"\"\""""


def write_steps_1_and_2(library: pathlib.Path) -> None:
    """The skeleton, filled in with the page's class, in the folder of its family; and its export."""
    folder = library / "algorithms"
    text = (folder / "_skeleton.py").read_text()
    head, tail = text.split("class State(NamedTuple)")[0], ALGORITHM[ALGORITHM.index("@struct.dataclass") :]
    tail = tail.replace('."""', f".{MORE}", 1)
    head = head.replace('"Skeleton"', '"SignGossip"')
    head = head.replace("from flax", "import jax\nimport jax.numpy as jnp\nfrom flax")
    (folder / "gossip" / "sign_gossip.py").write_text(head + tail)
    edit(
        folder / "__init__.py",
        ("__all__ = [", '__all__ = [\n    "SignGossip",'),
        ("\n__all__", "from jdl.algorithms.gossip.sign_gossip import SignGossip\n\n__all__"),
    )


def edit(path: pathlib.Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{path.name} has no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text)


def test_its_first_steps_bring_it_to_the_command_line(tmp_path):
    # With what is compiled, since compiling all of jdl takes seconds, but for files that are being written.
    shutil.copytree(ROOT, tmp_path / "jdl", ignore=shutil.ignore_patterns("*.pyc.*"))
    write_steps_1_and_2(tmp_path / "jdl")
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


# Steps 3 and 4, as a contributor would write them.
REFERENCE = '''

def sign_gossip(W, G, X, lr, rounds):
    """Sign D-SGD: steps of one size, then combine."""
    out = [X]
    for t in range(rounds):
        X = W @ (X - lr * np.sign(G(X, t)))
        out.append(X)
    return np.stack(out)
'''
ROW = '    "SignGossip": Row({}, lambda c: peers.sign_gossip(*c.peers)),\n'
REASON = '\n        "SignGossip": "steps are not linear in the gradient",'


@pytest.mark.slow
def test_all_four_steps_leave_the_suite_green(tmp_path):
    """On a copy of the project: the laws of the new method, its reference, and the tests of pages and names."""
    for name in ("jdl", "tests", "benchmarks", "experiments", "README.md", "pyproject.toml"):
        source = ROOT.parent / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if source.is_dir() else {}))
    write_steps_1_and_2(tmp_path / "jdl")
    theory, laws = tmp_path / "tests" / "theory", tmp_path / "tests" / "laws" / "cases.py"
    edit(theory / "numpy_decentralized.py", ("\n\ndef push_sum(", f"{REFERENCE}\n\ndef push_sum("))
    edit(theory / "table_peers.py", ("PEERS = {\n", "PEERS = {\n" + ROW))
    edit(laws, ('"first gradient": {', f'"first gradient": {{{REASON}'))

    def run(*command: str) -> str:
        where = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return done.stdout

    shown = run("experiments/algorithms_on_digits.py", "--names", "sign_gossip")
    row = "| " + " | ".join(shown.splitlines()[-1].split()) + " |\n"
    mean = float(row.split(" | ")[2])
    pages = tmp_path / "jdl" / "algorithms" / "README.md", tmp_path / "benchmarks/results/algorithms_on_digits/table.md"
    for page, start in zip(pages, ("### gossip", "| algorithm"), strict=True):
        before, text = page.read_text().split(start, 1)
        lines = (start + text).splitlines(keepends=True)
        first = next(i for i, line in enumerate(lines) if line.startswith("| ---")) + 1
        place = next(i for i in range(first, len(lines)) if not lines[i].startswith("| ") or below(lines[i], mean))
        page.write_text(before + "".join([*lines[:place], row, *lines[place:]]))
    if mean < 0.8:
        edit(pages[0], ("\n- `", "\n- `sign_gossip` takes steps of one size, which do not settle.\n- `"))
    chosen = "SignGossip or every_method or page or public or layers or catalogue or first_gradient"
    print(run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, "tests"))


def below(line: str, mean: float) -> bool:
    return float(line.split(" | ")[2]) < mean
