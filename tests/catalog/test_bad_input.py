"""Whatever is not a catalog ends in one short sentence that says what would help."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import pickle
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnnlib.catalog import CatalogSpec, read_catalog
from gnnlib.errors import InputError

PROSE = "It was a bright cold day in April,\nand the clocks were striking thirteen.\nWinston Smith, his chin nuzzled\n"
NUMBERS = pd.DataFrame(np.random.default_rng(0).uniform(0, 10, (500, 4)), columns=["x", "y", "z", "m"])


def refused(path: Path | str, words: str, **corrections: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_catalog(path, **corrections)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 350 and message.endswith((".", "?", "..."))
    with pytest.raises(InputError) as again:
        read_catalog(path, **corrections)
    assert str(again.value) == message


def npz(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, a=array)
    return out.getvalue()


def npy(array: np.ndarray, **header: object) -> bytes:
    """An array as NumPy saves it, with a header that says something else."""
    out = io.BytesIO()
    described = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    np.lib.format.write_array_header_1_0(out, described)
    return out.getvalue() + (b"" if array.dtype.hasobject else array.tobytes())


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.csv", "x\n1\n")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.fits", b"", "is empty"),
        ("a.csv", b"   \n\n", "is empty"),
        ("a.csv", PROSE.encode(), "no column of numbers"),
        ("a.csv", b"a,b,c\n", "no column of numbers|no rows"),
        ("a.csv", b"a,b\nfoo,bar\nbaz,qux\n", "no column of numbers"),
        ("a.csv", b"# only\n# comments\n", "no rows"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        ("a.npz", npz(np.array([{}, 2], dtype=object)), "Python pickle"),
        ("a.npz", npz(np.zeros((3, 4, 5))), "3 x 4 x 5, not a table"),
        ("a.npz", npz(np.float64(3)), "a single value, not a table"),
        ("a.npz", npz(np.zeros((9, 2)))[:150], "zip archive|damaged"),
        ("a.xlsx", zipped(), "zip archive"),
        ("a.pkl", pickle.dumps({"a": 1}), "pickle"),
        ("a.npy", b"\x93NUMPY\x01\x00", "damaged or no NumPy file"),
        ("a.npy", npy(np.zeros((3, 2000))), "2,000 columns, as an image"),
        ("a.npy", npy(np.zeros(9), shape=(10**14,)), "damaged|promises"),
        ("a.npy", npy(np.array(["a", None], dtype=object)), "Python pickle"),
        ("a.npy", npy(np.array([1 + 2j, 3])), "no column of numbers"),
        ("a.feather", b"ARROW1\0\0", "Feather"),
        ("a.json", b'[{"x": 1}, {"x": ', "not valid JSON at line 1"),
        ("a.json", b'{"x": [1, 2], "y": [1]}', "no columns of one length"),
        ("a.json", b"[]", "without objects"),
        ("a.json", b'[{"x": "a"}, {"x": "b"}]', "no column of numbers"),
        ("a.json", b'{"data": [1, 2]}', "no list of objects"),
        ("a.json", b"[" * 100_000, "nested too deeply|not valid JSON"),
        ("a.jsonl", b'{"x": 1}\n{"x": 2}\n{"x": \n', "Line 3 of 'a.jsonl'"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00", "damaged or cut short, so it cannot be unpacked"),
        ("a.csv.gz", gzip.compress(gzip.compress(b"x,y\n1,2\n")), "packed twice"),
        ("a.csv.gz", gzip.compress(b"x,y\n1,2\n3\n"), "Line 3 of 'a.csv'"),
        ("a.csv.bz2", bz2.compress(b"x,y\n1,2\n" * 99)[:40], "unpacked"),
        ("a.html", b"<!doctype html><html></html>", "web page"),
        ("a.csv", b"\x00\x01\x02\x03" * 50, "format of 'a.csv' is not known"),
        ("a.fits", b"x,y\n1,2\n", "called FITS"),
        ("a.parquet", b"not parquet at all", "called Parquet"),
        ("a.hdf5", b"\x00\x01", "called HDF5"),
        ("a.csv", b"x,y\n1,2\n3\n", "ine 3 "),
        ("a.csv", b"x,y\n1,2\n3,4,5\n1,2\n", "ine 3 .*3 fields"),
        ("a.csv", b'x,y\n1,2\n3,"4\n5,6\n', "ine |quotation"),
        ("a.ecsv", b"# %ECSV 1.0\n# ---\n# datatype: [\nx\n1\n", "cannot be read as ECSV"),
        ("a.vot", b"<?xml version='1.0'?>\n<VOTABLE><RESOURCE>", "VOTable"),
        (
            "a.vot",
            b'<VOTABLE><RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">No table\nfoo.</INFO>'
            b"</RESOURCE></VOTABLE>",
            "the error of a query: No table foo; mend",
        ),
        (
            "a.vot",
            b'<VOTABLE><RESOURCE><TABLE><FIELD name="x" datatype="double"/><DATA><BINARY>'
            b'<STREAM  href="file:///etc/passwd"/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>',
            "rows are in another file",
        ),
        ("a.vot", b'<!DOCTYPE v [<!ENTITY a "b">]><VOTABLE>&a;</VOTABLE>', "entities"),
        ("a.dat", b"# tree\n3\n#tree 5\n1 2 3\n1 2 4\n", "merger tree"),
    ],
)
def test_what_is_not_a_catalog_is_refused_with_a_remedy(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, words)


def test_missing_files_and_folders_without_a_catalog(tmp_path: Path) -> None:
    refused(tmp_path / "none.csv", "no file")
    refused(tmp_path, "no .hdf5 file")


def cut_short(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    if name.endswith("fits"):
        Table.from_pandas(NUMBERS).write(path)
    elif name.endswith("parquet"):
        NUMBERS.to_parquet(path)
    else:
        with h5py.File(path, "w") as file:
            for column in NUMBERS:
                file[column] = NUMBERS[column]
    return path


@pytest.mark.parametrize("name", ["t.fits", "t.parquet", "t.hdf5"])
@given(share=st.floats(0.0, 0.999))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    path.unlink(missing_ok=True)
    whole = cut_short(tmp_path, name).read_bytes()
    kept = int(share * len(whole))
    if name == "t.fits":  # the last block is padding: what is lost there was never data
        kept = min(kept, len(whole) - 2880)
    path.write_bytes(whole[:kept])
    refused(path, "empty|cut short|damaged|not a table|no table|not its content|is not|called")


@pytest.mark.parametrize("name", ["t.fits", "t.parquet", "t.hdf5"])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_give_a_catalog_or_an_input_error(tmp_path: Path, name: str, seed: int) -> None:
    path = tmp_path / name
    path.unlink(missing_ok=True)
    data = bytearray(cut_short(tmp_path, name).read_bytes())
    for at in np.random.default_rng(seed).integers(0, len(data), 20):
        data[at] ^= 0xA5
    path.write_bytes(bytes(data))
    try:
        assert len(read_catalog(path))
    except InputError as error:
        assert len(str(error)) < 350


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_catalog_or_an_input_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    try:
        read_catalog(tmp_path / "t.csv")
    except InputError as error:
        assert "\n" not in str(error)


@given(st.text(alphabet='abx019.,;\t\n "#-|[]\r', max_size=120))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_a_catalog_or_an_input_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.csv").write_text(content, newline="")
    with contextlib.suppress(InputError):
        read_catalog(tmp_path / "t.csv")


def test_tables_without_rows_or_numbers_are_refused(tmp_path: Path) -> None:
    NUMBERS.iloc[:0].to_parquet(tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "no rows")
    pd.DataFrame({"a": ["x", "y"]}).to_parquet(tmp_path / "b.parquet")
    refused(tmp_path / "b.parquet", "no column of numbers")
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "c.fits")
    refused(tmp_path / "c.fits", "no table")
    with h5py.File(tmp_path / "d.hdf5", "w") as file:
        file.attrs["BoxSize"] = 3
    refused(tmp_path / "d.hdf5", "no dataset")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    NUMBERS.assign(name="a", id=1).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    ("corrections", "words"),
    [
        ({"box": 5}, r"box is 5 but the positions span 9\.\d+ along x"),
        ({"box": (20, 20, 5), "periodic": True}, "along z"),
        ({"box": (20, 20, -5)}, "positive"),
        ({"box": "large"}, "setting 'box"),
        ({"periodic": True}, "needs a box"),
        ({"roles": {"target": "masss"}}, "no column 'masss'"),
        ({"roles": {"position": ("x", "y", "name")}}, "'name' holds text"),
        ({"roles": {"position": ("x",)}}, "two or three"),
        ({"roles": {"position": ("x", "x", "y")}}, "different"),
        ({"roles": {"features": ("name",)}}, "'name' does not hold numbers"),
        ({"roles": {"colour": "m"}}, "setting 'roles.colour'"),
        ({"units": {"x": "furlong"}}, "'furlong' is not understood"),
        ({"units": {"q": "Mpc"}}, "no column 'q'"),
        ({"units": {"x": "Mpc"}}, "'y' has no unit"),
        ({"h": 67.74}, "h = 67.74"),
        ({"h": -1}, "h = -1"),
        ({"where": "m > 100"}, "No row"),
        ({"where": "mm > 1"}, "no column 'mm'"),
        ({"names": ("a", "b")}, "every column once"),
        ({"colour": 1}, "setting 'colour'"),
    ],
)
def test_corrections_that_cannot_be_made_are_explained(table: Path, corrections: dict[str, object], words: str) -> None:
    refused(table, words, **corrections)


def test_repeated_ids_fall_back_to_row_numbers(table: Path) -> None:
    catalog = read_catalog(table, roles={"row_id": "id"})
    np.testing.assert_array_equal(catalog.row_ids, np.arange(500))
    assert any("'id' repeats 499" in warning for warning in catalog.warnings)


def test_rows_without_a_position_are_counted(tmp_path: Path) -> None:
    frame = NUMBERS.copy()
    frame.loc[3:7, "y"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    catalog = read_catalog(tmp_path / "t.csv")
    assert any(warning.startswith("5 of 500 rows have no finite position") for warning in catalog.warnings)
    assert not any("finite" in warning for warning in read_catalog(tmp_path / "t.csv", where="isfinite(y)").warnings)


def test_a_specification_reads_the_same_catalog_again_from_json(table: Path) -> None:
    corrections = {
        "roles": {"target": "m"},
        "units": dict.fromkeys("xyz", "Mpc/h"),
        "h": 0.5,
        "where": "m > 5",
        "box": 30,
    }
    first = read_catalog(table, **corrections, periodic=True)
    again = read_catalog(CatalogSpec.model_validate_json(first.spec.model_dump_json()))
    pd.testing.assert_frame_equal(first.table, again.table)
    np.testing.assert_array_equal(first.row_ids, again.row_ids)
    assert first.roles == again.roles and again.roles.position == ("x", "y", "z") and again.spec == first.spec
    assert again.length_unit == "Mpc" and again.periodic
    np.testing.assert_array_equal(again.positions(), first.table[["x", "y", "z"]].to_numpy() * 2)


# --- files that reach out, or promise what they do not hold -----------------------------------------------------------


def test_hdf5_shows_only_what_lies_in_the_file(tmp_path: Path) -> None:
    secret = np.arange(50.0)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = secret
    (tmp_path / "secret.bin").write_bytes(secret.tobytes())
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["x"] = np.arange(20.0)
        file["link"] = h5py.ExternalLink("other.h5", "/secret")
        file.create_dataset("raw", (50,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 400)])
        layout = h5py.VirtualLayout((50,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (50,))
        file.create_virtual_dataset("virtual", layout)
    catalog = read_catalog(tmp_path / "t.h5")
    assert list(catalog.columns) == ["x"] and len(catalog) == 20
    with h5py.File(tmp_path / "t.h5", "a") as file:
        del file["x"]
    refused(tmp_path / "t.h5", "no dataset of numbers")


def test_a_small_hdf5_file_that_promises_a_huge_array_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.create_dataset("x", (10**12,), "f8", chunks=(1000,))
    refused(tmp_path / "t.h5", "promises a table of 8.0e.12 bytes")


def test_what_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnnlib.catalog.compressed._ALWAYS", 2**20)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x,y\n" + b"1,2\n" * 10**6))
    refused(tmp_path / "t.csv.gz", "unpacks to more than")
    assert not list(Path(tempfile.gettempdir()).glob("filament-*/t.csv"))


def test_a_folder_of_parquet_files_does_not_lead_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    NUMBERS.to_parquet(tmp_path / "outside.parquet")
    NUMBERS.to_parquet(tmp_path / "inside" / "a.parquet")
    (tmp_path / "inside" / "b.parquet").symlink_to(tmp_path / "outside.parquet")
    assert len(read_catalog(tmp_path / "inside")) == len(NUMBERS)


def test_a_table_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["halos/x"], file["stars/x"] = np.arange(5.0), np.arange(6.0)
    refused(tmp_path / "t.h5", "no table 'gas'; choose one of 'halos', 'stars'", table="gas")
