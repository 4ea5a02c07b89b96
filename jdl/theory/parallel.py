"""How long a step takes where nodes train one model together: buckets of gradients, and stages of a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.theory.time import ring_all_reduce_seconds

__all__ = ["ddp_seconds", "pipeline_seconds"]

ORDERS = ("gpipe", "one_forward_one_backward")


def ddp_seconds(n: int, backward: Any, bits: Any, rate: float, latency: float = 0.0, forward: float = 0.0) -> float:
    """The seconds of a step of data-parallel training whose gradients are averaged while they are computed.

    The backward pass fills one bucket of gradients after the other, those of the last layers first. Bucket k is
    averaged over a ring (`ring_all_reduce_seconds`) when it is full and the bucket before it has been averaged:

        full_k = full_{k-1} + backward_k,    end_k = max(full_k, end_{k-1}) + all-reduce_k.

    One bucket hides nothing; many small ones pay the latency often. Gossip is compared with this step.

    Args:
      n: number of nodes, all alike, at least 1.
      backward: seconds of the backward pass until each bucket is full, counted from the one before, f[k].
      bits: the size of each bucket, f[k].
      rate: bits a second of each link, more than 0.
      latency: seconds that a part of a bucket needs beside its transfer, see `ring_all_reduce_seconds`.
      forward: seconds of the forward pass.

    Returns:
      The seconds from the start of the step until the last bucket is averaged.

    Raises:
      InputError: if `backward` and `bits` are not lists of one length, or a number is negative or not finite.

    >>> ddp_seconds(4, backward=[1.0], bits=[8e6], rate=1e6)
    13.0
    >>> ddp_seconds(4, backward=[0.5, 0.5], bits=[4e6, 4e6], rate=1e6)
    12.5

    References:
      Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020, section 3.2
      (from memory: buckets, in reverse order, overlapped with the backward pass).
    """
    backward, bits = _times("backward", backward), _times("bits", bits)
    got = f"got {len(backward)} seconds of backward and {len(bits)} sizes of buckets"
    checks.require(len(backward) == len(bits), f"{got}, need one of each for a bucket; correct one of the lists")
    full = assumptions.constant("the time of a data-parallel step", "forward", forward, strict=False)
    end = full
    for seconds, size in zip(backward, bits, strict=True):
        full += seconds
        end = max(full, end) + ring_all_reduce_seconds(n, size, rate, latency)
    return end


def pipeline_seconds(
    forward: Any, backward: Any = 0.0, microbatches: int = 4, travel: Any = 0.0, order: str = "gpipe"
) -> float:
    """The seconds of a step of a model that is cut into stages, one on each node, in a line.

    A batch is cut into m microbatches. Stage k computes microbatch j forward when it is free and the output of stage
    k - 1 has arrived, and backward when the gradient of stage k + 1 has:

        end(k, forward j) = max(end(k, the work before), end(k - 1, forward j) + travel_{k-1}) + forward_k,
        end(k, backward j) = max(end(k, the work before), end(k + 1, backward j) + travel_k) + backward_k,

    a recursion in the (max, +) algebra. With s equal stages and links that take no time, each order takes

        (m + s - 1) (forward + backward),

    of which each node is idle for a share (s - 1) / (m + s - 1), the bubble. The orders:

    - gpipe: all microbatches forward, then all backward; a node keeps the activations of m microbatches.
    - one_forward_one_backward: stage k (from 0) computes s - k microbatches forward at first, then backward and forward
      in turn; a node keeps the activations of at most s - k microbatches.

    Args:
      forward: seconds of a microbatch at each stage, f[s], or one number for one stage.
      backward: seconds of its backward pass at each stage, f[s], or one number for all.
      microbatches: m, at least 1.
      travel: seconds that activations, and gradients on their way back, travel from stage to stage, f[s - 1], or one
        number for all links. Messages do not wait for each other.
      order: "gpipe" or "one_forward_one_backward".

    Returns:
      The seconds until the last stage has ended its last work.

    Raises:
      InputError: if lists are of other lengths, or a number is negative or not finite.

    >>> pipeline_seconds([1.0, 1.0, 1.0], backward=2.0, microbatches=8)
    30.0
    >>> pipeline_seconds([1.0, 3.0, 1.0], microbatches=8)
    26.0

    References:
      Huang et al., "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism", NeurIPS 2019,
      section 2.3 (from memory: the bubble).
      Narayanan et al., "PipeDream: Generalized Pipeline Parallelism for DNN Training", SOSP 2019, and "Efficient
      Large-Scale Language Model Training on GPU Clusters Using Megatron-LM", SC 2021, section 2.2 (from memory: the
      second order, with a flush after each batch).
    """
    m, order = checks.whole("microbatches", microbatches, 1), checks.known("order", order, ORDERS)
    forward = _times("forward", forward)
    s = len(forward)
    backward, travel = _times("backward", backward, s), _times("travel", travel, s - 1)
    works = [_works(m, m if order == "gpipe" else min(s - k, m)) for k in range(s)]
    ends: dict[tuple[int, bool, int], float] = {}
    done, free = [0] * s, [0.0] * s
    while any(done[k] < 2 * m for k in range(s)):
        # What comes first can always be done: stages take turns until each waits for another one.
        for k in range(s):
            while done[k] < 2 * m:
                back, j = works[k][done[k]]
                before = k + 1 if back else k - 1
                first = not 0 <= before < s
                if not first and (before, back, j) not in ends:
                    break
                ready = 0.0 if first else ends[before, back, j] + travel[min(k, before)]
                free[k] = max(free[k], ready) + (backward[k] if back else forward[k])
                ends[k, back, j] = free[k]
                done[k] += 1
    return max(free)


def _works(m: int, ahead: int) -> list[tuple[bool, int]]:
    """The work of a stage in order, (whether backward, microbatch), that computes `ahead` microbatches at first."""
    works = [(False, j) for j in range(ahead)]
    for j in range(m):
        works.append((True, j))
        if ahead + j < m:
            works.append((False, ahead + j))
    return works


def _times(name: str, given: Any, count: int | None = None) -> list[float]:
    """Numbers of at least 0 as a list, of this length if one is given; a single number stands for all."""
    numbers = np.asarray(given, float)
    if numbers.ndim == 0:
        numbers = np.full(1 if count is None else count, numbers)
    length = "one number for each" if count is None else f"{count} numbers"
    good = numbers.ndim == 1 and len(numbers) == (len(numbers) if count is None else count)
    good = good and (count is not None or len(numbers) > 0)
    checks.require(good, f"got {name} of shape {np.shape(given)}, need {length}; try {name}=1.0")
    finite = bool(np.all(np.isfinite(numbers) & (numbers >= 0)))
    checks.require(finite, f"got {name}={numbers.tolist()}, need finite numbers of at least 0; correct it")
    return numbers.tolist()
