"""Methods of a server without rounds, one arrival after another in NumPy, from their papers and without jdl.

arrivals: for each round the clients that arrive together; most often one. G(X, t, k): gradients of all clients.
"""

import numpy as np


def events(seconds, rounds):
    """The clients in the order in which they finish: of all who work, who is done first? Smaller numbers first."""
    seconds = np.asarray(seconds, float)
    done, order, times = seconds.copy(), [], []
    for _ in range(rounds):
        first = int(np.argmin(done))
        order.append([first])
        times.append(done[first])
        done[first] += seconds[first]
    return order, np.array(times)


def steps(G, p, i, n, lr, t, H, pull=0.0):
    """H local steps of client i from the model p."""
    y = p.copy()
    for k in range(H):
        y = y - lr * (G(np.broadcast_to(y, (n, *y.shape)), t, k)[i] + pull * (y - p))
    return y


def run(arrivals, x, n, arrive, version=0, begins=None):
    """Who arrives calls arrive(t, clients, x, pulled, stale) -> x, and whether the server stepped; then it pulls.

    begins: for each round the clients that pull in its end, if they are others than those who arrived.
    Returns the server's models `[T + 1, d]`, the version that each client holds `[T + 1, n]`, and the staleness of each
    arrival.
    """
    pulled, held, models, versions, stale = np.tile(x, (n, 1)), np.zeros(n, int), [x], [np.zeros(n, int)], []
    for t, clients in enumerate(arrivals):
        taus = [version - held[i] for i in clients]
        stale += taus
        x, stepped = arrive(t, clients, x, pulled, taus)
        version += stepped
        for i in clients if begins is None else begins[t]:
            pulled[i], held[i] = x, version
        models.append(x)
        versions.append(held.copy())
    return np.array(models), np.array(versions), np.array(stale)


def fedbuff(arrivals, G, x, lr, n, H, K, power, server_lr=1.0, begins=None):
    """Nguyen et al. 2022, Algorithm 1: changes wait until there are K. H: local steps, or those of each client."""
    H = np.broadcast_to(H, n)
    waiting = []

    def arrive(t, clients, x, pulled, taus):
        for i, tau in zip(clients, taus, strict=True):
            waiting.append((steps(G, pulled[i], i, n, lr, t, H[i]) - pulled[i]) / (1 + tau) ** power)
        if len(waiting) < K:
            return x, False
        x = x + server_lr * np.mean(waiting, axis=0)
        waiting.clear()
        return x, True

    return run(arrivals, x, n, arrive, begins=begins)


def fedasync(arrivals, G, x, lr, n, H, mixing, s, rho):
    """Xie et al. 2019, Algorithm 1: each model that arrives is mixed in."""

    def arrive(t, clients, x, pulled, taus):
        made = []
        for i, tau in zip(clients, taus, strict=True):
            share = mixing * s(tau)
            made.append((1 - share) * x + share * steps(G, pulled[i], i, n, lr, t, H, rho))
        return np.mean(made, axis=0), True

    return run(arrivals, x, n, arrive)


def async_diloco(arrivals, G, x, lr, n, H, N, outer_lr, mu, inner):
    """Liu et al. 2024, Algorithm 3 with c = 0. inner(): a worker's optimizer, whose step(g) is a direction."""
    b, recent, optimizers = np.zeros_like(x), [], [inner() for _ in range(n)]

    def arrive(t, clients, x, pulled, taus):
        nonlocal b
        (i,) = clients
        y = pulled[i].copy()
        for k in range(H):
            y = y - lr * optimizers[i](G(np.broadcast_to(y, (n, *y.shape)), t, k)[i])
        recent.append(pulled[i] - y)
        x = x - outer_lr * recent[-1] / N
        if len(recent) == N:
            b = mu * b + np.mean(recent, axis=0)
            x = x - outer_lr * mu * b
            recent.clear()
        return x, True

    return run(arrivals, x, n, arrive)


