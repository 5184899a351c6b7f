"""A point of view around some objects looks at them, from as near as shows all of them, and keeps its angles."""

from __future__ import annotations

import numpy as np
import pytest

from gnnlib.catalog.table import Catalog
from gnnlib.view.export import OPENING, eye_of, frame_radius
from gnnlib.view.scene import Scene, catalog_scene
from gnnlib.view.viewpoint import NEAREST, around

from .test_scene import catalog_of

POSITIONS = np.random.default_rng(4).uniform(0, 50, (300, 3))


@pytest.fixture
def scene() -> Scene:
    catalog: Catalog = catalog_of(POSITIONS)
    return catalog_scene(catalog)


@pytest.mark.parametrize("chosen", [np.arange(3), np.arange(100), np.array([7])])
def test_all_the_objects_are_within_what_is_seen(scene: Scene, chosen: np.ndarray) -> None:
    points = POSITIONS[chosen]
    eye = eye_of(scene, around(scene, points))
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    np.testing.assert_allclose(eye.target + scene.centre, middle, atol=0.02)
    seen = eye.distance * OPENING
    assert seen >= np.linalg.norm(points - middle, axis=1).max()
    assert seen == pytest.approx(
        max(0.6 * np.linalg.norm(np.ptp(points, axis=0)), NEAREST * frame_radius(scene)), rel=1e-3
    )


def test_the_angles_stay_and_a_text_that_says_none_is_as_at_the_beginning(scene: Scene) -> None:
    assert around(scene, POSITIONS[:2], seen="o_12.5_-70_3_0_0_0").startswith("o_12.5000_-70.0000_")
    assert around(scene, POSITIONS[:2], seen="nonsense") == around(scene, POSITIONS[:2])


def test_objects_across_a_periodic_face_are_seen_together(scene: Scene) -> None:
    points = np.array([[1.0, 25.0, 25.0], [49.0, 25.0, 25.0]])
    near, far = (eye_of(scene, around(scene, points, box)) for box in (np.array([50.0, 0.0, 50.0]), None))
    assert near.distance < far.distance
    np.testing.assert_allclose(near.target + scene.centre, [0.0, 25.0, 25.0], atol=0.02)
