"""The map of the library, held by reading its imports: each module imports only from levels above it."""

from __future__ import annotations

import ast
import functools
import pathlib
import sys

import jdl

ROOT = pathlib.Path(jdl.__file__).parent

LEVELS = {
    0: ["types"],
    1: ["tree", "rng", "checks", "plan"],
    2: ["topology", "data", "models", "local", "compressors", "roles", "privacy", "events"],
    3: ["clock", "schedule", "exchange", "problems", "oracle", "algorithms"],
    4: ["engine"],
    5: ["theory"],
    6: ["show"],
    7: ["runs"],
    8: ["sweeps"],
    9: ["command"],
    10: ["", "__main__"],
}
LEVEL = {name: level for level, names in LEVELS.items() for name in names}
# Imported where they are used, so that `import jdl` is quick and needs none of them.
HEAVY = {"networkx", "sklearn", "matplotlib", "pandas", "orbax", "rich", "tyro", "seaborn", "plotly", "IPython"}
HEAVY |= {"cvxpy", "tensorflow", "tensorflow_datasets", "psutil", "PIL", "xarray", "safetensors", "dp_accounting"}
HEAVY_PARTS = {"scipy.stats", "scipy.optimize", "scipy.integrate", "scipy.spatial", "scipy.linalg"}
ITS_OWN = {"jdl.types", "jdl.tree", "jdl.checks", "jdl.local", "jdl.compressors"}
ITS_OWN |= {"jdl.compressors.chunks", "jdl.local.proximal"}
FOR_ALGORITHMS = {*ITS_OWN, "jax", "flax", "optax", *sys.stdlib_module_names}

FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


# It imports nothing of jdl and lies with the engine for the reader's sake alone; layers and exchanges use it too.
XLA = "jdl.engine.xla"
LEVEL["xla"] = 0


def part(module: str) -> str:
    """The name in the table: the first component below `jdl`."""
    return "xla" if module == XLA else [*module.split("."), ""][1]


def test_work_arounds_for_xla_import_nothing_of_jdl():
    assert not [name for name in imports(MODULES[XLA]) if name.startswith("jdl")]


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


@functools.cache
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
    assert not unknown, f"not in the map: {sorted(unknown)}; give them a level here and in CONTRIBUTING"


def wrong_imports(module: str):
    """What a module imports from its own level or from one below it, a sentence each."""
    here = part(module)
    for name in imports(MODULES[module]):
        if name.split(".")[0] != "jdl":
            continue
        there = part(name)
        if name == "jdl" and here == "command":
            continue  # the command line uses the library as its users do; nothing imports it
        if name == "jdl":
            yield f"{module} imports the top"
            continue
        if here == there and here and MODULES[module].parent != ROOT:
            continue  # one folder
        if LEVEL[there] >= LEVEL[here]:
            yield f"{module} (level {LEVEL[here]}) imports {name} (level {LEVEL[there]})"


def test_imports_go_upwards_only():
    wrong = [sentence for module in MODULES for sentence in wrong_imports(module)]
    assert not wrong, "\n".join(wrong)


def test_plan_imports_types_alone():
    assert {name for name in imports(MODULES["jdl.plan"]) if name.startswith("jdl")} == {"jdl.types"}


def test_nothing_goes_round():
    """Within rooms, imports have an order."""
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


def test_algorithms_see_one_node():
    """No algorithm imports another, an exchange, a plan, or anything else through which it could see a row."""
    found = {(module, name) for module in ALGORITHMS for name in imports(MODULES[module])}
    wrong = [
        f"{module} imports {name}"
        for module, name in sorted(found)
        if (name if name.startswith("jdl") else name.split(".")[0]) not in FOR_ALGORITHMS
    ]
    assert ALGORITHMS and not wrong, "\n".join(wrong)


def heavy(names: set[str]) -> set[str]:
    tops, parts = {name.split(".")[0] for name in names}, {".".join(name.split(".")[:2]) for name in names}
    return tops & HEAVY | parts & HEAVY_PARTS


def test_the_command_line_starts_without_the_library():
    """So that `jdl --help` waits for nothing but tyro."""
    start = imports(MODULES["jdl.command.start"], everywhere=False) | imports(MODULES["jdl.command.fixed"])
    assert {name for name in start if name.split(".")[0] not in sys.stdlib_module_names} == {
        "tyro",
        "jdl.command.fixed",
    }
    for above in ("jdl", "jdl.command"):
        assert {name.split(".")[0] for name in imports(MODULES[above], everywhere=False)} <= sys.stdlib_module_names


def test_heavy_libraries_are_imported_where_they_are_used():
    wrong = [
        f"{module} imports {sorted(found)} when it is imported"
        for module, path in MODULES.items()
        if part(module) != "command" and (found := heavy(imports(path, everywhere=False)))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_reader_of_imports_sees():
    """The checks above would pass on anything if imports were not found."""
    found = imports(MODULES["jdl.engine.sim"])
    assert {"jdl.engine.metrics", "jdl.engine.rounds", "jdl.types", "jax"} <= found
    later = imports(MODULES["jdl.topology.graphs.random_graphs"]) - imports(
        MODULES["jdl.topology.graphs.random_graphs"], everywhere=False
    )
    assert "networkx" in later


def test_the_engine_imports_no_part():
    """It knows the contract and its algebra alone, so that every part can be another one."""
    found = {
        (module, name)
        for module, path in MODULES.items()
        if part(module) == "engine"
        for name in imports(path)
        if name.startswith("jdl")
    }
    wrong = [f"{module} imports {name}" for module, name in found if part(name) != "engine" and LEVEL[part(name)] > 1]
    assert len(found) > 10 and not wrong, "\n".join(sorted(wrong))


def test_nothing_else_lies_at_the_root():
    files = {path.name for path in ROOT.iterdir() if path.is_file()}
    language = {f"{name}.py" for name in LEVELS[0] + LEVELS[1] if not (ROOT / name).is_dir()}
    assert files == {"__init__.py", "__main__.py", "CONTRIBUTING.md"} | language
