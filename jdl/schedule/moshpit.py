"""Nodes on a grid that average along one dimension a round."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.types import Groups, Key, Plan, ScheduleState, Seen, static

__all__ = ["Moshpit"]


@struct.dataclass
class Moshpit:
    """Nodes have places on a grid and average along one dimension a round, so that `dims` rounds reach all (Moshpit).

    Each node has a cell of its own in a grid of `dims` dimensions with `side` cells along each. In round t, those nodes
    average exactly whose cells differ in coordinate t mod dims alone: W_ij = 1 / M for i and j in one group of M,
    symmetric and doubly stochastic. On a full grid, n = side^dims, every `dims` rounds compute the exact mean.
    Otherwise groups differ in size, and cells are not drawn anew: a round shrinks the disagreement as groups of the
    mean size do, and agreement comes later than with `RandomGroups` of size `side`.

    Cells are drawn without replacement as a run begins. With `redraw`, the members of each group draw new, distinct
    coordinates in the dimension along which they have averaged, as peers that are named by their place in the group do;
    without it they keep their cells.

    Sends:
      a message to each of the rest of its group, at most `side` - 1, a node and round.

    Memory:
      i32[n], the cells; i32[side^dims] in a round.

    Args:
      n: number of nodes, between 1 and side^dims.
      side: cells along each dimension, at least 1: the size of the largest group.
      dims: dimensions, at least 1.
      redraw: whether coordinates are drawn anew once they were averaged over.

    Raises:
      InputError: if the grid has fewer cells than there are nodes.

    >>> import jax
    >>> grid = Moshpit(4, side=2)
    >>> plan, _ = grid(grid.init(jax.random.key(0)), 0, jax.random.key(1))
    >>> plan.links.used.shape, plan.self_weights.tolist()
    ((2, 2), [0.5, 0.5, 0.5, 0.5])

    References:
      Ryabinin, Gorbunov, Plokhotnyuk, Pekhimenko, "Moshpit SGD: Communication-Efficient Decentralized Training on
      Heterogeneous Unreliable Devices", NeurIPS 2021. Fixed cells are those of the authors' simulation, in
      yandex-research/moshpit-sgd, averaging_experiments/averager.py; new coordinates are those of hivemind's
      GroupKeyManager.
    """

    n: int = static(minimum=1)
    side: int = static(8, minimum=1)
    dims: int = static(2, minimum=1)
    redraw: bool = static(False)

    def __post_init__(self) -> None:
        n, side, dims = (checks.whole(name, getattr(self, name), 1) for name in ("n", "side", "dims"))
        needed = int(np.ceil(n ** (1 / dims) - 1e-9))
        few = f"got side={side} with dims={dims}, a grid of {side**dims:,} cells for n={n:,} nodes"
        checks.require(side**dims >= n, f"{few}, need one for each; try side={needed}")
        checks.fits(8 * side**dims, f"a grid of {side**dims:,} cells")

    @classmethod
    def for_nodes(cls, n: int, dims: int = 2, redraw: bool = False) -> Self:
        """The smallest grid on which n nodes have places: see `Moshpit`.

        Args:
          n: number of nodes, at least 1.
          dims: dimensions, at least 1.
          redraw: whether coordinates are drawn anew once they were averaged over.

        >>> Moshpit.for_nodes(60).side, Moshpit.for_nodes(60, dims=3).side
        (8, 4)
        """
        n, dims = checks.whole("n", n, 1), checks.whole("dims", dims, 1)
        side = next(side for side in range(1, n + 1) if side**dims >= n)
        return cls(n, side=side, dims=dims, redraw=redraw)

    def init(self, key: Key) -> ScheduleState:
        """i32[n], the cell of each node; its digits to the base `side` are the coordinates."""
        cells = jnp.arange(self.side**self.dims, dtype=jnp.int32)
        return jax.random.permutation(key, cells)[: self.n]

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The groups along dimension t mod dims; `key` draws new coordinates."""
        side, cells = self.side, memory
        strides = jnp.asarray(side ** np.arange(self.dims), jnp.int32)
        stride = strides[jnp.asarray(t, jnp.int32) % self.dims]
        place = cells // stride % side
        rest = cells - place * stride  # the other coordinates
        group = rest // (stride * side) * stride + rest % stride
        own, count = jnp.arange(self.n, dtype=jnp.int32), side ** (self.dims - 1)
        seats = jnp.full((count, side), self.n, jnp.int32).at[group, place].set(own)
        members = jnp.sort(seats, axis=1)  # places without a node come last
        used = members < self.n
        members = jnp.where(used, members, jnp.where(used[:, :1], members[:, :1], 0))
        share = 1 / jnp.maximum(jnp.sum(used, axis=1), 1).astype(jnp.result_type(float))
        if self.redraw:
            new = jnp.argsort(jax.random.uniform(key, (count, side)), axis=1).astype(jnp.int32)
            cells = rest + new[group, place] * stride
        links = Groups(members=members, used=used, group=group)
        return Plan(links=links, self_weights=share[group], symmetric=True), cells
