"""A base that is averaged and a head that stays at home, with a server (FedPer) and among peers.

    z_i = H local steps from (base, head_i);   base <- base + sum_k p_k (base(z_k) - base);   head_i <- head(z_i)

`private` names modules: arrays with such a name in their path are the head. Only the base is sent. A client serves its
own user with the server's base and its own head.

Source: Arivazhagan, Aggarwal, Singh, Choudhary 2019, Federated Learning with Personalization Layers, Algorithms 1, 2.
"""

import jax
from flax import struct

from jdl import local, tree
from jdl.types import number, static


def part(params, private, head):
    """The head of a model, or its base, with None in place of the other arrays."""
    names = lambda path: {jax.tree_util.keystr((key,), simple=True) for key in path}
    return jax.tree_util.tree_map_with_path(lambda p, x: x if bool(names(p) & set(private)) == head else None, params)


def join(base, head):
    return jax.tree.map(lambda b, h: h if b is None else b, base, head, is_leaf=lambda x: x is None)


@struct.dataclass
class PersonalHead:
    lr: float = number(0.1, minimum=0)
    local_steps: int = static(1, minimum=1)
    private: tuple[str, ...] = static(())
    needs, phases = frozenset({"server", "grad"}), (("broadcast", "client", "server"),)
    draws_per_round = property(lambda self: self.local_steps)

    def init(self, params, n):
        return params

    def client_init(self, params, node):
        return part(params, self.private, head=True)

    def broadcast(self, server):
        return part(server, self.private, head=False)

    def client(self, base, head, node):
        z, _ = local.local_steps(join(base, head), local.transform("sgd").init(()), node, self.lr, self.local_steps)
        return tree.sub(part(z, self.private, head=False), base), part(z, self.private, head=True)

    def weight(self, server, node):
        return local.client_weight(node, by_examples=True)

    def server(self, server, change, info):
        return join(tree.add(part(server, self.private, head=False), change), part(server, self.private, head=True))

    def model(self, server):
        return server

    def personal(self, server, head):
        return join(part(server, self.private, head=False), head)
