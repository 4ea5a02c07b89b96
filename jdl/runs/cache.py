"""The persistent compile cache: a second run of the same shapes does not compile again."""

from __future__ import annotations

import os

import jax
import platformdirs

__all__ = ["use_compile_cache"]


def use_compile_cache() -> None:
    """Keep compiled programs in the user's cache directory.

    `JDL_COMPILE_CACHE` names another directory, or "off". A directory that JAX was already given is left alone. Where
    there is none to write to, as for a user without a home, programs are not kept.
    """
    place = os.environ.get("JDL_COMPILE_CACHE", "")
    if place.lower() in ("off", "0", "false", "no") or jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        directory = os.path.expanduser(place) or os.path.join(platformdirs.user_cache_dir("jdl"), "xla")
        os.makedirs(directory, exist_ok=True)
    except (OSError, RuntimeError):  # no right to write there, or no home to be in
        return  # a cache is a convenience: without one the run is only slower
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
