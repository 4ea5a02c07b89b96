"""Layers that stay fast when every node has its own parameters, unlike `vmap` of `lax.conv`."""

from jdl.models.layers.convolution import Conv
from jdl.models.layers.dense import Dense, head
from jdl.models.layers.norm import GroupNorm
from jdl.models.layers.pool import avg_pool, global_avg_pool, max_pool

__all__ = ["Conv", "Dense", "GroupNorm", "avg_pool", "global_avg_pool", "head", "max_pool"]
