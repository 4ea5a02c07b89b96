"""The commands that have the same flags in each run, and what all commands share. Nothing of jdl is imported here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable
from typing import Annotated

import tyro

__all__ = ["ABOUT", "List", "Resume", "quiet_where_nobody_reads"]


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
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""
    baselines: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: on; off with --json)")] = True
    """for comparison, also train every node alone, and one node on all data"""
    progress: bool = True
    """show the progress on standard error"""
    compile_cache: bool = True
    """keep compiled programs, so that the next run with the same shapes starts faster"""


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
