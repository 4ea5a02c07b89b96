"""Strict everywhere: eight CPU devices, no silent dtype or rank promotion, no compile cache, warnings are errors."""

import contextlib
import gc
import gzip
import os
import struct
import sys

# Tiny programs take longer to compile than to run: without LLVM's optimisations the suite takes a fifth less.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JDL_COMPILE_CACHE"] = os.environ["JDL_DATA_CACHE"] = "off"
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import numpy as np
import pytest

import jdl

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Float64, where a theory is checked."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A folder with four files in MNIST's format, forty and twenty images, whose checksums nobody asks for."""
    monkeypatch.setattr(sys.modules[jdl.data.load.__module__], "verify", lambda name, source, paths: 0)
    for part, count in (("train", 40), ("t10k", 20)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[np.arange(count), labels, :] = 255  # a row of white pixels says which class it is
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return tmp_path


@pytest.fixture
def interrupt(monkeypatch):
    """Make the next run stop as if by Ctrl-C after two looks at whether it should."""

    class Stop:
        looks = 0

        @property
        def asked(self):
            self.looks += 1
            return self.looks > 2

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["jdl.runs.run"], "interruptible", lambda: contextlib.nullcontext(Stop()))
        yield patch


# Linux grants a process 65,530 mappings of memory, and each compiled program takes some. Thousands of programs in one
# process would end in a crash of the compiler; forgotten ones are compiled anew where they are needed.
MOST_MAPPINGS, TESTS_BETWEEN_LOOKS = 30_000, 20
since_look = 0


def pytest_runtest_teardown():
    """Forget compiled programs before they are too many."""
    global since_look
    since_look += 1
    if since_look % TESTS_BETWEEN_LOOKS == 0 and mappings() > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def mappings() -> int:
    """Of this process, or 0 where the system does not say."""
    try:
        with open("/proc/self/maps") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0


def pytest_collection_modifyitems(items):
    """What is tried with one algorithm runs in one process, where its compiled programs are."""
    for item in items:
        name = getattr(item, "callspec", None) and item.callspec.params.get("name")
        if "laws" in item.path.parts and isinstance(name, str):
            item.add_marker(pytest.mark.xdist_group(name))
