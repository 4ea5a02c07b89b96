"""What only a process of its own can show: a clean import, cores as devices, and a run that is killed.

Every process costs seconds, so each of these asks for several things.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from test_run import parts, same, whole  # noqa: F401 (the uninterrupted run, a fixture)

import jdl
from jdl.runs.history_files import read_csv

# Imported where they are used. flax imports rich by itself.
HEAVY = {"networkx", "sklearn", "matplotlib", "pandas", "orbax", "tyro", "seaborn", "plotly", "IPython"}
HEAVY |= {"scipy.stats", "scipy.optimize", "scipy.integrate", "scipy.spatial", "cvxpy", "tensorflow", "psutil", "PIL"}

FRESH = """
import socket

def refuse(*args, **kwargs):
    raise OSError("importing jdl went to the network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import contextlib, sys
from jdl.command import start

for words in ["--help"], ["resume", "--help"]:
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
        start.main(words)
slow = sorted({"jax", "numpy", "scipy", "flax"} & {*sys.modules})
assert not slow, f"the help of the command line imported {slow}"
for name in [name for name in sys.modules if name.split(".")[0] == "tyro"]:
    del sys.modules[name]

import jdl
everything = [getattr(jdl, name) for name in jdl.__all__]
assert jdl.algorithms is sys.modules["jdl.algorithms"] and jdl.run is sys.modules["jdl.run"].run
import jax
from jax._src import xla_bridge

assert not xla_bridge._backends, f"importing jdl touched {list(xla_bridge._backends)}"
heavy = sorted(set(sys.modules) & set(%r))
assert not heavy, f"importing jdl imported {heavy}"
assert jdl.use_cores(3) == 3 == jdl.use_cores() == len(jax.devices())
assert xla_bridge._backends, "this check cannot see"
print("clean")
"""


IDENTITY = """
import functools, jdl
from jdl.sweeps.identity import identity
def decay(t): return 1 / (1 + t)
print(identity({
    "problem": functools.partial(jdl.problems.digits, nodes=8), "topology": jdl.topology.random_regular(16, 4, seed=3),
    "algorithm": jdl.algorithms.DPSGD(lr=0.3, decay=decay), "names": {"b", "a", "c"}, "rounds": 100,
}))
"""


@pytest.fixture(scope="module")
def outside():
    """What a process printed that sees the devices which a user's would see, and has another order of sets."""
    env = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"PYTHONHASHSEED": "1"}
    call = [sys.executable, "-c", FRESH % (HEAVY,) + IDENTITY]
    return subprocess.run(call, env=env, capture_output=True, text=True, timeout=120)


def test_importing_jdl_touches_no_device_and_no_network_and_then_cores_become_devices(outside):
    assert outside.stdout.startswith("clean\n"), outside.stderr


def test_every_process_finds_the_same_identity_of_a_point(outside, capsys):
    exec(IDENTITY, {"__name__": "a_script"})
    here = capsys.readouterr().out
    assert here == outside.stdout.removeprefix("clean\n") and len(here) == 17


KILLED = """
import sys, time, jdl
sys.path.insert(0, sys.argv[2])
from jdl.runs import progress
from test_run import parts
update = progress.Bar.update

def slow(self, t, row):
    update(self, t, row)
    time.sleep(0.05)

progress.Bar.update = slow
jdl.run(**parts(), run_dir=sys.argv[1], checkpoint_every=3)
"""


def test_killed_and_resumed_is_the_same_bit_for_bit(whole, tmp_path):  # noqa: F811
    """SIGKILL once some rows are on disk, with checkpoints every 3 rounds.

    The process is stopped for a moment when the first row is there and its directory copied: a kill at that moment
    would leave the same files. Then it goes on, and is killed in the middle.
    """
    place, early = tmp_path / "run", tmp_path / "early"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(place), os.path.dirname(__file__)])

    def wait_for(rows):
        deadline = time.monotonic() + 120
        while len(read_csv(place / "history.csv")) < rows and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)

    wait_for(1)
    process.send_signal(signal.SIGSTOP)
    shutil.copytree(place, early)
    process.send_signal(signal.SIGCONT)
    wait_for(4)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert 1 <= len(read_csv(early / "history.csv")) < 4 <= len(read_csv(place / "history.csv"))
    for at in (early, place):
        with (at / "history.csv").open("a") as file:
            file.write("28,0.5,1")  # as a row that the crash cut short
        same(jdl.run(**parts(), run_dir=at, checkpoint_every=3, resume=True), whole)


FUNCTIONS = """
import functools

import flax.linen as nn
import optax
from flax import struct

import jdl
from jdl.runs import fingerprint

RATE, WORDS = 0.5, {"b", "a", "c"}


def decay(t, k=2.0):
    return RATE * k if "a" in WORDS else t


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(len(WORDS))(x)


Mine = struct.dataclass(type("Mine", (jdl.algorithms.DPSGD,), {"extra": lambda self: decay(1)}))
things = decay, functools.partial(decay, k=1), Net(), optax.adam(1e-3), optax.cosine_decay_schedule(1.0, 9), Mine
digests = [fingerprint.of_value(one) for one in things] + [fingerprint.of_tree(Mine(decay=decay))]
"""


@pytest.mark.slow
def test_what_a_function_does_is_the_same_in_another_process(tmp_path):
    """Under another order of sets, from source here and from compiled code there."""
    (tmp_path / "theirs.py").write_text(FUNCTIONS)
    ours = {"__name__": "theirs"}
    exec(compile(FUNCTIONS, str(tmp_path / "theirs.py"), "exec"), ours)
    call = "import theirs; print(theirs.digests)"
    for _ in range(2):  # the second reads what the first compiled
        env = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", call], env=env, capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == str(ours["digests"]), done.stderr
