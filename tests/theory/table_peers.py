"""The rows of methods of peers."""

from __future__ import annotations

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_decentralized as peers
import numpy_federated as federated
import numpy_newer as newer
import numpy_outer as outer
import numpy_poisson as poisson
from beds import MEAN, N, coins, own_coins
from table import ADAMW, LR, OUTER, SGD, STEPS, TOP, WIDE, H, Row, T, X, adamw, divided, pair, soften, top

from jdl import exchange


def parts_drawn(parts):
    """By the documented key of the node's own randomness."""
    draw = lambda t, i: jax.random.randint(beds.key_of("node", t, i), (), 0, parts)
    return np.asarray(beds.jit(jax.vmap(jax.vmap(draw, (None, 0)), (0, None)))(jnp.arange(T), jnp.arange(N)))


def steps_drawn(parts):
    """The same for each of H local steps, `[T, n, H]`."""
    draw = lambda t, i: jax.random.randint(beds.key_of("node", t, i), (H,), 0, parts)
    return np.asarray(beds.jit(jax.vmap(jax.vmap(draw, (None, 0)), (0, None)))(jnp.arange(T), jnp.arange(N)))


def lt_admm_vr(case, renews):
    gradient = newer.saga(case.F, X, 4, steps_drawn(4), renews)
    return newer.lt_admm(case.W, gradient, X, LR, T, 0.6 / (H * 0.7), 0.7, H)[0]


def chosen(probability):
    """The parameters that all nodes average together, `[T, d]`, by the key that they share."""
    draw = lambda t: jax.random.uniform(beds.key_of("common", t), X.shape[1:]) < probability
    return np.asarray(beds.jit(jax.vmap(draw))(jnp.arange(T)))


def power_gossip(case, iterations):
    """The vectors with which the power iteration begins are random, and the same on all edges."""
    left, right = case.before.left[0][0, 0, :, 0], case.before.right[0][0, 0, :, 0]
    edges = {(i, j): (left, right) for i in range(N) for j in range(i + 1, N) if case.W[i, j]}
    how = {"overlap": False, "skip_first": False, "eps": 0.0, "iterations": iterations}
    return peers.power_gossip(case.W, case.G, WIDE, LR, T, (4, 3), edges, **how)


