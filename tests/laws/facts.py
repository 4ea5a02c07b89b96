"""What papers say of methods, and what networks do to messages: from both follows which pairs are refused.

Written down from the papers and not read from what the parts declare, so that `needs` and `breaks` can be wrong. Each
method is named once under the weakest W for which its paper proves something, and once more under what else it relies
on.
"""

from __future__ import annotations

import itertools

import cases

# Models are averaged, and a row of W that sums to one is enough for an average.
AVERAGES = {
    "ADPSGD", "AverageDirectionSAM", "CTA", "DFedAvgM", "DFedSAM", "DGD", "DPSGD", "DSGDm", "DeltaSGD", "DmSGD",
    "EagerDiLoCo", "GossipDiLoCo", "GossipLearning", "QGAdam", "QGDSGDm", "SPARTA", "ScaledLocalSGD", "SlowMo",
    "SwarmSGD",
}  # fmt: skip
# The mean over the nodes of a tracker, of an error or of a moment is an invariant: columns of W sum to one as well.
KEEP_A_SUM = {
    "AugDGM", "BEER", "CDProxSGT", "DAdam", "DCD", "DIGing", "DProxSGT", "DeepSqueeze", "ECD", "GTAdam", "GTSAGA",
    "GTSARAH", "GTVR", "GradientTracking", "KGT", "MomentumTracking", "NesterovGradientTracking",
}  # fmt: skip
# Primal-dual steps along I - W, a square root of which is taken, and edges whose two ends do the same: W = W^T.
BOTH_WAYS = {
    "A2CiD2", "ADMM", "D2", "DADAO", "DLM", "DecentLaM", "DiNNO", "EXTRA", "ExactDiffusion", "LEAD", "LED", "LTADMM",
    "LTADMMVR", "NIDS",
    "OPAPC", "PowerGossip", "ProxSkip", "WangElia",
}  # fmt: skip
# Sums are pushed, and x / w is the model: columns alone.
PUSHED = {"OverlapSGP", "PushSum"}
# A sum along the edges of a graph whose weights do not matter.
ALONG_EDGES = {"ATG", "RelaySGD"}
# The own model and some of those heard, in equal parts, whatever the weights.
CHOOSES = {"PENS"}
ALONE = {"LocalOnly"}
SERVED = set(cases.SERVERS)

# A neighbour holds a copy of what the sender holds, and only changes of it travel: Zhao et al. 2022 (H and G of BEER),
# Yan et al. 2023 (CDProxSGT), Tang et al. 2018 (DCD), Liu et al. 2021 (H of LEAD). A change that is missed, for
# whatever reason, is missed for ever.
COPIES = set(cases.COPIES)
# Both ends of an edge hold the same thing and change it alike: Vogels et al. 2020 (P), Vogels et al. 2021 (what a
# neighbour relayed), and the edges of ATG. An edge that fails both ways leaves both ends as they were.
SAME_EDGES = {"ATG", "PowerGossip", "RelaySGD"}
EVERY_MESSAGE = set(cases.LOSING)

# Beside a model, or in place of it, these send trackers, dual or second sequences, weights, factors, momenta or sums,
# in one message or in several a round.
MORE_THAN_A_MODEL = {
    "ATG", "AugDGM", "BEER", "CDProxSGT", "DADAO", "DIGing", "DProxSGT", "DmSGD", "GTAdam", "GTSAGA", "GTSARAH", "GTVR",
    "GossipDiLoCo", "GossipLearning", "GradientTracking", "KGT", "MomentumTracking", "NesterovGradientTracking",
    "OverlapSGP", "PowerGossip", "PushSum", "RelaySGD", "ScaledLocalSGD", "WangElia",
}  # fmt: skip

