"""The devices of FedScale: how fast they compute, and how fast their lines are."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdl import checks
from jdl.clock.steps.device_files import device_file

__all__ = ["Devices", "fedscale_devices"]

BITS_PER_KBIT = 1024  # as FedScale counts
BACKWARD = 3  # a step takes so many times as long as an inference


class Devices(NamedTuple):
    """How fast devices are.

    Attributes:
      step: f[n], the seconds of a step.
      rate: f[n], bits a second in each direction.
    """

    step: np.ndarray
    rate: np.ndarray


def fedscale_devices(path: str | os.PathLike[str], n: int, examples: float = 32, seed: int = 0) -> Devices:
    """Devices of FedScale's file of capacities, a pickle or JSON: {client: {"computation": .., "communication": ..}}.

    "computation" is the milliseconds of an inference on one example, and a step takes three times as long, for the
    backward pass, times the examples of a minibatch; "communication" is the line in kbit/s (of 1,024 bits), up as
    down. Of a pickle only plain values are read, for others could run code.

    Args:
      path: the file.
      n: number of nodes, at least 1 and at most the clients of the file.
      examples: the examples of a minibatch.
      seed: draws which clients they are.

    Returns:
      The arrays for `Clock(step=devices.step, links=FairShare(up=devices.rate, down=devices.rate))`.

    Raises:
      InputError: if the file cannot be read, holds too few clients, or a number is not positive; it names the client.

    References:
      The code of FedScale's client metadata and its page of trace formats (read): the completion time of a client is
      3 x batch size x local steps x computation / 1000 and (bits up + bits down) / communication, in kbit.
    """
    file, n, seed = device_file(path), checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    good = isinstance(examples, int | float) and 0 < examples < math.inf
    checks.require(good, f"got examples={examples!r}, need the examples of a minibatch; try examples=32")
    clients, need = _clients(file), 'need {client: {"computation": ms, "communication": kbit/s}}'
    form = isinstance(clients, dict) and all(isinstance(value, dict) for value in clients.values())
    checks.require(form, f"got {file} of another form, {need}; correct the file")
    few = f"try n={len(clients)}" if clients else "give another file"
    checks.require(len(clients) >= n, f"got {len(clients)} clients in {file}, need {n}; {few}")
    numbers = np.empty((len(clients), 2))
    for k, (name, client) in enumerate(clients.items()):
        try:
            numbers[k] = float(client["computation"]), float(client["communication"])
        except (KeyError, TypeError, ValueError) as error:
            got = f"without {error}" if isinstance(error, KeyError) else f"with {client}"
            raise checks.InputError(f"got client {name!r} of {file} {got}, {need}; correct it") from error
        positive = np.all(np.isfinite(numbers[k]) & (numbers[k] > 0))
        checks.require(positive, f"got client {name!r} of {file} with {client}, need numbers above 0; correct it")
    computation, communication = numbers[np.random.default_rng(seed).permutation(len(clients))[:n]].T
    return Devices(BACKWARD * examples * computation / 1000, BITS_PER_KBIT * communication)


def _clients(file: Path) -> Any:
    content = file.read_bytes()
    if content[:1] == b"\x80":
        return checks.plain_pickle(content, file)
    try:
        return json.loads(content)
    except ValueError as error:
        raise checks.InputError(f"got {file}, need FedScale's capacities: {error}; correct the file") from error