def compass(step, rounds, least, most, patience, m, factor, known=False):
    """Li et al. 2024, as in APPFL, by looking at all clients and groups for what comes next.

    factor(): of the time of the next job. Returns for each round the clients, their steps, lateness and the second.
    """
    n, found, groups = len(step), [], []
    jobs = [None] * n  # begun, steps, end, group
    s = [*step] if known else [None] * n

    def begin(i, now, K, group):
        jobs[i] = {"begun": now, "K": K, "end": now + K * step[i] * factor(), "group": group}

    def whole(number):
        return int(np.floor(number + 1e-7))

    def place(i, now):
        options = [(whole((g["due"] - now) / s[i]), k) for k, g in enumerate(groups) if g["open"]]
        options = [(K, k) for K, k in options if least <= K <= most]
        if options:
            K, k = max(options)
        else:
            after = []
            for g in groups:
                if g["open"] and now < g["last"]:
                    next_ = g["last"] + most * min(s[j] for j in g["all"])
                    after.append(whole((next_ - now) / s[i]))
            after = [K for K in after if K <= most]
            K, k = (max(max(after), least) if after else most), len(groups)
            due, last = now + K * s[i], now + K * s[i] * patience
            groups.append({"due": due, "last": last, "open": True, "all": [], "there": []})
        groups[k]["all"].append(i)
        begin(i, now, K, k)

    def close(g, now):
        found.append((sorted(g["there"]), {i: jobs[i]["K"] for i in g["there"]}, False, now))
        g["open"] = False
        for i in sorted(g["there"], key=lambda i: (s[i], i)):
            place(i, now)

    for i in np.argsort(step, kind="stable") if known else range(n):
        if known:
            place(i, 0.0)
        else:
            begin(i, 0.0, most, None)
    while len(found) < rounds:
        i = min(range(n), key=lambda i: (jobs[i]["end"] if not jobs[i].get("done") else np.inf, i))
        waited = [g for g in groups if g["open"] and g["there"]]
        g = min(waited, key=lambda g: g["last"], default=None)
        arrives = np.inf if jobs[i].get("done") else jobs[i]["end"]
        if g is not None and g["last"] < arrives - 1e-9:
            close(g, g["last"])
            continue
        job, now = jobs[i], arrives
        seen = (now - job["begun"]) / job["K"]
        s[i] = seen if s[i] is None else (1 - m) * s[i] + m * seen
        if job["group"] is None:
            found.append(([i], {i: job["K"]}, False, now))
            place(i, now)
            continue
        g = groups[job["group"]]
        if now > g["last"] + 1e-9:
            g["all"].remove(i)
            found.append(([i], {i: job["K"]}, True, now))
            g["open"] = g["open"] and len(g["all"]) > 0
            place(i, now)
            continue
        job["done"] = True
        g["there"].append(i)
        if len(g["there"]) == len(g["all"]):
            close(g, now)
    return found


def fedcompass(taken, G, x, lr, n, alpha, s):
    """Li et al. 2024: models of a group and of those who were late before it, each against the model of now."""
    waiting = []

    def arrive(t, clients, x, pulled, taus):
        for i, tau in zip(clients, taus, strict=True):
            waiting.append((alpha * s(tau) / n, steps(G, pulled[i], i, n, lr, t, taken[t][1][i])))
        if taken[t][2]:
            return x, False
        x = x - sum(a * (x - y) for a, y in waiting)
        waiting.clear()
        return x, True

    return run([one[0] for one in taken], x, n, arrive)


def cdfl(arrivals, G, x, lr, n, H, clusters, mixing, power, sharpness):
    """Li & Zhu 2024: a mixture of clusters for each client, by distance. Returns what each client is served, and u."""
    c, u, served, mixtures = clusters.copy(), np.full((n, len(clusters)), 1 / len(clusters)), [], []
    pulled, held = np.tile(x, (n, 1)), np.zeros(n, int)
    served.append(u @ c)
    mixtures.append(u.copy())
    for t, clients in enumerate(arrivals):
        changes = []
        for i in clients:
            y = steps(G, pulled[i], i, n, lr, t, H)
            nearness = np.linalg.norm(y - c, axis=1) ** -sharpness
            u[i] = nearness / nearness.sum()
            changes.append(mixing * (1 + t - held[i]) ** -power * u[i][:, None] * (y - c))
        c = c + np.mean(changes, axis=0)
        for i in clients:
            pulled[i], held[i] = u[i] @ c, t + 1
        served.append(u @ c)
        mixtures.append(u.copy())
    return np.array(served), np.array(mixtures)


def heavy_ball(decay):
    """Momentum that a worker keeps from pull to pull."""
    m = 0.0

    def step(g):
        nonlocal m
        m = decay * m + g
        return m

    return step
