"""Strict everywhere: eight CPU devices, no silent dtype or rank promotion, warnings are errors.

Programs of the tests are tiny and take much longer to compile than to run, so they are compiled cheaply, and kept:
in CI for the length of a run, elsewhere from run to run (`JDL_TEST_COMPILE_CACHE` names the folder, or is "off").
Samples of the laws are drawn with `JDL_TEST_SEED`: fixed in CI, the date elsewhere; the header of a run says it.
"""

# ruff: noqa: E402 (JAX reads its environment when it is imported)
import atexit
import collections
import contextlib
import datetime
import functools
import gc
import gzip
import hashlib
import importlib.metadata
import itertools
import os
import pathlib
import platform
import shutil
import struct
import sys
import tempfile
import zlib

# XLA's newer way to write the code of a fusion takes about twice as long to compile. An unknown flag would end the
# process (jaxlib 0.12 does not know this one), so flags are given to the version of jaxlib that was tried.
TRIED = importlib.metadata.version("jaxlib").startswith("0.10.")
CHEAP = " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1" if TRIED else ""
FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ.setdefault("XLA_FLAGS", FLAGS + CHEAP)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JDL_TEST_SEED", "0" if os.environ.get("CI") else f"{datetime.date.today():%Y%m%d}")
os.environ["JDL_COMPILE_CACHE"] = os.environ["JDL_DATA_CACHE"] = "off"
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import numpy as np
import platformdirs
import pytest
from _pytest.doctest import DoctestModule
from jax._src.interpreters import mlir

