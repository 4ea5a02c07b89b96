"""An exchange of one's own, noise on links, and a metric of one's own with a number for each node."""

from pathlib import Path

import jax
from flax import struct

import jdl


@struct.dataclass
class MessageNoise:
    sigma: float = jdl.types.number(0.01, minimum=0)
    inner: jdl.types.Exchange = jdl.exchange.Linear()
    needs = frozenset()
    breaks = frozenset()

    def init(self, message):
        return self.inner.init(message)

    def apply(self, state, wire, key):
        noise, inside = jax.random.split(key)
        sent = jax.tree.map(lambda x: x + self.sigma * jax.random.normal(noise, x.shape, x.dtype), wire.sent)
        return self.inner.apply(state, wire.replace(sent=sent), inside)


def size(models, state, simulation):
    return jax.vmap(jdl.tree.norm_squared)(models)


def main(make=jdl.problems.digits, nodes=32, rounds=200, out=Path("runs/tasks/own_exchange_and_metric")) -> None:
    parts = make(nodes), jdl.algorithms.DPSGD(lr=0.3), jdl.topology.ring(nodes), [MessageNoise(0.01)]
    result = jdl.run(*parts, metrics={"size": size}, rounds=rounds, run_dir=out / "run")
    jdl.compare({"noisy links": result}, y=["mean_loss", "mean_size"], path=out / "curves.png")


if __name__ == "__main__":
    main()
