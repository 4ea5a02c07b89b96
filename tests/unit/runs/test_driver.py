"""The driver's decisions and effects, with a counter in place of a simulation: nothing is compiled."""

import itertools
import math
import os
import threading
import types

import numpy as np
import pytest

from jdl.runs.driver import Driver, Reached
from jdl.runs.hosts import ALONE, Hosts
from jdl.runs.pace import CHECKPOINT_SECONDS, CHUNK_SECONDS, Pace

NEVER = types.SimpleNamespace(asked=False)
SEED = int(os.environ["JDL_TEST_SEED"])


class Counter:
    """Counts rounds. Each takes so many seconds of its own clock; numbers are finite before round `halts`."""

    shapes = 0

    def __init__(self, seconds=0.001, halts=math.inf, losses=lambda t: 1.0):
        self.seconds, self.halts, self.losses, self.now, self.chunks = seconds, halts, losses, 0.0, []

    def begin(self, state):
        return Reached(0, 0) if state is None else Reached(state, state, halted=state >= self.halts)

    def advance(self, reached, until, evaluate):
        t = max(reached.t, min(until, self.halts))
        self.now += self.seconds * (t - reached.t)
        self.chunks.append((reached.t, t))
        return Reached(t, t, t >= self.halts, {"mean_loss": self.losses(t)} if evaluate else None)

    def row(self, reached):
        return reached.metrics


class Disk:
    """A run directory in memory, which notes when a checkpoint was written."""

    def __init__(self):
        self.rows, self.saved = [], {}

    def row(self, row):
        self.rows.append(row)

    def save(self, t, state, progress):
        self.saved[t] = (state, progress)

    def restore(self, like):
        if not self.saved:
            return None
        state, progress = self.saved[max(self.saved)]
        self.rows = self.rows[: progress["rows"]]
        return state, progress, list(self.rows)


class Looks:
    """A user who asks to stop between two looks at whether he does."""

    def __init__(self, left):
        self.left = left

    @property
    def asked(self):
        self.left -= 1
        return self.left < 0


class Bar:
    def __init__(self):
        self.shown = []

    def start(self, t):
        self.shown = [t]

    def update(self, t, row):
        self.shown.append(t)


def drive(pace, counter=None, stop=NEVER, disk=None, hosts=ALONE):
    counter = counter or Counter()
    driver = Driver(counter, pace, stop, Bar(), disk, hosts, lambda: counter.now)
    driver.drive()
    return driver


def rounds_of(driver):
    return [row["round"] for row in driver.rows]


def test_rounds_are_driven_once_and_evaluated_when_due():
    """Paces and speeds drawn at random: an evaluation is due at multiples of its number and at the end."""
    rng = np.random.default_rng(SEED)
    for _ in range(40):
        rounds, every, save = (int(number) for number in rng.integers(1, 60, 3))
        counter, disk = Counter(seconds=10.0 ** rng.uniform(-4, 1)), Disk()
        driver = drive(Pace(rounds, every, save), counter, disk=disk)
        assert rounds_of(driver) == [*range(0, rounds, every), rounds], (rounds, every, save)
        assert sorted(disk.saved) == [*range(0, rounds, save), rounds], (rounds, every, save)
        assert counter.chunks[0] == (0, 0) and counter.chunks[-1][1] == rounds
        assert all(one[1] == next_[0] < next_[1] for one, next_ in itertools.pairwise(counter.chunks))
        assert driver.bar.shown == [0, *(end for _, end in counter.chunks)]
        assert disk.rows == driver.rows


@pytest.mark.parametrize("seconds", [0.003, 0.4, 7.0])
def test_a_chunk_takes_a_second_or_one_round(seconds):
    counter = Counter(seconds)
    drive(Pace(1000, 1000), counter)
    lengths = [end - begin for begin, end in counter.chunks[2:-1]]  # the first shows the speed; the last is cut short
    assert set(lengths) == {max(1, int(CHUNK_SECONDS / seconds + 1e-6))}


def test_checkpoints_by_the_clock_are_written_at_evaluations_and_not_too_often():
    disk = Disk()
    driver = drive(Pace(30, 3), Counter(seconds=1.0), disk=disk)
    assert CHECKPOINT_SECONDS == 10.0 and driver.seconds == 30.0
    assert sorted(disk.saved) == [12, 24, 30]


