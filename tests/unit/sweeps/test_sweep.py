"""Sweeps: they are the runs one by one, go on after a kill, are extended, and are shared by processes."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

import jdl
from jdl import checks, over
from jdl.runs import progress
from jdl.runs.driver import Driver
from jdl.runs.lock import Lock
from jdl.sweeps import executors, work
from jdl.sweeps.folder import Folder

NODES, ROUNDS = 6, 20
RATES = (0.05, 0.1)
GRAPHS = (jdl.topology.ring(NODES), jdl.topology.random_regular(NODES, 4))
PROBLEM = jdl.problems.quadratic(nodes=NODES, dim=3, noise=0.5)
HOW = {"eval_every": 8, "progress": False}


def arguments(rates=RATES, graphs=GRAPHS, **more):
    method = jdl.algorithms.DPSGD(lr=over(*rates))
    parts = {"problem": PROBLEM, "algorithm": method, "topology": over(*graphs)}
    return parts | {"rounds": ROUNDS, "seeds": 2, "per_unit": 3} | HOW | more


def sweep(run_dir=None, **more):
    return jdl.sweep(**arguments(**more), run_dir=run_dir)


def same(one, other, but=("seconds",)):
    assert list(one.frame.columns) == list(other.frame.columns)
    left, right = (table.frame.drop(columns=list(but)) for table in (one, other))
    assert left.equals(right), left.compare(right)
    assert one.status == other.status


@pytest.fixture(scope="module")
def whole():
    return sweep()


@pytest.fixture
def worked(monkeypatch):
    """The units that are driven from here on: for each the number of its jobs."""
    found = []
    before = work._driven
    monkeypatch.setattr(work, "_driven", lambda unit, *more: found.append(len(unit.jobs)) or before(unit, *more))
    return found


def test_each_run_of_a_sweep_is_the_run_alone(whole):
    assert whole.axes == ["lr", "topology"] and len(whole) == 4 and whole.seeds == [0, 1]
    assert set(whole.status.values()) == {"finished"} and whole.frame["round"].unique().tolist() == [0, 8, 16, 20]
    for point, (rate, graph), seed in ((0, (0.05, GRAPHS[0]), 1), (3, (0.1, GRAPHS[1]), 0)):
        method = jdl.algorithms.DPSGD(lr=rate)
        alone = jdl.run(PROBLEM, method, graph, rounds=ROUNDS, seed=seed, **HOW).history
        found = whole.frame[(whole.frame.point == point) & (whole.frame.seed == seed)]
        for name in ("bits_sent", "mean_loss", "consensus_distance", "suboptimality"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert whole.best("mean_loss").arguments["algorithm"].lr == 0.1


def test_a_directory_holds_the_table_and_is_extended_without_repeating_anything(whole, tmp_path, worked):
    few = sweep(tmp_path, rates=RATES[1:], seeds=1, rounds=12)
    assert worked == [2] and len(few) == 2 and few.frame["round"].max() == 12
    assert sweep(tmp_path, rates=RATES[1:], seeds=1, rounds=12).frame.equals(few.frame) and worked == [2]
    longer = sweep(tmp_path, rates=RATES[1:], seeds=1)
    assert worked == [2, 2] and longer.frame["round"].unique().tolist() == [0, 8, 16, 20]
    every = sweep(tmp_path)
    assert worked[2:] == [3, 3]  # four points with two seeds are eight runs, of which two are done
    same(every, whole)
    same(jdl.load_sweep(tmp_path), whole, but=("seconds", "point"))
    assert sweep(tmp_path, rates=RATES[:1]).frame["lr"].unique().tolist() == [0.05] and len(worked) == 4
    status = jdl.sweep_status(tmp_path)
    assert sorted(map(len, status.done)) == [2, 3, 3] and not status.running + status.begun + status.missing
    assert repr(status) == "done: 8 runs in 3 units" and "lr=0.1, topology=ring, seed=0" in [
        name for unit in status.done for name in unit
    ]
    assert jdl.sweep(**arguments(rates=(*RATES, 0.2)), run_dir=tmp_path, dry_run=True).units == 2


def test_what_it_would_do(tmp_path):
    found = jdl.sweep(**arguments(), run_dir=tmp_path / "new", dry_run=True)
    assert (found.points, found.runs, found.done, found.units, found.programs) == (4, 8, 0, 3, 1)
    assert 0 < found.memory_bytes < 1e6 and 0 < found.disk_bytes < 1e6 and "8 runs of 4 points" in repr(found)
    assert not (tmp_path / "new").exists()


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[2])
import jdl
import test_sweep
from jdl.runs import progress
update = progress.Bar.update

def slow(self, *more):
    update(self, *more)
    time.sleep(0.05)

progress.Bar.update = slow
test_sweep.sweep(sys.argv[1], checkpoint_every=3)
"""


