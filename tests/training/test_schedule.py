"""The learning rate's course: where it starts, turns and ends."""

from __future__ import annotations

import pytest

from gnnlib.training.schedule import SCHEDULES


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, 400])
def test_every_schedule_is_a_share_of_the_full_rate_at_every_step(name, steps):
    shares = [SCHEDULES[name](done, steps) for done in range(steps)]
    assert all(0 <= share <= 1 for share in shares) and max(shares) > 0


def test_the_published_step_schedule_divides_by_5_at_half_and_by_25_at_three_quarters():
    shares = [SCHEDULES["step"](done, 100) for done in range(100)]
    assert shares == [1.0] * 50 + [0.2] * 25 + [0.04] * 25


def test_one_cycle_rises_for_a_fifth_and_falls_to_nothing_and_cosine_only_falls():
    rises = [SCHEDULES["one_cycle"](done, 100) for done in range(101)]
    assert rises.index(max(rises)) in (19, 20) and rises[-1] == pytest.approx(0)
    falls = [SCHEDULES["cosine"](done, 100) for done in range(101)]
    assert falls[0] == 1 and falls[50] == pytest.approx(0.5) and falls[100] == pytest.approx(0)
    assert falls == sorted(falls, reverse=True)
