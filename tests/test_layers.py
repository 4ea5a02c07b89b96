"""The map of the library, held by reading its imports: each module imports only from levels above it."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

import jdl

ROOT = pathlib.Path(jdl.__file__).parent

LEVELS = {
    0: ["types"],
    1: ["tree", "rng", "checks", "plan", "style"],
    2: ["topology", "data", "models", "local", "compressors", "proximal", "cost", "sharding"],
    3: ["schedule", "exchange", "problems", "algorithms", "metrics", "theory"],
    4: ["oracle", "clock", "mapping"],
    5: ["state", "rounds", "sim", "compose"],
    6: [
        "cache", "describe", "history", "interrupt", "progress", "checkpoint", "rundir", "result", "run", "plots",
        "report", "tune", "catalogue", "graph_report", "graph_table", "drawing",
    ],
    7: ["flags", "command", "cli"],
    8: ["", "__main__"],
}  # fmt: skip
LEVEL = {name: level for level, names in LEVELS.items() for name in names}
# Within these levels modules may build on each other, as long as nothing goes round.
ORDERED = (5, 6, 7)
# Imported where they are used, so that `import jdl` is quick and needs none of them.
HEAVY = {"networkx", "sklearn", "matplotlib", "pandas", "orbax", "rich", "tyro", "seaborn", "plotly", "IPython"}
ITS_OWN = {"jdl.types", "jdl.tree", "jdl.checks", "jdl.local", "jdl.compressors", "jdl.proximal"}
FOR_ALGORITHMS = {*ITS_OWN, "jax", "flax", "optax", *sys.stdlib_module_names}

FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def part(module: str) -> str:
    """The name in the table: the first component below `jdl`."""
    return [*module.split("."), ""][1]


def at_import(tree: ast.Module):
    """The import statements that run when the module is imported: not in functions, not for type checkers alone."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.excepthandler)
            ]


def imports(path: pathlib.Path, everywhere: bool = True) -> set[str]:
    """What a file imports, as full module names: `from jdl import plan` names `jdl.plan`."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else at_import(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import, line {node.lineno}; name the module in full"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found


def test_every_module_has_a_level():
    unknown = {part(module) for module in MODULES} - set(LEVEL)
    assert not unknown, f"not in the map: {sorted(unknown)}; give them a level here and in DESIGN section 3"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_upwards_only(module):
    here = part(module)
    for name in imports(MODULES[module]):
        if name.split(".")[0] != "jdl":
            continue
        there = part(name)
        if name == "jdl" and here == "cli":
            continue  # the command line uses the library as its users do; nothing imports it
        assert name != "jdl", f"{module} imports the top"
        if here == there and here and MODULES[module].parent != ROOT:
            continue  # one folder
        allowed = LEVEL[there] < LEVEL[here] or (LEVEL[there] == LEVEL[here] and LEVEL[here] in ORDERED)
        assert allowed, f"{module} (level {LEVEL[here]}) imports {name} (level {LEVEL[there]})"


def test_plan_imports_types_alone():
    assert {name for name in imports(MODULES["jdl.plan"]) if name.startswith("jdl")} == {"jdl.types"}


def test_nothing_goes_round():
    """Within the ordered levels, and within folders, imports have an order."""
    edges = {m: {n for n in imports(path) if n in MODULES and n != m} for m, path in MODULES.items()}
    for package in [m for m, path in MODULES.items() if path.name == "__init__.py"]:
        edges[package] = {n for n in edges[package] if not n.startswith(f"{package}.")}
    done: set[str] = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in edges[module]:
                visit(other, [*path, module])
            done.add(module)

    for module in MODULES:
        visit(module, [])


ALGORITHMS = [m for m, path in MODULES.items() if m.startswith("jdl.algorithms.")]


@pytest.mark.parametrize("module", ALGORITHMS)
def test_algorithms_see_one_node(module):
    """No algorithm imports another, an exchange, a plan, or anything else through which it could see a row."""
    for name in imports(MODULES[module]):
        top = name if name.startswith("jdl") else name.split(".")[0]
        assert top in FOR_ALGORITHMS, f"{module} imports {name}"


@pytest.mark.parametrize("module", [m for m in MODULES if LEVEL.get(part(m)) != 7])
def test_heavy_libraries_are_imported_where_they_are_used(module):
    found = {name.split(".")[0] for name in imports(MODULES[module], everywhere=False)} & HEAVY
    assert not found, f"{module} imports {sorted(found)} when it is imported"


IMPORT = """
import socket

def refuse(*args, **kwargs):
    raise OSError("importing jdl went to the network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import sys
import jdl
import jax
from jax._src import xla_bridge

assert not xla_bridge._backends, f"importing jdl touched {list(xla_bridge._backends)}"
heavy = sorted(set(sys.modules) & set(%r))
assert not heavy, f"importing jdl imported {heavy}"
jax.devices()
assert xla_bridge._backends, "this check cannot see"
print("clean")
"""


def test_importing_jdl_touches_no_device_and_no_network():
    # flax imports rich by itself.
    process = subprocess.run(
        [sys.executable, "-c", IMPORT % (HEAVY - {"rich"},)], capture_output=True, text=True, timeout=120
    )
    assert process.stdout.strip() == "clean", process.stderr


def test_the_reader_of_imports_sees():
    """The checks above would pass on anything if imports were not found."""
    found = imports(MODULES["jdl.sim"])
    assert {"jdl.metrics", "jdl.rounds", "jdl.types", "jax"} <= found
    later = imports(MODULES["jdl.topology.graphs.random_graphs"]) - imports(
        MODULES["jdl.topology.graphs.random_graphs"], everywhere=False
    )
    assert "networkx" in later
