"""Derived columns: their order, what they may use, their units, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog import read_catalog
from gnnlib.catalog.derived import add, origins
from gnnlib.catalog.select import counts
from gnnlib.catalog.surroundings import overdensity
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Missing, Roles
from gnnlib.errors import InputError

N = 60
PLACES = np.random.default_rng(3).uniform(0, 10, (N, 3))
MASS = np.random.default_rng(4).lognormal(25, 2, N)
BIG = np.greater(MASS, np.median(MASS))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in a file: positions, velocities, a mass, groups, a flag."""
    path = tmp_path_factory.mktemp("derived") / "halos.csv"
    table = pd.DataFrame(PLACES, columns=["x [Mpc]", "y [Mpc]", "z [Mpc]"])
    table = table.assign(**{"mass [Msun]": MASS, "v [km/s]": np.arange(N) - 30.0, "gid": np.arange(N) // 7})
    table.assign(kind=np.where(BIG, "big", "small")).to_csv(path, index=False)
    return path


def test_columns_may_use_earlier_ones_subsets_and_their_surroundings(file: Path) -> None:
    rows = read_catalog(
        file,
        box=10,
        periodic=True,
        derived={
            "logm": "log10(mass)",
            "delta": "overdensity(2)",
            "crowded": "delta > 2",  # needs one that has to wait for the positions
            "excess": "logm - log10(median(mass))",
            "weighted": "overdensity(2, mass)",
            "central": "is_central(gid, mass)",
            "big": "where(massive, 1, 0)",
        },
        subsets={"massive": "kind == 'big'"},
        roles={"target": "logm", "central": "central", "features": ["delta", "weighted"]},
    )
    np.testing.assert_allclose(rows.values("logm"), np.log10(MASS))
    np.testing.assert_allclose(rows.values("excess"), np.log10(MASS / np.median(MASS)), atol=1e-12)
    np.testing.assert_array_equal(rows.values("delta"), overdensity(rows, 2))
    np.testing.assert_array_equal(rows.values("crowded"), rows.values("delta") > 2)
    np.testing.assert_array_equal(rows.values("weighted"), overdensity(rows, 2, MASS))
    np.testing.assert_array_equal(rows.values("big") == 1, BIG)
    assert rows.values("central").dtype == bool and rows.values("central").sum() == (N - 1) // 7 + 1
    assert rows.columns["delta"].description == "overdensity(2)" and rows.roles.features == ("delta", "weighted")


def test_surroundings_are_those_of_all_rows_and_not_of_the_rows_kept(file: Path) -> None:
    whole = read_catalog(file, derived={"near": "count_within(3)"})
    cut = read_catalog(file, derived={"near": "count_within(3)"}, where="kind == 'big'")
    np.testing.assert_array_equal(cut.values("near"), whole.values("near")[BIG])
    assert (cut.values("near") > cut.table.pipe(len)).sum() == 0 and len(cut) < len(whole)


def test_lengths_are_in_the_catalogs_length_unit(file: Path) -> None:
    mpc = read_catalog(file, derived={"near": "neighbor_distance(3)"})
    kpc = read_catalog(file, derived={"near": "neighbor_distance(3)"}, lengths="kpc")
    np.testing.assert_allclose(kpc.values("near"), 1000 * mpc.values("near"))
    assert (mpc.columns["near"].unit, kpc.columns["near"].unit) == ("Mpc", "kpc")


def test_positions_derived_from_the_sky_may_be_used(shared_data: Path) -> None:
    rows = read_catalog(
        shared_data / "survey/sami_dr2/dr2_sample.csv", derived={"far": "sqrt(x**2 + y**2 + z**2)", "c": "log10(far)"}
    )
    np.testing.assert_allclose(rows.values("c"), np.log10(np.linalg.norm(rows.positions(), axis=1)))
    assert rows.columns["far"].unit == "Mpc" and rows.columns["far"].inferred


def test_marks_in_a_derived_column_are_masked_as_it_is_made(file: Path) -> None:
    rules = {"logv": Missing(values=("-inf",), rule="drop")}
    rows = read_catalog(file, derived={"logv": "log10(abs(v))"}, missing=rules)
    assert len(rows) == N - 1 and np.isfinite(rows.values("logv")).all()


UNITS = {
    "m": "1e10 Msun/h",
    "m2": "1e10 Msun/h",
    "logm": "dex(Msun)",
    "logn": "dex(Msun)",
    "d": "Mpc",
    "r": "ckpc/h",
    "v": "km/s",
    "t": "",
}


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        ("v", "km/s"),
        ("-v", "km/s"),
        ("v - v", "km/s"),
        ("v - d", ""),
        ("v + 1", ""),
        ("m + m2", "1e10 Msun/h"),
        ("m / m2", ""),
        ("d / d > 1", ""),
        ("log10(v)", "dex(km/s)"),
        ("log10(d)", "dex(Mpc)"),
        ("log10(m)", "dex(1e10 Msun/h)"),
        ("log10(m / m2)", ""),
        ("log10(logm)", ""),
        ("logm - logn", "dex"),
        ("logm + logn", ""),
        ("logm - 10", ""),
        ("10 ** logm", "Msun"),
        ("10 ** logm / 10 ** logn", ""),
        ("d ** 2", "Mpc2"),
        ("sqrt(d ** 2 + d ** 2)", "Mpc"),
        ("d ** v", ""),
        ("v * d", "Mpc km / s"),
        ("v / d", "km / (Mpc s)"),
        ("d / 1000", ""),
        ("d * 3", ""),
        ("v * t", ""),
        ("t", ""),
        ("t + v", ""),
        ("abs(v)", "km/s"),
        ("max(v, v, v)", "km/s"),
        ("max(v, d)", ""),
        ("max(v, 0)", ""),
        ("where(v > 0, d, d)", "Mpc"),
        ("where(v > 0, d, 0)", ""),
        ("v - median(v)", "km/s"),
        ("percentile(d, 50)", "Mpc"),
        ("arctan2(v, v)", "rad"),
        ("ln(v)", ""),
        ("group_max(g, d)", "Mpc"),
        ("group_size(g)", ""),
        ("r", "ckpc/h"),
        ("r + r", "ckpc/h"),
        ("r ** 3", "kpc3/h^3"),
        ("d * r", ""),
    ],
)
def test_units_follow_where_they_are_certain(expression: str, unit: str) -> None:
    from gnnlib.catalog.units import parse_measure

    table = pd.DataFrame({name: np.arange(1.0, 4) for name in UNITS} | {"g": [1, 1, 2]})
    rows = Catalog(
        table=table,
        columns={name: Column(name, **parse_measure(UNITS.get(name, ""))._asdict()) for name in table},
        roles=Roles(),
        row_ids=np.arange(3),
        spec=CatalogSpec(path="none", derived={"new": expression}),
        name="none",
    )
    column = add(rows, of_surroundings=False).columns["new"]
    expected = parse_measure(unit.replace("kpc3/h^3", "ckpc3 h^-3"))
    assert column.measure == expected
    assert column.inferred == bool(expected.unit) and column.description == expression
    corrected = replace(rows, spec=rows.spec.model_copy(update={"units": {"new": "ckpc/h"}}))
    column = add(corrected, of_surroundings=False).columns["new"]
    assert (column.measure.label, column.inferred) == ("ckpc/h", False)


