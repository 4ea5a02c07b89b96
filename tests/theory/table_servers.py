"""The rows of methods with a server."""

from __future__ import annotations

import functools

import beds
import jax
import jax.numpy as jnp
import numpy as np
import numpy_asynchronous as asynchronous
import numpy_decentralized as peers
import numpy_federated as federated
import numpy_newer as newer
import numpy_outer as outer
from beds import COUNTS, N, coins, own_coins
from table import (
    ADAMW,
    ALL,
    BUDGETS,
    HEAVY,
    HEIGHT,
    LR,
    OUTER,
    SGD,
    STEPS,
    THERE,
    TOP,
    WIDE,
    H,
    Row,
    T,
    adamw,
    divided,
    pair,
    slow,
    top,
    x,
)

from jdl.schedule import Arrivals, Availability, Compass


@functools.cache
def stops():
    """After how many local steps DRFA takes its snapshot: by the common key, 1 to H."""
    stop = lambda t: jax.random.randint(beds.key_of("common", t), (), 1, H + 1, jnp.int32)
    return np.asarray(beds.jit(jax.vmap(stop))(jnp.arange(T)))


# An array of 4 x 3 numbers; and 2 of the 6 numbers of each of its two blocks of 2 x 3.
MATRIX = {"dim": 12, "form": beds.matrix}
BLOCKS = {"outer_lr": 0.8, "error_decay": 0.7, "fraction": 0.4, "chunk": 3, "bits": 0}


def sparseloco(case, **how):
    return outer.sparseloco(*case.steps[:2], WIDE[0], *case.steps[3:], (4, 3), 3, 0.4, 0.7, outer_lr=0.8, **how)


def anchors(tossed):
    tossed = tossed.copy()
    tossed[0] = True
    return tossed


# Clients of unequal speeds: in 60 arrivals the slowest comes twice, and two pairs finish together now and then.
SECONDS = [1.0, 1.0, 1.25, 1.5, 2.0, 3.1, 4.0, 14.0]
ARRIVE = {"talk": lambda: Arrivals.of(SECONDS, T)}


def one_by_one():
    return asynchronous.events(SECONDS, T)[0]


def in_windows():
    """Each client waits for the end of a window, and so comes in every so many of them."""
    every = np.ceil(np.add(SECONDS, 1.5) / 2)
    return [[*np.flatnonzero((t + 1) % every == 0)] for t in range(T)]


# Groups of unequal clients under random times, of whom some are late.
SPEEDS = np.array([0.5, 0.6, 0.7, 1.0, 1.1, 1.5, 2.5, 3.0])
LIMITS = {"least": 1, "most": 4, "latest": 1.05, "momentum": 0.5, "law": "log_normal", "sigma": 0.4}


def lognormal(sigma, seed=0):
    draws = np.exp(sigma * np.random.default_rng(seed).standard_normal(4096) - sigma**2 / 2)
    return iter(draws.tolist()).__next__


def in_groups(rounds=T):
    return asynchronous.compass(SPEEDS, rounds, 1, 4, 1.05, 0.5, lognormal(0.4))


def half_at_work():
    return Arrivals.of(SECONDS, T, concurrency=4, seed=3, steps=BUDGETS)


def who(does):
    """The clients that arrive, or begin, in each round of that plan."""
    plan = half_at_work()
    return [
        row[there].tolist() for row, there in zip(*map(np.asarray, (plan.clients, getattr(plan, does))), strict=True)
    ]


def around(M, apart):
    """The initial clusters, by the library's draws."""
    draws = jax.random.normal(jax.random.split(jax.random.key(0), 1)[0], (M, x.size), x.dtype)
    return x + apart * np.asarray(draws)


def versions(run, ref):
    """Of the models that clients hold, which says how stale each arrival was."""
    return [pair(run.nodes.version, ref[1])]


def streaming(case, fragments, alpha=0.0, tau=0, inner=federated.SGD):
    """fragments: of each number, its fragment."""
    ids = [np.flatnonzero(np.array(fragments) == fragment) for fragment in range(max(fragments) + 1)]
    return federated.streaming_diloco(*case.steps[1:], ids, 0.3, 0.4, alpha, tau, inner)[1]


