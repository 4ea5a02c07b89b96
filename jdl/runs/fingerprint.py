"""What a function does, as a short digest of its code and of all that the code reads: not its name or address."""

from __future__ import annotations

import dataclasses
import datetime
import dis
import enum
import functools
import hashlib
import importlib.util
import os
import pathlib
import re
import site
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jdl.runs.public_names import public_name

__all__ = ["is_users", "is_users_file", "of_tree", "of_value"]

DIGITS = 12  # of a digest in hexadecimal: 48 bits

# Written by Python's own `repr`, which says all that they hold.
PLAIN = (
    bool, int, float, complex, str, bytes, type(None), type(...), range, slice, np.dtype, re.Pattern, enum.Enum,
    pathlib.PurePath, datetime.date, datetime.timedelta,
)  # fmt: skip

# What a class has beside what its author wrote.
NOT_WRITTEN = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "__match_args__",
    "__dataclass_fields__", "__dataclass_params__", "__parameters__", "__orig_bases__", "__abstractmethods__",
    "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__",
    "_abc_impl", "__slots__", "__protocol_attrs__", "__non_callable_proto_members__",
}  # fmt: skip


def of_value(value: Any) -> str:
    """A digest of a function, a class or any value: equal where nothing that it reads differs.

    Of a function: its code, constants, defaults, closure, the globals and the attributes of modules that it names, and
    the same of every function of the user's among them. What is installed (a library, jdl itself) is known by its name
    and its closure, since its version is kept elsewhere.

    >>> def schedule(k): return lambda t: 1 / (1 + k * t)
    >>> of_value(schedule(1)) == of_value(schedule(1)), of_value(schedule(1)) == of_value(schedule(2))
    (True, False)
    """
    return _Reader().digest(value)


def of_tree(tree: Any) -> str:
    """A digest of what the user wrote in a pytree: its classes, and functions among its static data; no leaves.

    >>> of_tree({"rate": 0.1}) == of_tree({"rate": 0.2})
    True
    """
    reader = _Reader()

    def nodes(structure: jax.tree_util.PyTreeDef) -> Iterator[Any]:
        node = structure.node_data()
        if node is not None:
            yield node
            for child in structure.children():
                yield from nodes(child)

    return reader.digest(tuple(nodes(jax.tree.structure(tree))))


def is_users(written: Any) -> bool:
    """Whether a function or a class is the user's own: neither of an installed package nor of jdl or Python."""
    if isinstance(written, types.FunctionType):  # a decorator may have given it another's name and module
        return _is_users(written.__globals__.get("__name__") or "", written.__code__.co_filename)
    return _is_users(getattr(written, "__module__", None) or "builtins", "")


def _is_users(module: str, file: str) -> bool:
    if module.partition(".")[0] in {"jdl", *sys.stdlib_module_names} - {"__main__"}:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or file
    return not _is_installed(file)


def is_users_file(file: str) -> bool:
    """Whether a line of this file is the user's own: neither installed nor jdl's."""
    own = os.path.dirname(importlib.util.find_spec("jdl").origin) + os.sep
    return not file.startswith(("<frozen", own)) and not _is_installed(file)


@functools.lru_cache(maxsize=4096)
def _is_installed(file: str) -> bool:
    return os.path.realpath(file).startswith(_installed()) if file else False


@functools.cache
def _installed() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(os.path.realpath(path) + os.sep for path in paths if path)


