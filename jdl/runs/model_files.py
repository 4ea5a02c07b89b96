"""Models in files: npz or safetensors, an array for each leaf by its path, and the structure beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_dtypes  # noqa: F401 (NumPy then knows the types of half precision by name)
import numpy as np

from jdl import checks
from jdl.types import PyTree

__all__ = ["arrays_in", "load_models", "read_models", "save_models"]

ENDINGS = (".npz", ".safetensors")
ABOUT = "jdl"  # under this name a file keeps the structure, as JSON
NUMPY_KINDS = "biufc"  # types that NumPy itself has; others are written as their bytes, for npz


def save_models(path: str | os.PathLike[str], models: PyTree, **about: Any) -> Path:
    """Write a pytree of arrays to a file, whose ending gives the format, and which is complete or not there.

    Args:
      path: the file, `.npz` or `.safetensors`.
      models: dicts, lists and tuples of arrays; other containers are written, too, but `load_models` then needs `like`.
      about: numbers and words to keep beside the models.

    Returns:
      The path.

    Raises:
      InputError: for another ending, or if safetensors is not installed.
    """
    path = _path(path)
    names: dict[str, np.ndarray] = {}
    structure = _structure(models, "", names)
    text = json.dumps({"structure": structure, **about})
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            if path.suffix == ".npz":
                np.savez(file, **{ABOUT: np.array(text)}, **{name: _as_plain(one) for name, one in names.items()})
            else:
                file.write(_safetensors().save(names, metadata={ABOUT: text}))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def load_models(path: str | os.PathLike[str], like: PyTree | None = None) -> PyTree:
    """Read models that a run or `result.save_models` wrote, for example as the `params` of another run.

    Args:
      path: the file, `.npz` or `.safetensors`.
      like: a pytree whose structure the result has, such as `problem.init(key)`; needed only where models are not made
        of dicts, lists and tuples.

    Returns:
      The models: `[n, ...]` from `save_models`, one model from `save_mean_model`.

    Raises:
      InputError: if there is no such file, if jdl did not write it, if it is damaged, or if it needs `like`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_models(f"{folder}/models.npz", {"kernel": np.ones(3, np.float32), "more": [np.zeros(1)]})
    ...     load_models(path)
    {'kernel': array([1., 1., 1.], dtype=float32), 'more': [array([0.])]}
    """
    return read_models(path, None if like is None else lambda: like)[0]


def read_models(
    path: str | os.PathLike[str], like: Callable[[], PyTree] | None = None
) -> tuple[PyTree, dict[str, Any]]:
    """Read models, and what is kept beside them.

    Args:
      path: the file.
      like: gives a pytree of the structure, and is called where the file does not hold it.
    """
    path = _path(path)
    checks.require(path.is_file(), f"got {path}, which is no file, need one with models; name one")
    about, arrays = _read(path)
    structure = about["structure"]
    if structure is None or "leaves" not in structure:
        return _built(structure, arrays), about
    need = "need their structure; give like=problem.init(jax.random.key(0))"
    checks.require(like is not None, f"got {path}, whose models are not made of dicts, lists and tuples alone, {need}")
    leaves, form = jax.tree.flatten(like())
    found = [arrays[name] for name in structure["leaves"]]
    need = f"need {len(leaves)} for models like those given; give the `like` of their problem"
    checks.require(len(found) == len(leaves), f"got {path} with {len(found)} arrays, {need}")
    return form.unflatten(found), about


def arrays_in(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file by name, also of one that jdl has not written.

    Args:
      path: the file, `.npz` or `.safetensors`.

    Raises:
      InputError: if there is no such file, or if it is damaged.
    """
    path = _path(path)
    checks.require(path.is_file(), f"got {path}, which is no file, need one with models; name one")
    return _read(path, any_writer=True)[1]


def _path(given: str | os.PathLike[str]) -> Path:
    path = checks.path(given)
    need = f"got {path}, need a file whose name ends in {' or '.join(ENDINGS)}; try {path.with_suffix('.npz')}"
    checks.require(path.suffix in ENDINGS, need)
    return path


