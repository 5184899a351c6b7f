"""The real catalogs beside the project: what their README counted, and only ever a Catalog or an InputError."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest

from gnnlib.catalog import read_catalog, select, summarize
from gnnlib.errors import InputError

# file -> rows, columns in the file, position role, length unit
TABLES = {
    "sim/tng100-1_halos_flat/data.hdf5": (14780, 8, ("group_pos_x", "group_pos_y", "group_pos_z"), ""),
    "sim/tng100-1_csv/tng100_snapshot99_sample_2000.csv": (2000, 12, ("x", "y", "z"), ""),
    "sim/nbody_1200mpch/Halo3D_300.txt": (29171, 7, (), ""),
    "sim/nbody_1200mpch/Halo.txt": (16268, 16, (), ""),
    "sim/via_lactea_2/ViaLacteaII_Info.dat": (20048, 15, ("rel_pos_x", "rel_pos_y", "rel_pos_z"), "Mpc"),
    "sim/rockstar/dummy_halocat_0.07812.list": (436, 79, ("x", "y", "z"), "Mpc"),
    "sim/rockstar/out_14.list": (11, 41, ("X", "Y", "Z"), "Mpc"),
    "survey/eco_dr1/eco_dr1.txt": (12681, 22, (), ""),
    "survey/eco_dr1/ECOphot_final.txt": (12681, 12, ("x", "y", "z"), "Mpc"),
    "survey/shapley/Shapley_galaxy_data.csv": (4215, 5, ("x", "y", "z"), "Mpc"),
    "survey/sami_dr2/dr2_sample.csv": (1559, 20, ("x", "y", "z"), "Mpc"),
    "survey/yang_groups/groupCatalog_Yang_deCarvalho2017.fits": (319, 15, ("x", "y", "z"), "Mpc"),
    "survey/sdss_casjobs/Skyserver_SQL2.csv": (1000, 4, ("x_sky", "y_sky", "z_sky"), "Mpc"),
    "survey/local_volume_dwarfs/dwarf_all.csv": (911, 120, ("sg_xx", "sg_yy", "sg_zz"), ""),
    "stars/gaia_slice/raw_L000-030.csv": (12000, 15, ("x", "y", "z"), "pc"),
    "stars/gaia_ophiuchus/gaia_sample_cleaned.vot": (2300, 47, ("X", "Y", "Z"), "pc"),
    "stars/ngc5904/NGC 5904.ecsv": (11010, 14, (), ""),
    "stars/sgr_stream/Vasiliev2020-Sagittarius-subset.csv": (1000, 23, ("x", "y", "z"), ""),
    "stars/hyg_bright/stars_trimmed.csv": (2848, 8, ("x", "y", "z"), ""),
    "stars/nearest/Nearest.csv": (380, 29, ("x", "y", "z"), ""),
    "stars/globulars/harris_vii202_catalog.tsv": (147, 38, ("X", "Y", "Z"), "Mpc"),
    "star_clusters/ryon_results_ngc628.txt": (320, 19, (), ""),
    "formats/Npix=46.parquet": (5467, 10, (), ""),
    "formats/Npix=11.parquet": (131, 6, (), ""),
    "formats/w5_subset.vot": (18, 14, (), ""),
    "formats/1712337806100O-result.ecsv": (5, 153, None, None),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_columns_and_positions_are_those_of_the_readme(shared_data: Path, name: str) -> None:
    rows, columns, position, unit = TABLES[name]
    catalog = read_catalog(shared_data / name)
    derived = [column for column in catalog.columns.values() if column.description.startswith("from ")]
    assert (len(catalog), len(catalog.columns) - len(derived)) == (rows, columns)
    assert len(np.unique(catalog.row_ids)) == rows
    if position is not None:
        assert (catalog.roles.position, catalog.length_unit) == (position, unit)
    summarize(catalog)


# What is no catalog -> words of the sentence that says so.
REFUSED = {
    "sim/rockstar/tree_0_0_0.dat": "merger tree.*hlist",
    "sim/tng100-1_csv/graph_data_npy.npz": "a graph .16,000 edges, features 2000 x 5.* table of positions",
    "sim/tng100-1_subfind/groups_099/fof_subhalo_tab_099.64.hdf5": "empty chunk.*add the chunks",
    "README.md": "does not look like a table; choose",
}
CHUNKS = "sim/tng100-1_subfind/groups_099/"


def test_every_file_is_listed_here_and_no_other(shared_data: Path) -> None:
    found = {str(path.relative_to(shared_data)) for path in shared_data.rglob("*") if path.is_file()}
    chunks = {name for name in found if name.startswith(CHUNKS)}
    assert len(chunks) == 21 and found - chunks == (TABLES.keys() | REFUSED.keys()) - chunks


def test_every_chunk_of_tng_opens_and_their_rows_add_up(shared_data: Path) -> None:
    lengths = []
    for path in sorted((shared_data / CHUNKS).iterdir()):
        if f"{CHUNKS}{path.name}" not in REFUSED:
            catalog = read_catalog(path)
            lengths.append(len(catalog))
            assert catalog.roles.position == ("SubhaloPos_x", "SubhaloPos_y", "SubhaloPos_z")
            assert catalog.roles.target == "SubhaloMassType_stars" and catalog.redshift == 0 and catalog.h == 0.6774
    assert len(lengths) == 20 and sum(lengths) == 46187 and (min(lengths), max(lengths)) == (1659, 3173)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]) as caught:
        read_catalog(shared_data / name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 350


def test_halo_lists_state_box_h_redshift_and_units(shared_data: Path) -> None:
    out = read_catalog(shared_data / "sim/rockstar/out_14.list")
    assert out.h == 0.701 and out.redshift == pytest.approx(1 / 0.309249 - 1) and out.periodic
    np.testing.assert_allclose(out.box, 50 / 0.701)
    stored = np.loadtxt(shared_data / "sim/rockstar/out_14.list")
    np.testing.assert_allclose(out.positions(), stored[:, 8:11] / 0.701)
    radius, mass = out.columns["Rvir"], out.columns["Mvir"]
    assert (radius.unit, radius.h_power, radius.frame, radius.inferred) == ("kpc", -1, "comoving", False)
    assert (mass.unit, mass.h_power, out.roles.mass) == ("Msun", -1, "Mvir") and out.columns["JX"].h_power == -2

    hlist = read_catalog(shared_data / "sim/rockstar/dummy_halocat_0.07812.list")
    assert hlist.h == 0.68 and hlist.redshift == pytest.approx(1 / 0.07812 - 1) and hlist.periodic
    np.testing.assert_allclose(hlist.box, 250 / 0.68)
    assert not hlist.columns["mvir"].inferred and hlist.columns["Mpeak"].inferred  # said of the one, not of the other
    rate = hlist.columns["Acc_Rate_Inst"]
    assert (u.Unit(rate.unit), rate.h_power) == (u.Msun / u.yr, -1)
    assert hlist.columns["mvir"].description == "Halo mass (Msun/h)."


def test_groups_of_tng_are_a_table_of_their_own(tng_chunks: Path) -> None:
    groups = read_catalog(tng_chunks, table="Group")
    assert len(groups) == 231 and groups.roles.position == ("GroupPos_x", "GroupPos_y", "GroupPos_z")
    assert groups.roles.mass == "Group_M_Crit200" and groups.periodic
    h = 0.6774
    assert 8.9e11 / h < groups.values("Group_M_Crit200").min() < groups.values("Group_M_Crit200").max() < 5.31e12 / h
    assert groups.row_ids[0] == 148 * 10**7


def test_the_one_line_above_a_casjobs_header_and_a_byte_order_mark(shared_data: Path) -> None:
    sdss = read_catalog(shared_data / "survey/sdss_casjobs/Skyserver_SQL2.csv")
    assert list(sdss.table.columns[:4]) == ["objid", "ra", "dec", "z"]
    shapley = read_catalog(shared_data / "survey/shapley/Shapley_galaxy_data.csv")
    assert list(shapley.table.columns) == ["R.A.", "Dec.", "Mag", "V", "SigV", "x", "y", "z"]
    assert (shapley.values("Mag") == 0).sum() == 357 and (shapley.values("V") <= 0).sum() == 3


def test_a_headerless_simulation_with_names_and_units(shared_data: Path) -> None:
    catalog = read_catalog(
        shared_data / "sim/nbody_1200mpch/Halo3D_300.txt",
        names=("x [Mpc/h]", "y [Mpc/h]", "z [Mpc/h]", "vx", "vy", "vz", "mass [Msun/h]"),
        h=0.678,
    )
    assert (
        catalog.length_unit == "Mpc" and catalog.roles.mass == "mass" and catalog.roles.velocity == ("vx", "vy", "vz")
    )
    assert catalog.positions().max() == pytest.approx(299.99 / 0.678, rel=1e-4)
    assert summarize(catalog).duplicates == 14


def test_flat_tng_halos_with_box_and_units(shared_data: Path) -> None:
    units = dict.fromkeys((f"group_pos_{axis}" for axis in "xyz"), "ckpc/h")
    catalog = read_catalog(
        shared_data / "sim/tng100-1_halos_flat/data.hdf5", units=units, h=0.6774, box=75 / 0.6774, periodic=True
    )
    assert catalog.periodic and catalog.length_unit == "Mpc"
    with pytest.raises(InputError, match=r"box is 75 Mpc but the positions span 110\.70"):
        read_catalog(shared_data / "sim/tng100-1_halos_flat/data.hdf5", units=units, h=0.6774, box=75, periodic=True)


def test_surveys_with_a_chosen_velocity_and_sentinels(shared_data: Path) -> None:
    shapley = read_catalog(
        shared_data / "survey/shapley/Shapley_galaxy_data.csv",
        roles={"position": ("R.A.", "Dec.", "V")},
        units={"V": "km/s"},
        where="V > 9000 & V < 18000",
    )
    assert len(shapley) == 2587 and np.isfinite(shapley.positions()).all()
    names = tuple(f"c{k}" for k in range(22))
    eco = summarize(read_catalog(shared_data / "survey/eco_dr1/eco_dr1.txt", names=names))
    found = {column.name: column for column in eco.columns}
    assert found["c6"].sentinels == {"-99.99": 1} and found["c7"].sentinels == {"-99.99": 100}
    assert found["c8"].sentinels == {"-99.9": 2} and found["c10"].missing == 2
    sami = summarize(read_catalog(shared_data / "survey/sami_dr2/dr2_sample.csv"))
    assert sum(next(c for c in sami.columns if c.name == "m_r").sentinels.values()) == 13


def test_identifiers_of_nineteen_digits_stay_exact(shared_data: Path) -> None:
    sdss = read_catalog(shared_data / "survey/sdss_casjobs/Skyserver_SQL2.csv")
    assert sdss.row_ids[0] == 1237648703509102769
    assert len(select(sdss, "objid == 1237648703509102769")) == 1


def test_stars_in_hours_once_told(shared_data: Path) -> None:
    path = shared_data / "stars/hyg_bright/stars_trimmed.csv"
    stars = read_catalog(path, units={"ra": "hourangle", "distance": "pc"}, where="distance < 1e6")
    assert stars.length_unit == "pc" and len(stars) == 2838
    np.testing.assert_allclose(np.linalg.norm(stars.positions(), axis=1), stars.values("distance"))