SERVER = {
    "AFL": Row(
        {"share_lr": 0.05},
        lambda c: federated.afl(c.G, c.losses, x, LR, T, N, 0.05),
        lambda run, ref: [pair(run.server.share, ref[1])],
        **ALL,
    ),
    "AsyncDiLoCo": Row(
        {**HEAVY, "delay": 4},
        lambda c: asynchronous.async_diloco(
            one_by_one(), c.G, x, LR, N, H, 4, 0.3, 0.4, lambda: asynchronous.heavy_ball(0.5)
        )[:2],
        lambda run, ref: [pair(run.nodes.pulled.version, ref[1])],
        **ARRIVE,
    ),
    "CDFL": Row(
        {"clusters": 3, "mixing": 0.7, "power": 0.4, "sharpness": 3.0, "apart": 0.5, **STEPS},
        lambda c: asynchronous.cdfl(one_by_one(), c.G, x, LR, N, H, around(3, 0.5), 0.7, 0.4, 3.0),
        lambda run, ref: [pair(run.server.mixtures, ref[1])],
        **ARRIVE,
    ),
    "CDFL of samples": Row(
        {"sharpness": 2.0, "apart": 0.3, **STEPS},
        lambda c: asynchronous.cdfl([[*who] for who in c.samples], c.G, x, LR, N, H, around(2, 0.3), 0.6, 0.5, 2.0),
        lambda run, ref: [pair(run.server.mixtures, ref[1])],
        participants=(3,),
    ),
    "DRFA": Row(
        {"share_lr": 0.001, **STEPS},
        lambda c: federated.drfa_by_shares(
            c.samples, stops(), c.G, lambda Y, t: c.losses(Y, t, H), *c.steps[2:], 0.001
        ),
        lambda run, ref: [pair(run.server.share, ref[1])],
        bed={"height": HEIGHT},
    ),
    # Two blocks of 2 x 3 numbers.
    "DeMo": Row(
        {"momentum": 0.9, "k": 2, "chunk": 3},
        lambda c: outer.demo(c.samples, c.G, WIDE[0], LR, T, N, (4, 3), 3, 2, 0.9),
        lambda run, ref: [pair(run.nodes.reshape(T, N, 12), ref[1])],
        bed=MATRIX,
    ),
    "DeMo over all": Row(
        {"momentum": 0.9, "k": 2, "chunk": 3, "by_senders": False},
        lambda c: outer.demo(c.samples, c.G, WIDE[0], LR, T, N, (4, 3), 3, 2, 0.9, by_senders=False),
        bed=MATRIX,
        **ALL,
    ),
    "DiLoCo": Row(ADAMW, lambda c: federated.diloco(*c.steps, 0.3, 0.4, adamw), **ALL),
    "DiLoCo sgd": Row({**SGD, **OUTER}, lambda c: federated.diloco(*c.steps, 0.3, 0.4), tolerance=1e-12),
    "DiLoCo momentum": Row(
        HEAVY, lambda c: federated.diloco(*c.steps, 0.3, 0.4, federated.HeavyBall), tolerance=1e-12, **ALL
    ),
    "DiLoCo heavy ball": Row(
        {**HEAVY, "nesterov": False},
        lambda c: federated.diloco(*c.steps, 0.3, 0.4, federated.HeavyBall, nesterov_form=False),
        tolerance=1e-12,
        **ALL,
    ),
    # Absent workers leave the mean, and keep their optimizer's state for the round in which they are back.
    "DiLoCo of workers that come and go": Row(
        HEAVY,
        lambda c: federated.diloco([np.flatnonzero(now) for now in THERE], *c.steps[1:], 0.3, 0.4, federated.HeavyBall),
        talk=lambda: Availability.for_nodes(N, THERE),
        tolerance=1e-12,
    ),
    "DiLoCoX": Row({**ADAMW, **TOP}, lambda c: federated.dilocox(*c.steps[1:], 0.3, 0.4, top, inner=adamw), **ALL),
    "DiLoCoX at once": Row(
        {**SGD, **OUTER, **TOP, "overlap": False},
        lambda c: federated.dilocox(*c.steps[1:], 0.3, 0.4, top, delay=0),
        tolerance=1e-12,
        **ALL,
    ),
    "EASGD": Row(
        {"pull": 0.1, "moving_rate": 0.1 * N, "local_steps": 1},
        lambda c: peers.easgd(c.G, federated.spread(x, N), LR, T, 0.1)[::-1],
        lambda run, ref: [pair(run.nodes, ref[1])],
        **ALL,
    ),
    "EASGD local": Row(
        {"pull": 0.2, "moving_rate": 0.7, **STEPS},
        lambda c: peers.sampled_easgd(*c.steps, 0.2, 0.7),
        lambda run, ref: [pair(run.nodes, ref[1])],
        participants=(3,),
    ),
    "EF21": Row(
        TOP,
        lambda c: federated.ef21(c.G, x, LR, T, N, top),
        lambda run, ref: [(run.nodes.h, ref[1][:-1], 1e-11), (run.server.g, run.nodes.h.mean(1), 1e-12)],
        **ALL,
    ),
    "EF21 compressed": Row(
        {**TOP, "start": "compressed"},
        lambda c: federated.ef21(c.G, x, LR, T, N, top, first="compressed"),
        lambda run, ref: [(run.nodes.h, ref[1][:-1], 1e-11), (run.server.g, run.nodes.h.mean(1), 1e-12)],
        **ALL,
    ),
    "FSVRG": Row(STEPS, lambda c: federated.fsvrg(*c.ball, anchor="S")),
    # In round 0 all are anchors: it fills the caches, which the reference has filled.
    "FedAMD": Row(
        {"server_lr": 0.8, "anchors": 0.4, "shared": False, **STEPS},
        lambda c: federated.fedamd(c.samples, anchors(own_coins(0.4)), *c.ball[1:], 0.8),
        lambda run, ref: [pair(run.nodes.cache, ref[1]), (run.server.caches, run.nodes.cache.mean(1), 1e-12)],
        **ALL,
    ),
    "FedAMD shared": Row(
        {"server_lr": 0.8, "anchors": 0.4, "shared": True, **STEPS},
        lambda c: federated.fedamd(c.samples, anchors(np.tile(coins(0.4)[:, None], N)), *c.ball[1:], 0.8),
        lambda run, ref: [pair(run.nodes.cache, ref[1]), (run.server.caches, run.nodes.cache.mean(1), 1e-12)],
        **ALL,
    ),
    "FedAc": Row(
        {"alpha": 3.0, "beta": 4.0, "gamma": 0.1, **STEPS},
        lambda c: federated.fedac(*c.steps, 3.0, 4.0, 0.1),
        lambda run, ref: [pair(run.server.w, ref[1])],
        participants=(3,),
    ),
    "FedAc with budgets": Row(
        {"alpha": 3.0, "beta": 4.0, "gamma": 0.3, "local_steps": 5},
        lambda c: federated.fedac(*c.steps, 3.0, 4.0, 0.3),
        oracle=lambda: slow(np.full(N, H)),
        **ALL,
    ),
    "FedAsync": Row(
        {"mixing": 0.7, "rho": 0.3, "power": 0.4, **STEPS},
        lambda c: asynchronous.fedasync(one_by_one(), c.G, x, LR, N, H, 0.7, lambda tau: (1 + tau) ** -0.4, 0.3)[:2],
        versions,
        **ARRIVE,
    ),
    "FedAsync hinge": Row(
        {"discount": "hinge", "slope": 0.5, "grace": 4.0, "rho": 0.0, **STEPS},
        lambda c: asynchronous.fedasync(
            one_by_one(), c.G, x, LR, N, H, 0.6, lambda tau: 1 if tau <= 4 else 1 / (1 + 0.5 * (tau - 4)), 0.0
        )[:2],
        **ARRIVE,
    ),
    "FedAvg": Row(
        {"server_lr": 0.8, **STEPS},
        lambda c: federated.fedavg(*c.steps, 0.8, share=np.asarray(c.problem.counts)),
        bed={"counts": COUNTS},
    ),
    "FedAvg unweighted": Row(
        {"weighted": False, **STEPS}, lambda c: federated.fedavg(*c.steps), bed={"counts": COUNTS}
    ),
    "FedAvgM": Row({"server_lr": 0.8, "momentum": 0.6, **STEPS}, lambda c: federated.fedavgm(*c.steps, 0.8, 0.6)),
    "FedBuff": Row(
        {"server_lr": 0.8, "buffer": 3, "power": 0.4, **STEPS},
        lambda c: asynchronous.fedbuff(one_by_one(), c.G, x, LR, N, H, 3, 0.4, 0.8)[:2],
        versions,
        **ARRIVE,
    ),
    # Three a round, of whom two rounds fill a buffer of five.
    "FedBuff of samples": Row(
        {"buffer": 5, **STEPS},
        lambda c: asynchronous.fedbuff([[*who] for who in c.samples], c.G, x, LR, N, H, 5, 0.5)[:2],
        versions,
        participants=(3,),
    ),
    # A window of two seconds, at whose end all pull who are done; the first round is empty.
    "FedBuff in windows": Row(
        {"buffer": 1, **STEPS},
        lambda c: asynchronous.fedbuff(in_windows(), c.G, x, LR, N, H, 1, 0.5)[:2],
        versions,
        talk=lambda: Arrivals.of(np.add(SECONDS, 1.5), T, window=2.0),
    ),
    # Four of eight at work, who take their own numbers of steps; the plan, proved elsewhere, says who begins.
    "FedBuff of some at work": Row(
        {"buffer": 2, "power": 0.3, **STEPS},
        lambda c: asynchronous.fedbuff(who("used"), c.G, x, LR, N, BUDGETS, 2, 0.3, begins=who("begins"))[:1],
        talk=half_at_work,
    ),
    "FedCompass": Row(
        {"mixing": 0.7, "power": 0.4, "local_steps": 4},
        lambda c: asynchronous.fedcompass(in_groups(), c.G, x, LR, N, 0.7, lambda tau: (1 + tau) ** -0.4)[:2],
        versions,
        talk=lambda: Compass.of(SPEEDS, T, **LIMITS),
    ),
    "FedDyn": Row(
        {"alpha": 0.7, **STEPS},
        lambda c: federated.feddyn(*c.steps, 0.7),
        # In the paper's terms g_i = -alpha d_i and h = -alpha u.
        lambda run, ref: [pair(-0.7 * run.nodes, ref[1]), pair(-0.7 * run.server.u, ref[2])],
    ),
    "FedDyn exact": Row(
        {"alpha": 0.7, "exact": True},
        lambda c: federated.feddyn_exact(c.samples, c.A, c.b, x, T, N, 0.7),
        participants=(3,),
    ),
    "FedLin": Row(STEPS, lambda c: federated.fedlin(*c.steps)),
    "FedLin with budgets": Row(
        STEPS,
        lambda c: federated.fedlin(c.samples, c.G, x, H * LR / BUDGETS, T, H, N, taus=BUDGETS),
        oracle=slow,
        **ALL,
    ),
    "FedLT": Row(
        {"step": 0.7, **STEPS},
        lambda c: newer.fedlt(*c.steps, 0.7),
        lambda run, ref: [pair(run.nodes.z, ref[1]), pair(run.nodes.x, ref[2])],
    ),
    "FedNova": Row({"rho": 0.5, **STEPS}, lambda c: federated.fednova(*c.steps[:5], BUDGETS, N, 0.5), oracle=slow),
    "FedOpt": Row(
        {"kind": "yogi", "server_lr": 0.1, "beta1": 0.8, "beta2": 0.9, "tau": 0.01, **STEPS},
        lambda c: federated.fedopt(*c.steps, "yogi", 0.1, 0.8, 0.9, 0.01),
        participants=(3,),
    ),
    "FedOpt adagrad": Row(
        {"kind": "adagrad", "server_lr": 0.1, "beta1": 0.6, "tau": 0.02, **STEPS},
        lambda c: federated.fedopt(*c.steps, "adagrad", 0.1, 0.6, 0.8, 0.02),
        participants=(3,),
    ),
    "FedOpt adam": Row(
        {"kind": "adam", "server_lr": 0.1, "beta1": 0.6, "beta2": 0.8, "tau": 0.02, **STEPS},
        lambda c: federated.fedopt(*c.steps, "adam", 0.1, 0.6, 0.8, 0.02),
        participants=(3,),
    ),
    "FedPD": Row(
        {"step": 0.7, "probability": 0.4, **STEPS},
        lambda c: federated.fedpd(coins(0.4), *c.steps[1:], 0.7),
        lambda run, ref: [
            pair(run.nodes.centre, ref[1]),
            pair(run.nodes.x, ref[2]),
            pair(run.nodes.dual, ref[3]),
        ],
        **ALL,
    ),
    "FedProx": Row({"mu": 0.5, **STEPS}, lambda c: federated.fedprox(*c.steps, 0.5), participants=(3,)),
    "FedSGD": Row({}, lambda c: federated.fedsgd(c.samples, c.F, x, LR, T, N), participants=(3,)),
    "FedSpeed": Row(
        {"lam": 1.5, "rho": 0.3, "alpha": 0.6, **STEPS},
        lambda c: federated.fedspeed(*c.steps, 1.5, 0.3, 0.6),
        lambda run, ref: [divided(-run.nodes / 1.5, ref[1])],
    ),
    "FedSpeed all": Row(
        {"lam": 1.5, "rho": 0.3, "alpha": 0.6, "corrects": "all", **STEPS},
        lambda c: federated.fedspeed(*c.steps, 1.5, 0.3, 0.6, prox_over="all"),
        lambda run, ref: [divided(-run.nodes / 1.5, ref[1])],
    ),
    "FedSplit": Row(
        {"step": 0.7, **STEPS},
        lambda c: federated.fedsplit(*c.steps[1:], 0.7),
        lambda run, ref: [pair(run.nodes, ref[1])],
        **ALL,
    ),
    "FedSplit exact": Row(
        {"step": 0.7, "exact": True},
        lambda c: federated.fedsplit_exact(c.A, c.b, x, T, N, 0.7),
        lambda run, ref: [pair(run.nodes, ref[1])],
        **ALL,
    ),
    # With 10,000 columns no two entries of so small a model meet in three of five rows.
    "FetchSGD": Row(
        {"momentum": 0.6, "columns": 10_000, "fraction": 0.4},
        lambda c: federated.fetchsgd(c.samples, c.G, x, LR, T, N, 0.6, max(1, round(0.4 * x.size))),
    ),
    "FetchSGD whole": Row(
        {"momentum": 0.6, "columns": 10_000, "fraction": 1.0},
        lambda c: federated.fetchsgd(c.samples, c.G, x, LR, T, N, 0.6, x.size),
        participants=(3,),
    ),
    "MimeLite": Row(
        {"server_lr": 0.8, "momentum": 0.6, **STEPS},
        lambda c: federated.mimelite(*c.ball, 0.6, 0.8),
        lambda run, ref: [pair(run.server.m, ref[1])],
    ),
    "MuLoCo": Row(
        {**OUTER, **STEPS},
        lambda c: outer.muloco(c.samples, c.G, WIDE[0], LR, T, H, N, 0.3, 0.4, lambda rows: rows, 0.9),
        bed=MATRIX,
    ),
    "MuLoCo compressed": Row(
        {**HEAVY, "error_decay": 0.8, **TOP},
        lambda c: outer.muloco(*c.steps, 0.3, 0.4, top, 0.8, federated.HeavyBall),
        lambda run, ref: [pair(run.nodes.error, ref[1])],
        tolerance=1e-12,
    ),
    "QFedAvg": Row(
        {"q": 1.5, **STEPS},
        lambda c: federated.q_fedavg(*c.steps[:2], c.losses, *c.steps[2:], 1.5),
        bed={"height": HEIGHT},  # its losses must be positive
    ),
    "Scaffnew": Row(
        {"probability": 0.4},
        lambda c: federated.scaffnew(coins(0.4), c.G, x, LR, T, N, 0.4),
        lambda run, ref: [pair(run.nodes.x, ref[1]), divided(run.nodes.h * 0.4 / LR, ref[2])],
        **ALL,
    ),
    "Scaffold": Row(
        {"server_lr": 0.8, **STEPS},
        lambda c: federated.scaffold(*c.steps, 0.8),
        lambda run, ref: [pair(run.nodes, ref[1]), pair(run.server.c, ref[2])],
    ),
    "Scaffold by full gradients": Row(
        {"server_lr": 0.8, "option": 1, **STEPS},
        lambda c: federated.scaffold(*c.steps, 0.8, option=1, F=c.F),
        lambda run, ref: [pair(run.nodes, ref[1]), pair(run.server.c, ref[2])],
        participants=(3,),
    ),
    "Scaffold with budgets": Row(
        {"local_steps": 5}, lambda c: federated.scaffold(*c.steps), oracle=lambda: slow(np.full(N, H)), **ALL
    ),
    "SparseLoCo": Row(
        {**STEPS, "optimizer": HEAVY["optimizer"], **BLOCKS},
        lambda c: sparseloco(c, inner=federated.HeavyBall),
        lambda run, ref: [pair(run.nodes.error.reshape(T, N, 12), ref[1])],
        bed=MATRIX,
    ),
    "SparseLoCo in bins": Row({**SGD, **BLOCKS, "bits": 2}, lambda c: sparseloco(c, bits=2), bed=MATRIX, **ALL),
    "SparseLoCo over all": Row(
        {**SGD, **BLOCKS, "by_senders": False}, lambda c: sparseloco(c, by_senders=False), bed=MATRIX, **ALL
    ),
    "StreamingDiLoCo": Row(
        {"fragments": 2, "delay": 1, "alpha": 0.4, **ADAMW},
        lambda c: streaming(c, [0, 0, 1, 1, 0], 0.4, 1, adamw),
        bed={"form": beds.pieces},
        **ALL,
    ),
    "StreamingDiLoCo in order": Row(
        {"fragments": 2, "strided": False, **SGD, **OUTER},
        lambda c: streaming(c, [0, 0, 0, 0, 1]),
        bed={"form": beds.pieces},
        tolerance=1e-12,
        **ALL,
    ),
    "StreamingDiLoCo late": Row(
        {"delay": 2, **SGD, **OUTER},
        lambda c: streaming(c, [0, 0, 1, 1, 2], tau=2),
        bed={"form": beds.pieces},
        tolerance=1e-12,
        **ALL,
    ),
}