class _Reader:
    """Reads values into hashes. A value inside itself is named by how far up it is met, so that circles end."""

    def __init__(self) -> None:
        self.above: list[int] = []
        self.done: dict[int, bytes] = {}
        self.kept: list[Any] = []  # an address names one object only as long as the object lives

    def digest(self, value: Any) -> str:
        """The digest of one value."""
        return _hash(self.parts(value)).hexdigest()[:DIGITS]

    def parts(self, value: Any) -> Iterator[bytes]:
        """All that tells a value from another, as bytes."""
        yield type(value).__qualname__.encode()
        if isinstance(value, PLAIN):
            yield repr(value).encode()
        elif isinstance(value, jax.core.Tracer):
            yield str(value.aval).encode()
        elif isinstance(value, np.ndarray | np.generic | jax.Array):
            yield from self.array(value)
        elif id(value) in self.done:
            yield self.done[id(value)]
        elif id(value) in self.above:
            yield str(self.above[::-1].index(id(value))).encode()
        else:
            self.above.append(id(value))
            self.kept.append(value)
            self.done[id(value)] = _hash(self.whole(value)).digest()
            self.above.pop()
            yield self.done[id(value)]

    def whole(self, value: Any) -> Iterator[bytes]:
        """The parts of what may hold itself."""
        if isinstance(value, dict | types.MappingProxyType):
            yield from self.all(part for pair in value.items() for part in pair)
        elif isinstance(value, list | tuple):
            yield type(value).__qualname__.encode()
            yield from self.all(value)
        elif isinstance(value, set | frozenset):
            yield from sorted(_hash(self.parts(one)).digest() for one in value)
        elif isinstance(value, types.CodeType):
            yield from self.code(value)
        elif isinstance(value, types.FunctionType):
            yield from self.function(value)
        elif isinstance(value, types.MethodType):
            yield from self.all((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            yield from self.all((value.func, value.args, value.keywords))
        elif isinstance(value, staticmethod | classmethod):
            yield from self.parts(value.__func__)
        elif isinstance(value, property):
            yield from self.all((value.fget, value.fset))
        elif isinstance(value, types.CellType):
            yield from self.cell(value)
        elif isinstance(value, types.ModuleType):
            yield value.__name__.encode()
        elif isinstance(value, type):
            yield from self.written(value)
        else:
            yield from self.instance(value)

    def all(self, values: Any) -> Iterator[bytes]:
        """The parts of several values, and how many they are."""
        count = 0
        for value in values:
            count += 1
            yield from self.parts(value)
        yield str(count).encode()

    def array(self, value: Any) -> Iterator[bytes]:
        """An array by its values."""
        if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            yield str(value.dtype).encode()
            value = jax.random.key_data(value)
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode()
        if array.dtype.hasobject:
            yield from self.all(array.ravel().tolist())
        else:
            yield np.ascontiguousarray(array).tobytes()

    def cell(self, value: types.CellType) -> Iterator[bytes]:
        """A variable of a closure, which may not have a value yet."""
        try:
            content = value.cell_contents
        except ValueError:
            return
        yield from self.parts(content)

    def function(self, value: types.FunctionType) -> Iterator[bytes]:
        """A function by its code, defaults, closure and, where it is the user's, the globals that it reads."""
        yield f"{value.__globals__.get('__name__')}.{value.__qualname__}".encode() if not is_users(value) else b""
        if not _is_jdl(value):
            yield from self.parts(value.__code__)
        yield from self.all((value.__defaults__, value.__kwdefaults__, value.__closure__))
        if is_users(value):
            yield from self.globals(value)
        wrapped = value.__dict__.get("__wrapped__")
        if wrapped is not None:
            yield from self.parts(wrapped)

    def code(self, value: types.CodeType) -> Iterator[bytes]:
        """What is computed, without where it is written."""
        yield value.co_code
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
        yield repr((names, counts)).encode()
        yield from self.all(value.co_consts)

    def globals(self, value: types.FunctionType) -> Iterator[bytes]:
        """The values of the globals that a function names; of a module of the user's, those of the attributes."""
        names, attributes = _names_in(value.__code__)
        for name in sorted(names & value.__globals__.keys()):
            content = value.__globals__[name]
            yield name.encode()
            if isinstance(content, types.ModuleType):
                mine = _is_users(content.__name__, getattr(content, "__file__", None) or "")
                found = sorted(attributes & vars(content).keys()) if mine else []
                yield from self.all(vars(content)[attribute] for attribute in found)
            yield from self.parts(content)

    def written(self, value: type) -> Iterator[bytes]:
        """A class by its name and, where it is the user's, by all that is written in it and its bases."""
        yield (public_name(value).encode() if not is_users(value) else value.__qualname__.encode())
        for base in value.__mro__ if is_users(value) else ():
            if not is_users(base):
                yield public_name(base).encode()
                continue
            for name, content in sorted(vars(base).items()):
                if name not in NOT_WRITTEN and not _is_generated(name, content):
                    yield name.encode()
                    yield from self.parts(content)

    def instance(self, value: Any) -> Iterator[bytes]:
        """Any other object by its class and what it holds."""
        yield from self.parts(type(value))
        wrapped = getattr(value, "__wrapped__", None)  # of `jax.jit(f)`, `functools.lru_cache(f)`
        if wrapped is not None:
            yield from self.parts(wrapped)
        elif isinstance(value, types.BuiltinFunctionType):
            yield f"{value.__module__}.{value.__qualname__}".encode()
        elif dataclasses.is_dataclass(value):
            yield from self.all((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value))
        elif hasattr(type(value), "__array__"):  # a frame of pandas, a tensor
            yield from self.array(np.asarray(value))
        elif not jax.tree_util.all_leaves([value]):
            yield from self.all(jax.tree.leaves(value))
        elif callable(value) or is_users(type(value)) or isinstance(value, types.SimpleNamespace):
            yield from self.all(sorted(_held(value).items()))


def _hash(parts: Iterator[bytes]) -> Any:
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(f"{len(part)}:".encode())
        hasher.update(part)
    return hasher


def _held(value: Any) -> dict[str, Any]:
    slots = {name for kind in type(value).__mro__ for name in np.atleast_1d(vars(kind).get("__slots__", ())).tolist()}
    return {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})


def _is_jdl(value: types.FunctionType) -> bool:
    return (value.__globals__.get("__name__") or "").partition(".")[0] == "jdl"


def _is_generated(name: str, content: Any) -> bool:
    """Whether `dataclasses` wrote this method."""
    content = getattr(content, "__wrapped__", content)
    code = getattr(content, "__code__", None)
    return name.startswith("__") and code is not None and code.co_filename == "<string>"


@functools.lru_cache(maxsize=4096)
def _names_in(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals and the attributes that a piece of code names, the functions inside it included."""
    names, attributes = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more = _names_in(inner)
            names |= more[0]
            attributes |= more[1]
    return frozenset(names), frozenset(attributes)
