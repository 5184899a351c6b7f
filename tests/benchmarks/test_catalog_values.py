"""What a person waits for on a catalog of a million rows: its summary, a cut, repeats, missing values, neighbours.
Answers are compared with numpy's, pandas' and scipy's in the same run; times are printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from gnnlib.catalog import missing, surroundings
from gnnlib.catalog.expressions import evaluate, evaluate_condition
from gnnlib.catalog.repeats import repeated
from gnnlib.catalog.select import kept
from gnnlib.catalog.summary import summarize
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Missing, Roles
from tests.benchmarks.timing import best_of

pytestmark = pytest.mark.benchmark
N = 1_000_000
SIDE = 100.0
MARKED = 5000  # magnitudes that are -99.99
UNKNOWN = 10_000  # masses that are NaN
REPEATED = 700  # rows at the end that repeat the first ones


def catalog(**choices: object) -> Catalog:
    """A million rows with ten columns of all kinds: text, flags, whole numbers and both precisions."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, SIDE, (N, 3))
    mag = rng.normal(18, 1.5, N).astype(np.float32)
    mag[rng.permutation(N)[:MARKED]] = -99.99
    mass = 10 ** rng.normal(10, 1, N)
    mass[rng.permutation(N)[:UNKNOWN]] = np.nan
    table = pd.DataFrame(dict(zip("xyz", places.T, strict=True)))
    table["mass"], table["mag"], table["z_spec"] = mass, mag, rng.uniform(0, 0.1, N)
    table["members"] = rng.integers(1, 60, N)
    table["group_id"] = rng.integers(0, N // 5, N)
    table["kind"] = pd.Series(rng.choice(["E", "S0", "Sb", "Irr"], N), dtype="str")
    table["flag"] = rng.random(N) > 0.1
    table.iloc[-REPEATED:] = table.iloc[:REPEATED].to_numpy()
    table = table.astype({"mag": np.float32, "members": np.int64, "group_id": np.int64, "flag": bool, "kind": "str"})
    return Catalog(
        table=table,
        columns={name: Column(name) for name in table.columns},
        roles=Roles(position=("x", "y", "z"), mass="mass", group="group_id"),
        row_ids=np.arange(N),
        spec=CatalogSpec(path="none", **choices),  # type: ignore[arg-type]
        name="benchmark",
        box=np.full(3, SIDE),
        periodic_axes=(True, True, True),
    )


@pytest.fixture(scope="module")
def million() -> Catalog:
    return catalog()


def told(what: str, ours: float, peer: str, theirs: float) -> None:
    print(f"\n{what}: {ours * 1e3:.1f} ms, {peer} {theirs * 1e3:.1f} ms, ratio {ours / theirs:.3f}")


def described(table: pd.DataFrame) -> tuple[pd.DataFrame, int, int, pd.Series]:
    """What pandas says of the same table: extremes and medians, repeated rows and places, gaps."""
    return (
        table.describe(percentiles=[0.5]),
        int(table.duplicated().sum()),
        int(table[["x", "y", "z"]].duplicated().sum()),
        table.isna().sum(),
    )


def test_summary_of_a_million_rows_and_ten_columns(million: Catalog) -> None:
    ours, summary = best_of(3, lambda: summarize(million))
    theirs, (numbers, rows, places, gaps) = best_of(1, lambda: described(million.table))
    told("summary of 1e6 x 10", ours, "pandas describe, duplicated, isna", theirs)
    columns = {column.name: column for column in summary.columns}
    assert (summary.duplicates, summary.duplicate_positions) == (rows, places) == (REPEATED, REPEATED)
    for name, column in columns.items():
        assert column.missing == gaps[name]
        if name in numbers and name != "mag":
            assert (column.min, column.max) == (numbers[name]["min"], numbers[name]["max"])
            assert column.median == pytest.approx(numbers[name]["50%"], rel=1e-12)
    assert columns["mag"].sentinels == {"-99.99": int((million.values("mag") < -99).sum())}
    assert columns["mag"].min == float(million.values("mag")[million.values("mag") > -99].min())
    assert columns["kind"].distinct == 4


CUTS = {
    "log10(mass) > 9 & z_spec < 0.05": lambda t: (np.log10(t["mass"]) > 9) & (t["z_spec"] < 0.05),
    "mag > 15 & kind == 'E' & flag": lambda t: (t["mag"] > 15) & (t["kind"] == "E") & t["flag"],
    "kind in ('E', 'S0') | members > 50": lambda t: t["kind"].isin(["E", "S0"]) | (t["members"] > 50),
    "(x - 50)**2 + (y - 50)**2 + (z - 50)**2 < 30**2": lambda t: (
        (t["x"] - 50) ** 2 + (t["y"] - 50) ** 2 + (t["z"] - 50) ** 2 < 30**2
    ),
    "abs(mag - median(mag)) < 3 * std(mag)": lambda t: (
        (t["mag"].astype(float) - np.median(t["mag"].astype(float))).abs() < 3 * t["mag"].astype(float).std(ddof=0)
    ),
}
PLAIN = {
    "log10(mass) > 9 & z_spec < 0.05": "log10(mass) > 9 and z_spec < 0.05",
    "(x - 50)**2 + (y - 50)**2 + (z - 50)**2 < 30**2": "(x - 50)**2 + (y - 50)**2 + (z - 50)**2 < 30**2",
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_on_a_million_rows(million: Catalog, cut: str) -> None:
    ours, keep = best_of(5, lambda: evaluate_condition(cut, million))
    theirs, expected = best_of(5, lambda: CUTS[cut](million.table).to_numpy())
    told(f"cut {cut}", ours, "pandas written out", theirs)
    np.testing.assert_array_equal(keep, expected)
    if cut in PLAIN:
        theirs, expected = best_of(5, lambda: million.table.eval(PLAIN[cut], engine="python").to_numpy())
        told(f"cut {cut}", ours, "pandas eval", theirs)
        np.testing.assert_array_equal(keep, expected)


def test_what_a_catalog_keeps_of_a_million_rows() -> None:
    rows = catalog(
        where="bright | massive",
        subsets={"bright": "mag < 17", "massive": "log10(mass) > 11 & flag"},
        missing={"mass": Missing(values=(), rule="drop")},
    )
    table = rows.table
    ours, keep = best_of(5, lambda: kept(rows))
    theirs, expected = best_of(
        5,
        lambda: (
            ((table["mag"] < 17) | ((np.log10(table["mass"]) > 11) & table["flag"])) & table["mass"].notna()
        ).to_numpy(),
    )
    told("cut of two named subsets and a drop rule", ours, "pandas written out", theirs)
    np.testing.assert_array_equal(keep, expected)


def test_repeated_rows_of_a_million(million: Catalog) -> None:
    ours, found = best_of(3, lambda: repeated(million.table))
    theirs, expected = best_of(2, lambda: million.table.duplicated().to_numpy())
    told("repeated rows of 1e6 x 10", ours, "pandas duplicated", theirs)
    np.testing.assert_array_equal(found, expected)
    coarse = million.table[["members", "kind", "flag"]]  # nearly all repeat
    ours, found = best_of(3, lambda: repeated(coarse))
    theirs, expected = best_of(2, lambda: coarse.duplicated().to_numpy())
    told("where nearly all rows repeat", ours, "pandas duplicated", theirs)
    np.testing.assert_array_equal(found, expected)


def test_values_that_stand_for_missing_ones_among_a_million(million: Catalog) -> None:
    ours, found = best_of(3, lambda: missing.find(million))
    theirs, expected = best_of(3, lambda: (million.table.select_dtypes("number") == np.float32(-99.99)).sum())
    told("sentinels of 1e6 x 10", ours, "pandas looking for one value", theirs)
    assert [(s.column, s.value, s.rows) for s in found] == [("mag", -99.99, int(expected["mag"]))]


def test_surroundings_of_a_million(million: Catalog) -> None:
    radius = 1.0
    ours, found = best_of(1, lambda: surroundings.overdensity(million, radius))
    places = million.positions()

    def plain() -> np.ndarray:
        tree = cKDTree(places, boxsize=SIDE)
        return tree.query_ball_point(places, radius, return_length=True, workers=-1)

    theirs, counted = best_of(1, plain)
    told("overdensity of 1e6 within 4 neighbours", ours, "scipy's KD-tree, rows in their order", theirs)
    expected = (N - 1) * 4 / 3 * np.pi * radius**3 / SIDE**3
    np.testing.assert_allclose(found, (counted - 1) / expected)
    ours, central = best_of(2, lambda: evaluate("is_central(group_id, mag)", million))
    table = million.table
    theirs, largest = best_of(2, lambda: table.groupby("group_id")["mag"].idxmax())
    told("centrals of 200,000 groups", ours, "pandas groupby idxmax", theirs)
    np.testing.assert_array_equal(np.flatnonzero(central), np.sort(largest.to_numpy()))
