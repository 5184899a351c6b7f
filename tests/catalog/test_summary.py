"""The overview of a catalog: gaps, sentinels, repeats, extents, and the command line's JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog import CatalogSpec, load_sample, summarize
from gnnlib.catalog.sample import SAMPLE_PATH
from gnnlib.catalog.table import Catalog, Column, Roles


def catalog(table: pd.DataFrame, **fields: object) -> Catalog:
    columns = {name: Column(name) for name in table.columns}
    defaults: dict[str, object] = {"roles": Roles(), "row_ids": np.arange(len(table))}
    return Catalog(table=table, columns=columns, spec=CatalogSpec(path="none"), name="none", **(defaults | fields))  # type: ignore[arg-type]


def test_sentinels_are_counted_where_they_stand_apart() -> None:
    n = 50
    table = pd.DataFrame(
        {
            "mag": np.r_[-99.99, -99.9, -99.99, np.linspace(-23, -17, n - 3)],
            "velocity": np.r_[-99.0, np.linspace(-300, 300, n - 1)],
            "band": np.r_[np.float32(1e37), np.linspace(10, 20, n - 1)].astype(np.float32),
            "code": np.r_[-999, np.arange(1, n)],
            "log": np.r_[-np.inf, np.inf, np.linspace(8, 12, n - 2)],
            "gap": np.r_[np.nan, np.nan, np.linspace(0, 1, n - 2)],
            "kind": [None, *["E"] * (n - 1)],
        }
    )
    found = {column.name: column for column in summarize(catalog(table)).columns}
    assert found["mag"].sentinels == {"-99.99": 2, "-99.9": 1} and found["mag"].min == -23
    assert found["velocity"].sentinels == {} and found["velocity"].min == -300
    assert found["band"].sentinels == {"1e+37": 1} and found["band"].max == 20
    assert found["code"].sentinels == {"-999": 1}
    assert found["log"].sentinels == {"inf": 1, "-inf": 1} and found["log"].max == 12
    assert (found["gap"].missing, found["kind"].missing, found["kind"].min) == (2, 1, None)


def test_repeated_rows_and_places_are_counted() -> None:
    table = pd.DataFrame({"x": [1.0, 1, 1, 2], "y": [1.0, 1, 1, 2], "z": [1.0, 1, 1, 2], "m": [5.0, 5, 6, 7]})
    summary = summarize(catalog(table, roles=Roles(position=("x", "y", "z"))))
    assert (summary.duplicates, summary.duplicate_positions) == (1, 2)
    assert summary.extent == ((1, 2), (1, 2), (1, 2))
    assert any("repeat an earlier row" in warning for warning in summary.warnings)


def test_the_json_has_the_keys_of_the_command_line() -> None:
    table = pd.DataFrame({"x": [1.0, np.nan], "y": [1.0, 2.0], "kind": ["E", None]})
    told = json.loads(summarize(catalog(table, box=np.array([3.0, 3, 3]), periodic=True)).to_json())
    assert set(told) == {"rows", "columns", "roles", "box", "periodic", "warnings"}
    assert told["rows"] == 2 and told["box"] == [3, 3, 3] and told["periodic"] is True
    assert [column["missing"] for column in told["columns"]] == [1, 0, 1]
    assert set(told["columns"][0]) == {"name", "unit", "dtype", "missing"}


@pytest.mark.skipif(not SAMPLE_PATH.exists(), reason="the bundled sample is not built yet")
def test_the_bundled_sample_is_clean_and_complete() -> None:
    sample = load_sample()
    summary = summarize(sample)
    assert sample.periodic and sample.length_unit == "Mpc" and sample.warnings == ()
    assert not any(column.missing or column.sentinels for column in summary.columns) and summary.duplicates == 0
    assert sample.roles.target == "stellar_mass" and len(sample.roles.position) == 3
    assert sample.box is not None
    low, high = np.array(summary.extent).T
    assert (low >= 0).all() and (high <= sample.box).all()
    assert len(np.unique(sample.row_ids)) == len(sample)
    halo = sample.physical("halo_mass")
    assert halo[1] == "Msun" and np.allclose(halo[0], sample.values("halo_mass") / sample.h)
