"""A folder of several catalogs read as one, with the parameters of each file."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.peek import peek
from gnnlib.catalog.read import read_catalog, read_raw
from gnnlib.catalog.select import suggest_cuts
from gnnlib.catalog.summary import summarize
from gnnlib.catalog.table import CatalogSpec, Roles
from gnnlib.errors import InputError


def rows_of_file(number: int, count: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    positions = dict(zip("xyz", rng.uniform(0, 10, (3, count)), strict=True))
    return pd.DataFrame({"halo_id": np.arange(count), **positions, "mass": 10 ** rng.normal(12, 0.5, count)})


def write(folder: Path, numbers: tuple[int, ...] = (0, 1, 2, 10), parameters: str | None = None) -> Path:
    for number in numbers:
        rows_of_file(number, 6 + number).to_csv(folder / f"LH_{number}.csv", index=False)
    if parameters is not None:
        (folder / "parameters.csv").write_text(parameters)
    return folder


NAMED = "name,Omega_m,sigma_8\nLH_10,0.4,0.9\nLH_0,0.1,0.6\nLH_2.csv,0.3,0.8\nLH_1,0.2,0.7\n"
ORDERED = "Omega_m,sigma_8\n0.1,0.6\n0.2,0.7\n0.3,0.8\n0.4,0.9\n"


@pytest.mark.parametrize(
    "parameters", [NAMED, ORDERED, "#" + NAMED.replace(",", " ")], ids=["named", "ordered", "text"]
)
def test_files_are_stacked_in_natural_order_with_their_parameters(tmp_path: Path, parameters: str) -> None:
    catalog = read_catalog(write(tmp_path, parameters=parameters))
    names = ["LH_0", "LH_1", "LH_2", "LH_10"]
    expected = pd.concat([rows_of_file(n, 6 + n).assign(catalog=f"LH_{n}") for n in (0, 1, 2, 10)], ignore_index=True)
    assert catalog.table["catalog"].drop_duplicates().tolist() == names
    pd.testing.assert_frame_equal(catalog.table[expected.columns], expected, check_dtype=False)
    of_file = dict(zip(names, (0.1, 0.2, 0.3, 0.4), strict=True))
    np.testing.assert_array_equal(catalog.values("Omega_m"), expected["catalog"].map(of_file))
    assert catalog.files is not None and catalog.files.parameters == ("Omega_m", "sigma_8")
    assert catalog.row_ids[:2].tolist() == ["LH_0:0", "LH_0:1"] and len(set(catalog.row_ids)) == len(catalog)
    assert catalog.roles.features == ("mass",) and catalog.roles.position == ("x", "y", "z")
    assert catalog.provenance["files"] == 4 and not [text for text in catalog.warnings if "repeats" in text]
    for name, rows, own in catalog.by_file():
        pd.testing.assert_frame_equal(own.table, catalog.table.iloc[rows].reset_index(drop=True))
        assert set(own.values("catalog")) == {name} and own.files is None


def test_a_column_called_catalog_keeps_its_name_and_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    for number in range(2):
        rows_of_file(number).assign(catalog=number).to_csv(tmp_path / f"b{number}.csv", index=False)
    (tmp_path / ".b2.csv").write_text("nothing")
    (tmp_path / "README.md").write_text("what this is")
    catalog = read_catalog(tmp_path)
    assert catalog.files is not None and catalog.files.column == "catalog_2"
    assert catalog.values("catalog").tolist() == [0] * 6 + [1] * 6
    assert any("README.md" in warning for warning in catalog.warnings) and len(catalog) == 12


def test_the_units_roles_and_cut_of_a_person_hold_for_all_files(tmp_path: Path) -> None:
    catalog = read_catalog(
        write(tmp_path, parameters=NAMED),
        units={axis: "kpc" for axis in "xyz"},
        roles=Roles(target="Omega_m", row_id=None),
        where="Omega_m > 0.15 & catalog != 'LH_2'",
        derived={"group_size": "group_size(halo_id)", "near": "neighbor_distance(1)"},
    )
    assert catalog.roles.target == "Omega_m" and set(catalog.values("catalog")) == {"LH_1", "LH_10"}
    assert (catalog.values("group_size") == 1).all()  # ids of two files are two groups
    for _, rows, own in catalog.by_file():
        points = own.positions()
        apart = np.linalg.norm(points[:, None] - points, axis=2)
        np.testing.assert_allclose(np.sort(apart, axis=1)[:, 1], catalog.values("near")[rows])


def test_files_without_a_header_are_named_once_for_all(tmp_path: Path) -> None:
    for number in range(3):
        rows_of_file(number).to_csv(tmp_path / f"box{number}.txt", index=False, header=False, sep=" ")
    (tmp_path / "params.txt").write_text("0.1\n0.2\n0.3\n")
    names = ("halo_id", "x [Mpc]", "y [Mpc]", "z [Mpc]", "mass")
    catalog = read_catalog(tmp_path, names=names)
    assert list(catalog.table.columns)[:5] == ["halo_id", "x", "y", "z", "mass"]
    assert catalog.files is not None and catalog.files.column == "catalog" and catalog.length_unit == "Mpc"
    assert catalog.files.parameters == ("parameter_1",)
    again = read_catalog(tmp_path, names=(*names, "file", "Omega_m"))
    assert again.files is not None and (again.files.column, again.files.parameters) == ("file", ("Omega_m",))


def test_hdf5_boxes_are_catalogs_of_their_own(tmp_path: Path) -> None:
    for number in (2, 11):
        with h5py.File(tmp_path / f"LH_{number}.hdf5", "w") as file:
            file["x"], file["y"], file["z"] = rows_of_file(number)[["x", "y", "z"]].to_numpy().T
            file.attrs["BoxSize"] = 25.0
    catalog = read_catalog(tmp_path)
    assert catalog.box is not None and catalog.box.tolist() == [25.0] * 3 and catalog.periodic
    assert catalog.row_ids[[0, -1]].tolist() == ["LH_2:0", "LH_11:5"]
    with h5py.File(tmp_path / "LH_11.hdf5", "a") as file:
        file.attrs["BoxSize"] = 50.0
    with pytest.raises(InputError, match=r"The box of 'LH_11\.hdf5'"):
        read_catalog(tmp_path)


def write_subfind(path: Path, number: int, files: int) -> None:
    with h5py.File(path, "w") as file:
        header = {"BoxSize": 25000.0, "HubbleParam": 0.67, "Time": 1.0, "Redshift": 0.0, "NumFiles": files}
        file.create_group("Header").attrs.update({**header, "Ngroups_ThisFile": 0})
        file.create_group("Group")
        file["Subhalo/SubhaloPos"] = np.random.default_rng(number).uniform(0, 25000, (5, 3))
        file["Subhalo/SubhaloMass"] = np.arange(1.0, 6.0)


def test_group_catalogs_of_one_file_each_are_several_and_chunks_are_one(tmp_path: Path) -> None:
    suite, chunks = tmp_path / "suite", tmp_path / "chunks"
    suite.mkdir()
    chunks.mkdir()
    for number in range(3):
        write_subfind(suite / f"LH_{number}.hdf5", number, files=1)
        write_subfind(chunks / f"fof_subhalo_tab_033.{number}.hdf5", number, files=3)
    (suite / "CosmoAstroSeed_IllustrisTNG.txt").write_text("#Name Omega_m\nLH_0 0.1\nLH_1 0.2\nLH_2 0.3\n")
    boxes = read_catalog(suite)
    assert boxes.files is not None and boxes.files.parameters == ("Omega_m",)
    assert boxes.box is not None and boxes.box[0] == pytest.approx(25 / 0.67) and len(boxes) == 15
    assert sorted(set(boxes.values("Omega_m"))) == [0.1, 0.2, 0.3]
    assert read_catalog(chunks).files is None


def test_parquet_files_are_one_table_unless_parameters_lie_beside_them(tmp_path: Path) -> None:
    for number in range(2):
        rows_of_file(number).to_parquet(tmp_path / f"LH_{number}.parquet")
    assert read_catalog(tmp_path).files is None
    (tmp_path / "parameters.csv").write_text("Omega_m\n0.1\n0.2\n")
    catalog = read_catalog(tmp_path)
    assert catalog.files is not None and set(catalog.values("Omega_m")) == {0.1, 0.2}


def test_packed_files_progress_and_the_first_rows(tmp_path: Path) -> None:
    write(tmp_path, parameters=NAMED)
    whole = read_catalog(tmp_path)
    for path in tmp_path.glob("LH_*.csv"):
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    said: list[tuple[float, str]] = []
    raw = read_raw(CatalogSpec(path=str(tmp_path)), lambda share, what: said.append((share, what)))
    pd.testing.assert_frame_equal(raw.table, read_raw(whole.spec).table)
    shares = [share for share, _ in said]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert [name for name in ("1 of 4", "4 of 4") if not any(name in what for _, what in said)] == []
    first = peek(tmp_path, rows=3)
    assert len(first.table) == 3 and set(first.table["Omega_m"]) == {0.1}


def test_rows_of_two_files_are_no_repeats_of_each_other(tmp_path: Path) -> None:
    for number in range(3):
        rows_of_file(1).to_csv(tmp_path / f"same_{number}.csv", index=False)
    catalog = read_catalog(tmp_path, derived={"again": "duplicate(x, y, z)"})
    summary = summarize(catalog)
    assert (summary.duplicates, summary.duplicate_positions, summary.duplicate_ids) == (0, 0, 0)
    assert not [cut for cut in suggest_cuts(catalog) if cut.name.startswith("unique")]
    assert not catalog.values("again").any()
    rows_of_file(1).iloc[[0, 1, 1, 2]].to_csv(tmp_path / "same_1.csv", index=False)
    summary = summarize(read_catalog(tmp_path, roles=Roles(row_id="halo_id")))
    assert (summary.duplicates, summary.duplicate_positions, summary.duplicate_ids) == (1, 1, 1)


PARAMETERS = {
    "missing": (NAMED.replace("LH_1,0.2,0.7\n", ""), r"'parameters\.csv' has no row for: 'LH_1\.csv'"),
    "twice": (NAMED + "LH_1,0.5,0.5\n", r"more than one row for: 'LH_1'"),
    "unknown": (NAMED + "LH_77,0.5,0.5\n", r"names files that are not in the folder: 'LH_77'"),
    "too few rows": (ORDERED.replace("0.4,0.9\n", ""), "has 3 rows for 4 files"),
    "a column of the catalogs": (ORDERED.replace("Omega_m", "mass"), "both have a column 'mass'"),
}


@pytest.mark.parametrize(("parameters", "words"), PARAMETERS.values(), ids=PARAMETERS)
def test_a_table_of_parameters_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, parameters: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        read_catalog(write(tmp_path, parameters=parameters))
    assert "\n" not in str(refusal.value)


def test_files_that_are_not_alike_are_refused_by_file_and_column(tmp_path: Path) -> None:
    odd = tmp_path / "LH_3.csv"
    for frame, words in (
        (rows_of_file(3).drop(columns="mass"), r"'LH_3\.csv' has no column 'mass', which 'LH_0\.csv' has"),
        (rows_of_file(3).assign(age=1.0), r"'LH_0\.csv' has no column 'age', which 'LH_3\.csv' has"),
        (rows_of_file(3).assign(mass="heavy"), r"'mass' holds text in 'LH_3\.csv' and numbers in 'LH_0\.csv'"),
    ):
        write(tmp_path)
        frame.to_csv(odd, index=False)
        with pytest.raises(InputError, match=words):
            read_catalog(tmp_path)
    for number, unit in ((0, "Mpc"), (1, "kpc")):
        rows_of_file(number).rename(columns={"x": f"x [{unit}]"}).to_csv(tmp_path / f"LH_{number}.csv", index=False)
    for number in (2, 3, 10):
        (tmp_path / f"LH_{number}.csv").unlink()
    with pytest.raises(InputError, match=r"'x' is in kpc in 'LH_1\.csv' and in Mpc in 'LH_0\.csv'"):
        read_catalog(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "LH_7.csv").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InputError, match=r"'LH_7\.csv'"):
        read_catalog(tmp_path)
    write(tmp_path, parameters=NAMED)
    (tmp_path / "LH_7.csv").unlink()
    shutil.copy(tmp_path / "parameters.csv", tmp_path / "params.txt")
    with pytest.raises(InputError, match="several tables of parameters"):
        read_catalog(tmp_path)
