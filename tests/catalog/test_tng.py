"""SUBFIND chunks against sums taken straight from the files, and chunks made here with groups that straddle files."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from gnnlib.catalog import Catalog, read_catalog, select
from gnnlib.errors import InputError

H = 0.6774


@pytest.fixture(scope="module")
def catalog(tng_chunks: Path) -> Catalog:
    return read_catalog(tng_chunks)


def straight(folder: Path, name: str) -> np.ndarray:
    """A dataset of all non-empty chunks in the order of their numbers, as stored."""
    files = sorted(folder.glob("*.hdf5"), key=lambda path: int(path.stem.split(".")[-1]))
    parts = []
    for path in files:
        with h5py.File(path) as file:
            if name in file:
                parts.append(file[name][()])
    return np.concatenate(parts)


def test_counts_box_and_units_of_the_public_chunks(catalog: Catalog) -> None:
    assert len(catalog) == 46187
    assert len(select(catalog, "SubhaloMassType_stars > 1e8")) == 2614
    assert len(select(catalog, "SubhaloMassType_stars > 1e9")) == 1143
    np.testing.assert_allclose(catalog.box, 75 / H)
    assert catalog.periodic and catalog.length_unit == "Mpc" and catalog.h == H
    assert catalog.values("SubhaloFlag").dtype == bool and (~catalog.values("SubhaloFlag")).sum() == 1364
    assert (catalog.values("SubhaloMassType_stars") == 0).sum() == 35263
    assert len(select(catalog, "SubhaloMassType_stars > 1e8 & SubhaloFlag & SubhaloMassType_dm > 0")) == 1947


def test_every_scaled_column_equals_the_stored_one_without_h(catalog: Catalog, tng_chunks: Path) -> None:
    position, masses = straight(tng_chunks, "Subhalo/SubhaloPos"), straight(tng_chunks, "Subhalo/SubhaloMassType")
    np.testing.assert_allclose(catalog.positions(), position.astype(float) / 1000 / H, rtol=1e-12)
    np.testing.assert_array_equal(catalog.velocities(), straight(tng_chunks, "Subhalo/SubhaloVel").astype(float))
    for k, kind in enumerate(("gas", "dm", "type2", "tracers", "stars", "bh")):
        np.testing.assert_allclose(catalog.values(f"SubhaloMassType_{kind}"), masses[:, k].astype(float) * 1e10 / H)
    np.testing.assert_array_equal(catalog.values("SubhaloGrNr"), straight(tng_chunks, "Subhalo/SubhaloGrNr"))
    np.testing.assert_array_equal(
        catalog.values("SubhaloIDMostbound"), straight(tng_chunks, "Subhalo/SubhaloIDMostbound")
    )
    radius = straight(tng_chunks, "Subhalo/SubhaloHalfmassRadType")[:, 1].astype(float)
    np.testing.assert_allclose(catalog.values("SubhaloHalfmassRadType_dm"), radius / 1000 / H)


def test_every_dataset_becomes_columns(catalog: Catalog, tng_chunks: Path) -> None:
    with h5py.File(tng_chunks / "fof_subhalo_tab_099.148.hdf5") as file:
        wanted = sum(item.shape[1] if item.ndim == 2 else 1 for item in file["Subhalo"].values())
        groups = sum(item.ndim == 1 for name, item in file["Group"].items() if name != "GroupFirstSub")
    assert len(catalog.columns) == wanted + groups + 1
    assert set(catalog.columns) == set(catalog.table.columns)


def test_row_ids_say_chunk_and_row(catalog: Catalog, tng_chunks: Path) -> None:
    assert len(np.unique(catalog.row_ids)) == len(catalog) and catalog.row_ids.dtype == np.int64
    row = int(np.flatnonzero(catalog.row_ids == 154 * 10**7 + 17)[0])
    with h5py.File(tng_chunks / "fof_subhalo_tab_099.154.hdf5") as file:
        np.testing.assert_allclose(catalog.positions()[row], file["Subhalo/SubhaloPos"][17] / 1000 / H, rtol=1e-6)


def test_hosts_are_joined_and_each_group_has_one_central(catalog: Catalog, tng_chunks: Path) -> None:
    host_mass, number = catalog.values("Group_M_Crit200"), catalog.values("SubhaloGrNr")
    groups, first = np.unique(number, return_index=True)
    assert (groups[0], groups[-1], len(groups)) == (314, 544, 231)
    stored = straight(tng_chunks, "Group/Group_M_Crit200").astype(float) * 1e10 / H
    np.testing.assert_allclose(host_mass[first], stored)
    central = catalog.values("is_central")
    assert central.dtype == bool and central.sum() == 231 and central[first].all()
    # SUBFIND puts a group's centre at the potential minimum of its first subhalo.
    np.testing.assert_allclose(
        catalog.positions()[central], straight(tng_chunks, "Group/GroupPos").astype(float) / 1000 / H, rtol=1e-12
    )


def test_missing_empty_massless_and_flagged_are_reported(catalog: Catalog) -> None:
    told = " ".join(catalog.warnings)
    for words in (
        "427 are missing",
        "1 chunk is empty, without a subhalo (64)",
        "35,263 of the 46,187",
        "1,364 subhalos",
    ):
        assert words in told


def test_one_chunk_alone_and_an_empty_one(tng_chunks: Path) -> None:
    one = read_catalog(tng_chunks / "fof_subhalo_tab_099.150.hdf5")
    assert len(one) == 2712 and one.row_ids[0] == 150 * 10**7 and one.values("is_central").sum() > 0
    with pytest.raises(InputError, match="empty chunk"):
        read_catalog(tng_chunks / "fof_subhalo_tab_099.64.hdf5")


def test_another_h_rescales_lengths_and_masses(tng_chunks: Path) -> None:
    path = tng_chunks / "fof_subhalo_tab_099.150.hdf5"
    usual, other = read_catalog(path), read_catalog(path, h=H / 2)
    np.testing.assert_allclose(other.positions(), 2 * usual.positions())
    np.testing.assert_allclose(other.box, 2 * usual.box)


def test_a_damaged_chunk_is_named(tng_chunks: Path, tmp_path: Path) -> None:
    for number in (150, 151):
        shutil.copy(tng_chunks / f"fof_subhalo_tab_099.{number}.hdf5", tmp_path)
    whole = (tmp_path / "fof_subhalo_tab_099.151.hdf5").read_bytes()
    (tmp_path / "fof_subhalo_tab_099.151.hdf5").write_bytes(whole[:100000])
    with pytest.raises(InputError, match=r"099\.151\.hdf5' is damaged"):
        read_catalog(tmp_path)


# --- made here: 6 groups with 4, 3, 0, 5, 1, 2 subhalos, cut into files anywhere -----------------------------------

SUBHALOS = np.array([4, 3, 0, 5, 1, 2])


def make_chunks(folder: Path, group_cuts: list[int], subhalo_cuts: list[int]) -> Path:
    number = np.repeat(np.arange(6), SUBHALOS)
    first = np.where(SUBHALOS > 0, np.cumsum(SUBHALOS) - SUBHALOS, -1)
    mass = 10.0 + np.arange(6)
    for k in range(len(group_cuts) - 1):
        groups, rows = slice(*group_cuts[k : k + 2]), slice(*subhalo_cuts[k : k + 2])
        with h5py.File(folder / f"fof_subhalo_tab_004.{k}.hdf5", "w") as file:
            header = {
                "BoxSize": 1000.0,
                "HubbleParam": 0.5,
                "Time": 1.0,
                "Redshift": 0.0,
                "NumFiles": len(group_cuts) - 1,
            }
            file.create_group("Header").attrs.update({**header, "Ngroups_ThisFile": groups.stop - groups.start})
            file.create_group("Group")
            file.create_group("Subhalo")
            if groups.stop > groups.start:
                file["Group/GroupFirstSub"] = first[groups].astype(np.int32)
                file["Group/GroupNsubs"] = SUBHALOS[groups].astype(np.int32)
                file["Group/Group_M_Crit200"] = mass[groups]
            if rows.stop > rows.start:
                file["Subhalo/SubhaloGrNr"] = number[rows].astype(np.int32)
                file["Subhalo/SubhaloPos"] = np.arange(45.0).reshape(15, 3)[rows]
    return folder


@pytest.mark.parametrize(
    ("group_cuts", "subhalo_cuts", "dropped"),
    [
        ([0, 6], [0, 15], ()),
        ([0, 2, 6], [0, 7, 15], ()),
        ([0, 2, 6], [0, 5, 15], ()),
        ([0, 2, 4, 6], [0, 7, 12, 15], (0,)),
        ([0, 2, 4, 6], [0, 6, 13, 15], (0,)),
        ([0, 2, 4, 6], [0, 7, 12, 15], (1,)),
        ([0, 6, 6], [0, 6, 15], ()),
        ([0, 0, 6], [0, 15, 15], ()),
    ],
)
def test_hosts_are_right_or_left_out_however_the_files_are_cut(
    tmp_path: Path, group_cuts, subhalo_cuts, dropped
) -> None:  # type: ignore[no-untyped-def]
    make_chunks(tmp_path, group_cuts, subhalo_cuts)
    for number in dropped:
        (tmp_path / f"fof_subhalo_tab_004.{number}.hdf5").unlink()
    catalog = read_catalog(tmp_path)
    number = catalog.values("SubhaloGrNr")
    if "Group_M_Crit200" not in catalog.columns:
        assert any("left out" in warning for warning in catalog.warnings)
        assert dropped, "with every chunk at hand the hosts are known"
        return
    host, central = catalog.values("Group_M_Crit200"), catalog.values("is_central")
    known = np.isfinite(host)
    assert known.any()
    np.testing.assert_allclose(host[known], (10.0 + number[known]) * 1e10 / 0.5)
    start = np.isin(np.rint(catalog.values("SubhaloPos_x") * 1000 * 0.5 / 3), [0, 4, 7, 12, 13])
    np.testing.assert_array_equal(np.asarray(central[known], dtype=bool), start[known])
    if not dropped:
        assert known.all()


def test_only_empty_chunks_and_chunks_of_two_simulations_are_refused(tmp_path: Path) -> None:
    make_chunks(tmp_path, [0, 0, 0], [0, 0, 0])
    with pytest.raises(InputError, match="All 2 chunks are empty"):
        read_catalog(tmp_path)
    make_chunks(tmp_path, [0, 2, 6], [0, 7, 15])
    with h5py.File(tmp_path / "fof_subhalo_tab_004.1.hdf5", "a") as file:
        file["Header"].attrs["BoxSize"] = 2000.0
    with pytest.raises(InputError, match="another simulation"):
        read_catalog(tmp_path)


def test_a_folder_of_other_hdf5_files_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file["x"] = np.arange(3.0)
    with pytest.raises(InputError, match="not a chunk"):
        read_catalog(tmp_path)
