"""Values that stand for missing ones: all that the real catalogs are known to hold are found, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnlib.catalog import read_catalog
from gnnlib.catalog.missing import find, known, mask
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Missing, Roles
from gnnlib.errors import InputError
from tests.catalog.test_real_catalogs import TABLES

N = 400
WAVE = np.linspace(-1, 1, N)


def catalog(
    units: dict[str, str] | None = None, missing: dict[str, Missing] | None = None, **columns: object
) -> Catalog:
    table = pd.DataFrame(columns)
    return Catalog(
        table=table,
        columns={name: Column(name, (units or {}).get(name, "")) for name in table.columns},
        roles=Roles(),
        row_ids=np.arange(len(table)),
        spec=CatalogSpec(path="none", missing=missing or {}),
        name="none",
    )


def marks(values: object, name: str = "column", unit: str = "") -> dict[float | str, int]:
    return {suspect.value: suspect.rows for suspect in find(catalog({name: unit}, **{name: values}))}


def mixed(ordinary: np.ndarray, mark: float, rows: int) -> np.ndarray:
    """The ordinary values with a mark in some rows, in the same type."""
    return np.concatenate([np.full(rows, mark, ordinary.dtype), ordinary])


@pytest.mark.parametrize(
    ("ordinary", "mark", "rows"),
    [
        (20 + 3 * WAVE, -99.0, 1),
        (20 + 3 * WAVE, -99.99, 7),
        (20 + 3 * WAVE, 99.0, 3),
        (20 + 3 * WAVE, 99.99, 1),
        (-20 + 3 * WAVE, -99.9, 1),
        (300 * WAVE, -999.0, 2),
        (300 * WAVE, -9999.0, 1),
        (300 * WAVE, 9999.99, 2),
        (10 + 2 * WAVE, -9.0, 5),
        (0.5 + 0.4 * WAVE, -9.99, 5),
        (10 ** (12 + 3 * WAVE), -999.0, 4),
        (0.5 + 0.4 * WAVE, -1.0, 5),
        (20 + 3 * WAVE, 1e37, 1),
        (20 + 3 * WAVE, 1e30, 1),
        (20 + 3 * WAVE, -1.6375e30, 1),
        (20 + 3 * WAVE, 1e20, 1),
        (20 + 3 * WAVE, -32768.0, 1),
        (500 + 400 * WAVE, 1e7, 3),
        (20 + 3 * WAVE, float(np.finfo(np.float32).max), 1),
        (20 + 3 * WAVE, np.inf, 2),
        (20 + 3 * WAVE, -np.inf, 2),
    ],
)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_mark_that_stands_apart_is_found_in_either_precision(
    ordinary: np.ndarray, mark: float, rows: int, kind: type
) -> None:
    values = mixed(ordinary.astype(kind), mark, rows)
    found = marks(values)
    assert list(found.items()) == [(str(mark) if np.isinf(mark) else pytest.approx(mark, rel=1e-7), rows)]
    assert marks(values.astype(np.float64)) == found  # single precision that was read into double
    assert marks(np.r_[values, np.full(9, np.nan)]) == found


@pytest.mark.parametrize(
    "values",
    [
        300 * WAVE.round(2) // 1,  # velocities through -99
        np.r_[300 * WAVE, -99.0],
        np.r_[0, 0, 0, 10 + WAVE],  # zeros of what is no magnitude
        np.r_[np.arange(98), 99, 99],
        np.r_[np.arange(-98, 0), -99, -99],
        np.r_[-1.0, 1.0, WAVE],
        np.r_[-1.0, -1.0, np.arange(40.0)],
        np.r_[10 ** (4 + 4 * np.abs(WAVE)), 1e8, 1e8],
        10.0 ** np.arange(4, 20),
        np.full(N, 9.0),
        np.r_[np.full(N, 99.0), 100],
        np.arange(9990, 10010),
        np.array([-9, -8, -7, 0, 1]),
        np.r_[1e11 * (1 + np.abs(WAVE)), 1e12],
        WAVE > 0,
        np.full(N, np.nan),
        np.array([], dtype=float),
        np.array([5.0]),
    ],
)
def test_what_belongs_to_its_column_is_left_alone(values: np.ndarray) -> None:
    assert marks(values) == {}


@pytest.mark.parametrize("name", ["upid", "pid", "halo_id", "objID", "SubhaloGrNr", "desc_id", "id_parent", "index"])
def test_identifiers_are_never_suspected(name: str) -> None:
    for mark in (-1, -9, -99, -999, 99999):
        values = mixed(np.arange(10, 10 + N), mark, 30)
        assert marks(values, name) == {} == marks(values.astype(float), name)
    assert marks(mixed(1 + np.abs(WAVE), -99.0, 3), "spectral_index") == {-99: 3}


@pytest.mark.parametrize(
    ("name", "unit", "values", "rows"),
    [
        ("rmag", "", mixed(17 + 3 * WAVE, 0, 1), 1),
        ("Mag", "", mixed(17 + 3 * WAVE, 0, 50), 50),
        ("V", "mag", mixed(17 + 3 * WAVE, 0, 50), 50),
        ("absmag", "", mixed(-17 + 3 * WAVE, 0, 1), 1),
        ("petroMag_r", "", mixed((17 + 3 * WAVE).astype(np.float32), 0, 2), 2),
        ("phot_g_mean_mag", "mag", np.r_[np.zeros(60), -0.5, 12 + 6 * WAVE], 60),  # piled up, though one is brighter
        ("V", "", mixed(17 + 3 * WAVE, 0, 50), 0),  # a velocity, for all we know
        ("mag", "", np.r_[0.0, 5 * WAVE], 0),
        ("mag", "", np.r_[0.0, 0.03, 3 + 3 * np.abs(WAVE)], 0),  # Vega
        ("absmag", "", np.r_[0.0, -0.8, -11 + 10 * WAVE], 0),
        ("mag_err", "mag", mixed(0.2 + 0.1 * WAVE, 0, 50), 0),
        ("e_rmag", "mag", mixed(0.2 + 0.1 * WAVE, 0, 50), 0),
        ("a_g", "mag", mixed(0.2 + 0.1 * WAVE, 0, 50), 0),
        ("image_scale", "", mixed(17 + 3 * WAVE, 0, 50), 0),
        ("magnetic_field", "", mixed(17 + 3 * WAVE, 0, 50), 0),
    ],
)
def test_zero_is_missing_only_where_no_magnitude_is_near(name: str, unit: str, values: np.ndarray, rows: int) -> None:
    assert marks(values, name, unit) == ({0.0: rows} if rows else {})


@pytest.mark.parametrize(
    ("mark", "kind"), [(-(2**31), np.int32), (-(2**31), np.int64), (-(2**63), np.int64), (-999, np.int16)]
)
def test_marks_among_whole_numbers_are_exact(mark: int, kind: type) -> None:
    values = mixed(np.arange(10, 10 + N).astype(kind), mark, 3)
    assert marks(values) == {float(mark): 3}
    rules = {"n": Missing(values=(float(mark),))}
    assert np.isnan(mask(catalog(missing=rules, n=values)).values("n")).sum() == 3
    assert marks(np.r_[np.full(3, -99), 2**60 + np.arange(50)]) == {}


def test_several_marks_at_both_ends_are_told_apart() -> None:
    values = np.r_[np.full(3, -99.0), np.full(2, -99.9), -9999.0, np.full(4, 99.0), 1e37, np.inf, 20 + 3 * WAVE]
    assert marks(values) == {"inf": 1, 1e37: 1, -9999: 1, -99.9: 2, 99: 4, -99: 3}
    assert marks(np.full(N, -99.0)) == {-99: N}  # a column of nothing else
    assert marks(np.r_[np.full(N, -99.0), np.nan]) == {-99: N}


def test_texts_that_say_missing_are_found() -> None:
    kinds = ["E", "L", "N/A", "", "-", "-", None]
    assert marks(kinds) == {"-": 2, "N/A": 1, "": 1} == marks(np.array(kinds, dtype=object))


def test_every_suspicion_has_a_reason_in_one_sentence() -> None:
    found = find(catalog(mag=mixed(17 + 3 * WAVE, -99.99, 1204), far=mixed(500 + 400 * WAVE, 1e7, 1204)))
    assert [s.reason for s in found] == [
        "-99.99 occurs 1,204 times, 113.99 below the lowest other value, 14; it is a common mark of a missing value.",
        "1e+07 occurs 1,204 times, 9.9991e+06 above the highest other value, 900, 1.1e+04 times as large.",
    ]


# What the README beside the real catalogs lists, and no more: column -> value -> rows.
KNOWN = {
    "survey/eco_dr1/eco_dr1.txt": {
        "col7": {-99.99: 1},
        "col8": {-99.99: 100},
        "col9": {-99.9: 2},
        "col10": {-99.9: 1},
    },
    "survey/eco_dr1/ECOphot_final.txt": {
        f"{band}mag": {0.0: rows}
        for band, rows in {"u": 129, "g": 1, "i": 1, "z": 27, "J": 1018, "H": 2175, "K": 2998}.items()
    },
    "survey/shapley/Shapley_galaxy_data.csv": {"Mag": {0.0: 357}},
    "survey/sami_dr2/dr2_sample.csv": {
        "m_r": {-99.9: 12, -99.0: 1},
        "mu_within_1re": {-99.99: 9},
        "mu_1re": {-99.99: 9},
        "mu_2re": {-99.99: 12},
        "r_e": {-99.99: 9},
        "ellip": {-99.99: 9},
        "pa": {-99.99: 9},
        "morph": {-9.0: 63},
    },
    "stars/hyg_bright/stars_trimmed.csv": {"distance": {1e7: 10}},
    # Not in the README, and right: -1 is "never merges" among times from 0.008 on.
    "sim/rockstar/dummy_halocat_0.07812.list": {"Time_to_future_merger": {-1.0: 10}},
}


def found_in(rows: Catalog) -> dict[str, dict[float | str, int]]:
    found: dict[str, dict[float | str, int]] = {}
    for suspect in find(rows):
        found.setdefault(suspect.column, {})[suspect.value] = suspect.rows
    return found


@pytest.mark.parametrize("name", TABLES)
def test_the_marks_of_the_real_catalogs_are_found_and_no_others(shared_data: Path, name: str) -> None:
    assert found_in(read_catalog(shared_data / name)) == KNOWN.get(name, {})


def test_subfinds_magnitudes_without_stars_are_found_and_its_many_zeros_are_not(tng_chunks: Path) -> None:
    found = found_in(read_catalog(tng_chunks))
    assert found == {f"SubhaloStellarPhotometrics_{band}": {1e37: 35263} for band in "UBVKgriz"}


# What a person decides


def test_masked_marks_become_nan_and_the_column_keeps_its_type_where_it_can() -> None:
    before = catalog(
        missing={
            "mag": Missing(values=(-99.99, "inf")),
            "n": Missing(values=(-9,)),
            "kind": Missing(values=("-",)),
            "kept": Missing(values=(-99,), rule="keep"),
        },
        mag=np.array([-99.99, 17, np.inf, -np.inf], dtype=np.float32),
        n=[1, -9, 3, 4],
        kind=["E", "-", None, "L"],
        kept=[-99.0, 1, 2, 3],
    )
    after = mask(before)
    np.testing.assert_array_equal(after.values("mag"), np.array([np.nan, 17, np.nan, -np.inf], dtype=np.float32))
    assert after.values("mag").dtype == np.float32 and after.values("n").dtype == np.float64
    np.testing.assert_array_equal(after.values("n"), [1, np.nan, 3, 4])
    assert after.table["kind"].isna().tolist() == [False, True, True, False]
    np.testing.assert_array_equal(after.values("kept"), before.values("kept"))
    assert before.values("n")[1] == -9 and known(after).all()


def test_whole_numbers_without_a_mark_stay_whole() -> None:
    after = mask(catalog(missing={"n": Missing(values=(-9, -99.5))}, n=[1, 2, 3]))
    assert after.values("n").dtype == np.int64


def test_dropped_marks_take_their_rows_along_and_so_do_gaps_of_the_file() -> None:
    rules = {"mag": Missing(values=(-99,), rule="drop"), "kind": Missing(values=("-",), rule="drop")}
    after = mask(catalog(missing=rules, mag=[-99, 17, np.nan, 18, 19], kind=["E", "E", "E", "-", "L"]))
    np.testing.assert_array_equal(known(after), [False, True, False, False, True])


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"mga": Missing(values=(-99,))}, "no column 'mga' .* did you mean 'mag'"),
        ({"mag": Missing(values=("lots",))}, "'lots' is not a number"),
        ({"long": Missing(values=(-1,))}, "over 15 digits"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_explained(rules: dict[str, Missing], words: str) -> None:
    with pytest.raises(InputError, match=words):
        mask(catalog(missing=rules, mag=[-99, 17], long=[-1, 2**60]))


@given(
    ordinary=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40),
    mark=st.sampled_from([-99.0, -99.99, -999.0, 1e37, 99.99]),
    rows=st.integers(1, 5),
)
def test_masking_what_was_found_leaves_nothing_to_find(ordinary: list[float], mark: float, rows: int) -> None:
    before = catalog(value=mixed(np.array(ordinary), mark, rows))
    values = tuple(suspect.value for suspect in find(before))
    if not values:
        return
    counted = sum(suspect.rows for suspect in find(before))
    after = mask(catalog(missing={"value": Missing(values=values)}, value=before.values("value")))
    assert np.isnan(after.values("value")).sum() == counted
    assert find(after) == ()