def _safetensors() -> Any:
    try:
        import safetensors.numpy as found
    except ImportError as error:
        raise checks.InputError(
            "got a file of the format safetensors, need the package of that name; install it: pip install "
            "'jdl[export]', or give a name that ends in .npz"
        ) from error
    return found


def _structure(tree: PyTree, path: str, names: dict[str, np.ndarray]) -> Any:
    """The structure as JSON, and its leaves by name: those of a tree with other containers are only listed."""
    try:
        return _plain_structure(tree, path, names)
    except TypeError:
        names.clear()
        found = jax.tree_util.tree_leaves_with_path(tree)
        keys = [_free(jax.tree_util.keystr(place, simple=True, separator="/"), names, leaf) for place, leaf in found]
        return {"leaves": keys, "types": {key: str(names[key].dtype) for key in keys}}


def _plain_structure(tree: PyTree, path: str, names: dict[str, np.ndarray]) -> Any:
    inside = lambda key, one: _plain_structure(one, f"{path}/{key}".lstrip("/"), names)
    if type(tree) is dict:
        if not all(isinstance(key, str) for key in tree):
            raise TypeError("keys that are no text")
        return {"dict": {key: inside(key, tree[key]) for key in sorted(tree)}}  # in the order of JAX
    if type(tree) in (list, tuple):
        return {type(tree).__name__: [inside(index, one) for index, one in enumerate(tree)]}
    if tree is None:
        return None
    if not jax.tree_util.all_leaves([tree]):
        raise TypeError("another container")
    name = _free(path or "model", names, tree)
    return {"array": name, "type": str(names[name].dtype)}


def _free(name: str, names: dict[str, np.ndarray], leaf: Any) -> str:
    """Keep a leaf under its name, or under a like one if that is taken."""
    while name in names or name == ABOUT:
        name += "_"
    names[name] = np.asarray(leaf, order="C")  # safetensors writes the bytes of others in a wrong order
    return name


def _built(structure: Any, arrays: dict[str, np.ndarray]) -> PyTree:
    if structure is None:
        return None
    if "array" in structure:
        return arrays[structure["array"]]
    if "dict" in structure:
        return {key: _built(one, arrays) for key, one in structure["dict"].items()}
    ((kind, inside),) = structure.items()
    return {"list": list, "tuple": tuple}[kind](_built(one, arrays) for one in inside)


def _as_plain(array: np.ndarray) -> np.ndarray:
    """An array as npz can hold it: bfloat16, say, as whole numbers of its size."""
    return array if array.dtype.kind in NUMPY_KINDS else array.view(f"u{array.dtype.itemsize}")


def _types(structure: Any) -> dict[str, str]:
    """The type of each array by its name."""
    if structure is None:
        return {}
    if "leaves" in structure:
        return structure["types"]
    if "array" in structure:
        return {structure["array"]: structure["type"]}
    ((_, inside),) = structure.items()
    found = inside.values() if isinstance(inside, dict) else inside
    return {name: kind for one in found for name, kind in _types(one).items()}


def _read(path: Path, any_writer: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is kept beside the arrays, and the arrays by name."""
    module = None if path.suffix == ".npz" else _safetensors()
    try:
        if module is None:
            with path.open("rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
            text = str(arrays.pop(ABOUT)) if ABOUT in arrays else None
        else:
            import safetensors

            with safetensors.safe_open(path, "np") as file:
                text = (file.metadata() or {}).get(ABOUT)
            arrays = module.load_file(path)
    except Exception as error:  # a file that is cut short raises exceptions of many types
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise checks.InputError(f"got {path}, which cannot be read ({why}), need models; write it anew") from error
    need = "need one that a run, or result.save_models, wrote; name such a file"
    if text is None and any_writer:
        return {}, arrays
    checks.require(text is not None, f"got {path}, a file that jdl has not written, {need}")
    about = json.loads(text)
    kinds = _types(about["structure"])
    return about, {name: one.view(np.dtype(kinds[name])) for name, one in arrays.items()}
