"""What is written in a format comes back equal, units included."""

from __future__ import annotations

import json
from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import ascii as astropy_ascii
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gnnlib.catalog import read_catalog
from gnnlib.errors import InputError

N = 40
RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "id": np.arange(N) + 10**15,
        "x": RNG.uniform(0, 50, N),
        "y": RNG.uniform(0, 50, N),
        "z": RNG.uniform(0, 50, N),
        "mass": 10 ** RNG.uniform(10, 14, N),
        "small": RNG.uniform(0, 1, N).astype(np.float32),
        "name": [f"object {k}" for k in range(N)],
    }
)


def write(frame: pd.DataFrame, path: Path) -> Path:
    table = Table.from_pandas(frame)
    suffix = path.suffix
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif suffix == ".txt":
        astropy_ascii.write(table, path, format="basic", quotechar='"')
    elif suffix == ".dat":
        frame.to_csv(path, index=False, sep=";")
    elif suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".vot":
        table.write(path, format="votable")
    elif suffix in (".ecsv", ".fits"):
        table.write(path)
    elif suffix == ".hdf5":
        with h5py.File(path, "w") as file:
            for name in frame.columns:
                values = frame[name].to_numpy()
                file.create_dataset(name, data=values.astype("S") if values.dtype == object else values)
    elif suffix == ".h5":
        table.convert_unicode_to_bytestring()
        table.write(path, path="catalog", format="hdf5", serialize_meta=True)
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt", "dat", "parquet", "vot", "ecsv", "fits", "hdf5", "h5"])
def test_a_table_comes_back_as_written(tmp_path: Path, suffix: str) -> None:
    catalog = read_catalog(write(FRAME, tmp_path / f"table.{suffix}"))
    assert set(catalog.table.columns) == set(FRAME.columns)
    for name in FRAME.columns:
        if name == "name":
            assert list(catalog.values(name)) == list(FRAME[name])
        elif name == "small":
            np.testing.assert_array_equal(catalog.values(name).astype(np.float32), FRAME[name])
        else:
            np.testing.assert_array_equal(catalog.values(name), FRAME[name])
    assert catalog.roles.position == ("x", "y", "z") and catalog.roles.row_id == "id"
    np.testing.assert_array_equal(catalog.row_ids, FRAME["id"])
    np.testing.assert_array_equal(catalog.positions(), FRAME[["x", "y", "z"]])
    assert catalog.values("mass").dtype.isnative


finite = st.floats(allow_nan=False, allow_infinity=False, width=64).map(lambda v: 0.0 if abs(v) < 1e-300 else v)


@pytest.mark.parametrize("suffix", ["csv", "txt", "parquet", "fits", "hdf5"])
@given(values=hnp.arrays(np.float64, st.tuples(st.integers(2, 12), st.just(3)), elements=finite))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_floats_come_back_to_the_last_bit(tmp_path: Path, suffix: str, values: np.ndarray) -> None:
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    path = tmp_path / f"floats.{suffix}"
    path.unlink(missing_ok=True)
    np.testing.assert_array_equal(read_catalog(write(frame, path)).table.to_numpy(), values)


def test_fits_vectors_are_split_bytes_decoded_and_gaps_are_nan(tmp_path: Path) -> None:
    positions, spectrum = RNG.uniform(0, 9, (5, 3)), RNG.uniform(0, 1, (5, 4)).astype(">f4")
    table = Table(
        {"Pos": positions * u.kpc, "spectrum": spectrum, "kind": np.array([b"E", b"Sbc", b"S0", b"E", b"Irr"])}
    )
    table["count"] = MaskedColumn([1, 2, 3, 4, 5], mask=[False, True, False, False, False], dtype=np.int32)
    table.write(tmp_path / "t.fits")
    catalog = read_catalog(tmp_path / "t.fits")
    assert catalog.roles.position == ("Pos_x", "Pos_y", "Pos_z") and catalog.length_unit == "Mpc"
    np.testing.assert_allclose(catalog.positions(), positions / 1000)
    np.testing.assert_array_equal(catalog.values("spectrum_3"), spectrum[:, 3])
    assert list(catalog.values("kind")) == ["E", "Sbc", "S0", "E", "Irr"]
    np.testing.assert_array_equal(catalog.values("count"), [1, np.nan, 3, 4, 5])


