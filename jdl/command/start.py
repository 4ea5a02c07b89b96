"""Where the program `jdl` starts. Help that needs no part of jdl is shown before JAX is imported."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Union

import tyro

from jdl.command.fixed import ABOUT, BriefSweep, List, Resume, Runs, Show, Sweep, quiet_where_nobody_reads

__all__ = ["main"]

# What the help says of the commands whose flags depend on parts: the docstrings of `jdl.command.flags`.
RUN = "Run a simulation, compare it with two baselines, and save the results. Each part has flags of its own."
TOPO = "Report the properties of a topology: distances, eigenvalues, messages, and the rounds until nodes agree."

FIXED = {"sweep": Sweep, "list": List, "resume": Resume, "show": Show, "runs": Runs}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit, as `jdl.command.cli.main` does.

    Args:
      argv: the words of the command; by default those of the process.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    first, *more = argv or ["--help"]
    asks = {"-h", "--help"}
    if (first in asks and not more) or (first in FIXED and asks & {*more}):
        sys.exit(quiet_where_nobody_reads(_help, [first, *more]))
    if first == "runs":
        code = _runs(more)
        if code is not None:
            sys.exit(code)
    with _few_collections():
        from jdl.command import cli
    try:
        cli.main(argv)
    finally:
        gc.freeze()


def _runs(argv: list[str]) -> int | None:
    """List runs, for which neither JAX nor any part of jdl is needed; None if something is wrong with the words."""
    from jdl import checks

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            given, unknown = tyro.cli(Runs, args=argv, prog="jdl runs", return_unknown_args=True)
    except SystemExit:
        return None
    if unknown:
        return None
    from jdl.command.listed import list_runs

    try:
        return quiet_where_nobody_reads(lambda _: list_runs(given), argv)
    except checks.InputError:  # `cli` says it as all commands do
        return None


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Import without garbage collections.

    An import makes some 300,000 objects, hardly one of which is garbage. To look through them again and again, also at
    the end of the process, would take a quarter of the time of a short run. What is frozen is left out.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def _help(argv: list[str]) -> int:
    """Show the help of the program, or of a command that has the same flags in each run."""
    about = {"run": RUN, "topo": TOPO}
    empty = {name: dataclasses.make_dataclass(name, [], namespace={"__doc__": text}) for name, text in about.items()}
    sweep = Sweep if argv[0] == "sweep" else BriefSweep
    commands = {"run": empty["run"], "sweep": sweep, "topo": empty["topo"]}
    commands |= {name: kind for name, kind in FIXED.items() if name not in commands}
    named = [Annotated[kind, tyro.conf.subcommand(name)] for name, kind in commands.items()]
    try:
        tyro.cli(Union[tuple(named)], args=argv, prog="jdl", description=ABOUT)  # noqa: UP007 (made of a list)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
