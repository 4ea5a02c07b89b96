"""A metric of one's own: how far the model of each node is from the mean of the honest models.

    d_i = ||x_i - mean over honest j of x_j||

It is handed over by name, `metrics={"drift": drift}`. Its mean, standard deviation and extremes over the honest nodes
are columns of the history. The numbers of all nodes are in `result.nodes`, beside the degree and the role of
each node. Whether nodes with few neighbours are farther away is then one line of pandas.

Source: the consensus distance of Kong, Lin, Koloskova, Jaggi, Stich 2021, Consensus Control for Decentralized Deep
Learning, node by node.
"""

import jax
import jax.numpy as jnp

from jdl import tree


def drift(models, state, simulation):
    honest = simulation.who.honest

    def centred(x):
        kept = jnp.where(tree.column(honest, x), x, 0)
        return x - jnp.sum(kept, axis=0, keepdims=True) / jnp.sum(honest).astype(x.dtype)

    return jnp.sqrt(jax.vmap(tree.norm_squared)(jax.tree.map(centred, models)))


def by(result, column, metric="drift"):
    """The mean of a metric at the last evaluation over the nodes of one degree, honesty or group: a pandas series."""
    frame = result.nodes
    return frame[frame["round"] == frame["round"].max()].groupby(column)[metric].mean()
