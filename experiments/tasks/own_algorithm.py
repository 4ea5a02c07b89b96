"""An algorithm of one's own, sign D-SGD (x_i <- sum_j W_ij (x_j - lr sign(g_j))), beside D-PSGD."""

from pathlib import Path

import jax
from flax import struct

import jdl


@struct.dataclass
class SignGossip:
    lr: float = jdl.types.number(0.01, minimum=0)
    needs = frozenset({"peers", "row_stochastic", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        g, _ = node.grad(state)
        return jdl.tree.axpy(-self.lr, jax.tree.map(jax.numpy.sign, g), state), state

    def recv(self, state, inbox, node):
        return inbox, {}

    def model(self, state):
        return state


def main(make=jdl.problems.digits, nodes=32, rounds=300, out=Path("runs/tasks/own_algorithm")) -> None:
    parts = {"problem": make(nodes), "topology": jdl.topology.ring(nodes), "rounds": rounds, "seeds": 3}
    methods = {"sign D-SGD": SignGossip(lr=0.003), "D-PSGD": jdl.algorithms.DPSGD(lr=0.3)}
    jdl.compare({name: jdl.run(algorithm=method, **parts) for name, method in methods.items()}, path=out / "curves.png")


if __name__ == "__main__":
    main()