def test_the_longest_fits_table_is_read_and_the_choice_told(tmp_path: Path) -> None:
    short, long = Table({"a": [1.0]}), Table({"b": np.arange(7.0)})
    fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(short), fits.table_to_hdu(long)]).writeto(tmp_path / "t.fits")
    catalog = read_catalog(tmp_path / "t.fits")
    assert len(catalog) == 7 and any("2 tables" in warning for warning in catalog.warnings)


def test_parquet_metadata_give_units_box_roles_and_h(tmp_path: Path) -> None:
    fields = [
        pa.field(name, pa.float64(), metadata={"unit": "kpc/h", "description": f"place along {name}"}) for name in "xyz"
    ]
    told = {"name": "made", "box": 50000, "box_unit": "kpc/h", "periodic": True, "h": 0.5, "roles": {"target": "m"}}
    schema = pa.schema([*fields, pa.field("m", pa.float64())], metadata={"filament": json.dumps(told)})
    pq.write_table(
        pa.table({name: RNG.uniform(0, 50000, 9) for name in [*"xyz", "m"]}, schema=schema), tmp_path / "t.parquet"
    )
    catalog = read_catalog(tmp_path / "t.parquet")
    assert (catalog.name, catalog.h, catalog.periodic, catalog.roles.target) == ("made", 0.5, True, "m")
    np.testing.assert_allclose(catalog.box, 100)
    np.testing.assert_allclose(catalog.positions()[:, 1], catalog.values("y") / 500)
    assert catalog.columns["y"].description == "place along y" and not catalog.columns["y"].inferred