@pytest.mark.parametrize(
    ("derived", "subsets", "words"),
    [
        ({"mass": "v"}, {}, "There is a column 'mass' already"),
        ({" ": "v"}, {}, "is called ' '"),
        ({"new ": "v"}, {}, "without blanks"),
        ({"new": "v"}, {"new": "v > 1"}, "A subset and a column are both called 'new'"),
        ({}, {"mass": "v > 1"}, "A subset and a column are both called 'mass'"),
        ({}, {"": "v > 1"}, "A subset is called ''"),
        ({}, {"a": "b", "b": "a & v > 1"}, "defined by itself"),
        ({}, {"a": "v >"}, "Subset 'a': The expression 'v >' ends too early"),
        ({"new": "vv"}, {}, "Derived column 'new': The catalog has no column 'vv'"),
        ({"new": "old", "old": "new"}, {}, "Derived column 'new': It uses 'old', which comes after it"),
        ({"new": "kind"}, {}, "Derived column 'new': 'kind' gives text"),
        ({"new": "overdensity(50)"}, {}, "Derived column 'new': .* more than half"),
        ({"new": "1 +"}, {}, "Derived column 'new': .* ends too early"),
        ({"new": "where(big, 1, 0)"}, {"big": "masss > 1"}, "Derived column 'new': Subset 'big': .*'mass'"),
    ],
)
def test_what_cannot_be_derived_is_explained(
    file: Path, derived: dict[str, str], subsets: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_catalog(file, derived=derived, subsets=subsets, box=10, periodic=True)
    assert "\n" not in str(caught.value)


def test_origins_are_followed_through_derived_columns_and_subsets(file: Path) -> None:
    rows = read_catalog(
        file,
        derived={"logm": "log10(mass)", "delta": "overdensity(2, 10**logm)", "twice": "where(big, delta, v)"},
        subsets={"big": "kind == 'big' & gid > 2"},
    )
    assert origins("logm", rows) == {"mass"}
    assert origins("twice + 1", rows) == {"kind", "gid", "mass", "v"}
    assert origins("count_within(3)", rows) == frozenset()
    assert counts(rows) == {"big": int((BIG & (np.arange(N) // 7 > 2)).sum())}
