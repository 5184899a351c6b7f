"""Predictions come back to the catalog with every row and column it had, in every format."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from gnnlib.catalog.read import read_catalog
from gnnlib.errors import InputError
from gnnlib.explain.export import FORMATS, joined, packed


@pytest.fixture
def made(replays):
    run = replays["attention"].run
    catalog = read_catalog(run.spec.catalog)
    predictions = run.predictions.iloc[:-30]
    return catalog, predictions, *joined(catalog, predictions, run.spec.target)


def read_back(label: str, data: bytes) -> pd.DataFrame:
    buffer = io.BytesIO(data)
    if label == "CSV":
        return pd.read_csv(buffer)
    if label == "Parquet":
        return pd.read_parquet(buffer)
    found = Table.read(buffer, format=label.lower())
    found.convert_bytestring_to_unicode()
    return found.to_pandas()


@pytest.mark.parametrize("label", list(FORMATS))
def test_a_file_holds_every_row_and_column_and_the_predictions(made, label):
    catalog, predictions, table, columns = made
    back = read_back(label, packed(table, columns, label))
    assert len(back) == len(catalog)
    assert [*catalog.table.columns] == list(back.columns[: catalog.table.shape[1]])
    for name in catalog.table.columns:
        np.testing.assert_array_equal(back[name], catalog.table[name])
    known = predictions.set_index("row_id").reindex(back["row_id"])
    for name in ("prediction", "sigma", "residual"):
        np.testing.assert_array_equal(back[name], known[name])
    assert (back["fold"] == -1).sum() == 30
    np.testing.assert_array_equal(back["fold"], known["fold"].fillna(-1))


def test_units_and_meaning_go_with_the_columns(made):
    _, _, table, columns = made
    back = Table.read(io.BytesIO(packed(table, columns, "VOTable")), format="votable")
    assert back["prediction"].description == "out-of-fold prediction of stars"
    for name, column in columns.items():
        if column.unit and not column.h_power:
            assert back[name].unit is not None


def test_a_column_of_the_same_name_is_kept(made):
    catalog, predictions, _, columns = made
    taken = catalog.with_columns({"sigma": (np.arange(len(catalog)), columns["sigma"])})
    table, _ = joined(taken, predictions)
    np.testing.assert_array_equal(table["sigma"], np.arange(len(catalog)))
    assert table["filament_sigma"].notna().sum() == len(predictions)


@pytest.mark.parametrize("label", list(FORMATS))
def test_classes_come_with_the_probability_of_each(made, label):
    catalog, predictions, *_ = made
    names = np.array(["blue & round", "red"])
    told = pd.DataFrame({"row_id": predictions["row_id"], "fold": 0}).assign(
        prediction=names[np.arange(len(predictions)) % 2],
        probability_red=np.linspace(0, 1, len(predictions)),
        truth=names[0],
    )
    table, columns = joined(catalog, told, "colour")
    back = read_back(label, packed(table, columns, label))
    known = told.set_index("row_id").reindex(back["row_id"])
    assert back["prediction"].fillna("").tolist() == known["prediction"].fillna("").tolist()
    np.testing.assert_allclose(back["probability_red"], known["probability_red"])
    assert "sigma" not in back and "truth" not in back
    assert columns["prediction"].description == "out-of-fold prediction of colour"


def test_a_foreign_catalog_and_an_unknown_format_are_refused(made):
    catalog, predictions, table, columns = made
    with pytest.raises(InputError, match="does not have"):
        joined(catalog, predictions.assign(row_id=predictions["row_id"] + 10**9))
    with pytest.raises(InputError, match="no format 'XLS'"):
        packed(table, columns, "XLS")
