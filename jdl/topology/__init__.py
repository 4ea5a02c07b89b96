"""Communication graphs with mixing weights, made once on the host. `W[i, j]` is what receiver i gives to sender j."""

from jdl.topology.files import from_file
from jdl.topology.forms import to_dense
from jdl.topology.graphs import complete, exponential, ring, torus
from jdl.topology.random_graphs import random_regular
from jdl.topology.spectrum import eigenvalues, lambda_2, second_largest_eigenvalue, spectral_gap
from jdl.topology.time_varying import one_peer_exponential
from jdl.topology.topology import Topology, circulant
from jdl.topology.weights import check_weights, from_graph, from_weights, metropolis

__all__ = [
    "Topology",
    "check_weights",
    "circulant",
    "complete",
    "eigenvalues",
    "exponential",
    "from_file",
    "from_graph",
    "from_weights",
    "lambda_2",
    "metropolis",
    "one_peer_exponential",
    "random_regular",
    "ring",
    "second_largest_eigenvalue",
    "spectral_gap",
    "to_dense",
    "torus",
]