@pytest.mark.parametrize(("halts", "last"), [(0, 0), (8, 8), (10, 10)])
def test_a_run_that_halts_is_evaluated_where_it_halts(halts, last):
    disk = Disk()
    driver = drive(Pace(40, 5), Counter(halts=halts), disk=disk)
    assert driver.at.halted and rounds_of(driver) == [*range(0, last, 5), last] and max(disk.saved) == last
    again = drive(Pace(40, 5), Counter(halts=halts), disk=disk)  # what is resumed has ended already
    assert disk.rows == again.rows == driver.rows


def test_a_loss_that_is_not_finite_ends_a_run_and_of_several_all_must_be():
    losses = lambda t: math.inf if t >= 20 else 1.0
    disk = Disk()
    assert rounds_of(drive(Pace(40, 5), Counter(losses=losses), disk=disk))[-1] == 20
    assert rounds_of(drive(Pace(40, 5), Counter(losses=losses), disk=disk))[-1] == 20
    side_by_side = lambda t: np.array([math.nan if t >= 5 else 1.0, losses(t)])
    assert rounds_of(drive(Pace(40, 5), Counter(losses=side_by_side)))[-1] == 20


@pytest.mark.parametrize("checkpoint_every", [None, 4])
def test_stopped_after_any_look_and_resumed_the_rows_are_the_same(checkpoint_every):
    pace = Pace(20, 6, checkpoint_every)
    whole = drive(pace, Counter(0.4))
    for looks in range(9):
        disk = Disk()
        stopped = drive(pace, Counter(0.4), Looks(looks), disk)
        assert stopped.at.t == max(disk.saved) < 20 and not stopped.finished
        resumed = drive(pace, Counter(0.4), disk=disk)
        assert rounds_of(resumed) == rounds_of(whole) and disk.rows == resumed.rows
        assert resumed.seconds == pytest.approx(20 * 0.4)


class TwoProcesses:
    """Two threads that play processes: what the first gives, both hear, and only arrays of one shape travel."""

    def __init__(self):
        self.meeting, self.told = threading.Barrier(2, timeout=20), None

    def broadcast(self, index, array):
        if index == 0:
            self.told = array
        self.meeting.wait()
        heard = self.told
        self.meeting.wait()
        assert array.shape == heard.shape and array.dtype == heard.dtype
        return heard

    def run(self, function):
        """What `function(hosts)` returns or raises in each of the two."""
        found = [None, None]

        def process(index):
            try:
                found[index] = function(Hosts(index, 2, lambda array: self.broadcast(index, array)))
            except Exception as error:
                self.meeting.abort() if isinstance(error, AssertionError) else None
                found[index] = error

        threads = [threading.Thread(target=process, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def test_all_hear_what_the_first_process_says():
    values = [None, True, 7, (3, "word"), {"rows": [{"loss": 0.1, "nodes/a": 2.5}]}]
    assert ALONE.agreed(values) is values
    assert TwoProcesses().run(lambda hosts: hosts.agreed(values if hosts.leads else [0])) == [values, values]


def test_only_the_first_process_calls_and_its_error_is_everybodys():
    calls = []
    assert TwoProcesses().run(lambda hosts: hosts.once(lambda: calls.append(hosts.index) or 5)) == [5, 5]
    assert calls == [0]
    errors = TwoProcesses().run(lambda hosts: hosts.once(int, "no number"))
    assert [type(error) for error in errors] == [ValueError, ValueError]


def test_processes_with_other_clocks_and_files_go_the_same_way():
    """The second process is ten times as fast, has no files, and its user asks to stop at once."""
    alone, disk = Counter(0.3), Disk()
    expected = drive(Pace(20, 6), alone, Looks(9))
    counters = [Counter(0.3), Counter(0.03)]

    def process(hosts):
        stop = Looks(9) if hosts.leads else types.SimpleNamespace(asked=True)
        return drive(Pace(20, 6), counters[hosts.index], stop, disk if hosts.leads else None, hosts)

    first, second = TwoProcesses().run(process)
    assert counters[0].chunks == counters[1].chunks == alone.chunks and len(alone.chunks) == 9
    assert rounds_of(first) == rounds_of(second) == rounds_of(expected)
    assert list(disk.saved) == [expected.at.t] and disk.rows == first.rows

    first, second = TwoProcesses().run(
        lambda hosts: drive(Pace(20, 6), disk=disk if hosts.leads else None, hosts=hosts)
    )
    assert rounds_of(first) == rounds_of(second) == [0, 6, 12, 18, 20] and first.at.t == second.at.t == 20
