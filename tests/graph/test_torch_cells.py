"""The search in tensor operations gives the edges of the compiled one to the last bit; on CUDA too where that is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.graph import GraphSpec, find, torch_cells
from gnnlib.graph.methods import radius as radius_method
from gnnlib.graph.space import inside_box
from gnnlib.graph.torch_cells import radius_edges

from .point_sets import ANYWHERE, BOXES, INSIDE, point_sets, points

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


def assert_same(positions: np.ndarray, radius: float, box: np.ndarray | None, device: str) -> None:
    expected = find(positions, GraphSpec(radius=radius), box)
    edge_index, separations, lengths = radius_edges(inside_box(positions, box), radius, box, device)
    assert np.array_equal(edge_index, expected.edge_index) and edge_index.dtype == np.int64
    assert np.array_equal(separations, expected.separations)
    assert np.array_equal(lengths, expected.lengths)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(point_sets(), st.one_of(st.floats(0.01, 3.5), st.integers(1, 28).map(lambda eighths: eighths / 8)))
def test_an_open_graph_is_the_same_to_the_last_bit(device: str, positions: np.ndarray, radius: float) -> None:
    assert_same(positions, radius, None, device)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(point_sets(kinds=INSIDE), st.floats(0.01, 3.5), st.sampled_from(BOXES[1:]))
def test_a_periodic_graph_is_the_same_to_the_last_bit(
    device: str, positions: np.ndarray, radius: float, box: np.ndarray
) -> None:
    assert_same(positions, radius, box, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ANYWHERE)
def test_thousands_of_points_in_small_chunks(kind: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_cells, "PAIRS_AT_ONCE", 5_000)
    assert_same(points(kind, 3_000), 0.4, None, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("share", [0.5, 0.34, 1 / 3, 0.26, 0.25])
def test_a_box_of_few_cells_has_each_edge_once(share: float, device: str) -> None:
    for box in BOXES[1:]:
        assert_same(points("uniform", 150), share * box[box > 0].min(), box, device)


def test_equal_roots_of_unequal_squares_go_by_source() -> None:
    square = np.array([2.0, np.nextafter(2.0, 3), 1.0, np.nextafter(2.0, 3)])
    edge_index = np.array([[7, 4, 1, 9], [0, 0, 2, 2]])
    found, separations, lengths = torch_cells._with_lengths(edge_index.copy(), np.arange(12.0).reshape(4, 3), square)
    assert lengths[0] == lengths[1] and found[0].tolist() == [4, 7, 1, 9]
    assert separations[:, 0].tolist() == [3, 0, 6, 9]


def test_it_is_used_for_large_catalogs_where_there_is_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, spec = points("uniform", 500), GraphSpec(radius=1.0)
    expected = find(positions, spec, None)
    asked = []

    def stand_in(positions: np.ndarray, radius: float, box: np.ndarray | None, device: str):
        asked.append(device)
        return radius_edges(positions, radius, box, "cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch_cells, "radius_edges", stand_in)
    assert np.array_equal(find(positions, spec, None).edge_index, expected.edge_index) and not asked
    monkeypatch.setattr(radius_method, "LARGE", 500)
    assert np.array_equal(find(positions, spec, None).edge_index, expected.edge_index) and asked == ["cuda"]

    def too_small(*arguments: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch_cells, "radius_edges", too_small)
    assert np.array_equal(find(positions, spec, None).edge_index, expected.edge_index)
