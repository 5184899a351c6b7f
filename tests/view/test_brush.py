"""What is brushed in a figure is exactly what lies in the outline."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.view.brush import clicked, enclosed, within_outline

RNG = np.random.default_rng(2)
X, Y = RNG.uniform(-1, 1, (2, 500))
corners = st.tuples(*[st.floats(-1, 1).map(lambda value: round(value, 3))] * 6)


@settings(deadline=None, max_examples=50)
@given(corners)
def test_a_triangle_holds_what_lies_on_the_inner_side_of_its_three_sides(six: tuple[float, ...]) -> None:
    a, b, c = np.reshape(six, (3, 2))
    sides = [(q[0] - p[0]) * (Y - p[1]) - (q[1] - p[1]) * (X - p[0]) for p, q in ((a, b), (b, c), (c, a))]
    expected = np.all(np.array(sides) > 0, axis=0) | np.all(np.array(sides) < 0, axis=0)
    np.testing.assert_array_equal(within_outline(np.array([a, b, c]), X, Y), expected)


def test_a_box_may_be_drawn_from_any_corner_and_several_add_up() -> None:
    brush = {"box": [{"x": [0.5, -0.5], "y": [0.1, -0.2]}, {"x": [0.6, 0.9], "y": [-1, 1]}], "lasso": []}
    expected = ((np.abs(X) <= 0.5) & (Y >= -0.2) & (Y <= 0.1)) | ((X >= 0.6) & (X <= 0.9))
    np.testing.assert_array_equal(enclosed(brush, X, Y), expected)


def test_a_lasso_around_a_hole_leaves_the_hole_out() -> None:
    u = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (0.5, 0.9), (0.5, -0.5), (-0.5, -0.5), (-0.5, 0.9), (-0.9, 0.9)]
    brush = {"lasso": [{"x": [x for x, _ in u], "y": [y for _, y in u]}]}
    arms = (np.abs(X) > 0.5) & (np.abs(X) < 0.9) & (np.abs(Y) < 0.9)
    foot = (np.abs(X) <= 0.5) & (Y > -0.9) & (Y < -0.5)
    np.testing.assert_array_equal(enclosed(brush, X, Y), arms | foot)


def test_a_stretch_of_a_histogram_ignores_how_high_it_is_drawn_and_values_that_are_unknown() -> None:
    values = np.array([0.0, 1.0, np.nan, 2.0, 3.0])
    found = enclosed({"box": [{"x": [1, 2], "y": [400, 900]}]}, values)
    assert found.tolist() == [False, True, False, True, False]


def test_nothing_drawn_is_nothing_selected_and_clicks_carry_exact_ids() -> None:
    assert not enclosed({"points": [], "box": [], "lasso": []}, X, Y).any()
    points = [{"customdata": str(2**62 + 1)}, {"customdata": ["a"]}, {"x": 1}]
    assert clicked({"points": points}) == [str(2**62 + 1), "a"]
