"""Which code is the user's own, and which names a piece of code reads."""

from __future__ import annotations

import dis
import functools
import importlib.util
import os
import site
import sys
import sysconfig
import types
from typing import Any

__all__ = ["is_generated", "is_jdl", "is_users", "is_users_file", "is_users_module", "names_in"]


def is_users(written: Any) -> bool:
    """Whether the user wrote a function or a class: it belongs neither to an installed package nor to jdl or Python."""
    if isinstance(written, types.FunctionType):  # a decorator may have replaced its name and module
        return is_users_module(written.__globals__.get("__name__") or "", written.__code__.co_filename)
    return is_users_module(getattr(written, "__module__", None) or "builtins", "")


def is_users_module(module: str, file: str) -> bool:
    """Whether the user wrote a module.

    Args:
      module: its full name.
      file: its file, for a module that is not among those imported.
    """
    if module.partition(".")[0] in {"jdl", *sys.stdlib_module_names} - {"__main__"}:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or file
    return not _is_installed(file)


def is_users_file(file: str) -> bool:
    """Whether the user wrote a file: it is neither installed nor part of jdl."""
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


def is_jdl(value: types.FunctionType) -> bool:
    """Whether a function is defined in jdl."""
    return (value.__globals__.get("__name__") or "").partition(".")[0] == "jdl"


def is_generated(name: str, content: Any) -> bool:
    """Whether `dataclasses` generated this method."""
    content = getattr(content, "__wrapped__", content)
    code = getattr(content, "__code__", None)
    return name.startswith("__") and code is not None and code.co_filename == "<string>"


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names of globals and of attributes in a piece of code and in the functions inside it.

    Args:
      code: the compiled code of a function.

    Returns:
      The names of globals, and the names of attributes.

    >>> def norm(x): return np.sqrt(abs(x))
    >>> [sorted(names) for names in names_in(norm.__code__)]
    [['abs', 'np'], ['sqrt']]
    """
    names, attributes = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(instruction.argval)
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(instruction.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            inner_names, inner_attributes = names_in(inner)
            names |= inner_names
            attributes |= inner_attributes
    return frozenset(names), frozenset(attributes)
