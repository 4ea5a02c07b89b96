"""The bed of one algorithm: its simulation, built once, and the runs that the laws compare.

Rates, seeds, data, starts and W are arrays, so all runs of a bed are runs of two compiled programs, `init` and
`advance`; a run takes milliseconds. W = I (nobody talks) and W = J (everybody averages) are values of W as any other.
"""

from __future__ import annotations

import functools

import cases
import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 12
# Rows that keep data and start in `Bed.strangers`, where all others have others.
KEPT = np.array([0, 3, 5, 6])


@functools.cache
def bed(name: str, plain: bool = False) -> Bed:
    """The bed of this algorithm with its defaults, or in its plainest form (the same one where that is its default)."""
    if plain and cases.is_plain(name):
        return bed(name)
    return Bed(name, plain)


class Bed:
    """See above. Runs that several laws look at are kept."""

    def __init__(self, name: str, plain: bool):
        self.name, self.plain, self.server = name, plain, cases.has_server(name)
        self.W, self.start = cases.network_of(name), cases.starts(name)
        self.data, self.noisy = cases.problem(), cases.problem(noise=0.5)
        self.simulation = cases.build(name, plain=plain)

    def of(self, *, lr=None, W=None, data=None, seed=None):
        """The simulation with other arrays of the same shapes."""
        new = {}
        if lr is not None:
            new["algorithm"] = self.simulation.algorithm.replace(lr=jnp.float32(lr))
        if W is not None:
            new["schedule"] = cases.dense(W)
        if data is not None:
            new["problem"] = data
        if seed is not None:
            new["key"] = jax.random.key(seed)
        return self.simulation.replace(**new)

    def run(self, rounds: int = ROUNDS, start=None, **arrays) -> np.ndarray:
        """The models after some rounds of the simulation `of(**arrays)`: `[n, d]`, or `[1, d]` with a server."""
        return cases.run(self.of(**arrays), rounds, self.start if start is None else start)

    @functools.cached_property
    def base(self) -> np.ndarray:
        """The models of the plain run, over W, without noise."""
        return self.run()

    @functools.cached_property
    def begun(self):
        """The state before the first round, on noisy data."""
        return cases.init(self.of(data=self.noisy), self.start)

    @functools.cached_property
    def end(self):
        """The state after `ROUNDS` rounds without a stop, on noisy data."""
        return cases.advance(self.of(data=self.noisy), self.begun, jnp.int32(ROUNDS))[0]

    @functools.cached_property
    def isolated(self) -> tuple:
        """State and models where nobody talks: W = I."""
        simulation = self.of(W=np.eye(cases.N))
        return cases.advance(simulation, cases.init(simulation, self.start), jnp.int32(ROUNDS))

    @functools.cached_property
    def strangers(self) -> tuple:
        """The same, where all rows but `KEPT` have other data and another start."""
        other = cases.problem(seed=1)
        data = self.data.replace(A=other.A.at[KEPT].set(self.data.A[KEPT]), b=other.b.at[KEPT].set(self.data.b[KEPT]))
        start = cases.starts(self.name, seed=1)
        start[KEPT] = self.start[KEPT]
        simulation = self.of(W=np.eye(cases.N), data=data)
        return cases.advance(simulation, cases.init(simulation, start), jnp.int32(ROUNDS))

    @property
    def same_data(self):
        """Everybody has the data of node 0."""
        A, b = self.data.A, self.data.b
        return self.data.replace(A=jnp.repeat(A[:1], cases.N, 0), b=jnp.repeat(b[:1], cases.N, 0))