def test_parquet_lists_and_gaps(tmp_path: Path) -> None:
    vector = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 3)
    table = pa.table(
        {"pos": vector, "n": pa.array([1, None]), "ragged": pa.array([[1], [1, 2]]), "ok": pa.array([True, None])}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    catalog = read_catalog(tmp_path / "t.parquet")
    np.testing.assert_array_equal(catalog.positions(), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(catalog.values("n"), [1, np.nan])
    assert any("ragged" in warning for warning in catalog.warnings)


def test_hdf5_group_attributes_give_units_box_and_h(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.hdf5", "w") as file:
        file.create_group("Header").attrs.update({"BoxSize": 100.0, "HubbleParam": 0.5})
        group = file.create_group("halos")
        group.create_dataset("pos", data=RNG.uniform(0, 100, (6, 3)).astype(">f8")).attrs["unit"] = "Mpc/h"
        group["mass"] = np.arange(6.0)
        group["odd"] = np.arange(5.0)
    catalog = read_catalog(tmp_path / "t.hdf5")
    np.testing.assert_allclose(catalog.box, 200)
    assert catalog.periodic and "periodic" in catalog.inferred and catalog.length_unit == "Mpc"
    assert "odd" not in catalog.columns and any("odd" in warning for warning in catalog.warnings)


def test_votable_and_ecsv_keep_their_units(tmp_path: Path) -> None:
    table = Table(
        {"x": [1.0, 2.0] * u.pc, "y": [1.0, 2.0] * u.pc, "z": [1.0, 3.0] * u.pc, "v": [1.0, 2.0] * u.km / u.s}
    )
    for name in ("t.vot", "t.ecsv"):
        table.write(tmp_path / name, **({"format": "votable"} if name.endswith("vot") else {}))
        catalog = read_catalog(tmp_path / name)
        assert catalog.length_unit == "pc"
        assert u.Unit(catalog.columns["v"].unit) == u.km / u.s and not catalog.columns["v"].inferred
        np.testing.assert_allclose(catalog.positions()[:, 2], [1, 3])


# --- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x,y,z\n1,2,3\n4,5,6\n", "x y z"),
        ("\ufeffx,y,z\r\n1,2,3\r\n4,5,6\r\n", "x y z"),
        ("#Table1\nx,y,z\n1,2,3\n4,5,6\n", "x y z"),
        ("# a comment\n\nx, y, z\n1, 2, 3\n# another\n4, 5, 6\n", "x y z"),
        ("# x y z\n1 2 3\n4 5 6\n", "x y z"),
        ("#x,y,z\n1,2,3\n4,5,6\n", "x y z"),
        ("#x(0) y(1) z(2)\n#some words of text here\n 1 2 3\n 4 5 6 \n", "x y z"),
        ("# pos(3)[kpc]\n1 2 3\n4 5 6\n", "pos_x pos_y pos_z"),
        ("1 2 3\n4 5 6\n", "col1 col2 col3"),
        ("1,2,3,\n4,5,6,\n", "col1 col2 col3"),
        ("x,y,z,\n1,2,3,\n4,5,6,\n", "x y z"),
        ("x,y,z\n1,2,3,\n4,5,6,\n", "x y z"),
        ("x\ty\tz\nkpc\tkpc\tkpc\n---\t---\t---\n1\t2\t3\n4\t5\t6\n\n", "x y z"),
        ("x|y|z\n1|2|3\n4|5|6", "x y z"),
        ("x, y, z\n1    2   3\n4    5   6\n", "x y z"),
        ("x [kpc],y [kpc],z [kpc]\n1,2,3\n4,5,6\n", "x y z"),
    ],
)
def test_habits_of_text_catalogs(tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "t.txt").write_text(text, encoding="utf-8", newline="")
    catalog = read_catalog(tmp_path / "t.txt")
    assert list(catalog.columns) == names.split()
    np.testing.assert_array_equal(catalog.table.to_numpy(dtype=float), [[1, 2, 3], [4, 5, 6]])
    assert catalog.length_unit == ("Mpc" if "kpc" in text else "")


def test_headers_may_repeat_or_lack_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",a,a\n1,2,3\n4,5,6\n")
    catalog = read_catalog(tmp_path / "t.csv")
    assert list(catalog.columns) == ["col1", "a", "a_2"] and any("a_2" in warning for warning in catalog.warnings)


def test_gaps_in_text_are_nan_and_long_integers_stay_exact(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "id,x,s,flag\n1237648703509102769,nan,E,True\n1237648703509102770,,,False\n3,-,-,True\n"
    )
    catalog = read_catalog(tmp_path / "t.csv")
    np.testing.assert_array_equal(catalog.row_ids, [1237648703509102769, 1237648703509102770, 3])
    assert np.isnan(catalog.values("x")).all() and catalog.values("flag").dtype == bool
    assert catalog.values("s")[0] == "E"


@given(
    rows=st.integers(3, 80),
    bad=st.integers(0, 1000),
    change=st.sampled_from(["drop", "add"]),
    separator=st.sampled_from([",", "\t", " "]),
    comments=st.integers(0, 2),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_line_with_another_number_of_fields_is_named(
    tmp_path: Path, rows, bad, change, separator, comments
) -> None:  # type: ignore[no-untyped-def]
    lines = [separator.join(f"{value:.3f}" for value in RNG.uniform(0, 1, 4)) for _ in range(rows)]
    at = bad % rows
    lines[at] = separator.join(lines[at].split(separator)[:-1]) if change == "drop" else lines[at] + separator + "9"
    head = ["# note"] * comments + [separator.join("abcd")]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(head + lines) + "\n")
    with pytest.raises(InputError, match=rf"ine {comments + at + 2} .* {3 if change == 'drop' else 5} fields"):
        read_catalog(path)
