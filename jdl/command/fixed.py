"""The commands that have the same flags in each run, and what all commands share. Nothing of jdl is imported here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable
from typing import Annotated

import tyro

__all__ = ["ABOUT", "BriefSweep", "List", "Resume", "Runs", "Show", "Sweep", "quiet_where_nobody_reads"]


@dataclasses.dataclass(frozen=True)
class List:
    """List all algorithms, topologies, exchanges, oracles, problems, partitions, clocks, or describe those named."""

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
    """go on to this number of rounds, also after the run has finished (a run that has reached its goal stays there)"""
    until: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="COLUMN=VALUE ...", help_behavior_hint="(default: as it was begun)")
    ] = ()
    """end as soon as an evaluation has reached these values, in place of the goal with which it was begun"""
    no_until: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """run all rounds, without the goal with which it was begun"""
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
    """what is along the figure: rounds, megabytes (sent by a peer), simulated_seconds, or any column of history.csv"""
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


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Run all combinations of values, each with every seed, and compare them. Runs of one shape share a program.

    Every flag of `jdl run` takes a list of values, with commas between them. Five seeds on each of three graphs, each
    with two rates, are 30 runs:

    jdl sweep --topology ring,torus,random_regular --lr 0.1,0.3 --nodes 64 --seeds 5 --rounds 500 --out runs/which_graph

    The same command goes on where a sweep was stopped, and runs only what is missing; with more values, seeds or rounds
    it extends the sweep. A flag that only some points have, such as --degree of random_regular, varies only there. To
    compare networks, write "+" between the exchanges of one, and "none" for no exchange, as in
    --network none,top_k,top_k+lossy. A comma that belongs to a value is written \\,. For the flags of parts, see
    `jdl run --algorithm X --topology Y --help`.
    """

    seeds: Annotated[str | None, tyro.conf.arg(metavar="INT|INT,INT,...", help_behavior_hint="(default: one)")] = None
    """number of seeds of each point, counted from --seed, or the seeds; tables show means with intervals over them"""
    seed: int = 0
    """the first seed"""
    vary: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="{data,graph,roles,run} ...", help_behavior_hint="(default: run)")
    ] = ()
    """what --seeds draws anew with each seed: the run always, data, graph and roles if they are named"""
    zip: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="FLAG,FLAG", help_behavior_hint="(default: all combinations)"),
    ] = ()
    """flags whose values go together, the first with the first, the second with the second: --zip lr,nodes"""
    until: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="COLUMN=VALUE ...", help_behavior_hint="(default: all rounds)")
    ] = ()
    """end each run as soon as an evaluation has reached these values, such as mean_accuracy=0.95"""
    until_accuracy: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: all rounds)")
    ] = None
    """the same as --until mean_accuracy=FLOAT"""
    until_seconds: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: all rounds)")
    ] = None
    """end each run in any case after so many simulated seconds"""
    until_bits: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: all rounds)")] = (
        None
    )
    """end each run in any case when all its peers together have sent so many bits"""
    out: Annotated[str | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: runs/sweep-HASH)")] = None
    """directory for the results: a new one, or that of this sweep; by default the same for the same command"""
    dry_run: bool = False
    """print how many runs, programs and bytes the sweep would take, and run nothing"""
    status: Annotated[str | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    """print how far the sweep in this directory is, with the table of what is done, and run nothing"""
    executor: Annotated[
        str | None, tyro.conf.arg(metavar="processes:INT", help_behavior_hint="(default: this process)")
    ] = None
    """run in this number of processes at once, each with its share of the cores"""
    shard: Annotated[str | None, tyro.conf.arg(metavar="INT/INT", help_behavior_hint="(default: all)")] = None
    """run only this part of the sweep, 3/16 the third of sixteen; for the jobs of an array that share --out"""
    checkpoint_every: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help_behavior_hint="(default: at evaluations, at most every ten seconds)"),
    ] = None
    """number of rounds between checkpoints"""
    json: bool = False
    """print one JSON object, and nothing else, on standard output"""
    progress: bool = True
    """show the progress on standard error"""
    compile_cache: bool = True
    """keep compiled programs, so that the next sweep with the same shapes starts faster"""


# What the help of the whole program says of `jdl sweep`.
BriefSweep = dataclasses.make_dataclass("Sweep", [], namespace={"__doc__": Sweep.__doc__.partition("\n")[0]})

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
