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


def run(arrivals, x, n, arrive, version=0):
    """Who arrives calls arrive(t, clients, x, pulled, stale) -> x, and whether the server stepped; then it pulls.

    Returns the server's models `[T + 1, d]`, the version that each client holds `[T + 1, n]`, and the staleness of each
    arrival.
    """
    pulled, held, models, versions, stale = np.tile(x, (n, 1)), np.zeros(n, int), [x], [np.zeros(n, int)], []
    for t, clients in enumerate(arrivals):
        taus = [version - held[i] for i in clients]
        stale += taus
        x, stepped = arrive(t, clients, x, pulled, taus)
        version += stepped
        for i in clients:
            pulled[i], held[i] = x, version
        models.append(x)
        versions.append(held.copy())
    return np.array(models), np.array(versions), np.array(stale)


def fedbuff(arrivals, G, x, lr, n, H, K, power, server_lr=1.0):
    """Nguyen et al. 2022, Algorithm 1: changes wait until there are K of them."""
    waiting = []

    def arrive(t, clients, x, pulled, taus):
        for i, tau in zip(clients, taus, strict=True):
            waiting.append((steps(G, pulled[i], i, n, lr, t, H) - pulled[i]) / (1 + tau) ** power)
        if len(waiting) < K:
            return x, False
        x = x + server_lr * np.mean(waiting, axis=0)
        waiting.clear()
        return x, True

    return run(arrivals, x, n, arrive)


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


def heavy_ball(decay):
    """Momentum that a worker keeps from pull to pull."""
    m = 0.0

    def step(g):
        nonlocal m
        m = decay * m + g
        return m

    return step
