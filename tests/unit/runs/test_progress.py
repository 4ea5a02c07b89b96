"""What is shown while a run goes on: never without how far it is and how long it takes."""

import io

import pytest
import rich.console

from jdl.runs import progress

ROW = {"mean_accuracy": 0.954, "worst_accuracy": 0.931, "consensus_distance": 1.2e-3}


def shown(
    monkeypatch, width, terminal, seconds, rounds=3000, label="gossip: gradient_tracking on random_regular(1024)"
):
    """All that is written when round 1,500 of 3,000 is done, so many seconds after the start."""
    clock = iter([0.0, 0.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock, seconds))
    file = io.StringIO()
    console = rich.console.Console(file=file, width=width, force_terminal=terminal, color_system=None)
    with progress.Bar(rounds, True, label, console) as bar:
        bar.start(0)
        bar.update(1500, ROW)
        bar._bar.refresh()
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_count_speed_and_time_left_are_whole_on_every_terminal(monkeypatch, width):
    text = shown(monkeypatch, width, True, 75.0)
    assert all(part in text for part in ("1500/3000", "20 rounds/s", "0:01:15 left"))
    assert ("accuracy 95.4%, worst 93.1%, consensus distance 1.2e-03" in text) == (width == 200)


def test_slow_rounds_are_said_in_seconds_and_lines_have_the_time_left(monkeypatch, capsys):
    shown(monkeypatch, 80, False, 3000.0, label="slow")
    line = capsys.readouterr().err
    assert line == "slow 1500/3000, 2 s/round, 0:50:00 left, accuracy 95.4%, worst 93.1%, consensus distance 1.2e-03\n"
