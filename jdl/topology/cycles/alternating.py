"""One-peer exponential graphs over machines, in which half of the pairs of machines meet at a time."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.topology.cycles.hyper_hypercube import nearest
from jdl.topology.topology import Topology, grouped

__all__ = ["alternating_exponential_ring"]


def alternating_exponential_ring(n: int, local: int = 1) -> list[Topology]:
    """Machines whose numbers differ in one bit average in pairs, half of the pairs at a time; others average within.

    Each machine has `local` nodes, numbered one after the other. Rounds 2 b and 2 b + 1 belong to bit b: in the first
    the odd pairs of machines average over all their nodes, in the second the even ones; the nodes of the other machines
    average among themselves. So half of the pairs use the network between machines at a time, as in a ring. The product
    of one period is J: averaging is exact after 2 log2(n / local) rounds.

    Sends:
      1.5 `local` - 1 messages per node and round, on average, `local` / 2 of them between machines.

    Args:
      n: number of nodes, `local` times a power of two.
      local: number of nodes of a machine, at least 1.

    Returns:
      One period: 2 log2(n / local) topologies; for one machine a single one, in which its nodes average.

    Raises:
      InputError: if n is not `local` times a power of two; the message names the nearest valid n.

    >>> [phase.edges.tolist() for phase in alternating_exponential_ring(4)]
    [[[2, 3]], [[0, 1]], [[1, 3]], [[0, 2]]]

    References:
      Wang, Zhang, Wu, Johansson, "From Promise to Practice: Realizing High-performance Decentralized Training", ICLR
      2025; the pairs are those of the authors' package decent-dp (`alternating-exp-ring`).
    """
    n, local = checks.whole("n", n, 1), checks.whole("local", local, 1)
    near = nearest(n, lambda size: size % local == 0 and (size // local) & (size // local - 1) == 0)
    checks.require(near == n, f"got n={n} with local={local}, need local times a power of two; try n={near}")
    machine, bits = np.arange(n) // local, (n // local).bit_length() - 1
    groups = []
    for bit in range(bits):
        lower = machine & ~(1 << bit)
        pair = lower >> (bit + 1) << bit | lower & ((1 << bit) - 1)  # the pairs are numbered by their lower machine
        groups += [np.where(pair % 2 == parity, lower, machine) for parity in (1, 0)]
    title = f"alternating_exponential_ring, phase {{}} of {max(len(groups), 1)}".format
    return [grouped(title(phase + 1), group) for phase, group in enumerate(groups or [machine])]
