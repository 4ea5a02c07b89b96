"""Communication graphs with mixing weights, computed once on the host.

`W[i, j]` is the weight that receiver i gives to sender j.
"""

from jdl import checks
from jdl.topology.cycles.alternating import alternating_exponential_ring
from jdl.topology.cycles.base_k import base_k, simple_base_k
from jdl.topology.cycles.exponentials import k_peer_exponential, one_peer_exponential
from jdl.topology.cycles.hyper_hypercube import hyper_hypercube, moshpit, one_peer_hypercube
from jdl.topology.cycles.multigraph import multigraph, multigraph_of
from jdl.topology.cycles.switching import switching
from jdl.topology.forms import to_dense
from jdl.topology.graphs.attached import attached
from jdl.topology.graphs.bipartite import complete_bipartite
from jdl.topology.graphs.cliques import barbell, caveman, complete, two_cliques
from jdl.topology.graphs.complex_networks import barabasi_albert, random_geometric, watts_strogatz
from jdl.topology.graphs.d_cliques import cliques_of, d_cliques
from jdl.topology.graphs.designed import designed_ring, minimum_bottleneck_tree
from jdl.topology.graphs.digraphs import de_bruijn, exponential, kautz
from jdl.topology.graphs.equitopo import equistatic
from jdl.topology.graphs.expanders import expander, margulis
from jdl.topology.graphs.labelled import label_neighbours
from jdl.topology.graphs.lattices import chain, grid, hypercube, ring, torus
from jdl.topology.graphs.random_graphs import erdos_renyi, random_regular, stochastic_block
from jdl.topology.graphs.social import social_network
from jdl.topology.graphs.trees import binary_tree, star, tree
from jdl.topology.spectrum.distances import diameter
from jdl.topology.spectrum.eigenvalues import eigenvalues, extremes, lambda_2, second_largest_eigenvalue, spectral_gap
from jdl.topology.spectrum.meetings import MeetingConstants, edge_rates, meeting_constants
from jdl.topology.spectrum.neighbours import EffectiveNeighbours, effective_neighbours
from jdl.topology.spectrum.periods import contraction, exact_after_rounds, period_product
from jdl.topology.spectrum.sampled import expected_contraction, sample_rounds
from jdl.topology.topology import Topology, circulant, grouped
from jdl.topology.weights.files import from_file
from jdl.topology.weights.weighted import SCHEMES, check_weights, from_graph, from_weights, metropolis, weighted

__all__ = [
    "EffectiveNeighbours",
    "MeetingConstants",
    "SCHEMES",
    "Topology",
    "alternating_exponential_ring",
    "attached",
    "barabasi_albert",
    "barbell",
    "base_k",
    "binary_tree",
    "caveman",
    "chain",
    "check_weights",
    "circulant",
    "cliques_of",
    "complete",
    "complete_bipartite",
    "contraction",
    "d_cliques",
    "de_bruijn",
    "designed_ring",
    "diameter",
    "edge_rates",
    "effective_neighbours",
    "eigenvalues",
    "equistatic",
    "erdos_renyi",
    "exact_after_rounds",
    "expander",
    "expected_contraction",
    "exponential",
    "extremes",
    "from_file",
    "from_graph",
    "from_weights",
    "grid",
    "grouped",
    "hyper_hypercube",
    "hypercube",
    "k_peer_exponential",
    "kautz",
    "label_neighbours",
    "lambda_2",
    "margulis",
    "meeting_constants",
    "metropolis",
    "minimum_bottleneck_tree",
    "moshpit",
    "multigraph",
    "multigraph_of",
    "one_peer_exponential",
    "one_peer_hypercube",
    "period_product",
    "random_geometric",
    "random_regular",
    "ring",
    "sample_rounds",
    "second_largest_eigenvalue",
    "simple_base_k",
    "social_network",
    "spectral_gap",
    "star",
    "stochastic_block",
    "switching",
    "to_dense",
    "torus",
    "tree",
    "two_cliques",
    "watts_strogatz",
    "weighted",
]

checks.renamed(__name__, {"Neighbours": "jdl.topology.EffectiveNeighbours"})
