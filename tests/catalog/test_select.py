"""Cuts: named subsets counted, the rows a catalog keeps, and the cuts that its values call for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnlib.catalog import read_catalog
from gnnlib.catalog.expressions import evaluate_condition
from gnnlib.catalog.repeats import repeated
from gnnlib.catalog.select import counts, kept, suggest_cuts
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Missing, Roles
from gnnlib.errors import InputError


def catalog(table: pd.DataFrame, roles: Roles | None = None, **choices: object) -> Catalog:
    return Catalog(
        table=table,
        columns={name: Column(name, "Msun" if name.startswith("M") else "") for name in table.columns},
        roles=roles or Roles(),
        row_ids=np.arange(len(table)),
        spec=CatalogSpec(path="none", **choices),  # type: ignore[arg-type]
        name="none",
    )


def test_rows_kept_are_those_of_the_cut_that_miss_nothing_they_must_have() -> None:
    table = pd.DataFrame({"n": [1, 2, 3, 4, 5], "mag": [17, np.nan, 18, 19, 20.0], "z": [np.nan] * 5})
    rules = {"mag": Missing(values=(), rule="drop"), "z": Missing(values=(-9,), rule="mask")}
    rows = catalog(table, where="few | n == 5", subsets={"few": "n < 4"}, missing=rules)
    np.testing.assert_array_equal(kept(rows), [True, False, True, False, True])
    assert counts(rows) == {"few": 3}


def test_a_subset_that_is_no_condition_is_named_when_it_is_counted() -> None:
    rows = catalog(pd.DataFrame({"n": [1, 2]}), subsets={"fine": "n > 1", "wrong": "n * 2"})
    with pytest.raises(InputError, match="Subset 'wrong'"):
        counts(rows)


cells = st.one_of(st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf]), st.integers(0, 3).map(float))
rows_of = st.lists(
    st.tuples(cells, cells, st.integers(0, 2), st.sampled_from(["a", "b", None]), st.booleans()), max_size=25
)


@given(rows=rows_of)
def test_repeated_rows_are_those_of_pandas(rows: list[tuple]) -> None:
    table = pd.DataFrame(rows, columns=["f", "g", "n", "kind", "flag"])
    table = table.astype({"f": np.float32, "g": np.float64, "flag": bool} if len(table) else {})
    for columns in (["f", "g", "n", "kind", "flag"], ["f"], ["kind"], ["n", "flag"], ["kind", "flag", "g"]):
        twice = table[columns].duplicated().to_numpy()
        np.testing.assert_array_equal(repeated(table[columns]), twice)
        whole = table[columns].notna().all(axis=1).to_numpy()
        np.testing.assert_array_equal(repeated(table[columns], with_gaps=False), twice & whole)


def test_repeats_of_long_ids_are_not_confused() -> None:
    ids = 2**62 + np.arange(5)
    assert not repeated(pd.DataFrame({"id": ids})).any()
    np.testing.assert_array_equal(repeated(pd.DataFrame({"id": ids[[0, 1, 0]]})), [False, False, True])


def test_suggested_cuts_are_expressions_that_keep_what_they_say(tng_chunks: Path) -> None:
    rows = read_catalog(tng_chunks)
    found = {cut.name: cut for cut in suggest_cuts(rows)}
    assert found["positive_SubhaloMassType_stars"].condition == "SubhaloMassType_stars > 0"
    assert found["positive_SubhaloMassType_stars"].cut == 35263
    assert (found["cosmological"].condition, found["cosmological"].cut) == ("SubhaloFlag", 1364)
    for cut in found.values():
        keep = evaluate_condition(cut.condition, rows)
        assert (int(keep.sum()), int((~keep).sum())) == (cut.rows, cut.cut)
        assert cut.rows and cut.cut and "\n" not in cut.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sim/rockstar/dummy_halocat_0.07812.list", {"no_phantoms": 34}),
        ("survey/shapley/Shapley_galaxy_data.csv", {"unique_rows": 23}),
        ("stars/nearest/Nearest.csv", {"unique_rows": 1, "unique_positions": 53}),
        ("sim/nbody_1200mpch/Halo3D_300.txt", {"unique_rows": 14}),
        ("stars/gaia_slice/raw_L000-030.csv", {}),
    ],
)
def test_flags_and_repeats_of_the_real_catalogs_become_cuts(
    shared_data: Path, name: str, expected: dict[str, int]
) -> None:
    rows = read_catalog(shared_data / name)
    assert {cut.name: cut.cut for cut in suggest_cuts(rows) if not cut.name.startswith("positive")} == expected


def test_only_columns_wanted_as_logarithms_call_for_positive_values() -> None:
    n = 50
    table = pd.DataFrame(
        {
            "M<300pc": np.r_[0.0, np.geomspace(1e8, 1e9, n - 1)],
            "wide": np.r_[0.0, 0.0, np.geomspace(1e-4, 10, n - 2)],
            "narrow": np.r_[0.0, np.linspace(1, 2, n - 1)],
            "both": np.r_[0.0, np.linspace(-5, 5, n - 1)],
            "full": np.geomspace(1, 1e6, n),
            "log_wide": np.r_[0.0, np.geomspace(1e-4, 10, n - 1)],
            "not_used": np.r_[0.0, np.geomspace(1e-4, 10, n - 1)],
        }
    )
    roles = Roles(mass="M<300pc", target="wide", features=("narrow", "both", "full", "log_wide"))
    found = suggest_cuts(catalog(table, roles))
    assert [(cut.name, cut.condition, cut.cut) for cut in found] == [
        ("positive_wide", "wide > 0", 2),
        ("positive_M<300pc", "`M<300pc` > 0", 1),
    ]
    taken = catalog(table, roles, subsets={"positive_wide": "wide > 1"})
    assert [cut.name for cut in suggest_cuts(taken)] == ["positive_M<300pc"]
    named = catalog(table, roles, subsets={cut.name: cut.condition for cut in found})
    assert counts(named) == {cut.name: cut.rows for cut in found}
    assert evaluate_condition("positive_wide & `positive_M<300pc`", named).sum() == n - 2


def test_objects_without_a_distance_or_an_identifier_repeat_nothing() -> None:
    table = pd.DataFrame({"id": [1, 2, np.nan, np.nan], "x": [0, np.nan, np.nan, 0.0], "m": [1, 2, 3, 4]})
    found = suggest_cuts(catalog(table, Roles(position=("x",), row_id="id")))
    assert {cut.name: (cut.condition, cut.cut) for cut in found} == {"unique_positions": ("not duplicate(x)", 1)}


def test_repeated_identifiers_and_places_are_told_apart_from_repeated_rows() -> None:
    table = pd.DataFrame({"id": [1, 1, 2, 2, 3], "x": [0, 0, 0, 5, 6.0], "y": [0, 0, 0, 5, 6.0], "m": [1, 1, 2, 3, 4]})
    found = suggest_cuts(catalog(table, Roles(position=("x", "y"), row_id="id")))
    assert {cut.name: (cut.condition, cut.cut) for cut in found} == {
        "unique_rows": ("not duplicate()", 1),
        "unique_positions": ("not duplicate(x, y)", 2),
        "unique_ids": ("not duplicate(id)", 2),
    }
