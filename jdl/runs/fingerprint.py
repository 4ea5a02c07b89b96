"""A short digest of what a function computes: of its code and of everything that the code reads.

The name and the address of a function do not enter its digest.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import hashlib
import pathlib
import re
import types
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import scipy.sparse

from jdl.runs.public_names import public_name
from jdl.runs.users_code import is_generated, is_jdl, is_users, is_users_module, names_in

__all__ = ["of_tree", "of_value"]

DIGITS = 12  # hexadecimal digits of a digest: 48 bits

# Types whose `repr` shows everything that a value holds.
PLAIN = (
    bool, int, float, complex, str, bytes, type(None), type(...), range, slice, np.dtype, re.Pattern, enum.Enum,
    pathlib.PurePath, datetime.date, datetime.timedelta,
)  # fmt: skip

# Attributes that Python adds to a class.
NOT_WRITTEN = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "__match_args__",
    "__dataclass_fields__", "__dataclass_params__", "__parameters__", "__orig_bases__", "__abstractmethods__",
    "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__",
    "_abc_impl", "__slots__", "__protocol_attrs__", "__non_callable_proto_members__",
}  # fmt: skip


def of_value(value: Any) -> str:
    """The digest of a function, a class or any other value.

    Two functions have the same digest if they compute the same from the same inputs: the digest covers the code, the
    constants, the defaults, the closure, and the globals and attributes of modules that the code names; if these are
    functions of the user, it covers the same of them. A function of a library or of jdl itself is identified by its
    name and closure, since the configuration of a run holds the versions.

    Args:
      value: any Python object.

    Returns:
      The digest, 12 hexadecimal digits.

    >>> def schedule(k): return lambda t: 1 / (1 + k * t)
    >>> of_value(schedule(1)) == of_value(schedule(1)), of_value(schedule(1)) == of_value(schedule(2))
    (True, False)
    """
    return _Reader().digest(value)


def of_tree(tree: Any) -> str:
    """The digest of the structure of a pytree: of its classes, and of the functions among its static fields.

    Its leaves do not enter the digest.

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


class _Reader:
    """Turns values into hashes.

    A value that contains itself is replaced by the number of levels between the two, so that the recursion ends.
    """

    def __init__(self) -> None:
        self.above: list[int] = []
        self.done: dict[int, bytes] = {}
        self.kept: list[Any] = []  # keeps objects alive: the address of a deleted object may be used again

    def digest(self, value: Any) -> str:
        """The digest of one value."""
        return _hash(self.parts(value)).hexdigest()[:DIGITS]

    def parts(self, value: Any) -> Iterator[bytes]:
        """Everything that distinguishes a value from others, as bytes."""
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
        """The parts of a value that may contain itself."""
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
        """The parts of several values, and their number."""
        count = 0
        for value in values:
            count += 1
            yield from self.parts(value)
        yield str(count).encode()

    def array(self, value: Any) -> Iterator[bytes]:
        """The type, shape and values of an array."""
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
        """The value of a variable of a closure, if it has one yet."""
        try:
            content = value.cell_contents
        except ValueError:
            return
        yield from self.parts(content)

    def function(self, value: types.FunctionType) -> Iterator[bytes]:
        """The code, defaults and closure of a function and, if it is the user's, the globals that it reads."""
        yield f"{value.__globals__.get('__name__')}.{value.__qualname__}".encode() if not is_users(value) else b""
        if not is_jdl(value):
            yield from self.parts(value.__code__)
        yield from self.all((value.__defaults__, value.__kwdefaults__, value.__closure__))
        if is_users(value):
            yield from self.globals(value)
        wrapped = value.__dict__.get("__wrapped__")
        if wrapped is not None:
            yield from self.parts(wrapped)

    def code(self, value: types.CodeType) -> Iterator[bytes]:
        """What a piece of code computes, without its file and line numbers."""
        yield value.co_code
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
        yield repr((names, counts)).encode()
        yield from self.all(value.co_consts)

    def globals(self, value: types.FunctionType) -> Iterator[bytes]:
        """The values of the globals that a function names; for a user's module, those of its named attributes."""
        names, attributes = names_in(value.__code__)
        for name in sorted(names & value.__globals__.keys()):
            content = value.__globals__[name]
            yield name.encode()
            if isinstance(content, types.ModuleType):
                mine = is_users_module(content.__name__, getattr(content, "__file__", None) or "")
                found = sorted(attributes & vars(content).keys()) if mine else []
                yield from self.all(vars(content)[attribute] for attribute in found)
            yield from self.parts(content)

    def written(self, value: type) -> Iterator[bytes]:
        """The name of a class and, if it is the user's, everything that is written in it and in its bases."""
        yield (public_name(value).encode() if not is_users(value) else value.__qualname__.encode())
        for base in value.__mro__ if is_users(value) else ():
            if not is_users(base):
                yield public_name(base).encode()
                continue
            for name, content in sorted(vars(base).items()):
                if name not in NOT_WRITTEN and not is_generated(name, content):
                    yield name.encode()
                    yield from self.parts(content)

    def instance(self, value: Any) -> Iterator[bytes]:
        """The class and the contents of any other object."""
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
        elif scipy.sparse.issparse(value):
            entries = value.tocoo()
            yield from self.all((value.shape, *entries.coords, entries.data))
        elif hasattr(value, "is_directed") and hasattr(value, "edges"):  # a graph of networkx
            yield from self.all((value.is_directed(), list(value.nodes(data=True)), list(value.edges(data=True))))
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
