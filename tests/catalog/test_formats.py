"""What is written in a format comes back equal, units included."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
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
from astropy.io.votable import from_table
from astropy.io.votable.tree import Resource, VOTableFile
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gnnlib.catalog import CatalogSpec, read_catalog
from gnnlib.catalog.read import read_raw
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
        ("# x [kpc]  y [kpc]  z [kpc]\n1 2 3\n4 5 6\n", "x y z"),
        ("x (kpc)   y (kpc)   z (kpc)\n1 2 3\n4 5 6\n", "x y z"),
        ("# A run of ours\n# x y z\n# kpc kpc kpc\n1 2 3\n4 5 6\n", "x y z"),
        ("x,y,z\nkpc,kpc,kpc\n1,2,3\n4,5,6\n", "x y z"),
        ("# Columns:\n# 1: x [kpc]\n# 2: y [kpc]\n# 3: z [kpc]\n1 2 3\n4 5 6\n", "x y z"),
        ("#  1 x   Along the box  [kpc]\n#  2 y   Across  [kpc]\n#  3 z [kpc]\n1 2 3\n4 5 6\n", "x y z"),
        ("# (0) pos [kpc]\n# (2) last value\n1 2 3\n4 5 6\n", "pos_0 pos_1 last_value"),
        ("#ID(1)\tXc(6)\tYc(7)\t\n1\t2\t3\t\n4\t5\t6\t\n", "ID Xc Yc"),
        ("Made by us\nin 2024, for x\n\nx,y,z\n1,2,3\n4,5,6\n", "x y z"),
        ("2\n1 2 3\n4 5 6\n", "col1 col2 col3"),
        ("x\t y  z\n1\t 2  3\n4\t 5  6\n", "x y z"),
        ("x,y,z\n1\u00a0,2,3\n4,5,6\n", "x y z"),
        ("Made by us\n\nx;y;z\nkpc;kpc;kpc\n1,0;2,0;3,0\n4,0;5,0;6,0\n", "x y z"),
        ("x;y;z\n1,0;2,0;3,0\n4,0;5,0;6,0\n", "x y z"),
        ("  .1D+01  2.0D0  30.D-1\n  .4D+01  5.0D0  60.D-1\n", "col1 col2 col3"),
    ],
)
def test_habits_of_text_catalogs(tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "t.txt").write_text(text, encoding="utf-8", newline="")
    catalog = read_catalog(tmp_path / "t.txt")
    assert list(catalog.columns) == names.split()
    np.testing.assert_array_equal(catalog.table.to_numpy(dtype=float), [[1, 2, 3], [4, 5, 6]])
    if len(catalog.roles.position) == 3:
        assert catalog.length_unit == ("Mpc" if "kpc" in text else "")


def test_numbers_too_long_for_fortran_are_missing(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("x y z\n1.5 2.5 ******\n4.5 5.5 6.5\n")
    np.testing.assert_array_equal(read_catalog(tmp_path / "t.txt").values("z"), [np.nan, 6.5])


def test_typeset_minuses_are_read_and_a_word_among_numbers_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,id\n" + "\u22121.5,18446744073709551616\u00a0\n" * 20, encoding="utf-8")
    catalog = read_catalog(tmp_path / "t.csv")
    assert (catalog.values("x") == -1.5).all()
    assert catalog.table["id"].iloc[0] == "18446744073709551616"
    (tmp_path / "u.csv").write_text("x,y\n" + "1,2\n" * 20 + "Total,40\n")
    (told,) = [sentence for sentence in read_catalog(tmp_path / "u.csv").warnings if "'x'" in sentence]
    assert "'Total' stands among its numbers" in told


def test_a_table_of_many_columns_does_not_take_their_number_squared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text(",".join(f"c{k}" for k in range(500)) + "\n" + ",".join(["1"] * 500) + "\n")
    monkeypatch.setattr(pd.DataFrame, "pop", None)  # each one copies the table
    assert len(read_catalog(tmp_path / "t.csv").columns) == 500


def test_ipac_tables_keep_units_and_nulls(tmp_path: Path) -> None:
    table = Table({"ra": [10.5, 11.5] * u.deg, "flux": np.ma.array([1.5, 2.5], mask=[True, False])})
    table.write(tmp_path / "t.tbl", format="ascii.ipac")
    catalog = read_catalog(tmp_path / "t.tbl")
    assert catalog.columns["ra"].unit == "deg" and list(catalog.columns) == ["ra", "flux"]
    np.testing.assert_array_equal(catalog.table.to_numpy(), [[10.5, np.nan], [11.5, 2.5]])


def test_of_several_hdf5_groups_one_with_more_than_a_column_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["Stars/age"] = np.arange(9.0)
        for name in "xyz":
            file[f"Halos/{name}"] = np.arange(4.0)
    catalog = read_catalog(tmp_path / "t.h5")
    assert len(catalog) == 4 and catalog.roles.position == ("x", "y", "z")
    assert any("also holds Stars" in warning for warning in catalog.warnings)


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


# --- several tables in a file ---------------------------------------------------------------------------------------


def two_tables(folder: Path, kind: str) -> Path:
    """A file with a table "few" of 3 rows and a table "many" of 7, columns x, y and z."""
    few, many = (pd.DataFrame(RNG.uniform(0, 1, (n, 3)), columns=list("xyz")) for n in (3, 7))
    path = folder / f"two.{kind}"
    if kind == "fits":
        units = [fits.BinTableHDU(Table.from_pandas(t), name=n) for n, t in (("few", few), ("many", many))]
        image = fits.ImageHDU(np.zeros((5, 5)), name="image")
        fits.HDUList([fits.PrimaryHDU(), units[0], image, units[1]]).writeto(path)
    elif kind == "vot":
        resource = Resource()
        file = VOTableFile()
        file.resources.append(resource)
        for name, table in (("few", few), ("many", many)):
            element = from_table(Table.from_pandas(table)).get_first_table()
            element.name = name
            resource.tables.append(element)
        file.to_xml(str(path))
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            for name, table in (("deep/few", few), ("deep/many", many)):
                for column in table:
                    file[f"{name}/{column}"] = table[column]
    elif kind == "npz":
        np.savez(path, few=few.to_records(index=False), many=many.to_records(index=False))
    return path


@pytest.mark.parametrize(
    ("kind", "names", "others"),
    [
        ("fits", ("FEW", "MANY"), {"few": 3, "1": 3, "3": 7}),
        ("vot", ("few", "many"), {"1": 3, "2": 7, "FEW": 3}),
        ("h5", ("deep/few", "deep/many"), {"/deep/few": 3}),
        ("npz", ("few", "many"), {"MANY": 7}),
    ],
)
def test_one_of_several_tables_is_read_by_name_or_number(
    tmp_path: Path, kind: str, names: tuple[str, str], others: dict[str, int]
) -> None:
    path = two_tables(tmp_path, kind)
    found = read_raw(CatalogSpec(path=str(path)))
    assert found.tables == names and found.table_read == names[1] and len(found.table) == 7
    assert any(word in found.warnings[0] for word in ("2 tables", "also holds", "Left out"))
    for table, rows in {names[0]: 3, names[1]: 7, **others}.items():
        chosen = read_raw(CatalogSpec(path=str(path), table=table))
        assert len(chosen.table) == rows and chosen.table_read == names[rows == 7] and not chosen.warnings
    with pytest.raises(InputError, match="no table 'none'; choose one of"):
        read_catalog(path, table="none")


# --- FITS -------------------------------------------------------------------------------------------------------------


def test_fits_numbers_of_every_kind(tmp_path: Path) -> None:
    made = {
        "u1": np.array([0, 7, 255], np.uint8),
        "i2": np.array([-(2**15), 0, 2**15 - 1], np.int16),
        "u2": np.array([0, 7, 2**16 - 1], np.uint16),
        "i4": np.array([-(2**31), 0, 2**31 - 1], np.int32),
        "u4": np.array([0, 7, 2**32 - 1], np.uint32),
        "i8": np.array([-(2**63), 0, 2**63 - 1], np.int64),
        "u8": np.array([0, 7, 2**64 - 1], np.uint64),
        "f4": np.array([-1.5, np.nan, np.inf], np.float32),
        "f8": np.array([1e-300, np.pi, -np.inf]),
        "truth": np.array([True, False, True]),
        "words": np.array(["a", "longer", ""]),
        "pairs": RNG.uniform(0, 1, (3, 2)),
        "spectrum": RNG.uniform(0, 1, (3, 500)),
        "cube": RNG.uniform(0, 1, (3, 2, 2)),
        "wave": np.array([1j, 2, 3]),
    }
    Table(made).write(tmp_path / "t.fits")
    catalog = read_catalog(tmp_path / "t.fits")
    for name, values in made.items():
        if values.ndim == 1 and values.dtype.kind in "biuf":
            assert catalog.values(name).dtype == values.dtype, name
            np.testing.assert_array_equal(catalog.values(name), values)
    assert list(catalog.table["words"][:2]) == ["a", "longer"] and pd.isna(catalog.table["words"][2])
    np.testing.assert_array_equal(catalog.values("pairs_1"), made["pairs"][:, 1])
    assert any("spectrum, cube, wave" in warning for warning in catalog.warnings)
    assert not {"spectrum_0", "wave"} & catalog.columns.keys()


def test_fits_scaled_columns_gaps_and_descriptions(tmp_path: Path) -> None:
    columns = [
        fits.Column("scaled", "I", array=np.array([0, 2, 3], np.int16), unit="kpc"),
        fits.Column("signed", "B", array=np.array([0, 128, 255], np.uint8)),
        fits.Column("gaps", "J", array=np.array([5, -32768, 7]), null=-32768),
        fits.Column("ragged", "PD()", array=np.array([np.zeros(1), np.zeros(2), np.zeros(3)], dtype=object)),
    ]
    unit = fits.BinTableHDU.from_columns(columns)
    unit.header.update({"TCOMM1": "a length", "TSCAL1": 0.5, "TZERO1": 1.0, "TZERO2": -128})
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(tmp_path / "t.fits")
    catalog = read_catalog(tmp_path / "t.fits")
    np.testing.assert_allclose(catalog.values("scaled"), [1.0, 2.0, 2.5])
    np.testing.assert_array_equal(catalog.values("gaps"), [5, np.nan, 7])
    np.testing.assert_array_equal(catalog.values("signed"), np.array([-128, 0, 127], np.int8))
    assert catalog.columns["scaled"].description == "a length" and catalog.columns["scaled"].unit == "kpc"
    assert list(catalog.columns) == ["scaled", "signed", "gaps"] and any(
        "ragged" in warning for warning in catalog.warnings
    )


def test_fits_ascii_tables(tmp_path: Path) -> None:
    columns = [
        fits.Column("x", "F10.4", array=[1.5, 2.5], ascii=True),
        fits.Column("n", "I5", array=[1, 2], ascii=True),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.TableHDU.from_columns(columns)]).writeto(tmp_path / "t.fits")
    catalog = read_catalog(tmp_path / "t.fits")
    np.testing.assert_allclose(catalog.table.to_numpy(dtype=float), [[1.5, 1], [2.5, 2]])


# --- VOTable ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["tabledata", "binary", "binary2"])
@pytest.mark.parametrize("words", [True, False])
def test_votables_of_every_serialization_give_what_astropy_gives(tmp_path: Path, written: str, words: bool) -> None:
    n = 57
    table = Table(
        {
            "id": np.arange(n) + 2**60,
            "short": np.arange(n, dtype=np.int16) - 20,
            "byte": np.arange(n, dtype=np.uint8),
            "x": RNG.normal(0, 1, n),
            "y": RNG.normal(0, 1, n).astype(np.float32),
            "flag": RNG.uniform(size=n) > 0.5,
            "pos": RNG.normal(0, 1, (n, 3)),
        },
        masked=True,
    )
    table["x"].unit, table["x"].description = "km/s", "a velocity"
    table["x"].mask[4] = True
    table["short"].mask[3] = written != "binary"  # which has no way to say so
    if words:
        table["name"] = [f"<NGC & {k}>" + "é" * (k % 3) for k in range(n)]
    table.write(tmp_path / "t.vot", format="votable", tabledata_format=written)
    expected = Table.read(tmp_path / "t.vot")
    catalog = read_catalog(tmp_path / "t.vot")
    for name in ("id", "byte", "flag"):
        np.testing.assert_array_equal(catalog.values(name), np.asarray(expected[name]), name)
    for name in ("short", "x", "y"):
        np.testing.assert_array_equal(catalog.values(name), np.ma.filled(expected[name].astype(float), np.nan), name)
    np.testing.assert_array_equal(catalog.table[["pos_x", "pos_y", "pos_z"]], expected["pos"])
    assert catalog.values("id").dtype == np.int64 and catalog.values("y").dtype == np.float32
    assert catalog.columns["x"].unit == "km / s" and catalog.columns["x"].description == "a velocity"
    if words:
        assert list(catalog.table["name"]) == [str(value) for value in expected["name"]]


# --- HDF5, NumPy, JSON, Parquet in other shapes -----------------------------------------------------------------------


def test_hdf5_as_vaex_and_as_pandas_write_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "vaex.h5", "w") as file:
        for name in "xyz":
            file[f"table/columns/{name}/data"] = FRAME[name]
    catalog = read_catalog(tmp_path / "vaex.h5")
    np.testing.assert_array_equal(catalog.table[["x", "y", "z"]], FRAME[["x", "y", "z"]])

    with h5py.File(tmp_path / "fixed.h5", "w") as file:  # the layout of DataFrame.to_hdf(format="fixed")
        group = file.create_group("halos")
        group.attrs["pandas_type"] = np.bytes_("frame")
        group["axis0"], group["axis1"] = np.array([b"x", b"y", b"id"]), np.arange(N)
        group["block0_items"], group["block0_values"] = np.array([b"x", b"y"]), FRAME[["x", "y"]].to_numpy()
        group["block1_items"], group["block1_values"] = np.array([b"id"]), FRAME[["id"]].to_numpy()
    catalog = read_catalog(tmp_path / "fixed.h5")
    assert list(catalog.table.columns[:3]) == ["x", "y", "id"]
    np.testing.assert_array_equal(catalog.values("id"), FRAME["id"])

    with h5py.File(tmp_path / "table.h5", "w") as file:  # and of format="table", where names are kept as a pickle
        group = file.create_group("halos")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        records = np.zeros(N, [("index", "i8"), ("values_block_0", "f8", (2,)), ("values_block_1", "i8", (1,))])
        records["values_block_0"], records["values_block_1"] = FRAME[["x", "y"]], FRAME[["id"]]
        group["table"] = records
        group["table"].attrs["index_kind"] = np.bytes_("integer")
        group["table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(["x", "y"], 0))
        group["table"].attrs["values_block_1_kind"] = np.bytes_(pickle.dumps(["id"], 0))
    catalog = read_catalog(tmp_path / "table.h5")
    assert list(catalog.table.columns) == ["x", "y", "id"]
    np.testing.assert_array_equal(catalog.table.to_numpy(), FRAME[["x", "y", "id"]])


def test_what_pandas_pickles_in_hdf5_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    with h5py.File(tmp_path / "t.h5", "w") as file:
        records = np.zeros(5, [("index", "i8"), ("values_block_0", "f8", (2,))])
        file["halos/table"] = records
        file["halos"].attrs["pandas_type"] = np.bytes_("frame_table")
        file["halos/table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(Trap(), 0))
    assert list(read_catalog(tmp_path / "t.h5").table.columns) == ["index", "values_block_0_0", "values_block_0_1"]
    assert not (tmp_path / "sprung").exists()


def test_hdf5_records_with_units_of_astropy_are_read_in_blocks(tmp_path: Path) -> None:
    table = Table({"pos": RNG.uniform(0, 1, (N, 3)) * u.Mpc, "n": np.arange(N)})
    table.write(tmp_path / "t.h5", path="deep/catalog", serialize_meta=True)
    catalog = read_catalog(tmp_path / "t.h5")
    assert catalog.roles.position == ("pos_x", "pos_y", "pos_z") and catalog.length_unit == "Mpc"
    np.testing.assert_array_equal(catalog.positions(), table["pos"])


def test_numpy_arrays_with_and_without_names(tmp_path: Path) -> None:
    numbers = RNG.uniform(0, 1, (N, 4))
    np.save(tmp_path / "plain.npy", np.asfortranarray(numbers))
    catalog = read_catalog(tmp_path / "plain.npy")
    assert list(catalog.columns) == ["col1", "col2", "col3", "col4"] and any(
        "no column names" in w for w in catalog.warnings
    )
    np.testing.assert_array_equal(catalog.table.to_numpy(), numbers)
    named = read_catalog(tmp_path / "plain.npy", names=("x", "y", "z", "m"))
    assert named.roles.position == ("x", "y", "z")

    records = np.zeros(N, [("id", ">i8"), ("pos", ">f4", (3,)), ("name", "U6")])
    records["id"], records["pos"], records["name"] = np.arange(N), numbers[:, :3], "object"
    np.save(tmp_path / "records.npy", records)
    catalog = read_catalog(tmp_path / "records.npy")
    assert catalog.roles.position == ("pos_x", "pos_y", "pos_z") and catalog.values("name")[0] == "object"
    np.testing.assert_array_equal(catalog.values("pos_y"), records["pos"][:, 1])

    np.savez_compressed(tmp_path / "set.npz", x=numbers[:, 0], y=numbers[:, 1], z=numbers[:, 2], box=np.array([9.0]))
    catalog = read_catalog(tmp_path / "set.npz")
    assert list(catalog.columns) == ["x", "y", "z"] and any("box" in warning for warning in catalog.warnings)
    np.savez(tmp_path / "one.npz", table=numbers)
    assert list(read_catalog(tmp_path / "one.npz").columns) == ["col1", "col2", "col3", "col4"]


RECORDS = [
    {"id": 10**15 + k, "x": k / 7, "pos": {"ra": k, "dec": -k}, "v": [1.0, 2, k], "name": f"o{k}"} for k in range(9)
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", json.dumps(RECORDS)),
        ("bom.json", "\ufeff" + json.dumps(RECORDS, indent=1)),
        ("data.json", json.dumps({"info": "made", "data": RECORDS})),
        ("lines.jsonl", "\n".join(map(json.dumps, RECORDS)) + "\n"),
        ("columns.json", json.dumps({name: [record[name] for record in RECORDS] for name in RECORDS[0]})),
        ("pandas.json", json.dumps({n: {str(k): r[n] for k, r in enumerate(RECORDS)} for n in RECORDS[0]})),
        (
            "tap.json",
            json.dumps(
                {
                    "metadata": [{"name": name, "unit": "km/s" if name == "x" else None} for name in RECORDS[0]],
                    "data": [list(record.values()) for record in RECORDS],
                }
            ),
        ),
    ],
)
def test_json_in_every_arrangement(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    catalog = read_catalog(tmp_path / name)
    assert {"id", "x", "pos_ra", "pos_dec", "v_x", "v_y", "v_z", "name"} <= set(catalog.columns)
    np.testing.assert_array_equal(catalog.values("x"), [k / 7 for k in range(9)])
    np.testing.assert_array_equal(catalog.row_ids, [10**15 + k for k in range(9)])
    np.testing.assert_array_equal(catalog.values("v_z"), range(9))
    assert catalog.columns["x"].unit == ("km/s" if name == "tap.json" else "")


def test_json_with_gaps_and_mixed_types(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"a": 1, "b": "x"}, {"a": 2.5}, {"a": null, "b": 3, "c": true}]')
    catalog = read_catalog(tmp_path / "t.json")
    np.testing.assert_array_equal(catalog.values("a"), [1, 2.5, np.nan])
    assert catalog.table["b"].tolist()[0] == "x" and catalog.table["b"][2] == "3" and pd.isna(catalog.table["b"][1])


def test_a_folder_of_parquet_files_with_keys_and_tiles(tmp_path: Path) -> None:
    halves = FRAME.iloc[:15], FRAME.iloc[15:]
    for survey, half in zip(("deep", "wide"), halves, strict=True):
        (tmp_path / "hive" / f"survey={survey}" / "field=7").mkdir(parents=True)
        half.to_parquet(tmp_path / "hive" / f"survey={survey}" / "field=7" / "part-0.parquet")
    (tmp_path / "hive" / "_metadata").write_bytes(b"not read")
    catalog = read_catalog(tmp_path / "hive")
    assert len(catalog) == N and catalog.provenance["files"] == 2
    assert catalog.table["survey"].tolist() == ["deep"] * 15 + ["wide"] * 25 and (catalog.values("field") == 7).all()
    np.testing.assert_array_equal(catalog.values("x"), FRAME["x"])

    main = tmp_path / "hats" / "main" / "dataset" / "Norder=1" / "Dir=0"
    margin = tmp_path / "hats" / "main_margin" / "dataset" / "Norder=1" / "Dir=0"
    for folder in (main, margin):
        folder.mkdir(parents=True)
        FRAME.to_parquet(folder / "Npix=46.parquet")
    (tmp_path / "hats" / "collection.properties").write_text("obs_collection=x\nhats_primary_table_url=main\n")
    catalog = read_catalog(tmp_path / "hats")
    assert len(catalog) == N and not {"Norder", "Dir", "Npix"} & catalog.columns.keys()
    np.testing.assert_array_equal(read_catalog(main / "Npix=46.parquet").values("x"), FRAME["x"])


def test_row_groups_with_gaps_and_words_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnnlib.catalog.parquet._AT_ONCE", 10)
    frame = FRAME.assign(gaps=np.where(np.arange(N) < 12, None, np.arange(N))).astype({"gaps": "Int64"})
    frame["late"] = [None] * 20 + ["word"] * 20
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=10)
    catalog = read_catalog(tmp_path / "t.parquet")
    np.testing.assert_array_equal(catalog.values("gaps"), np.where(np.arange(N) < 12, np.nan, np.arange(N)))
    assert catalog.table["late"].isna().sum() == 20 and catalog.table["late"].iloc[-1] == "word"
    np.testing.assert_array_equal(catalog.values("id"), FRAME["id"])


# --- packed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "txt", "vot", "ecsv", "fits", "parquet"])
@pytest.mark.parametrize("packer", ["gz", "bz2", "xz"])
def test_packed_files_give_what_is_in_them(tmp_path: Path, suffix: str, packer: str) -> None:
    plain = write(FRAME, tmp_path / f"table.{suffix}")
    pack = {"gz": gzip, "bz2": bz2, "xz": lzma}[packer].compress
    packed = tmp_path / f"table.{suffix}.{packer}"
    packed.write_bytes(pack(plain.read_bytes()))
    expected, catalog = read_catalog(plain), read_catalog(packed)
    pd.testing.assert_frame_equal(catalog.table, expected.table)
    assert catalog.name == "table" and catalog.provenance["file"] == packed.name


# --- more habits of text ----------------------------------------------------------------------------------------------


def test_decimal_commas_where_nothing_else_can_be_meant(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x;y;z\n1,5;-2,25;3\n4,0;5;6,125e2\n")
    catalog = read_catalog(tmp_path / "t.csv")
    np.testing.assert_array_equal(catalog.table.to_numpy(dtype=float), [[1.5, -2.25, 3], [4, 5, 612.5]])
    assert any("decimal comma" in warning for warning in catalog.warnings)
    (tmp_path / "t.csv").write_text("x;y\n1,500;2.5\n2,000;3.5\n")  # thousands, so not
    assert read_catalog(tmp_path / "t.csv").table["x"].tolist() == ["1,500", "2,000"]


def test_words_after_thousands_of_numbers_do_not_mix_types(tmp_path: Path) -> None:
    lines = [f"{k},{k % 7}" for k in range(300_000)] + ["300000,unknown"]
    (tmp_path / "t.csv").write_text("x,kind\n" + "\n".join(lines) + "\n")
    kind = read_catalog(tmp_path / "t.csv").table["kind"]
    assert kind.map(type).eq(str).all() and kind.iloc[8] == "1" and kind.iloc[-1] == "unknown"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    text = end.join(["# Ångström", "name,x,y", "Åsa,1,2", "# between", "Zoë,3,4", ""])
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    catalog = read_catalog(tmp_path / "t.csv")
    assert catalog.table["name"].tolist() == ["Åsa", "Zoë"] and catalog.values("y").tolist() == [2, 4]


def test_accents_far_below_the_header_are_read(tmp_path: Path) -> None:
    lines = [f"{k},plain" for k in range(60_000)] + ["60000,Zoë"]
    (tmp_path / "t.csv").write_bytes(("x,name\n" + "\n".join(lines) + "\n").encode("latin-1"))
    assert read_catalog(tmp_path / "t.csv").table["name"].iloc[-1] == "Zoë"


def test_exponents_as_fortran_writes_them(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("x y name\n1.5D+03 1 d1\n-2.0d-1 2 d2\n")
    catalog = read_catalog(tmp_path / "t.txt")
    np.testing.assert_array_equal(catalog.values("x"), [1500, -0.2])
    assert catalog.table["name"].tolist() == ["d1", "d2"]


def test_a_header_name_may_stand_for_three_columns(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("id pos(3)[kpc] mass\n1 1 2 3 9\n2 4 5 6 9\n")
    catalog = read_catalog(tmp_path / "t.txt")
    assert list(catalog.columns) == ["id", "pos_x", "pos_y", "pos_z", "mass"] and catalog.length_unit == "Mpc"


def test_raw_says_whether_the_file_names_its_columns(tmp_path: Path) -> None:
    for text, named in (("1 2 3\n4 5 6\n", False), ("a b c\n4 5 6\n1 2 3\n", True)):
        (tmp_path / "t.txt").write_text(text)
        assert read_raw(CatalogSpec(path=str(tmp_path / "t.txt"))).header is named


def test_aas_tables_as_astropy_writes_them(tmp_path: Path) -> None:
    Table({"x": [1.5, 2.5, 3.5] * u.kpc, "n": [1, 2, 3]}).write(tmp_path / "t.mrt", format="ascii.mrt")
    catalog = read_catalog(tmp_path / "t.mrt")
    np.testing.assert_allclose(catalog.values("x"), [1.5, 2.5, 3.5])
    assert catalog.columns["x"].unit == "kpc"
