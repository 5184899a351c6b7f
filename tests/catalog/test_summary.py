"""The overview of a catalog: gaps, sentinels, repeats, extents, and the command line's JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog import CatalogSpec, load_sample, summarize
from gnnlib.catalog.sample import SAMPLE_PATH
from gnnlib.catalog.table import Catalog, Column, Missing, Roles


def catalog(table: pd.DataFrame, **fields: object) -> Catalog:
    columns = {name: Column(name) for name in table.columns}
    defaults: dict[str, object] = {"roles": Roles(), "row_ids": np.arange(len(table)), "spec": CatalogSpec(path="none")}
    return Catalog(table=table, columns=columns, name="none", **(defaults | fields))  # type: ignore[arg-type]


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


def test_columns_of_every_kind_are_summarised() -> None:
    table = pd.DataFrame(
        {
            "f": np.r_[np.nan, -99.99, np.inf, np.arange(10, 21)],
            "n": np.r_[np.arange(13), 100],
            "flag": [True, False] * 7,
            "kind": pd.Series(["E", "L", None, "S0", "E", "L", "E"] * 2, dtype="str"),
            "old": np.array(["E", "L", None, "S0", "E", "L", "E"] * 2, dtype=object),
            "empty": np.full(14, np.nan),
        }
    )
    found = {column.name: column for column in summarize(catalog(table)).columns}
    assert (found["f"].min, found["f"].median, found["f"].max, found["f"].distinct) == (10, 15, 20, None)
    assert (found["f"].missing, found["f"].sentinels) == (1, {"inf": 1, "-99.99": 1})
    assert (found["n"].min, found["n"].median, found["n"].max) == (0, 6.5, 100)
    assert (found["flag"].min, found["flag"].distinct) == (None, 2)
    for name in ("kind", "old"):
        assert (found[name].missing, found[name].min, found[name].distinct) == (2, None, 3)
    assert (found["empty"].missing, found["empty"].min, found["empty"].median) == (14, None, None)


def test_medians_and_extremes_are_numpys() -> None:
    rng = np.random.default_rng(0)
    for kind in (np.float32, np.float64, np.int16, np.int64, np.uint8):
        for n in (1, 2, 7, 1000):
            values = rng.uniform(0, 200, n).astype(kind)
            column = summarize(catalog(pd.DataFrame({"v": values}))).columns[0]
            assert (column.min, column.median, column.max) == (values.min(), np.median(values), values.max())


def test_a_decision_about_marks_ends_the_warning() -> None:
    table = pd.DataFrame({"mag": np.r_[-99.0, np.linspace(14, 20, 30)]})
    asked = summarize(catalog(table))
    assert any("stand for missing" in warning for warning in asked.warnings) and len(asked.suspects) == 1
    kept = CatalogSpec(path="none", missing={"mag": Missing(values=(-99,), rule="keep")})
    decided = summarize(catalog(table, spec=kept))
    assert decided.warnings == () and decided.suspects == asked.suspects


def test_repeated_identifiers_are_counted_where_they_identify() -> None:
    table = pd.DataFrame({"id": [1, 2, 2, 3], "m": [1.0, 2, 3, 4]})
    assert summarize(catalog(table, roles=Roles(row_id="id"))).duplicate_ids == 1
    assert summarize(catalog(table)).duplicate_ids == 0


def test_an_empty_catalog_has_a_summary() -> None:
    table = pd.DataFrame({"x": np.empty(0), "y": np.empty(0), "kind": np.empty(0, dtype=object)})
    summary = summarize(catalog(table, roles=Roles(position=("x", "y"))))
    assert (summary.rows, summary.extent, summary.duplicates) == (0, (), 0)


def test_the_json_has_the_keys_of_the_command_line() -> None:
    table = pd.DataFrame({"x": [1.0, np.nan], "y": [1.0, 2.0], "kind": ["E", None]})
    told = json.loads(summarize(catalog(table, box=np.array([3.0, 3, 3]), periodic_axes=(True, True, True))).to_json())
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