# The same to a server, which sends more than a model, or is sent more than one change of it a round. A server without
# rounds tells its version beside its model, and is sent changes of models of before.
MORE_THAN_A_CHANGE = {
    "AsyncDiLoCo", "CDFL", "DRFA", "DeMo", "FSVRG", "FedAMD", "FedAc", "FedAsync", "FedBuff", "FedCompass", "FedLin",
    "FedNova", "FedPD", "FetchSGD", "MimeLite", "QFedAvg", "Scaffnew", "Scaffold", "SparseLoCo", "StreamingDiLoCo",
}  # fmt: skip

# Servers that take a step when a number of changes has arrived, from however many clients.
COUNTING_CHANGES = {"FedBuff"}

# The networks, and the exchanges of the command line by what they do.
NETWORKS = ("static", "changing", "lossy", "waves")
# Codecs of one message, an array, whatever it is made of; half precision alone treats numbers one by one.
REMEMBER = {"power_sgd", "fragment"}
SIZED_BY_CONTENT = {"threshold", "fed_zip", "k_means"}
COMPRESS = REMEMBER | SIZED_BY_CONTENT | {
    "binomial_mechanism", "block_wise", "count_sketch", "eight_bit_float", "low_rank", "natural", "qsgd", "quantile",
    "rand_k", "random_low_rank", "rqm", "sign", "significant_digits", "sparse_ternary", "statistical", "tern_grad",
    "top_k", "uniform",
}  # fmt: skip
# Rules in place of the mean: for everyone, for peers, and for servers.
RULES = {
    "bucketing", "bulyan", "centred_clipping", "coordinate_median", "geometric_median", "krum", "mda", "meamed",
    "multi_krum", "nearest_neighbour_mixing", "trimmed_mean",
}  # fmt: skip
RULES_OF_PEERS = {"balance", "clipped_gossip", "cs_plus", "gts", "ios", "nearest_neighbour_averaging", "ubar"}
RULES_OF_SERVERS = {"fed_cpa", "fl_trust", "flag_aggregator", "fools_gold", "norm_clipping", "sign_majority"}
# It passes on, beside a message, models of nodes that its sender always hears.
PASSES_ON = {"sybil_wall"}
RANK = RULES | RULES_OF_PEERS | RULES_OF_SERVERS | PASSES_ON
# Rules that ask data the loss of a message, a model; and rules that add a message, a change, to the server's model.
ASK_THE_DATA = {"ubar"}
READ_THE_MODEL = {"fed_cpa", "fl_trust"}
# Attacks that compare the messages of different nodes or pass them on; that tell each victim something of its own; and
# that look at one message alone.
COMPARING = {
    "alie", "dmpa", "free_rider", "inner_product", "mimic", "min_max", "min_sum", "model_replacement", "strongest",
    "sybil",
}  # fmt: skip
ON_EACH = {"dissensus", "spectral"}
ATTACKS = COMPARING | ON_EACH | {"constant", "gaussian", "sign_flip", "zero"}
NOT_A_W = {"chebyshev", "variance_corrected"}  # weights of other signs, and a stretched mean
# Noise that cancels between neighbours; and what a server does with the messages of its clients.
CANCELS = {"decor", "zip_dl"}
AT_A_SERVER = {"client_privacy", "quantile_clipping", "secure_aggregation", "tree_noise"} | RULES_OF_SERVERS
# They leave out some of what could be sent: parts that are lost or private, and messages that changed little.
IN_PARTS = {"fragments", "random_share", "slice_loss"}
SPARING = {"fragments", "random_share", "sybil_wall", "triggered", "until_consensus"}
AMONG_PEERS = {
    "choco",
    "false_degree",
    "fragments",
    "triggered",
    "until_consensus",
    "repeated",
    "fill_missing",
    "stale",
    "free_rider",
    *CANCELS,
    *ON_EACH,
    *NOT_A_W,
    *RULES_OF_PEERS,
    *PASSES_ON,
}
# No message for each neighbour.
ONE_ARRAY = {"choco", "repeated", "delayed", "stale", "message_noise", *CANCELS, *COMPARING, *ON_EACH, *COMPRESS, *RANK}
ONE_ARRAY |= NOT_A_W | IN_PARTS | SPARING | {"secure_aggregation"}
# Who is read differs from row to row, and with `false_degree` how much.
ROWS_ONLY = {"delayed", "false_degree", "fill_missing", "stale"}
NO_PUSH = {"message_noise", *IN_PARTS, *CANCELS, *RANK, *ON_EACH, *NOT_A_W, *ROWS_ONLY}
# They repeat the mean, stretch it, or mix copies or parts: there is no message of each neighbour to be heard.
ONLY_A_MEAN = NOT_A_W | PASSES_ON | {"choco", "fragments", "free_rider", "repeated", "triggered", "until_consensus"}
KEEPS_COPIES = {"choco", "triggered", *PASSES_ON}  # of what a node sent last, at its neighbours
MISSES = {"lossy", "bursty_links", "delayed", "stale", "verified", *IN_PARTS}  # not every message arrives in its round


