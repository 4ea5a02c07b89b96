import inspect

import numpy as np
import pytest
from scipy.special import expit, ndtr

from jdl import checks
from jdl.data import generators
from jdl.data.dataset import Dataset

SMALL = {
    "clustered_concepts": {"examples": 500, "test_examples": 100},
    "drifting_concepts": {"examples": 500, "test_examples": 100},
    "gaussian_mixture": {"examples": 500, "test_examples": 100},
    "permuted_clients": {"examples": 60, "test_examples": 20},
    "related_tasks": {"examples": 500, "test_examples": 100},
    "rotated_clients": {"examples": 60, "test_examples": 20},
    "sparse_logistic": {"examples": 500, "test_examples": 100},
    "synthetic": {"owners": 3},
    "teacher": {"examples": 500, "test_examples": 100},
}


def draw(name, **options):
    return getattr(generators, name)(**(SMALL[name] | options))


def near(values, expected):
    """The mean of the values is `expected` to within five standard errors."""
    values = np.asarray(values, np.float64)
    error = values.std() / np.sqrt(values.size)
    assert abs(values.mean() - expected) < 5 * error, (values.mean(), expected, error)


def near_zero_means(table):
    """Each column of independent rows has mean 0 to within five standard errors."""
    assert np.all(np.abs(table.mean(axis=0)) < 5 * table.std(axis=0) / np.sqrt(len(table)))


def test_generators_are_the_public_names():
    assert generators.__all__ == sorted(SMALL)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_what_all_keep(name):
    assert all(one.default is not inspect.Parameter.empty for one in
               inspect.signature(getattr(generators, name)).parameters.values())  # fmt: skip
    data, same, other = draw(name), draw(name), draw(name, seed=1)
    assert isinstance(data, Dataset) and data.name == name and data.source.endswith(".") and data.truth
    assert data.train_x.dtype == data.test_x.dtype and data.train_x.dtype in (np.float32, np.uint8)
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert len(x) == len(y) > 0 and y.dtype == (np.int32 if data.num_classes else np.float32)
        assert not data.num_classes or (0 <= y.min() and y.max() < data.num_classes)
    if "examples" in SMALL[name]:
        assert (len(data.train_y), len(data.test_y)) == tuple(SMALL[name].values())
    if data.train_owner is not None:
        assert data.train_owner.dtype == np.int32 and len(data.train_owner) == len(data.train_y)
        np.testing.assert_array_equal(np.unique(data.train_owner), np.arange(data.train_owner.max() + 1))
    assert all(isinstance(one, np.ndarray | float) for one in data.truth.values())  # so that a cache can keep it
    for field in ("train_x", "train_y", "test_x", "test_y"):
        np.testing.assert_array_equal(getattr(data, field), getattr(same, field))
    assert not np.array_equal(data.train_x, other.train_x)


# --- Gaussian mixture


def test_mixture_has_its_means_and_unit_variance():
    data = generators.gaussian_mixture(examples=20_000, features=12, classes=5, separation=3.0)
    means = data.truth["means"]
    apart = np.linalg.norm(means[:, None] - means, axis=2)
    np.testing.assert_allclose(apart[~np.eye(5, dtype=bool)], 3.0, rtol=1e-12)
    rest = data.train_x - means[data.train_y]
    near_zero_means(rest)
    near(rest**2, 1.0)
    near(rest[:, 0] * rest[:, 1], 0.0)
    counts = np.bincount(data.train_y)  # multinomial
    assert np.all(np.abs(counts - 4000) < 5 * np.sqrt(20_000 * 0.2 * 0.8))


@pytest.mark.parametrize(("classes", "separation"), [(2, 2.0), (10, 3.0)])
def test_nearest_mean_attains_the_best_accuracy(classes, separation):
    data = generators.gaussian_mixture(100, 40_000, 16, classes, separation)
    nearest = np.argmax(data.test_x @ data.truth["means"].T, axis=1)  # all means have one length
    near(nearest == data.test_y, data.truth["bayes_accuracy"])


