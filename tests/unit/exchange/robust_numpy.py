"""Robust rules by brute force: each for one node, from the papers, in NumPy and double precision.

A rule takes `x: [m, d]`, the messages that arrived, the node's own first among peers, and `w: [m]`, their weights.
"""

import itertools

import numpy as np

from jdl import plan as plans


def distances(x):
    with np.errstate(invalid="ignore"):
        gap = np.linalg.norm(x[:, None] - x[None], axis=2)
    return np.where(np.isfinite(gap), gap, np.inf)


def geometric_median(x, w, iterations, nu):
    w = w / w.sum()
    z = w @ x
    for _ in range(iterations):
        b = w / np.maximum(nu, np.linalg.norm(x - z, axis=1))
        z = b @ x / b.sum()
    return z


def by_krum(x, f):
    """Rows by score; at a tie by the distance to the next nearest other."""
    squared, count = distances(x) ** 2, max(len(x) - f - 2, 1)
    others = [sorted(np.delete(row, i)) for i, row in enumerate(squared)]
    return sorted(range(len(x)), key=lambda i: (sum(others[i][:count]), *others[i][count : count + 1]))


def krum(x, w, f):
    return x[by_krum(x, f)[0]]


def multi_krum(x, w, f, keep=None):
    return x[by_krum(x, f)[: max(len(x) - f, 1) if keep is None else keep]].mean(axis=0)


def neighbourhoods(plan, own, sent):
    """For each row the messages that arrived, its own first, and their weights; for a server the one list."""
    plan = plans.one_by_one(plans.settled(plan))
    links = plan.links
    own, sent = (np.asarray(x, np.float64) for x in (own, sent))
    weights = np.asarray(links.weights, np.float64)
    if weights.ndim == 1:
        there = weights != 0
        return [(sent[there], weights[there] / weights[there].sum())]
    who = np.asarray(plans.senders(links))
    rows = []
    for i in range(len(own)):
        there = weights[i] != 0
        w = np.concatenate([[float(plan.self_weights[i])], weights[i, there]])
        rows.append((np.concatenate([own[i : i + 1], sent[who[i, there]]]), w))
    return rows


def clipped(gap, tau):
    norm = np.linalg.norm(gap)
    return gap * min(1, tau / norm) if norm > 0 else gap


def clipped_gossip(x, w, tau):
    return x[0] + sum(w_j * clipped(x_j - x[0], tau) for x_j, w_j in zip(x[1:], w[1:], strict=True))


def by_distance_from_own(x, w):
    gap = np.linalg.norm(x - x[0], axis=1)
    order = np.argsort(gap, kind="stable")
    return gap[order], w[order], order


def clipped_gossip_he(x, w, liars):
    gap, weight, _ = by_distance_from_own(x, w)
    total, squares, there = w.sum() - liars, 0, 0
    for g, v in zip(gap, weight, strict=True):
        there += v
        if there >= total - 1e-6:
            break
        squares += v * g**2
    return clipped_gossip(x, w, np.sqrt(squares / liars))


def cs_plus(x, w, liars):
    gap, weight, _ = by_distance_from_own(x, w)
    inside = [g for i, g in enumerate(gap) if weight[: i + 1].sum() <= w.sum() - 2 * liars + 1e-6]
    return clipped_gossip(x, w, max(inside, default=0))


def gts(x, w, liars):
    _, _, order = by_distance_from_own(x, w)
    left, weights = liars, w.copy()
    for j in order[::-1]:
        taken = min(left, weights[j])
        weights[j] -= taken
        left -= taken
    return x[0] + weights[1:] @ (x[1:] - x[0])


def centred_clipping(x, w, tau, iterations, start):
    v = start(x)
    for _ in range(iterations):
        v = v + sum(clipped(x_j - v, tau) for x_j in x) / len(x)
    return v


def norm_clipping(x, w, limit=None):
    norms = np.linalg.norm(x, axis=1)
    limit = np.median(norms) if limit is None else limit
    return sum(w_j * clipped(x_j, limit) for x_j, w_j in zip(x, w, strict=True))


def meamed(x, w, f):
    gap = np.abs(x - np.median(x, axis=0))
    keep = max(len(x) - f, 2 - len(x) % 2)
    return np.array([x[np.argsort(gap[:, i], kind="stable")[:keep], i].mean() for i in range(x.shape[1])])