def words(name: str, exchange: str, network: str = "static") -> set[str]:
    """The words of which one stands in the refusal; none if the pair runs.

    Args:
      name: the method.
      exchange: the exchange, in a network of its own.
      network: "static", one graph or all clients; "changing", a graph or a sample that changes; "lossy", one graph
        whose messages are lost; "waves", in which only some nodes take part.
    """
    served, moves = name in SERVED, network in ("changing", "waves")
    found = set()
    if served and exchange in AMONG_PEERS:
        found |= {"peers"}
    if not served and exchange in AT_A_SERVER:
        found |= {"server"}
    if name in MORE_THAN_A_MODEL | CHOOSES and exchange in ASK_THE_DATA:  # models one by one are not averaged
        found |= {"models"}
    if name in MORE_THAN_A_CHANGE and exchange in READ_THE_MODEL:
        found |= {"reference"}
    if exchange == "fl_trust":  # and the problem of the laws has no public data
        found |= {"public"}
    if name in SAME_EDGES and exchange in ONE_ARRAY:
        found |= {"per_link", "symmetric"}
    if name in SAME_EDGES and exchange == "false_degree":  # one word says that links and that weights go both ways
        found |= {"symmetric"}
    if name in CHOOSES and exchange in ONLY_A_MEAN:
        found |= {"each"}
    if name in PUSHED and exchange in NO_PUSH:
        found |= {"column_stochastic"}
    if name in KEEP_A_SUM | BOTH_WAYS and exchange in ROWS_ONLY:
        found |= {"doubly_stochastic", "symmetric"}
    if name in EVERY_MESSAGE and (exchange in MISSES or network == "lossy"):
        found |= {"reliable", "doubly_stochastic"}
    if name in COPIES | {"EF21"} and exchange in COMPRESS:
        found |= {"copies"}
    if name in COPIES and exchange in CANCELS | {"message_noise", "client_privacy", "quantile_clipping", "tree_noise"}:
        found |= {"copies"}
    if exchange in KEEPS_COPIES | {"zip_dl"} and network == "lossy":
        found |= {"reliable"}
    if not served and moves and (name in COPIES | SAME_EDGES or exchange in KEEPS_COPIES):
        found |= {"fixed_links", "per_link"}
    if not served and moves and exchange in ("delayed", "stale"):
        found |= {"lasting_links", "fixed_links"}
    return found


# Exchanges that are one like another to the engine and to all methods. Each has tests of its own.
ALIKE = [COMPRESS - REMEMBER, RULES, RULES_OF_PEERS, RULES_OF_SERVERS, ATTACKS]


def peers() -> list[set[str]]:
    """The sets that divide the methods."""
    return [AVERAGES, KEEP_A_SUM, BOTH_WAYS, PUSHED, ALONG_EDGES, CHOOSES, ALONE, SERVED]


PAIRS = list(itertools.product(cases.ALGORITHMS, cases.EXCHANGES))
REFUSED = [(name, exchange) for name, exchange in PAIRS if words(name, exchange)]
