"""Invariant models stay as they are, and the counter-example does not."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.explain import symmetry
from gnnlib.explain.symmetry import TRIALS


@pytest.mark.parametrize("kind", ["attention", "message_passing"])
@pytest.mark.parametrize("name", list(TRIALS))
def test_predictions_do_not_depend_on_the_frame(replays, kind, name):
    found = symmetry.trial(replays[kind], name)
    assert found.objects == replays[kind].folds[0].tested.sum()
    assert found.edges == 0
    assert found.largest < 1e-3 * found.spread
    assert found.open_box == (name == "rotate")


def test_absolute_positions_fail_and_only_permutation_spares_them(replays):
    replay = replays["attention"]
    counter = symmetry.counter_example(replay)
    for name in TRIALS:
        found = symmetry.trial(replay, name, counter=counter)
        if name == "permute":
            assert found.largest < 1e-4 * found.spread
        else:
            assert found.largest > 0.05 * found.spread


def test_a_rotation_is_a_proper_one():
    for seed in range(5):
        turn = symmetry._rotation(np.random.default_rng(seed), 3)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1.0)