@pytest.mark.parametrize("separation", [0.0, 0.5, 2.0, 7.0])
def test_best_accuracy_of_two_classes_is_the_closed_form(separation):
    found = generators.gaussian_mixture(10, 10, classes=2, separation=separation).truth["bayes_accuracy"]
    np.testing.assert_allclose(found, ndtr(separation / 2), rtol=1e-12)


# --- teacher


def logits(x, truth):
    return np.maximum(x.astype(np.float64) @ truth["hidden"], 0) @ truth["output"]


def test_teacher_labels_are_its_own_without_noise():
    data = generators.teacher(2000, 500)
    np.testing.assert_array_equal(np.argmax(logits(data.train_x, data.truth), axis=1), data.train_y)
    np.testing.assert_array_equal(np.argmax(logits(data.test_x, data.truth), axis=1), data.test_y)
    assert data.truth["bayes_accuracy"] == 1


def test_teacher_logits_have_mean_zero_and_no_class_is_rare():
    data = generators.teacher(20_000, 10, features=16, classes=8)
    near_zero_means(logits(data.train_x, data.truth))
    assert np.bincount(data.train_y, minlength=8).min() > 20_000 / 8 / 4


def test_teacher_noise_replaces_its_share_of_labels():
    data = generators.teacher(20_000, 20_000, classes=4, noise=0.4)
    for y, clean in ((data.train_y, data.truth["clean_train_y"]), (data.test_y, data.truth["clean_test_y"])):
        near(y == clean, 0.7)
    np.testing.assert_allclose(data.truth["bayes_accuracy"], 0.7)
    np.testing.assert_array_equal(np.argmax(logits(data.test_x, data.truth), axis=1), data.truth["clean_test_y"])


# --- shifted clients


def test_permuting_is_a_bijection_for_each_owner():
    data = draw("permuted_clients", owners=3)
    plain = draw("permuted_clients", owners=1)  # the same pictures, none of them permuted
    orders = data.truth["permutations"]
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(784), (3, 1)))
    assert orders.dtype == np.int32 and not np.array_equal(orders[1], orders[2])
    for after, before, owner in (
        (data.train_x, plain.train_x, data.train_owner),
        (data.test_x, plain.test_x, data.test_owner),
    ):
        undone = np.empty((len(after), 784), np.uint8)
        np.put_along_axis(undone, orders[owner], after.reshape(len(after), -1), axis=1)
        np.testing.assert_array_equal(undone.reshape(before.shape), before)
    np.testing.assert_array_equal(np.bincount(data.train_owner), [20, 20, 20])


def test_channels_of_a_pixel_stay_together():
    x = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    y = np.zeros(2, np.int32)
    data = generators.permuted_clients(Dataset(x, y, x, y, 2, "colours", "Made here."), owners=2)
    assert not np.array_equal(data.train_x, x)
    pixels = data.train_x.reshape(2, 16, 3)
    np.testing.assert_array_equal(pixels[:, :, 0] + 1, pixels[:, :, 1])
    np.testing.assert_array_equal(np.sort(pixels, axis=1), x.reshape(2, 16, 3))


def test_images_are_turned_by_quarters():
    data, plain = draw("rotated_clients"), draw("rotated_clients", owners=1)
    np.testing.assert_array_equal(data.train_y, plain.train_y)
    for image, original, owner in zip(data.train_x, plain.train_x, data.train_owner, strict=True):
        rows, columns = np.indices((28, 28))
        for _ in range(owner):  # counter-clockwise: what was at the right is on top
            rows, columns = columns, 27 - rows
        np.testing.assert_array_equal(image, original[rows, columns])
    np.testing.assert_allclose(data.truth["angles"], np.deg2rad([0, 90, 180, 270]))


