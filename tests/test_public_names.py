"""Public names: every module says what it offers, and what it offers is documented, bounded and spelled out.

Each test looks at everything of its kind and lists all that is wrong, not the first alone.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pathlib
import re

from flax import linen as nn

import jdl
from jdl.command import catalogue
from jdl.exchange.stack import is_compressor

ROOT = pathlib.Path(jdl.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
PACKAGES = ["jdl"] + [
    f"jdl.{name}"
    for name in ("algorithms", "compressors", "exchange", "schedule", "topology", "problems", "data", "models")
]
PUBLIC = {
    f"{package}.{name}": getattr(importlib.import_module(package), name)
    for package in PACKAGES
    for name in importlib.import_module(package).__all__
}
ALGORITHMS = {name: getattr(jdl.algorithms, name) for name in jdl.algorithms.__all__}
EXCHANGES = catalogue.members("exchanges")
PARTS = {name: thing for name, thing in PUBLIC.items() if dataclasses.is_dataclass(thing)}
# A number with one of these names has a range that theory gives it.
SHARES = ("probability", "fraction")
RATES = ("lr", "server_lr", "gamma", "sigma", "strength", "noise")
COUNTS = ("local_steps", "participants", "n", "attack_seed")


def names_listed(tree: ast.Module):
    """`__all__` of a file as written, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return ast.literal_eval(node.value)
    return None


def wrong_with_a_module(path: pathlib.Path):
    """What a module lacks, each in a word or two."""
    tree = ast.parse(path.read_text())
    listed = names_listed(tree)
    if not ast.get_docstring(tree):
        yield "no docstring"
    if listed is None:
        yield "no __all__"
        return
    module = importlib.import_module(
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    )
    if len(listed) != len(set(listed)):
        yield "a name twice in __all__"
    yield from (f"lists {name}, which it lacks" for name in listed if not hasattr(module, name))
    yield from (f"lists {name}, which is private" for name in listed if name.startswith("_"))


def wrong_with_a_docstring(name: str, thing):
    """What the documentation of a public name lacks."""
    text = thing.__doc__ or ""
    first = text.strip().split("\n")[0]
    if dataclasses.is_dataclass(thing) and text.startswith(f"{thing.__name__}("):
        yield "only the docstring that dataclass makes"
    if len(first) <= 10 or not re.search(r"\w", first):
        yield "no docstring"
    if name.split(".")[-1].islower() and inspect.isfunction(thing):
        signature = inspect.signature(thing)
        untyped = [p.name for p in signature.parameters.values() if p.annotation is inspect.Parameter.empty]
        yield from (f"its argument {argument} has no type" for argument in untyped)
        if signature.return_annotation is inspect.Signature.empty:
            yield "no type of what it returns"


def wrong_with_an_algorithm(name: str, kind: type):
    """What an algorithm leaves unsaid, and where it is not one method a file."""
    for heading in ("Sends:", "Memory:", "Args:", "References:"):
        if not re.search(rf"^ *{heading}", kind.__doc__, re.M):
            yield f"no {heading}"
    if importlib.import_module(kind.__module__).__all__ != [name]:
        yield "shares its file"
    federated = "server" in kind().needs
    if federated == ("peers" in kind().needs):
        yield "needs both peers and a server, or neither"
    if isinstance(kind(), jdl.types.Federated) != federated:
        yield "has other methods than its needs say"


def wrong_with_a_part(part: type):
    """Numbers without the bounds that theory gives them, and parts that could be changed in place."""
    if not (part.__dataclass_params__.frozen or issubclass(part, nn.Module)):  # which freezes itself
        yield "not frozen"
    for field in dataclasses.fields(part):
        low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
        if field.name in SHARES and (low, high) != (0, 1):
            yield f"{field.name} is not from 0 to 1"
        if field.name in RATES and low != 0:
            yield f"{field.name} has not the minimum 0"
        if field.name in COUNTS and (low not in (0, 1) or field.metadata.get("pytree_node", True)):
            yield f"{field.name} is not a static count of at least 0 or 1"


def offenders(found: dict) -> str:
    """All that is wrong, a line each; nothing where all is right."""
    return "\n".join(f"{name}: {sentence}" for name, sentences in found.items() for sentence in sentences)


def test_every_module_says_what_it_offers():
    assert not (wrong := offenders({str(path.relative_to(ROOT)): wrong_with_a_module(path) for path in FILES})), wrong


def test_every_public_name_is_documented_and_functions_are_typed():
    assert not (wrong := offenders({name: wrong_with_a_docstring(name, thing) for name, thing in PUBLIC.items()})), (
        wrong
    )


def test_an_algorithm_has_a_file_of_its_own_and_says_what_it_sends_keeps_and_comes_from():
    assert not (wrong := offenders({name: wrong_with_an_algorithm(name, kind) for name, kind in ALGORITHMS.items()})), (
        wrong
    )


def test_an_exchange_says_what_it_sends():
    silent = [name for name, make in EXCHANGES.items() if not re.search(r"^ *Sends:\n *\S", make.__doc__, re.M)]
    others = [
        name
        for name, make in EXCHANGES.items()
        if not (isinstance(make(), jdl.types.Exchange) or is_compressor(make()))
    ]
    assert not silent and not others


def test_numbers_have_bounds_and_parts_are_frozen():
    assert not (wrong := offenders({name: wrong_with_a_part(part) for name, part in PARTS.items()})), wrong


def test_the_top_offers_the_packages():
    assert set(PACKAGES[1:]) <= {f"jdl.{name}" for name in jdl.__all__}
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", jdl.__version__)


def test_the_checks_see():
    """Each of them would pass on anything if it looked at nothing."""

    @dataclasses.dataclass
    class Loose:
        """What a part may not be."""

        probability: float = 0.5
        lr: float = 0.1
        n: int = 3

    assert len(FILES) > 100 and len(PUBLIC) > 200 and len(PARTS) > 100 and len(ALGORITHMS) > 30 and len(EXCHANGES) > 5
    assert len(list(wrong_with_a_part(Loose))) == 4
    assert list(wrong_with_a_docstring("x.bare", lambda a: a)) == [
        "no docstring", "its argument a has no type", "no type of what it returns",
    ]  # fmt: skip
