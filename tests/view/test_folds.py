"""A fold in space."""

from __future__ import annotations

from gnnlib.training.data import prepare
from gnnlib.training.splits import PARTS
from gnnlib.view.folds import fold_scene
from tests.training.conftest import run_spec, write_catalog


def test_every_row_has_the_colour_of_its_part(tmp_path):
    data = prepare(run_spec(write_catalog(tmp_path / "halos.csv"), buffer=3.0))
    for number, fold in enumerate(data.folds):
        scene = fold_scene(data, number)
        colors = scene.node_colors
        assert colors.categories == PARTS
        order = {row: at for at, row in enumerate(data.catalog.row_ids)}
        places = [order[row] for row in scene.row_ids]
        for code, mask in enumerate((fold.train, fold.validation, fold.buffer, fold.test)):
            assert ((colors.values == code) == mask[places]).all() and mask.any()