def test_features_are_turned_by_the_angle_of_their_owner():
    mixture = generators.gaussian_mixture(300, 100, features=5, classes=3)
    data = generators.rotated_clients(mixture, owners=6)
    for one in range(6):
        angle = data.truth["angles"][one]
        assert np.isclose(angle, one * np.pi / 3)
        plane = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        whole = np.eye(5)
        whole[:2, :2] = whole[2:4, 2:4] = plane
        mine = data.train_owner == one
        np.testing.assert_allclose(data.train_x[mine], mixture.train_x[mine] @ whole, atol=1e-5)
    assert data.truth["bayes_accuracy"] == mixture.truth["bayes_accuracy"]


def test_nearest_mean_sees_the_grey_pictures_as_well_as_the_mixture():
    data = generators.rotated_clients(owners=1, examples=10, test_examples=4000)
    x = (data.test_x.reshape(4000, -1).astype(np.float32) - 128) / 24
    near(x.std(axis=0) ** 2, 1 + 1 / 12 / 24**2 + 8**2 / 2 * 0.9 / 784)  # noise, rounding, spread of the means
    right = np.argmax(x @ data.truth["means"].T, axis=1) == data.test_y
    assert abs(right.mean() - data.truth["bayes_accuracy"]) < 5 * np.sqrt(1e-4 / 4000)


# --- drifting concepts


@pytest.mark.parametrize(("kind", "classes"), [("rotated", 2), ("rotated", 5), ("swapped", 2), ("swapped", 5)])
def test_truth_of_each_concept_gives_its_labels(kind, classes):
    data = generators.drifting_concepts(1000, 300, concepts=3, kind=kind, features=8, classes=classes)
    assert np.all(np.diff(data.train_owner) >= 0)
    np.testing.assert_allclose(np.bincount(data.train_owner), 1000 / 3, atol=1)
    parts = [(data.train_x[data.train_owner == c], data.train_y[data.train_owner == c], c) for c in range(3)]
    for x, y, c in (*parts, (data.test_x, data.test_y, 2)):
        found = np.argmax(x.astype(np.float64) @ data.truth["weights"][c], axis=1)
        np.testing.assert_array_equal(data.truth["labels"][c][found], y)


def test_concepts_disagree_by_the_angle_between_them():
    # Two half-spaces at an angle a differ on the share a / pi of a spherically symmetric law.
    data = generators.drifting_concepts(100, 40_000, concepts=3, features=6, angle=30.0)
    weights = data.truth["weights"]
    before = np.argmax(data.test_x @ weights[1], axis=1)
    near(before != data.test_y, 30 / 180)
    near(np.argmax(data.test_x @ weights[0], axis=1) != data.test_y, 60 / 180)
    near(data.test_y, 0.5)


def test_each_swap_exchanges_two_classes():
    labels = generators.drifting_concepts(100, 10, concepts=6, kind="swapped", classes=5).truth["labels"]
    np.testing.assert_array_equal(labels[0], np.arange(5))
    np.testing.assert_array_equal((np.diff(labels, axis=0) != 0).sum(axis=1), 2)
    np.testing.assert_array_equal(np.sort(labels, axis=1), np.tile(np.arange(5), (6, 1)))


# --- synthetic(alpha, beta)


def test_owners_of_synthetic_have_the_law_of_the_paper():
    data = generators.synthetic(0.5, 2.0, owners=300, seed=3)
    truth = data.truth
    near(truth["model_means"] ** 2, 0.25)
    near(truth["feature_means"] ** 2, 4.0)
    own = truth["weights"] - truth["model_means"][:, None, None]
    near(own, 0.0)
    near(own**2, 1.0)
    near((truth["biases"] - truth["model_means"][:, None]) ** 2, 1.0)
    near((truth["centres"] - truth["feature_means"][:, None]) ** 2, 1.0)
    rest = (data.train_x - truth["centres"][data.train_owner])[:20_000]
    for column in (0, 1, 59):
        near(rest[:, column] ** 2, (column + 1) ** -1.2)
    near(rest[:, 0] * rest[:, 1], 0.0)


