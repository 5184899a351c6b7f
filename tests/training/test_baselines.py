"""Baselines: each learns what it is for, from what it is given, and gives one answer a row."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.training.baselines import BASELINES, DEFAULTS, abundance_matching, usable

OPTIONAL = ("explainable_boosting", "explainable_boosting_neighbours")


def rows(seed: int = 0, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, 2 * x[:, 0] - x[:, 1] + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize("name", [name for name, entry in BASELINES.items() if entry.regress])
def test_baselines_of_numbers_beat_the_mean_of_what_they_can_see(name):
    if name in OPTIONAL:
        pytest.importorskip("interpret")
    (x, y), (x_test, truth) = rows(), rows(1, 200)
    given = x[:, :1], x_test[:, :1]
    predict = BASELINES[name].regress
    assert predict is not None
    found = predict(
        *((x, y, x_test) if BASELINES[name].inputs in ("own", "neighbours") else (given[0], y, given[1])), 0
    )
    assert found.shape == (200,)
    error = np.sqrt(np.mean((found - truth) ** 2))
    assert np.isclose(error, truth.std(), rtol=0.05) if name == "mean" else error < 0.7 * truth.std()


@pytest.mark.parametrize("name", [name for name, entry in BASELINES.items() if entry.classify])
def test_baselines_of_classes_give_probabilities_that_tell_the_classes_apart(name):
    if name in OPTIONAL:
        pytest.importorskip("interpret")
    (x, y), (x_test, truth) = rows(), rows(1, 200)
    classify = BASELINES[name].classify
    assert classify is not None
    classes, true = np.digitize(y, [-1, 1]), np.digitize(truth, [-1, 1])
    found = classify(x, classes, x_test, 0)
    assert found.shape == (200, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    right = np.mean(found.argmax(axis=1) == true)
    assert right > 0.7 if name != "majority" else right == np.mean(true == np.bincount(classes).argmax())


@pytest.mark.parametrize("name", ["logistic", "boosted_trees", "random_forest", "majority"])
def test_a_class_that_the_training_rows_lack_has_no_probability_and_one_class_alone_has_all(name):
    x, y = rows()
    classify = BASELINES[name].classify
    assert classify is not None
    found = classify(x, np.where(y > 0, 2, 0), x, 0)
    assert found.shape == (600, 3) and not found[:, 1].any()
    np.testing.assert_allclose(classify(x, np.ones(600, dtype=int), x, 0)[:, 1], 1.0)


def test_abundance_matching_is_rank_to_rank_and_monotonic():
    rng = np.random.default_rng(3)
    mass, target = rng.lognormal(size=500), rng.normal(size=500)
    order = np.argsort(mass)
    found = abundance_matching(mass[:, None], target, mass[:, None])
    sign = 1 if np.corrcoef(np.argsort(order), target)[0, 1] >= 0 else -1
    np.testing.assert_allclose(found[order], np.sort(target)[::sign])
    steps = np.diff(abundance_matching(mass[:, None], target, np.sort(rng.lognormal(size=99))[:, None]))
    assert (sign * steps >= 0).all()


def test_abundance_matching_takes_the_closest_feature_and_follows_magnitudes_downwards():
    rng = np.random.default_rng(4)
    mass = rng.lognormal(size=400)
    magnitude = -2.5 * np.log10(mass)
    found = abundance_matching(np.column_stack([rng.random(400), mass]), magnitude, np.column_stack([mass, mass]))
    np.testing.assert_allclose(found, magnitude)


def test_the_defaults_of_every_task_exist_and_are_for_it():
    for task, names in DEFAULTS.items():
        assert names and all(usable(name, task) for name in names)
    assert not usable("mean", "node_classification") and not usable("separation", "node_classification")
    assert not usable("boosted_trees_neighbours", "edge_classification") and usable("count", "graph_regression")
