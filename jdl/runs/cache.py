"""The persistent compilation cache: a second run with the same shapes does not compile again."""

from __future__ import annotations

import hashlib
import os
import platform

import jax
import platformdirs

__all__ = ["use_compile_cache"]


def use_compile_cache() -> None:
    """Keep compiled programs in the user's cache directory.

    The environment variable `JDL_COMPILE_CACHE` names another directory, or is "off". If JAX already has a cache
    directory, it stays. If no directory can be written, as for a user without a home directory, programs are not kept.

    Programs lie in a folder for each version of jax and each kind of processor: machines that share a home directory
    do not read each other's programs, whose instructions they may not have.
    """
    place = os.environ.get("JDL_COMPILE_CACHE", "")
    if place.lower() in ("off", "0", "false", "no") or jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        directory = os.path.expanduser(place) or os.path.join(platformdirs.user_cache_dir("jdl"), "xla")
        directory = os.path.join(directory, f"jax-{jax.__version__}-{_processor()}")
        os.makedirs(directory, exist_ok=True)
    except (OSError, RuntimeError):  # no permission to write, or no home directory
        return  # without a cache the run is only slower
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _processor() -> str:
    """The kind of the processor, and a digest of the instructions that it has, where the system lists them."""
    try:
        with open("/proc/cpuinfo") as lines:  # x86 calls them flags, ARM features
            listed = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        listed = platform.processor()
    instructions = " ".join(sorted(listed.partition(":")[2].split() or [listed]))
    return f"{platform.machine()}-{hashlib.sha256(instructions.encode()).hexdigest()[:8]}"
