"""Data sets of TensorFlow Datasets by name, already prepared or prepared here from raw files."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from jdl import checks
from jdl.data.dataset import Dataset
from jdl.data.readers.cache import cached
from jdl.data.readers.files import FLAGS, data_directory, digest
from jdl.data.readers.sources import SOURCES
from jdl.data.readers.tfds_examples import FORMAT, examples
from jdl.data.validate import validate

__all__ = ["from_tfds"]


def from_tfds(name: str, data_dir: str | Path | None = None, download: bool = False) -> Dataset:
    """A data set of TensorFlow Datasets (TFDS), such as "mnist" or "cmaterdb/bangla".

    A prepared data set is read from below the data directory, or from TFDS's own (environment variable TFDS_DATA_DIR,
    usually ~/tensorflow_datasets). Otherwise it is prepared in TFDS's directory by TFDS's builder with its checksums:
    from raw files in the folder of its name (or, with a configuration, `name/configuration`) below the data directory;
    or, with `download`, from the network. Preparation needs TensorFlow, reading does not.

    It reads images, features and sentences with a label or a target, and a text without one. The test set is TFDS's
    "test", otherwise its "validation", otherwise a fifth of "train", drawn with a fixed seed.

    Args:
      name: name in TFDS, optionally with "/configuration" and ":version".
      data_dir: folder of data sets; None for the environment variable JDL_DATA_DIR.
      download: whether the network may be used.

    Raises:
      InputError: if the name is unknown, the data set is neither prepared nor available as raw files, a package is
        missing, examples are of another kind, or the labels of the test set are withheld (all -1, as for GLUE).

    References:
      TensorFlow Datasets, https://www.tensorflow.org/datasets.
    """
    # Namespaces ("huggingface:...") use the network at once; all else that TFDS parses from a name is an argument.
    checks.require(
        re.fullmatch(r"\w+(/[\w.+-]+)?(:\d[\w.]*)?", name) is not None,
        f"got tfds:{name}, need a name, with /configuration and :version where there are such; try tfds:mnist",
    )
    tfds = _tfds()
    directory = data_directory(data_dir)
    tried = (_builder(tfds, name, place) for place in dict.fromkeys((directory, None)))
    builders = [one for one in tried if one is not None]  # TFDS knows a user's own data set only in its folder
    if not builders:
        known = tfds.list_builders(with_community_datasets=False)
        close = " or ".join(checks.nearest(name.partition("/")[0], known)[:3])
        partly = importlib.util.find_spec("tensorflow") is None
        some = '; or it is one that TFDS has only beside TensorFlow: pip install "jdl[tfds]"' if partly else ""
        raise checks.InputError(f"got tfds:{name}, which TFDS does not have here; did you mean {close}?{some}")
    ready = next((one for one in builders if _prepared(one)), None)
    if ready is None:
        _prepare(tfds, builders[-1], name, directory, download)
        ready = _builder(tfds, name, None)
        checks.require(_prepared(ready), f"got tfds:{name}, which TFDS did not prepare in {ready.data_path}; try again")
    folder = Path(ready.data_path)
    data = cached(f"tfds:{name}", [digest(folder)], lambda: validate(examples(ready, name), f"tfds:{name}"))
    return data._replace(source=f"{data.source} Read from {folder}.")


def _tfds() -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise checks.InputError(
            f"got a data set tfds:... and no tensorflow-datasets ({error}); run: pip install tensorflow-datasets "
            "importlib_resources"
        ) from error
    return tfds


def _builder(tfds: Any, name: str, directory: Path | None) -> Any:
    try:
        return tfds.builder(name, data_dir=directory, file_format=FORMAT)
    except tfds.core.DatasetNotFoundError:
        return None
    except (ValueError, AssertionError) as error:  # the configuration or version does not exist
        reason = " ".join(str(error).split())[:300]
        raise checks.InputError(f"got tfds:{name}, which TFDS cannot build: {reason}") from error


def _prepared(builder: Any) -> bool:
    return Path(builder.data_path).is_dir() and builder.is_prepared()


def _prepare(tfds: Any, builder: Any, name: str, directory: Path | None, download: bool) -> None:
    """Prepare into the builder's directory, from raw files or the network, or report at once what is missing."""
    if importlib.util.find_spec("tensorflow") is None:
        raise checks.InputError(
            f"got tfds:{name}, which is not prepared in {builder.data_path}, and no TensorFlow to prepare it; run: pip "
            f'install "jdl[tfds]", or prepare it elsewhere with file_format="{FORMAT}" and name the folder by {FLAGS}'
            f"{_instead(name)}"
        )
    raw = _raw(builder, name, directory, download)
    flat = name.replace("/", "+").replace(":", "+")
    # One download folder per data set: TFDS finds files by name, and MNIST and Fashion-MNIST share file names.
    with contextlib.redirect_stdout(sys.stderr):  # keep stdout for the caller's own output
        try:
            builder.download_and_prepare(
                download_dir=Path(builder.data_dir_root) / "downloads" / flat,
                download_config=tfds.download.DownloadConfig(
                    manual_dir=raw,
                    try_download_gcs=download and raw is None,
                    force_checksums_validation=not download,  # a file without a checksum would come from the network
                ),
            )
        except Exception as error:  # of many types: checksums, the network, the disk
            place, reason = raw or "the network", " ".join(str(error).split())[:600]
            raise checks.InputError(f"got tfds:{name}, which TFDS could not prepare from {place}: {reason}") from error


def _raw(builder: Any, name: str, directory: Path | None, download: bool) -> Path | None:
    """The folder with all files for which TFDS has checksums; None if the network is to be used."""
    needed = sorted({info.filename for info in (builder.url_infos or {}).values() if info.filename})
    plain = name.partition(":")[0]
    folders = [] if directory is None else [directory / one for one in (plain, plain.replace("/", "_"))]
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        if needed and all((folder / file).is_file() for file in needed):
            return folder
    if download:
        return None
    looked = f", and its raw files are not in {' or '.join(map(str, folders))}" if folders else " and no data directory"
    files = f"put {', '.join(needed[:8])}{', ...' * (len(needed) > 8)} into such a folder" if needed else "prepare it"
    raise checks.InputError(
        f"got tfds:{name}, which is not prepared in {builder.data_path}{looked}; {files} and name the data directory "
        f"by {FLAGS}, or allow the network by download=True{_instead(name)}"
    )


def _instead(name: str) -> str:
    """The data set that jdl reads from the same raw files, if there is one."""
    plain = name.partition(":")[0].replace("/", "_")
    return f"; or ask for {plain!r}, whose raw files jdl reads without TFDS" if plain in SOURCES else ""