import jdl

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# JAX makes a context of the compiler for every program, which takes longer than the rest of writing down a small one.
# Two hundred programs share one; a context keeps the constants of its programs, so it is not kept for ever.
if TRIED and hasattr(mlir, "make_ir_context"):
    new_context, programs = mlir.make_ir_context, itertools.count()
    shared = functools.lru_cache(maxsize=1)(lambda turn: new_context())
    mlir.make_ir_context = lambda: shared(next(programs) // 200)


def compile_cache() -> str:
    """The folder of compiled programs: of this run alone in CI, of this jax and this processor elsewhere.

    Processes of one run find it in their environment and share it.
    """
    if "JDL_TEST_COMPILE_CACHE" not in os.environ:
        if os.environ.get("CI"):
            folder = tempfile.mkdtemp(prefix="jdl-test-programs-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        else:
            made_for = (jax.__version__, platform.machine(), processor(), os.environ["XLA_FLAGS"])
            name = f"{jax.__version__}-{hashlib.sha256(repr(made_for).encode()).hexdigest()[:12]}"
            folder = platformdirs.user_cache_path("jdl") / "tests" / name
        os.environ["JDL_TEST_COMPILE_CACHE"] = str(folder)
    return os.environ["JDL_TEST_COMPILE_CACHE"]


def processor() -> str:
    """What the processor can do, where the system says."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return platform.processor()


if compile_cache() != "off":
    jax.config.update("jax_compilation_cache_dir", compile_cache())
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def pytest_configure(config):
    """A program that was not wholly written is compiled again, with a warning and without a failure."""
    config.addinivalue_line("filterwarnings", "default:Error (reading|writing) persistent compilation cache")


# Garbage is looked for less often: tracing makes many objects that live, and looking at all of them took a seventh.
gc.set_threshold(200_000, 20, 100)


def pytest_collection_finish():
    """What was imported and collected stays, and is not looked at again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """No examples are looked for in the docstrings of tests: there are none."""
    return [found for found in (yield) if not isinstance(found, DoctestModule)]


def pytest_report_header():
    """How to repeat what was drawn."""
    return f"samples drawn with JDL_TEST_SEED={os.environ['JDL_TEST_SEED']}; compiled programs in {compile_cache()}"


def pytest_terminal_summary(terminalreporter):
    """How long each part of the suite took: a file or a folder of `tests`, and the docstrings."""
    seconds = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folders = report.nodeid.split("::")[0].split("/")
                part = "docstrings" if folders[0] != "tests" else "/".join(folders[1:3][: max(1, len(folders) - 2)])
                seconds[part] += report.duration
    terminalreporter.write_line("test time: " + ", ".join(f"{part} {s:.0f} s" for part, s in seconds.most_common()))


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


# Linux grants a process 65,530 mappings of memory if nobody has set another number, and each compiled program takes
# some. Thousands of programs in one process would end in a crash of the compiler; forgotten ones are compiled anew
# where they are needed. Forgetting takes 5 s, and 20 tests take a few hundred mappings.
TESTS_BETWEEN_LOOKS = 20
since_look = 0


@functools.cache
def most_mappings() -> int:
    """Two thirds of what the system grants."""
    try:
        with open("/proc/sys/vm/max_map_count") as granted:
            return int(granted.read()) * 2 // 3
    except (OSError, ValueError):
        return 43_000


def pytest_runtest_teardown():
    """Forget compiled programs before they are too many."""
    global since_look
    since_look += 1
    if since_look % TESTS_BETWEEN_LOOKS == 0 and mappings() > most_mappings():
        jax.clear_caches()
        gc.collect()


def mappings() -> int:
    """Of this process, or 0 where the system does not say."""
    try:
        with open("/proc/self/maps") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0


# Of the tests in these folders and files one in so many is drawn by `JDL_TEST_SEED`; the others are slow. Laws and
# references meet the same parts every day.
DRAWN = {"unit/compressors": 4, "unit/exchange": 4, "contract": 2, "laws/test_laws_topology.py": 2}
DRAWN |= {f"unit/{name}": 2 for name in ("models", "oracle", "problems", "sweeps", "topology")}
DRAWN |= {f"unit/{name}": 3 for name in ("clock", "runs", "schedule")}
HALVES = "cli cli_sweep compare contract desk differentiable honest_delivery mapping metrics metrics_ready_made".split()
HALVES += "renamed report rng roles_placed sharding sim sweep_plots traces tune".split()
DRAWN |= {f"unit/test_{name}.py": 2 for name in HALVES} | {"unit/data": 2}
TESTS = pathlib.Path(__file__).parent


@functools.cache
def one_in(path: pathlib.Path) -> int:
    """Of so many tests of a file one is drawn."""
    inside = path.relative_to(TESTS) if path.is_relative_to(TESTS) else path
    return DRAWN.get(inside.as_posix(), DRAWN.get(inside.parent.as_posix(), 1))


def drawn(item) -> bool:
    """Whether a test runs by default. All its cases are drawn together, since they share what is compiled."""
    if one_in(item.path) == 1:
        return True
    name = f"{item.path.stem} {item.name.partition('[')[0]}"
    return (int(os.environ["JDL_TEST_SEED"]) + zlib.crc32(name.encode())) % one_in(item.path) == 0


# A file of tests that one process compiled is compiled for all. Of processes that collect at once, every second one
# goes through files from the last to the first, so that each compiles half of them.
BACKWARDS = os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:] in map(str, range(1, 1000, 2))


class Backwards(pytest.Dir):
    """A folder of tests that is collected from its last file to its first."""

    def collect(self):
        yield from reversed(list(super().collect()))


def pytest_collect_directory(path, parent):
    """As usual where this gives nothing."""
    plain = BACKWARDS and not (path / "__init__.py").exists()
    return Backwards.from_parent(parent, path=path) if plain else None


def pytest_collection_modifyitems(items):
    """All processes have the tests in the same order. What is not drawn is slow."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: (not item.path.is_relative_to(TESTS), item.path.parts))
    for item in items:
        if not drawn(item):
            item.add_marker(pytest.mark.slow)


SERVERS = ("test_theory_outer", "test_theory_federated", "of_the_server")
BEDS = ("tests/laws/test_laws_mixing.py", "tests/laws/test_laws_program.py")


def group_of(nodeid: str) -> str:
    """What runs in one process, where its programs and fixtures are: a file, a theory, laws on beds, or schedules."""
    path = nodeid.partition("::")[0]
    if path.startswith("tests/theory/test_theory_"):
        return f"theory of {'servers' if any(one in nodeid for one in SERVERS) else 'peers'}"
    if path in BEDS:
        return "laws on beds"
    return "schedules" if path.startswith("tests/unit/schedule/") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Groups by name. Those of pytest-xdist 3.8, by marks, have no effect with pytest 9.2, and nothing says so."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return Groups(config, log)
