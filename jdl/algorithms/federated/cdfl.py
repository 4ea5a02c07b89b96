"""A server without rounds that keeps a model for each cluster, and mixes one for each client that arrives."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import local, tree
from jdl.types import Each, Info, Message, Node, PyTree, Sized, number, static

__all__ = ["CDFL"]


class State(NamedTuple):
    clusters: PyTree  # the models c_m, leaves [M, ...]
    mixtures: jax.Array  # f[n, M], the estimates u of the clients
    version: jax.Array  # i32[], the number of steps so far


class Client(NamedTuple):
    pulled: local.Pulled  # what the client works on
    mixture: jax.Array  # f[M], its u


@struct.dataclass
class CDFL:
    """Client-driven, per arrival: c_m <- c_m + a_i u_im (y_i - c_m), and client i is sent sum_m u_im c_m.

    The server keeps M cluster models c_m. A client takes H local steps to y_i from the model that it was sent, sends
    it, is sent a mixture of the clusters that is made for it, and does not wait for anybody. The server estimates the
    mixture from distances alone, u_im proportional to ||y_i - c_m||^-sharpness, so that one model goes each way; and
    a_i = mixing (1 + tau_i)^-power as in `FedAsync`, with tau_i the number of steps that the server took since client i
    was sent its model. With one cluster it is `FedAsync` with rho = 0. Who arrives in which round is the schedule's
    business, see `jdl.schedule.Arrivals`; if several arrive, each cluster becomes the mean of what each would make of
    it. Each user is served sum_m u_im c_m, and the server's own model is the mean of the clusters. Clients begin with
    the initial model, and clusters, if there are several, with normal numbers added to it, so that they differ.

    Sends:
      one message of a client for each arrival, its model, a_i and its staleness; the server answers with one model and
      M weights, and before that tells its version, one number.

    Memory:
      M models and n M numbers on the server; 1 model and M numbers on each client.

    Args:
      lr: step size of the clients' steps.
      clusters: number M of clusters, at least 1.
      mixing: how far a cluster moves towards a fresh model that is all its own, 0 to 1.
      power: how much stale models are discounted, 0 for not at all.
      sharpness: how strongly the nearest cluster is preferred, 0 for not at all.
      apart: standard deviation of what is added to each number of the initial clusters.
      local_steps: number H of gradient steps of each client between two pulls.

    References:
      Li, Zhu 2024, Towards Client Driven Federated Learning. Its abstract was read, and no code: that mixtures are
      estimated by the server from uploads and that one model goes each way is said there, while the estimator, the
      discount and the start are choices of this library.
    """

    lr: float = number(0.1, minimum=0)
    clusters: int = static(2, minimum=1)
    mixing: float = number(0.6, minimum=0, maximum=1)
    power: float = number(0.5, minimum=0)
    sharpness: float = number(8.0, minimum=0)
    apart: float = number(0.01, minimum=0)
    local_steps: int = static(5, minimum=1)

    asynchronous: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"server", "grad"})
    phases: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("tell_version", "client", "server"),
        ("broadcast", "pull", "answered"),
    )

    @property
    def draws_per_round(self) -> int:
        return self.local_steps

    def init(self, params: PyTree, n: int) -> State:
        M, dtype = self.clusters, jnp.result_type(float)
        leaves, structure = jax.tree.flatten(params)
        if M == 1:
            clusters = [x[None] for x in leaves]
        else:
            keys = jax.random.split(jax.random.key(0), len(leaves))
            normal = [jax.random.normal(key, (M, *x.shape), x.dtype) for key, x in zip(keys, leaves, strict=True)]
            clusters = [tree.axpy(self.apart, z, jnp.stack([x] * M)) for z, x in zip(normal, leaves, strict=True)]
        return State(structure.unflatten(clusters), jnp.full((n, M), 1 / M, dtype), jnp.int32(0))

    def client_init(self, params: PyTree, node: Node) -> Client:
        even = jnp.full((self.clusters,), 1 / self.clusters, jnp.result_type(float))
        return Client(local.Pulled(params, jnp.int32(0)), even)

    def tell_version(self, server_state: State) -> Message:
        return server_state.version

    def client(self, broadcast: Message, client_state: Client, node: Node) -> tuple[Message, Client]:
        pulled = client_state.pulled
        start = local.transform("sgd").init(pulled.x)
        y, _ = local.local_steps(pulled.x, start, node, self.lr, self.local_steps)
        tau = local.staleness(broadcast, pulled)
        share = self.mixing * local.discount("polynomial", tau, self.power, 0.0, 0.0)
        return {"model": Each(y), "share": Each(share), "staleness": Each(tau)}, client_state

    def weight(self, server_state: State, node: Node) -> jax.Array:
        return jnp.ones(())

    def server(self, server_state: State, aggregate: Message, info: Info) -> State:
        clusters, mixtures, version = server_state
        each = aggregate["model"]
        apart = jax.lax.map(lambda c: _squares(each.content, c), clusters)  # f[M, k], a cluster at a time
        tiny = jnp.finfo(mixtures.dtype).tiny
        closeness = -self.sharpness / 2 * jnp.log(jnp.maximum(apart.astype(mixtures.dtype), tiny))
        u = jax.nn.softmax(closeness, axis=0).T
        share = jnp.where(each.arrived, aggregate["share"].content, 0)
        share = share / jnp.maximum(info["participants"], 1).astype(share.dtype)
        moves = share[:, None] * u
        stays = 1 - jnp.sum(moves, axis=0)
        moved = lambda c, y: (
            tree.column(stays.astype(c.dtype), c) * c + jnp.tensordot(moves.T.astype(c.dtype), y, axes=1)
        )
        n = mixtures.shape[0]
        return State(
            clusters=jax.tree.map(moved, clusters, each.content),
            mixtures=mixtures.at[jnp.where(each.arrived, each.ids, n)].set(u, mode="drop"),
            version=version + (info["participants"] > 0).astype(jnp.int32),
        )

    def broadcast(self, server_state: State) -> Message:
        # Each client finds its own mixture below; what a server really sends is that model.
        model = sum(leaf[0].size * leaf.dtype.itemsize * 8 for leaf in jax.tree.leaves(server_state.clusters))
        weights = self.clusters * server_state.mixtures.dtype.itemsize * 8
        return Sized(tuple(server_state), jnp.float32(model + weights + 32))

    def pull(self, broadcast: Message, client_state: Client, node: Node) -> tuple[Message, Client]:
        clusters, mixtures, version = broadcast
        mine = mixtures[node.id]
        return (), Client(local.Pulled(_mixed(mine, clusters), version), mine)

    def answered(self, server_state: State, aggregate: Message, info: Info) -> State:
        return server_state

    def personal(self, server_state: State, client_state: Client) -> PyTree:
        return _mixed(client_state.mixture, server_state.clusters)

    def model(self, server_state: State) -> PyTree:
        return tree.mean_rows(server_state.clusters)


def _squares(models: PyTree, c: PyTree) -> jax.Array:
    """The squared distance of each of k models to a cluster's, f[k]."""
    square = lambda y, c: jnp.sum(jnp.square(y - c[None]), axis=tuple(range(1, y.ndim)))
    return sum(jax.tree.leaves(jax.tree.map(square, models, c)))


def _mixed(u: jax.Array, clusters: PyTree) -> PyTree:
    """sum_m u_m c_m."""
    return jax.tree.map(lambda c: jnp.tensordot(u.astype(c.dtype), c, axes=1), clusters)