def test_sizes_of_synthetic_are_log_normal_and_a_tenth_is_held_out():
    data = generators.synthetic(owners=400, features=2, seed=1)
    train, test = np.bincount(data.train_owner), np.bincount(data.test_owner)
    np.testing.assert_array_equal(train, (train + test) * 9 // 10)
    logs = np.log(train + test - 50 + 0.5)  # rounded down: half an example below on average
    assert abs(np.median(logs) - 4) < 5 * 2 * np.sqrt(np.pi / 2 / 400)  # standard error of a normal median
    assert abs(np.log(np.quantile(train + test - 50, 0.84)) - 6) < 1
    assert (train + test).min() >= 50


@pytest.mark.parametrize("iid", [False, True])
def test_models_of_synthetic_give_its_labels(iid):
    data = generators.synthetic(owners=4, iid=iid)
    truth = data.truth
    for x, y, owner in (
        (data.train_x, data.train_y, data.train_owner),
        (data.test_x, data.test_y, data.test_owner),
    ):
        scores = np.einsum("nd,ndc->nc", x[:500].astype(np.float64), truth["weights"][owner[:500]])
        np.testing.assert_array_equal(np.argmax(scores + truth["biases"][owner[:500]], axis=1), y[:500])
    assert (np.ptp(truth["weights"], axis=0).max() == 0) == iid and (np.abs(truth["centres"]).max() == 0) == iid


def test_alpha_changes_no_label():
    # u_k adds u_k (1 + sum x) to every logit: what the docstring says of the published law.
    none, much = generators.synthetic(0.0, 1.0, owners=3), generators.synthetic(9.0, 1.0, owners=3)
    np.testing.assert_array_equal(none.train_x, much.train_x)
    np.testing.assert_array_equal(none.train_y, much.train_y)
    assert np.abs(much.truth["weights"] - none.truth["weights"]).max() > 1


# --- clustered concepts


@pytest.mark.parametrize(("rule", "clusters"), [("shifted", 3), ("reversed", 2), ("permuted", 3)])
def test_each_cluster_labels_the_classes_by_its_rule(rule, clusters):
    """Clusters can be read from labels exactly: within an owner, a class of the mixture has one label."""
    mixture = generators.gaussian_mixture(2000, 400, features=12, classes=6)
    data = generators.clustered_concepts(mixture, owners=7, clusters=clusters, rule=rule, seed=1)
    labels, cluster = data.truth["labels"], data.truth["cluster"]
    assert labels.dtype == cluster.dtype == np.int32 and sorted(np.bincount(cluster)) == sorted(
        np.bincount(np.arange(7) % clusters)
    )
    np.testing.assert_array_equal(labels[0], np.arange(6))
    np.testing.assert_array_equal(np.sort(labels, axis=1), np.tile(np.arange(6), (clusters, 1)))
    for y, before, owner in (
        (data.train_y, mixture.train_y, data.train_owner),
        (data.test_y, mixture.test_y, data.test_owner),
    ):
        assert np.ptp(np.bincount(owner, minlength=7)) <= 1
        for one in range(7):
            mine = owner == one
            expected = {
                "shifted": (before[mine] + 2 * cluster[one]) % 6,
                "reversed": np.where(cluster[one], 5 - before[mine], before[mine]),
                "permuted": labels[cluster[one]][before[mine]],
            }[rule]
            np.testing.assert_array_equal(y[mine], expected)
    np.testing.assert_array_equal(data.train_x, mixture.train_x)
    assert data.truth["bayes_accuracy"] == mixture.truth["bayes_accuracy"]


def test_the_best_models_of_clusters_and_of_all_have_their_closed_forms():
    mixture = generators.gaussian_mixture(10, 40_000, classes=4, separation=3.0)
    data = generators.clustered_concepts(mixture, owners=2)
    nearest = np.argmax(data.test_x @ data.truth["means"].T, axis=1)
    labels, cluster = data.truth["labels"], data.truth["cluster"][data.test_owner]
    best = data.truth["bayes_accuracy"]
    near(labels[cluster, nearest] == data.test_y, best)
    # Of a model that knows only the labels of cluster 0: right there, or wrong by the shift of cluster 1 by chance.
    right = labels[0, nearest] == data.test_y
    near(right[cluster == 0], best)
    near(right[cluster == 1], (1 - best) / 3)


def test_teachers_label_without_error_and_disagree_by_their_angle():
    # Two half-spaces at an angle a differ on the share a / pi of a spherically symmetric law.
    data = generators.clustered_concepts(rule="teachers", examples=100, test_examples=40_000, classes=2, features=6)
    weights, cluster = data.truth["weights"], data.truth["cluster"][data.test_owner]
    said = np.argmax(np.einsum("nd,cdk->cnk", data.test_x.astype(np.float64), weights), axis=2)
    np.testing.assert_array_equal(said[cluster, np.arange(40_000)], data.test_y)
    one, other = weights[:, :, 0] - weights[:, :, 1]
    angle = np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    near(said[0] != said[1], angle / np.pi)
    near(data.test_y, 0.5)


# --- related tasks


@pytest.mark.parametrize("relation", ["low_rank", "ring"])
def test_tasks_are_related_as_planted(relation):
    truth = generators.related_tasks(owners=9, relation=relation, rank=3, spread=0.7).truth
    rank = 2 if relation == "ring" else 3
    apart, basis = truth["tasks"] - truth["common"], truth["basis"]
    np.testing.assert_allclose(np.linalg.norm(truth["common"]), 1)
    np.testing.assert_allclose(apart.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.mean(np.sum(apart**2, axis=1)), 0.49)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(apart @ basis @ basis.T, apart, atol=1e-12)
    assert np.linalg.matrix_rank(apart, tol=1e-6) == rank
    if relation == "ring":
        steps = np.linalg.norm(apart - np.roll(apart, -1, axis=0), axis=1)
        np.testing.assert_allclose(steps, 2 * 0.7 * np.sin(np.pi / 9))


def test_errors_of_the_tasks_have_their_closed_forms():
    data = generators.related_tasks(owners=4, test_examples=40_000, examples=400, spread=0.5, noise=0.2, seed=2)
    truth, owner = data.truth, data.test_owner
    x, y = data.test_x.astype(np.float64), data.test_y
    near((np.sum(x * truth["tasks"][owner], axis=1) - y) ** 2, 0.04)
    near((x @ truth["common"] - y) ** 2, 0.25 + 0.04)
    assert truth["bayes_loss"] == pytest.approx(0.04)


def test_least_squares_has_no_gradient_and_without_noise_is_the_task():
    data = generators.related_tasks(owners=3, examples=200, features=5)
    for one, best in enumerate(data.truth["least_squares"]):
        mine = data.train_owner == one
        x = np.pad(data.train_x[mine].astype(np.float64), ((0, 0), (0, 1)), constant_values=1.0)
        np.testing.assert_allclose(x.T @ (x @ best - data.train_y[mine]), 0, atol=1e-9)
    exact = generators.related_tasks(owners=3, examples=200, features=5, noise=0.0).truth
    np.testing.assert_allclose(exact["least_squares"][:, :5], exact["tasks"], atol=1e-6)
    np.testing.assert_allclose(exact["least_squares"][:, 5], 0, atol=1e-6)


# --- sparse logistic


def test_sparse_logistic_follows_its_law():
    data = generators.sparse_logistic(100, 50_000, features=30, nonzeros=5, signal=2.0)
    parameter, support = data.truth["parameter"], data.truth["support"]
    np.testing.assert_array_equal(np.flatnonzero(parameter), support)
    np.testing.assert_allclose(np.abs(parameter[support]), 2 / np.sqrt(5))
    chance = expit(data.test_x @ parameter)
    near_zero_means((data.test_y - chance)[:, None] * data.test_x)  # the score at the truth has mean 0
    near(data.test_y, 0.5)
    near((chance > 0.5) == data.test_y, data.truth["bayes_accuracy"])
    near((data.test_x @ parameter) ** 2, 4.0)


@pytest.mark.parametrize(("signal", "accuracy"), [(0.0, 0.5), (1e4, 1.0)])
def test_best_accuracy_of_no_signal_and_of_a_strong_one(signal, accuracy):
    found = generators.sparse_logistic(10, 10, signal=signal).truth["bayes_accuracy"]
    np.testing.assert_allclose(found, accuracy, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("gaussian_mixture", {"examples": 0}, r"got examples=0, .*try examples=1"),
        ("gaussian_mixture", {"classes": 40}, r"got classes=40 with features=32, .*try features=40"),
        ("gaussian_mixture", {"separation": -1.0}, r"separation=-1.0"),
        ("gaussian_mixture", {"examples": 10**14}, r"needs about .* GiB"),
        ("teacher", {"noise": 1.5}, r"got noise=1.5, .*between 0 and 1"),
        ("rotated_clients", {"owners": 5}, r"got owners=5, images have four quarter turns; try owners=4"),
        ("drifting_concepts", {"kind": "turned"}, r"got kind 'turned'.*rotated"),
        ("drifting_concepts", {"features": 5}, r"even number of features.*try features=6"),
        ("drifting_concepts", {"concepts": 501}, r"got concepts=501 for 500 examples; try concepts=500"),
        ("clustered_concepts", {"rule": "turned"}, r"got rule 'turned', which does not exist"),
        ("clustered_concepts", {"owners": 2, "clusters": 3}, r"got clusters=3 of 2 owners, .*try owners=3"),
        ("clustered_concepts", {"clusters": 5, "classes": 4}, r"got clusters=5 with 4 classes, .*try clusters=4"),
        ("clustered_concepts", {"clusters": 3, "rule": "reversed"}, r"with rule='reversed', need two; try clusters=2"),
        ("clustered_concepts", {"rule": "teachers", "classes": 40}, r"got classes=40 with features=32"),
        ("clustered_concepts", {"data": "mnist"}, r"got data='mnist', need a data set; try data=jdl.data.load"),
        ("related_tasks", {"relation": "star"}, r"got relation 'star', which does not exist"),
        ("related_tasks", {"rank": 16}, r"rank 16 of 16 owners with 20 features, need at most 15; try rank=15"),
        ("related_tasks", {"examples": 300}, r"got examples=300 for 16 owners .*at least 336; try examples=336"),
        ("related_tasks", {"relation": "ring", "owners": 2}, r"got owners=2, need a whole number of at least 3"),
        ("related_tasks", {"noise": -1.0}, r"got noise=-1.0"),
        ("synthetic", {"alpha": -0.5}, r"got alpha=-0.5"),
        ("synthetic", {"owners": 0}, r"got owners=0"),
        ("sparse_logistic", {"nonzeros": 101}, r"got nonzeros=101 of 100 features; try nonzeros=10"),
    ],
)
def test_bad_arguments_are_refused(name, options, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        draw(name, **options)


def test_what_cannot_be_shifted_is_refused():
    tokens, y = np.zeros((4, 8), np.int32), np.zeros(4, np.int32)
    for rule in (generators.rotated_clients, generators.permuted_clients):
        with pytest.raises(checks.InputError, match=r"got words with examples of type int32.*need images or features"):
            rule(Dataset(tokens, y, tokens, y, 1, "words", "Made here."))
    wide = np.zeros((4, 2, 3, 1), np.uint8)
    with pytest.raises(checks.InputError, match=r"got images of 2x3, need square"):
        generators.rotated_clients(Dataset(wide, y, wide, y, 1, "wide", "Made here."))
