"""The goals for speed and memory, on a quiet machine: `pytest -m slow tests/test_speed.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def measured(script: str, out: Path, *options: str) -> dict:
    # One device, as a user has: the tests' eight would share two cores.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, str(BENCHMARKS / script), "--out", str(out), *options]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    out = tmp_path_factory.mktemp("rounds") / "loop.json"
    return measured("loop.py", out, "--cases", "digits_1024")["cases"]["digits_1024"]


@pytest.mark.slow
def test_a_round_takes_less_time_than_a_plain_loop(rounds):
    assert rounds["jdl_over_plain"]["median"] <= 1.05


@pytest.mark.slow
@pytest.mark.xfail(reason="the goal is not reached: 1.11 (1.05 to 1.14) on 2026-11-29, see benchmarks/README.md")
def test_the_contract_costs_little_beside_the_best_loop(rounds):
    assert rounds["jdl_over_best"]["median"] <= 1.05


@pytest.mark.slow
def test_a_newcomer_does_not_wait_and_the_main_job_is_small(tmp_path):
    figures = measured("start.py", tmp_path / "start.json")["first_run"]
    assert figures["first_evaluation_seconds"] <= 15
    assert figures["peak_memory_gb"] <= 1.5
    assert figures["mean_accuracy"] >= 0.95
