"""The commands that have the same flags in each run, and what all commands share. Nothing of jdl is imported here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable
from typing import Annotated

import tyro

__all__ = ["ABOUT", "List", "Resume", "Runs", "Show", "quiet_where_nobody_reads"]


@dataclasses.dataclass(frozen=True)
class List:
    """List all algorithms, topologies, exchanges, oracles, problems and partitions, or describe those named."""

    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="[NAME ...]", help="names to describe: what is sent, what is kept, and the publication"),
    ] = ()
    json: bool = False
    """print the whole list as JSON"""


@dataclasses.dataclass(frozen=True)
class Resume:
    """Resume a run from its last checkpoint. The results are the same to the last bit as without the interruption."""

    dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR", help="directory of the run")]
    rounds: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: as many as it was begun with)")
    ] = None
    """go on to this number of rounds, also after the run has finished, as if it had been asked for at once"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""
    baselines: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: on; off with --json)")] = True
    """for comparison, also train every node alone, and one node on all data"""
    progress: bool = True
    """show the progress on standard error"""
    compile_cache: bool = True
    """keep compiled programs, so that the next run with the same shapes starts faster"""


@dataclasses.dataclass(frozen=True)
class Show:
    """Show several runs: the last numbers of each in one table, and their curves in one figure."""

    dirs: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DIR [DIR ...]", help="directories of the runs")
    ] = ()
    x: str = "rounds"
    """what is along the figure: rounds, megabytes (sent by a peer), seconds, or any column of history.csv"""
    y: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="[COLUMN ...]", help_behavior_hint="(default: mean accuracy, or mean loss)"),
    ] = ()
    """columns of history.csv, a panel each"""
    band: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="{bootstrap,t,std,minmax,nodes,none}", help_behavior_hint="(default: bootstrap, or nodes)"
        ),
    ] = None
    """what the bands show: an interval over seeds, or the worst to the best peer"""
    out: Annotated[
        str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: compared.png; none with --json)")
    ] = None
    """file of the figure, e.g. figure.png, .svg or .pdf"""
    format: Annotated[str, tyro.conf.arg(metavar="{text,markdown,latex,csv,html}")] = "text"
    """format of the table"""
    json: bool = False
    """print a JSON list with the summary of each run, and nothing else, on standard output"""


@dataclasses.dataclass(frozen=True)
class Runs:
    """List the runs below a directory: label, rounds done, status, mean accuracy or loss, age and size."""

    dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[DIR]", help="where to look")] = "runs"
    json: bool = False
    """print a JSON list with an object for each run"""


ABOUT = (
    "Simulate decentralized learning: thousands of peers that train together without a server. "
    "Begin with `jdl run`, which takes about a minute."
)


# The exit status of a program that writes into a closed pipe: 128 plus the number of SIGPIPE.
CLOSED_PIPE = 141


def quiet_where_nobody_reads(command: Callable[[list[str]], int], argv: list[str]) -> int:
    """Run one command. If the reader of its output has left, as `head` does, the command ends silently."""
    try:
        try:
            return command(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # discards the output that is still buffered
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