def child(code, *words):
    """A process that finds the compiled programs of the tests."""
    cache = jax.config.jax_compilation_cache_dir
    env = os.environ | ({} if cache is None else {"JAX_COMPILATION_CACHE_DIR": cache})
    env |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0"}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words), os.path.dirname(__file__)], env=env)


def lines(place):
    return sum(path.read_bytes().count(b"\n") for path in place.glob("units/*/history.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("moments", [1, 10])
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(whole, tmp_path, moments):
    """The process is stopped at random moments and its directory copied, as a kill would leave it; then killed."""
    draw = random.Random(f"{os.environ['JDL_TEST_SEED']} {moments}")
    place, copies = tmp_path / "run", []
    process = child(KILLED, place)
    deadline = time.monotonic() + 300
    try:
        for at in sorted(draw.randrange(35) for _ in range(moments)):  # of 35 lines: 8 runs, 4 evaluations, 3 headers
            while lines(place) < at and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(draw.random() * 0.1)
            process.send_signal(signal.SIGSTOP)
            if place.exists():
                copies.append(tmp_path / f"copy-{len(copies)}")
                shutil.copytree(place, copies[-1])
            process.send_signal(signal.SIGCONT)
    finally:
        process.kill()
        process.wait()
    assert copies
    for copy in [*copies, place]:
        same(sweep(copy, checkpoint_every=3), whole)
        assert not jdl.sweep_status(copy).missing and len(list(copy.glob("units/*/done.json"))) == 3


def test_an_interruption_gives_the_table_so_far(whole, tmp_path, monkeypatch):
    class Stop:
        looks = 0

        @property
        def asked(self):
            self.looks += 1
            return self.looks > 9

    with monkeypatch.context() as patch:
        module = sys.modules["jdl.sweeps.sweep"]
        patch.setattr(module, "interruptible", lambda: contextlib.nullcontext(Stop()))
        with pytest.warns(checks.Note, match="interrupted, .* make the same call to go on"):
            found = sweep(tmp_path)
    states = set(found.status.values())
    assert states <= {"finished", "interrupted", "missing"} and "missing" in states and 0 < len(found.frame) < 32
    same(sweep(tmp_path), whole)


def test_a_run_that_diverges_or_reaches_its_goal_has_its_rows(whole, tmp_path):
    """In one unit: what a run does depends on none of the others."""
    losses = whole.frame[whole.frame.point == 0].pivot(index="round", columns="seed", values="mean_loss")
    goal = float(losses.loc[8].max())
    rates, how = (RATES[0], 1e30), {"graphs": GRAPHS[:1], "per_unit": 4, "until": {"mean_loss": goal}}
    found = sweep(tmp_path, rates=rates, **how)
    assert [found.status[0, seed] for seed in (0, 1)] == ["reached"] * 2
    at_start = [bool(losses.loc[0, seed] <= goal) for seed in (0, 1)]  # before it can diverge
    assert [found.status[1, seed] for seed in (0, 1)] == ["reached" if one else "diverged" for one in at_start]
    assert not all(at_start)
    ends = found.frame.groupby(["point", "seed"])["round"].max()
    assert ends.loc[0].max() == 8 and ends.loc[1].max() < 8
    assert len(list(tmp_path.glob("units/*/done.json"))) == 1 and found.best("mean_loss").labels["lr"] == RATES[0]
    longer = sweep(tmp_path, rates=rates, **how, rounds=30)  # nothing is left to do
    same(longer, found, but=())


def test_a_run_that_diverges_after_its_goal_has_reached_it():
    """It goes on beside others of its unit that have not."""
    until = {"consensus_distance": ">= 0.01"}
    found = sweep(rates=(30.0, 1e-6), graphs=GRAPHS[:1], per_unit=4, until=until, eval_every=1, rounds=60)
    assert [found.status[point, seed] for point in (0, 1) for seed in (0, 1)] == ["reached"] * 2 + ["finished"] * 2
    assert found.summary["diverged"].tolist() == [0, 0]


def test_more_rounds_that_were_killed_leave_a_sweep_that_is_not_done(tmp_path, monkeypatch):
    how = {"run_dir": tmp_path, "graphs": GRAPHS[:1], "per_unit": 4}
    before, record = sweep(**how, rounds=12), Driver.record

    def killed(driver):
        record(driver)
        if driver.at.t == 16:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Driver, "record", killed)
        sweep(**how)
    assert set(jdl.load_sweep(tmp_path).status.values()) == {"interrupted"}
    assert len(jdl.sweep_status(tmp_path).begun) == 1
    longer, again = sweep(**how), sweep(**how, rounds=12)
    assert set(longer.status.values()) == {"finished"} and longer.frame["round"].unique().tolist() == [0, 8, 16, 20]
    # Of a run of more rounds, the table of fewer has the evaluations up to there.
    first = before.frame[before.frame["round"] <= 8].drop(columns="seconds").reset_index(drop=True)
    assert again.frame.drop(columns="seconds").equals(first) and again.status == before.status
    (history,) = tmp_path.glob("units/*/history.csv")
    history.write_bytes(history.read_bytes()[:-9])
    with pytest.warns(UserWarning, match=r"history.csv is damaged after round 16: its last evaluations are left out"):
        assert len(jdl.load_sweep(tmp_path).frame) == len(longer.frame) - 4


def test_shards_are_the_whole(whole, tmp_path):
    first = sweep(tmp_path, shard="1/2")
    assert sum(status == "missing" for status in first.status.values()) in (2, 3)
    same(sweep(tmp_path, shard=(2, 2)), whole)


class Threads:
    """An executor of its own kind: one thread, and no cancellation."""

    def submit(self, function, *args):
        box = {}

        def run():
            try:
                box["value"] = function(*args)
            except Exception as error:
                box["error"] = error

        thread = threading.Thread(target=run)
        thread.start()

        class Future:
            def done(self):
                return not thread.is_alive()

            def result(self):
                if "error" in box:
                    raise box["error"]
                return box["value"]

        return Future()


def test_an_executor_and_what_fails_in_it(whole, tmp_path, monkeypatch):
    def flawed(unit, *more):
        if any(job.labels["lr"] == 0.1 for job in more[0]):
            raise OSError("no space left")
        return before(unit, *more)

    before = work._driven
    with monkeypatch.context() as patch:
        patch.setattr(work, "_driven", flawed)
        patch.setattr(executors, "POLL", (0.01, 0.01))
        with pytest.raises(RuntimeError, match=r"2 of 3 units failed.* lr=0\.\d+, .*OSError: no space left"):
            sweep(tmp_path, executor=Threads())
    assert len(jdl.sweep_status(tmp_path).done) == 1
    same(sweep(tmp_path, executor=Threads()), whole)


def test_a_unit_in_another_process_is_waited_for(whole, tmp_path, worked):
    sweep(tmp_path, shard="1/2")
    folder = Folder(tmp_path)
    unit = next(unit for unit in folder.known().units if folder.marker(unit) is None)
    lock = Lock(folder.lock_of(unit), "a unit")
    assert len(jdl.sweep_status(tmp_path).running) == 1
    timer = threading.Timer(0.3, lock.release)
    timer.start()
    begun = time.monotonic()
    same(sweep(tmp_path), whole)
    assert time.monotonic() - begun > 0.25 and sum(worked) == 8
    timer.join()


def decay(t):
    return 1 / (1 + 0.01 * t.astype(np.float32))


@pytest.mark.slow  # two processes import JAX and compile
def test_a_pool_of_processes(tmp_path, monkeypatch):
    """Two units in a process that begins anew."""
    for name, value in {"COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir or ""}.items():
        monkeypatch.setenv(f"JAX_{name}", value)
    method = jdl.algorithms.DPSGD(lr=over(*RATES), decay=decay)
    how = {"problem": PROBLEM, "algorithm": method, "topology": GRAPHS[0], "rounds": 8, "per_unit": 1, **HOW}
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = jdl.sweep(**how, run_dir=tmp_path, executor=pool)
    same(found, jdl.sweep(**how))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of dask itself
def test_a_cluster_of_dask(whole, tmp_path, monkeypatch):
    """Processes of its own, of which each runs some of the units."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir or "")
    where = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**where, local_directory=str(tmp_path / "dask")) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = sweep(tmp_path / "run", executor=client.get_executor())
        assert len(client.run(os.getpid)) == 2
    same(found, whole)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"executor": 3}, "executor=3, which has no method `submit`"),
        ({"executor": Threads()}, "executor without run_dir"),
        ({"shard": "0/4", "run_dir": "x"}, "counted from 1"),
        ({"shard": "1/4"}, "without run_dir"),
        ({"per_unit": 0}, "per_unit=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"rounds": 0}, "point lr=0.05, topology=ring.*rounds=0"),
        ({"rates": (0.1, -1)}, "point lr=-1, topology=ring.*lr"),
        ({"topology": over(GRAPHS[0], jdl.topology.ring(5))}, r"point lr=0.05, topology=ring\(5\).*5 nodes"),
        ({"until": {"mean_loss": "big"}}, "point .*until"),
        ({"metrics": {"odd": lambda models, state, simulation: np.zeros((2, 2), np.float32)}}, "point .*odd"),
        ({"points": [{"rate": 1}]}, "argument in points"),
        ({"points": 5}, "points=5"),
        ({"topology": over({"a": GRAPHS[0], "b": GRAPHS[0]})}, "lr=0.05, topology=a and lr=0.05, topology=b, .* equal"),
        ({"seed": over(1, 2)}, r"seed=over\(1, 2\), .*write seeds="),
    ],
)
def test_what_is_refused(wrong, sentence):
    given = arguments(rates=wrong.pop("rates", RATES)) | wrong
    with pytest.raises(checks.InputError, match=sentence):
        jdl.sweep(**given)


def test_another_sweep_is_refused(tmp_path, worked):
    sweep(tmp_path, graphs=GRAPHS[:1], seeds=1)
    with pytest.raises(checks.InputError, match=r"another sweep: .*eval_every was 8, is 4.* give another run_dir"):
        sweep(tmp_path, graphs=GRAPHS[:1], seeds=1, eval_every=4)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(checks.InputError, match="is not empty"):
        sweep(other)
    with pytest.raises(checks.InputError, match=r"holds no sweep\.json"):
        jdl.load_sweep(other)
    assert len(worked) == 1


def test_what_cannot_be_pickled_is_named(tmp_path):
    lock = threading.Lock()
    metric = lambda models, state, simulation: models[:, 0] * (1.0 if lock else 2.0)
    with pytest.raises(checks.InputError, match="got metrics, which cannot be sent to another process"):
        sweep(tmp_path, metrics={"odd": metric}, executor=Threads())


def test_points_in_a_list_share_what_is_given_besides(whole):
    listed = [{"algorithm": jdl.algorithms.DPSGD(lr=rate), "label": f"rate {rate}"} for rate in RATES]
    found = jdl.sweep(**arguments() | {"algorithm": None}, points=listed)
    assert found.axes == ["label", "topology"]
    same_ = whole.frame.drop(columns=["lr", "topology", "seconds"])
    assert found.frame.drop(columns=["label", "topology", "seconds"]).equals(same_)


def test_the_bar_counts_runs(capsys, whole):
    with progress.Bar(8, True, "sweep", unit="run") as bar:
        bar.start(2)
        bar.update(3.5, None, "1 of 3 units")
        bar.update(8, None, "3 of 3 units")
    assert "sweep 3/8, " in (text := capsys.readouterr().err) and "3 of 3 units" in text and "run" in text


@pytest.mark.slow
def test_a_thousand_points_have_flat_memory():
    import psutil

    found, process = [], psutil.Process()

    before = work._driven

    def watched(*more):
        out = before(*more)
        found.append(process.memory_info().rss)
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "_driven", watched)
        sweep(rates=tuple(np.linspace(0.01, 0.1, 1000).tolist()), graphs=GRAPHS[:1], seeds=1, per_unit=50)
    assert len(found) == 20 and found[-1] - found[3] < 30e6
