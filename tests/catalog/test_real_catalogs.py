"""The real catalogs beside the project: what their README counted, and only ever a Catalog or an InputError."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gnnlib.catalog import Catalog, read_catalog, select, summarize
from gnnlib.errors import InputError

# file -> rows, columns in the file, position role, length unit
TABLES = {
    "sim/tng100-1_halos_flat/data.hdf5": (14780, 8, ("group_pos_x", "group_pos_y", "group_pos_z"), ""),
    "sim/tng100-1_csv/tng100_snapshot99_sample_2000.csv": (2000, 12, ("x", "y", "z"), ""),
    "sim/nbody_1200mpch/Halo3D_300.txt": (29171, 7, (), ""),
    "sim/nbody_1200mpch/Halo.txt": (16268, 16, (), ""),
    "sim/via_lactea_2/ViaLacteaII_Info.dat": (20048, 15, ("rel_pos_x", "rel_pos_y", "rel_pos_z"), "Mpc"),
    "sim/rockstar/dummy_halocat_0.07812.list": (436, 79, ("x", "y", "z"), ""),
    "sim/rockstar/out_14.list": (11, 41, ("X", "Y", "Z"), ""),
    "survey/eco_dr1/eco_dr1.txt": (12681, 22, (), ""),
    "survey/eco_dr1/ECOphot_final.txt": (12681, 12, ("x", "y", "z"), "Mpc"),
    "survey/shapley/Shapley_galaxy_data.csv": (4215, 5, (), ""),
    "survey/sami_dr2/dr2_sample.csv": (1559, 20, ("x", "y", "z"), "Mpc"),
    "survey/yang_groups/groupCatalog_Yang_deCarvalho2017.fits": (319, 15, ("x", "y", "z"), "Mpc"),
    "survey/sdss_casjobs/Skyserver_SQL2.csv": (1000, 4, ("x_sky", "y_sky", "z_sky"), "Mpc"),
    "survey/local_volume_dwarfs/dwarf_all.csv": (911, 120, ("sg_xx", "sg_yy", "sg_zz"), ""),
    "stars/gaia_slice/raw_L000-030.csv": (12000, 15, ("x", "y", "z"), "pc"),
    "stars/gaia_ophiuchus/gaia_sample_cleaned.vot": (2300, 47, ("X", "Y", "Z"), "pc"),
    "stars/ngc5904/NGC 5904.ecsv": (11010, 14, (), ""),
    "stars/sgr_stream/Vasiliev2020-Sagittarius-subset.csv": (1000, 23, ("x", "y", "z"), ""),
    "stars/hyg_bright/stars_trimmed.csv": (2848, 8, (), ""),
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


def test_every_file_is_a_catalog_or_one_sentence(shared_data: Path) -> None:
    for path in sorted(shared_data.rglob("*")):
        if path.is_file() and "groups_099" not in path.parts:
            try:
                assert isinstance(read_catalog(path), Catalog)
            except InputError as error:
                assert "\n" not in str(error) and len(str(error)) < 350, path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sim/rockstar/tree_0_0_0.dat", "Line 49 of 'tree_0_0_0.dat'"),
        ("sim/tng100-1_csv/graph_data_npy.npz", "save the table as CSV"),
        ("README.md", "does not look like a table"),
    ],
)
def test_what_is_no_table_is_refused(shared_data: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_catalog(shared_data / name)


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