PEERS = {
    "A2CiD2": Row(
        {"chi1": 3.0, "chi2": 0.75},
        lambda c: poisson.a2cid2_in_rounds(*c.peers, 3.0, 0.75),
        lambda run, ref: [pair(run.nodes.other, ref[1])],
    ),
    "ADMM": Row(
        {"penalty": 0.5, "exact": True},
        lambda c: peers.admm(c.W, c.A, c.b, X, T, 0.5),
        lambda run, ref: [(run.nodes.alpha, ref[1][:-1], 1e-11)],  # alpha of a round is that before its step
    ),
    "ADMM by steps": Row({"penalty": 0.4, **STEPS}, lambda c: peers.admm_by_steps(*c.peers, 0.4, H)),
    "ADPSGD": Row({}, lambda c: peers.dgd(*c.peers)),  # nothing is stale where all act in every round
    "ATG": Row({"mixing": 0.4, "penalty": 0.7, "relaxation": 0.6}, lambda c: newer.atg(*c.peers, 0.4, 0.7, 0.6)),
    "AugDGM": Row({}, lambda c: peers.gradient_tracking(*c.peers, mix_difference=True)),
    # On quadratics it is D-PSGD, whatever its radius: what it adds needs third derivatives.
    "AverageDirectionSAM": Row({"rho": 0.7}, lambda c: peers.atc(*c.peers)),
    "BEER": Row({"gamma": 0.3, **TOP}, lambda c: peers.beer(*c.peers, 0.3, top)),
    "BEER matched": Row(
        {"gamma": 0.3, "start": "matched", **TOP}, lambda c: peers.beer(*c.peers, 0.3, top, matched=True)
    ),
    "CDProxSGT": Row(
        {"gamma_x": 0.3, "gamma_y": 0.2, "strength": 0.1, **TOP},
        lambda c: peers.cdproxsgt(*c.peers, 0.3, 0.2, top, soften),
    ),
    "CTA": Row({}, lambda c: peers.cta(*c.peers)),
    "CTA local": Row(STEPS, lambda c: peers.cta(*c.peers, H)),
    "D2": Row({}, lambda c: peers.d2(*c.peers)),
    "D2 slots": Row({}, lambda c: peers.d2(*c.peers), form="slots"),
    "DADAO": Row(
        {"mu": 0.25, "chi1": 0.3},
        lambda c: poisson.dadao_in_rounds(c.W, c.F, X, T, 0.25, 1 / LR, 0.3),
        lambda run, ref: [pair(run.nodes.yt, ref[1][3]), pair(run.nodes.zt, ref[1][5], 1e-10)],
    ),
    "DAdam": Row({"b1": 0.8, "b2": 0.9, "eps": 1e-3}, lambda c: peers.dadam(*c.peers, 0.8, 0.9, 1e-3)),
    "DAdam amsgrad": Row(
        {"b1": 0.8, "b2": 0.95, "eps": 0.1, "amsgrad": True}, lambda c: peers.amsgrad(*c.peers, 0.8, 0.95, 0.1)
    ),
    "DCD": Row(TOP, lambda c: peers.dcd(*c.peers, top)),
    "DCD by default": Row({}, lambda c: peers.dcd(*c.peers, peers.nearest)),
    "DFedAvgM": Row({"momentum": 0.6, **STEPS}, lambda c: peers.dfedavgm(*c.peers, H, 0.6)),
    "DFedSAM": Row({"rho": 0.2, **STEPS}, lambda c: peers.dfedsam(*c.peers, H, 0.2)),
    "DGD": Row({}, lambda c: peers.dgd(*c.peers)),
    # Neighbours' copies begin at C(x_0), not at 0: nodes send before they step.
    "DGD through CHOCO": Row(
        {},
        lambda c: peers.choco_sgd_iclr(*c.peers, 0.3, top, hat0=top(X)),
        W=[beds.ring(), beds.symmetric()],
        network=[exchange.Choco(gamma=0.3, **TOP)],
    ),
    "DIGing": Row({}, lambda c: peers.diging(*c.peers)),
    "DLM": Row({"penalty": 0.5}, lambda c: peers.dlm(*c.peers, 0.5)),
    "DPSGD": Row({}, lambda c: peers.atc(*c.peers), tolerance=1e-12),
    "DPSGD local": Row(STEPS, lambda c: peers.atc(*c.peers, H), tolerance=1e-12),
    "DPSGD slots": Row({}, lambda c: peers.atc(*c.peers), form="slots"),
    "DPSGD momentum": Row({**STEPS, "optimizer": "momentum"}, lambda c: peers.atc(*c.peers, H, 0.9)),
    "DPSGD shared momentum": Row(
        {**STEPS, "optimizer": "momentum", "share_moments": True}, lambda c: peers.atc(*c.peers, H, 0.9, share=True)
    ),
    "DPSGD through CHOCO": Row(
        {},
        lambda c: peers.choco_sgd(*c.peers, 0.3, top),
        W=[beds.ring(), beds.symmetric()],
        network=[exchange.Choco(gamma=0.3, **TOP)],
    ),
    "DProxSGT": Row({"strength": 0.1}, lambda c: peers.dproxsgt(*c.peers, soften)),
    "DSGDm": Row({"momentum": 0.6}, lambda c: peers.dsgdm(*c.peers, 0.6)),
    "DSGDm nesterov": Row({"momentum": 0.6, "nesterov": True}, lambda c: peers.dsgdm(*c.peers, 0.6, nesterov=True)),
    "DecentLaM": Row({"momentum": 0.6}, lambda c: peers.decentlam(*c.peers, 0.6)),
    "DeepSqueeze": Row(
        {"gamma": 0.3, **TOP},
        lambda c: peers.deepsqueeze(*c.peers, 0.3, top),
        lambda run, ref: [pair(run.nodes.error, ref[1])],
    ),
    "DeltaSGD": Row({"gamma": 0.05, "delta": 0.6, **STEPS}, lambda c: peers.delta_sgd(*c.peers, H, 0.05, 0.6)),
    "DiNNO": Row(
        {"penalty": 0.4, "growth": 1.01, **STEPS},
        lambda c: newer.dinno(*c.peers, 0.4, 1.01, H),
        lambda run, ref: [pair(run.nodes.dual, ref[1])],
    ),
    "DiNNO persistent": Row(
        {"penalty": 0.4, "persistent": True, **STEPS},
        lambda c: newer.dinno(*c.peers, 0.4, 1.0, H, persistent=True),
    ),
    "DiNNO sgd": Row(
        {"penalty": 0.4, "growth": 1.01, "optimizer": "sgd", **STEPS},
        lambda c: newer.dinno(*c.peers, 0.4, 1.01, H, adam=False),
        lambda run, ref: [pair(run.nodes.dual, ref[1])],
    ),
    "DmSGD": Row({"momentum": 0.6}, lambda c: peers.dmsgd(*c.peers, 0.6)),
    "DmSGD old": Row({"momentum": 0.6, "old": True}, lambda c: peers.dmsgd(*c.peers, 0.6, old=True)),
    "ECD": Row(TOP, lambda c: peers.ecd(*c.peers, top)),
    "ECD by default": Row({}, lambda c: peers.ecd(*c.peers, peers.nearest)),
    "EXTRA": Row({}, lambda c: peers.extra(*c.peers)),
    "EagerDiLoCo": Row(ADAMW, lambda c: federated.eager_diloco(*c.peers, H, 0.3, 0.4, adamw)),
    "EagerDiLoCo heavy ball": Row(
        {"nesterov": False, **SGD, **OUTER},
        lambda c: federated.eager_diloco(*c.peers, H, 0.3, 0.4, nesterov_form=False),
        tolerance=1e-12,
    ),
    "ExactDiffusion": Row({}, lambda c: peers.exact_diffusion(*c.peers)),
    "GTSAGA": Row({"parts": 4}, lambda c: peers.gt_saga(c.W, c.F, X, LR, T, 4, parts_drawn(4))),
    "GTSARAH": Row({"period": 7}, lambda c: peers.gt_sarah(*c.peers, c.F, 7)),
    "GTAdam": Row(
        {"b1": 0.8, "b2": 0.9, "eps": 1e-3, "cap": 0.5},
        lambda c: newer.gtadam(*c.peers, 0.8, 0.9, 1e-3, 0.5),
        lambda run, ref: [pair(run.nodes.v, ref[1])],
    ),
    "GTVR": Row(
        {"probability": 0.3},
        lambda c: newer.gt_vr(c.W, c.G, c.F, X, LR, T, own_coins(0.3)),
        lambda run, ref: [pair(run.nodes.v, ref[1])],
    ),
    "GossipLearning": Row({}, lambda c: peers.cta(*c.peers)),  # all ages are equal where all act in every round
    "GossipDiLoCo": Row(
        {"pull": 0.2, **ADAMW},
        lambda c: federated.gossip_diloco([c.W] * T, c.G, X, LR, T, H, 0.3, 0.4, 0.2, adamw),
    ),
    "GradientTracking": Row({}, lambda c: peers.gradient_tracking(*c.peers)),
    "KGT": Row(
        {"server_lr": 0.7, **STEPS},
        lambda c: peers.kgt(*c.peers, H, 0.7),
        lambda run, ref: [divided(run.nodes.c, ref[1])],
    ),
    "LEAD": Row(
        {"gamma": 0.4, "alpha": 0.5, **TOP},
        lambda c: peers.lead(*c.peers, 0.4, 0.5, top),
        lambda run, ref: [divided(run.nodes.dual / LR, ref[1])],
    ),
    "LED": Row({"dual_lr": 0.6, **STEPS}, lambda c: peers.led(*c.peers, H, 0.6 / H)),
    # Only the product of the paper's beta and rho matters: dual_lr = H beta rho.
    "LTADMM": Row(
        {"dual_lr": 0.6, **STEPS},
        lambda c: newer.lt_admm(*c.peers, 0.6 / (H * 0.7), 0.7, H),
    ),
    "LTADMMVR": Row({"dual_lr": 0.6, "parts": 4, **STEPS}, lambda c: lt_admm_vr(c, renews=True)),
    "LTADMMVR table": Row(
        {"dual_lr": 0.6, "parts": 4, "renews": False, **STEPS}, lambda c: lt_admm_vr(c, renews=False)
    ),
    "LocalOnly": Row(STEPS, lambda c: peers.atc(np.eye(N), c.G, X, LR, T, H)),
    "MomentumTracking": Row({"momentum": 0.6}, lambda c: peers.momentum_tracking(*c.peers, 0.6)),
    "NIDS": Row({}, lambda c: peers.nids(*c.peers)),
    "NesterovGradientTracking": Row(
        {"alpha": (0.25 * LR) ** 0.5}, lambda c: peers.nesterov_gradient_tracking(*c.peers, 0.25)
    ),
    "OPAPC": Row(
        {"mu": 0.25, "chi": 40.0, "largest": 1.8},
        lambda c: peers.apapc(*c.peers, 40 * 0.25 * LR, 1 / (1.8 * LR), 0.25),
    ),
    "OverlapSGP": Row({}, lambda c: peers.overlap_sgp(*c.peers)),
    "OverlapSGP local": Row(STEPS, lambda c: peers.overlap_sgp(*c.peers, H)),
    # Power iterations amplify rounding, in the reference as well: by 10 in 6 rounds, of one iteration each.
    "PowerGossip": Row({}, lambda c: power_gossip(c, 1), bed={"dim": 12, "form": beds.matrix}, rounds=30),
    "PowerGossip twice": Row(
        {"iterations": 2},
        lambda c: power_gossip(c, 2),
        bed={"dim": 12, "form": beds.matrix},
        rounds=15,
        tolerance=1e-10,
    ),
    "ProxSkip": Row(
        {"probability": 0.4, "share": 0.3},
        lambda c: peers.proxskip(*c.peers, 0.4, 0.3, coins(0.4)),
        lambda run, ref: [divided(run.nodes.h * 0.4 / LR, ref[1])],
    ),
    "PushSum": Row(
        {},
        lambda c: peers.push_sum(*c.peers),
        lambda run, ref: [pair(run.nodes.x, ref[1]), pair(run.nodes.w, ref[2])],
    ),
    "PushSum slots": Row(
        {},
        lambda c: peers.push_sum(*c.peers),
        lambda run, ref: [pair(run.nodes.x, ref[1]), pair(run.nodes.w, ref[2])],
        form="slots",
    ),
    "QGAdam": Row({"b1": 0.8, "b2": 0.9, "eps": 1e-3}, lambda c: peers.qg_adam(*c.peers, 0.8, 0.9, 1e-3)),
    "QGDSGDm": Row({"momentum": 0.6, "mu": 0.8}, lambda c: peers.qg_dsgdm(*c.peers, 0.6, 0.8)),
    "QGDSGDm nesterov": Row(
        {"momentum": 0.6, "mu": 0.8, "nesterov": True},
        lambda c: peers.qg_dsgdm(*c.peers, 0.6, 0.8, nesterov=True),
    ),
    "RelaySGD": Row({}, lambda c: peers.relaysgd(*c.peers), tolerance=1e-12),
    "RelaySGD local": Row(STEPS, lambda c: peers.relaysgd(*c.peers, H), tolerance=1e-12),
    "SPARTA": Row({"fraction": 0.4}, lambda c: outer.sparta(*c.peers, chosen(0.4))),
    "ScaledLocalSGD": Row(
        {"beta": 0.9, "floor": 0.3, **STEPS},
        lambda c: peers.scaled_local_sgd(*c.peers, H, 0.9, 0.3),
        lambda run, ref: [pair(run.nodes.v, ref[1])],
    ),
    "SlowMo": Row(
        {"period": 1, "slow_lr": 0.8, "slow_momentum": 0.6, **STEPS},
        lambda c: peers.slowmo(None, *c.peers[1:], H, 0.8, 0.6),
        W=[MEAN],  # the reference averages exactly
    ),
    "SwarmSGD": Row(STEPS, lambda c: peers.atc(*c.peers, H)),
    "WangElia": Row(
        {"gain": 0.4}, lambda c: newer.wang_elia(*c.peers, 0.4), lambda run, ref: [pair(run.nodes.z, ref[1])]
    ),
}