def trimmed(x, w, trim):
    cut = min(trim, (len(x) - 1) // 2)
    return np.sort(x, axis=0)[cut : len(x) - cut].mean(axis=0)


def mda(x, w, f):
    gap = distances(x)
    subsets = list(itertools.combinations(range(len(x)), max(len(x) - f, 1)))
    return x[list(min(subsets, key=lambda rows: gap[np.ix_(rows, rows)].max()))].mean(axis=0)


def bulyan(x, w, f):
    rest, chosen = list(range(len(x))), []
    for _ in range(max(len(x) - 2 * f, 1)):
        best = rest[by_krum(x[rest], f)[0]]
        rest.remove(best)
        chosen.append(best)
    return meamed(x[chosen], w, 2 * f)


def nearest_neighbour_mixing(x, w, f, rule):
    gap = distances(x)
    np.fill_diagonal(gap, -1)
    keep = max(len(x) - f, 1)
    mixed = np.stack([x[np.argsort(row, kind="stable")[:keep]].mean(axis=0) for row in gap])
    return rule(mixed, np.full(len(x), 1 / len(x)))


def ios(x, w, f):
    left = list(range(len(x)))
    for _ in range(min(f, len(x) - 1)):
        mean = w[left] @ x[left] / w[left].sum()
        left.remove(max(left[1:], key=lambda j: np.linalg.norm(x[j] - mean)))
    return w[left] @ x[left] / w[left].sum()


def nearest_average(x, w, f):
    return x[by_distance_from_own(x, w)[2][: max(len(x) - f, 1)]].mean(axis=0)


def ubar(x, w, rho, alpha, loss):
    nearest = by_distance_from_own(x, w)[2][1:]
    nearest = [j for j in nearest[: max(int(rho * len(nearest) + 1e-6), 1)] if np.all(np.isfinite(x[j]))]
    losses = {j: loss(x[j]) for j in nearest}
    kept = [j for j in nearest if losses[j] <= loss(x[0])] or sorted(nearest, key=losses.get)[:1]
    return alpha * x[0] + (1 - alpha) * x[kept].mean(axis=0) if kept else x[0]


def likeness(a, b, size):
    """Of two vectors of criticalities, by sets of indices."""
    total = 0
    for sign in (1, -1):
        ours, theirs = (set(np.argsort(-sign * c, kind="stable")[:size]) for c in (a, b))
        both = sorted(ours & theirs)
        alike = len(both) > 1 and np.ptp(a[both]) > 0 and np.ptp(b[both]) > 0
        r = np.corrcoef(a[both], b[both])[0, 1] if alike else 0
        total += (len(both) / len(ours | theirs) + (1 + r) / 2) / 2
    return total


def fed_cpa(changes, w, model, before, size):
    """The coefficients of matrices of changes, with the server's model and the one of the round before, or None."""
    critical = [np.abs(change * (model + change)) for change in changes]
    pairs = [[1 if i == j else likeness(a, b, size) for j, b in enumerate(critical)] for i, a in enumerate(critical)]
    scores = np.mean(pairs, axis=1)
    if before is not None:
        last = np.abs((model - before) * model)
        scores = scores + [likeness(a, last, size) for a in critical]
    s = (scores - scores.min()) / np.ptp(scores)
    s = np.where(s == 1, 0.99, np.where(s == 0, 0.01, s))
    v = np.log(s / (1 - s)) + 0.5
    v = np.where(v > 1, 1, np.where(v < 0, 0, v))
    return w * v / w[v > 0].sum()


class Wall:
    """SybilWall, a node at a time, with dictionaries of what each knows: peer -> (round, hops, via, model)."""

    def __init__(self, neighbours, places):
        self.neighbours, self.places, self.t = neighbours, places, 0
        self.direct, self.distant = [{} for _ in neighbours], [{} for _ in neighbours]

    def told(self, sender, i, draws, decay):
        """What a sender passes to node i, who draws a number for each peer."""
        best = None
        for peer, known in (self.direct[sender] | self.distant[sender]).items():
            if peer in (i, sender) or known[2] == i:
                continue
            score = draws[peer] - decay * (known[1] - 1)
            best = max(best or (-np.inf,), (score, peer, known), key=lambda one: one[0])
        return best and best[1:]

    def keep(self, i, sender, peer, known, order):
        """`order` are the peers in the places of node i, None where empty."""
        when, hops, _, model = known
        if peer == i or peer in self.neighbours[i]:
            return
        if peer in order:
            at = order.index(peer)
        elif None in order:
            at = order.index(None)
        else:
            at = min(range(len(order)), key=lambda a: self.distant[i][order[a]][0])
        if order[at] is not None and when <= self.distant[i][order[at]][0]:
            return
        self.distant[i].pop(order[at], None)
        order[at] = peer
        self.distant[i][peer] = (when, hops + 1, sender, model)

    def mean(self, i, x):
        known = [x[j] for j in self.neighbours[i]] + [one[3] for one in self.distant[i].values()]
        a = fools_gold_trust(np.array(known))[: len(self.neighbours[i])]
        return (x[i] + a @ x[self.neighbours[i]]) / (1 + a.sum())


def balance(x, w, gamma, kappa, rounds, alpha, t):
    limit = gamma * np.exp(-kappa * t / rounds) * np.linalg.norm(x[0])
    accepted = [x_j for x_j in x[1:] if np.linalg.norm(x_j - x[0]) <= limit]
    return alpha * x[0] + (1 - alpha) * np.mean(accepted, axis=0) if accepted else x[0]


def sign_majority(x, w):
    return np.sign(np.sign(x).sum(axis=0))


def fools_gold_trust(sums):
    """As the public code does it, one pair after another."""
    norms = np.linalg.norm(sums, axis=1)
    unit = sums / np.where(norms > 0, norms, 1)[:, None]
    n = len(sums)
    cosines = unit @ unit.T
    cosines[range(n), range(n)] = 0
    most = cosines.max(axis=1)
    for i, j in itertools.permutations(range(n), 2):
        if most[i] < most[j]:
            cosines[i, j] *= most[i] / most[j]
    trust = np.clip(1 - cosines.max(axis=1), 0, 1)
    trust = trust / trust.max()
    trust[trust == 1] = 0.99
    with np.errstate(divide="ignore"):
        return np.clip(np.log(trust / (1 - trust)) + 0.5, 0, 1)
