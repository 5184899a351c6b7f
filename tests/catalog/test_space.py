"""Boxes per axis, redshift space, velocity windows and projections, against astropy and worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.cosmology import FlatLambdaCDM, Planck18
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog import Catalog, CatalogSpec, read_catalog
from gnnlib.catalog.assemble import assemble
from gnnlib.catalog.raw import RawCatalog
from gnnlib.catalog.read import read_raw
from gnnlib.catalog.select import kept
from gnnlib.catalog.space import tangent_plane
from gnnlib.errors import InputError

N, SIDE, H = 60, 100.0, 0.7
RNG = np.random.default_rng(8)
POSITIONS, VELOCITIES = RNG.uniform(0, SIDE, (N, 3)), RNG.normal(0, 800, (N, 3))
COSMOLOGY = "FlatLambdaCDM(H0=70, Om0=0.3)"
ASTROPY = FlatLambdaCDM(H0=70, Om0=0.3)
BOX = {"x": "Mpc", "y": "Mpc", "z": "Mpc"}


def halos(tmp_path: Path, columns: dict[str, object] | None = None, **corrections: object) -> Catalog:
    table = dict(zip(["x", "y", "z", "vx", "vy", "vz"], [*POSITIONS.T, *VELOCITIES.T], strict=True))
    pd.DataFrame(table if columns is None else columns).to_csv(tmp_path / "h.csv", index=False)
    given = {"units": BOX, "h": H, "redshift": 1.0, **corrections}
    return read_catalog(tmp_path / "h.csv", **given)


# --- boxes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "periodic", "axes"),
    [
        ((100, 100, 0), True, (True, True, False)),
        ((100, 100, 100), (True, True, False), (True, True, False)),
        ((100, 100, 0), (True, False, False), (True, False, False)),
        ((100, 100, 100), True, (True, True, True)),
        ((100, 100, 0), None, (False, False, False)),
    ],
)
def test_each_axis_is_periodic_or_not(tmp_path: Path, box: tuple, periodic: object, axes: tuple) -> None:
    catalog = halos(tmp_path, box=box, periodic=periodic)
    assert catalog.periodic_axes == axes and catalog.box.tolist() == list(box)
    expected = None if not any(axes) else [side if axis else 0 for side, axis in zip(box, axes, strict=True)]
    assert (catalog.periodic_box is None) == (expected is None)
    if expected:
        assert catalog.periodic_box.tolist() == expected


@pytest.mark.parametrize(
    ("box", "periodic", "words"),
    [
        ((100, 100, 0), (True, True, True), "no side along an axis that is periodic"),
        ((0, 0, 0), True, "three positive side lengths, or 0"),
        ((100, 100, -1), True, "three positive side lengths, or 0"),
        ((100, 50, 0), True, "the positions span .* along y"),
        (None, (True, True, False), "needs a box"),
    ],
)
def test_boxes_that_do_not_fit_are_refused(tmp_path: Path, box: object, periodic: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        halos(tmp_path, box=box, periodic=periodic)


SLAB = ("x [Mpc/h]", "y [Mpc/h]", "z [Mpc/h]", "vx", "vy", "vz", "mass [Msun/h]", *(f"c{k}" for k in range(8, 17)))


def test_a_slab_is_periodic_in_two_axes(shared_data: Path) -> None:
    path = shared_data / "sim/nbody_1200mpch/Halo.txt"
    slab = read_catalog(path, names=SLAB, h=0.678, lengths="Mpc/h", box=(1200, 1200, 0), periodic=True)
    assert len(slab) == 16268 and slab.periodic_axes == (True, True, False)
    positions = slab.positions()
    assert positions[:, 2].min() == pytest.approx(80, abs=1e-3) and positions[:, 2].max() == pytest.approx(90, abs=1e-2)
    from gnnlib.graph.build import build_graph
    from gnnlib.graph.graph import GraphSpec

    graph = build_graph(slab, GraphSpec(method="radius", radius=5.0))
    assert graph.lengths.max() <= 5 and np.abs(graph.separations).max() <= 5
    across = np.abs(positions[graph.edge_index[0]] - positions[graph.edge_index[1]]).max(axis=0) > 600
    assert across.tolist() == [True, True, False]


# --- redshift space ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("redshift", [0.0, 1.0, 3.0])
def test_redshift_space_moves_objects_by_their_velocity(tmp_path: Path, axis: str, redshift: float) -> None:
    said = {"space": "redshift", "line_of_sight": axis, "cosmology": COSMOLOGY}
    catalog = halos(tmp_path, coordinates=said, redshift=redshift)
    k = "xyz".index(axis)
    expected = POSITIONS.copy()
    expected[:, k] += VELOCITIES[:, k] * (1 + redshift) / ASTROPY.H(redshift).value
    np.testing.assert_allclose(catalog.positions(), expected, rtol=1e-10)
    assert f"{axis}_redshift_space" in catalog.roles.position and f"{redshift:g}" in catalog.provenance["space"]
    np.testing.assert_allclose(catalog.values(axis), POSITIONS[:, k])  # the file's own column stays
    again = read_catalog(catalog.spec, roles=catalog.roles)
    np.testing.assert_array_equal(again.positions(), catalog.positions())
    real = read_catalog(catalog.spec, roles=catalog.roles, coordinates=None)
    np.testing.assert_allclose(real.positions(), POSITIONS)


@pytest.mark.parametrize("unit", ["Mpc/h", "kpc", "cMpc", "ckpc/h", "pMpc", "pkpc/h"])
def test_redshift_space_is_the_same_in_every_unit(tmp_path: Path, unit: str) -> None:
    said = {"space": "redshift", "cosmology": COSMOLOGY}
    in_unit = (
        (1 if unit.lstrip("pc").startswith("Mpc") else 1e3) * (H if "/h" in unit else 1) / (2 if unit[0] == "p" else 1)
    )
    columns = dict(zip(["x", "y", "z"], POSITIONS.T * in_unit, strict=True))
    columns |= dict(zip(["vx", "vy", "vz"], VELOCITIES.T * 1000, strict=True))
    units = dict.fromkeys("xyz", unit) | dict.fromkeys(["vx", "vy", "vz"], "m/s")
    catalog = halos(tmp_path, columns, units=units, coordinates=said, lengths="Mpc")
    expected = POSITIONS[:, 2] + VELOCITIES[:, 2] * 2 / ASTROPY.H(1).value
    np.testing.assert_allclose(catalog.positions()[:, 2], expected, rtol=1e-10)
    np.testing.assert_allclose(catalog.velocities(), VELOCITIES, rtol=1e-12)


def test_without_h_redshift_space_is_in_mpc_over_h(tmp_path: Path) -> None:
    units = dict.fromkeys("xyz", "Mpc/h")
    catalog = halos(tmp_path, units=units, h=None, coordinates={"space": "redshift", "cosmology": COSMOLOGY})
    expected = POSITIONS[:, 2] + VELOCITIES[:, 2] * 2 / (100 * ASTROPY.efunc(1))
    assert catalog.length_unit == "Mpc/h"
    np.testing.assert_allclose(catalog.positions()[:, 2], expected, rtol=1e-10)


def test_redshift_space_wraps_around_a_periodic_box_and_opens_an_open_one(tmp_path: Path) -> None:
    said = {"space": "redshift", "cosmology": COSMOLOGY}
    moved = POSITIONS[:, 2] + VELOCITIES[:, 2] * 2 / ASTROPY.H(1).value
    assert (moved < 0).any() and (moved > SIDE).any()
    periodic = halos(tmp_path, coordinates=said, box=SIDE, periodic=True)
    np.testing.assert_allclose(periodic.positions()[:, 2], np.mod(moved, SIDE), rtol=1e-9, atol=1e-9)
    slab = halos(tmp_path, coordinates=said, box=SIDE, periodic=(True, True, False))
    np.testing.assert_allclose(slab.positions()[:, 2], moved, rtol=1e-10)
    assert slab.box.tolist() == [SIDE, SIDE, 0] and slab.periodic_axes == (True, True, False)


@pytest.mark.parametrize(
    ("corrections", "words"),
    [
        ({"redshift": None}, "redshift of the snapshot is not known"),
        ({"units": {}}, "positions with a unit"),
        ({"roles": {"velocity": ()}}, "velocities along three axes"),
        ({"roles": {"position": ("x", "y")}}, "positions along three axes"),
        ({"coordinates": {"space": "redshift", "cosmology": "Nothing"}}, "cosmology 'Nothing' is not known"),
    ],
)
def test_redshift_space_asks_for_what_it_lacks(tmp_path: Path, corrections: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        halos(tmp_path, **{"coordinates": {"space": "redshift"}, **corrections})


def test_the_tng_box_in_redshift_space(tng_chunks: Path) -> None:
    real = read_catalog(tng_chunks)
    seen = read_catalog(tng_chunks, coordinates={"space": "redshift", "line_of_sight": "x"}, lengths="Mpc/h")
    assert seen.box == pytest.approx([75, 75, 75]) and seen.periodic_axes == (True, True, True)
    expected = np.mod(real.positions()[:, 0] * 0.6774 + real.velocities()[:, 0] / 100, 75)  # z = 0: v/H in Mpc/h
    away = np.abs(seen.positions()[:, 0] - expected)
    assert np.minimum(away, 75 - away).max() < 1e-6
    np.testing.assert_allclose(seen.positions()[:, 1:], real.positions()[:, 1:] * 0.6774, rtol=1e-12)


# --- velocity windows ----------------------------------------------------------------------------------------------


def test_a_window_keeps_a_slab_of_redshift_space(tmp_path: Path) -> None:
    said = {"window": (1000, 5000), "line_of_sight": "y", "cosmology": COSMOLOGY}
    catalog = halos(tmp_path, coordinates=said)
    flow = POSITIONS[:, 1] * ASTROPY.H(1).value / 2 + VELOCITIES[:, 1]  # Hubble flow over proper distance + peculiar
    inside = (flow >= 1000) & (flow <= 5000)
    assert 0 < inside.sum() < N and catalog.row_ids.tolist() == np.flatnonzero(inside).tolist()
    np.testing.assert_allclose(catalog.values("los_velocity"), flow[inside], rtol=1e-10)
    spec = CatalogSpec(path=catalog.spec.path, units=BOX, h=H, redshift=1.0, coordinates=said)
    whole = assemble(read_raw(spec), spec, cut=False)
    assert len(whole) == N and kept(whole).tolist() == inside.tolist()
    both = halos(tmp_path, coordinates=said | {"space": "redshift"})
    np.testing.assert_allclose(both.values("los_velocity"), catalog.values("los_velocity"))
    np.testing.assert_allclose(both.positions()[:, 1] * ASTROPY.H(1).value / 2, both.values("los_velocity"))


def test_without_velocities_the_window_is_of_the_hubble_flow(tmp_path: Path) -> None:
    columns = dict(zip("xyz", POSITIONS.T, strict=True))
    catalog = halos(tmp_path, columns, coordinates={"window": (0, 2000), "cosmology": COSMOLOGY})
    assert len(catalog) == (POSITIONS[:, 2] * ASTROPY.H(1).value / 2 <= 2000).sum()
    assert "Hubble flow alone" in catalog.provenance["window"]
    radial = halos(tmp_path, columns | {"radial_velocity": VELOCITIES[:, 0]}, coordinates={"window": (-500, 500)})
    assert len(radial) == (np.abs(VELOCITIES[:, 0]) <= 500).sum()


def test_a_table_written_with_its_window_can_be_read_again(tmp_path: Path) -> None:
    said = {"window": (1000, 5000), "cosmology": COSMOLOGY}
    first = halos(tmp_path, coordinates=said)
    again = halos(tmp_path, {str(name): first.values(str(name)) for name in first.table}, coordinates=said)
    np.testing.assert_array_equal(again.values("los_velocity"), first.values("los_velocity"))
    assert list(again.columns) == list(first.columns) and list(again.table.columns) == list(first.columns)
    assert any("is replaced by that of the velocity window" in warning for warning in again.warnings)


def test_windows_are_two_numbers_in_order(tmp_path: Path) -> None:
    for window in ((5, 1), (1, 1), (0, float("inf")), (float("nan"), 1)):
        with pytest.raises(InputError, match="window"):
            halos(tmp_path, coordinates={"window": window})
    with pytest.raises(InputError, match="No row of 60"):
        halos(tmp_path, coordinates={"window": (1e7, 2e7)})


def test_the_supercluster_by_its_window(shared_data: Path) -> None:
    path = shared_data / "survey/shapley/Shapley_galaxy_data.csv"
    said = {"depth": "V", "depth_kind": "velocity", "window": (9000, 18000)}
    shapley = read_catalog(path, coordinates=said)
    assert len(shapley) == 2587
    distance = np.linalg.norm(shapley.positions(), axis=1)
    edges = Planck18.comoving_distance(np.array([9000, 18000]) / 299792.458).value
    assert distance.min() >= edges[0] * (1 - 1e-9) and distance.max() <= edges[1] * (1 + 1e-9)
    on_sky = read_catalog(path, coordinates=said | {"project": "sky"})
    assert len(on_sky) == 2587 and on_sky.roles.position == ("east", "north") and on_sky.length_unit == "Mpc"
    assert f"{np.median(distance):.6g} Mpc" in on_sky.provenance["projection"]
    assert (on_sky.positions()[:, 2] == 0).all()


def test_a_window_by_redshift_is_in_km_s(shared_data: Path) -> None:
    path = shared_data / "survey/sami_dr2/dr2_sample.csv"
    sami = read_catalog(path, coordinates={"window": (3000, 15000)})
    redshift = pd.read_csv(path)["z_spec"] * 299792.458
    assert len(sami) == ((redshift >= 3000) & (redshift <= 15000)).sum()


def test_a_window_of_stars_is_of_their_radial_velocity(shared_data: Path) -> None:
    path = shared_data / "stars/gaia_slice/raw_L000-030.csv"
    stars = read_catalog(path, coordinates={"window": (-50, 50)})
    assert len(stars) == (pd.read_csv(path)["radial_velocity"].abs() <= 50).sum()


# --- projections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "order"), [("x", (1, 2, 0)), ("y", (0, 2, 1)), ("z", (0, 1, 2))])
def test_a_catalog_seen_along_an_axis(tmp_path: Path, axis: str, order: tuple[int, int, int]) -> None:
    box = (100.0, 110.0, 120.0)
    catalog = halos(tmp_path, coordinates={"project": axis}, box=box, periodic=(True, False, True))
    np.testing.assert_allclose(catalog.positions()[:, :2], POSITIONS[:, order[:2]])
    assert (catalog.positions()[:, 2] == 0).all()
    np.testing.assert_allclose(catalog.velocities(), VELOCITIES[:, order])
    assert catalog.box.tolist() == [box[order[0]], box[order[1]], 0]
    assert catalog.periodic_axes == ((True, False, True)[order[0]], (True, False, True)[order[1]], False)
    assert catalog.axes == tuple("xyz"[k] for k in order[:2]) and catalog.roles.position == ("x", "y", "z")
    again = read_catalog(catalog.spec, roles=catalog.roles)
    np.testing.assert_array_equal(again.positions(), catalog.positions())


def test_the_line_of_sight_is_the_projected_axis_unless_said(tmp_path: Path) -> None:
    said = {"project": "x", "space": "redshift", "cosmology": COSMOLOGY}
    along = halos(tmp_path, coordinates=said)
    np.testing.assert_allclose(along.positions()[:, :2], POSITIONS[:, 1:])  # what moved is not seen
    across = halos(tmp_path, coordinates=said | {"line_of_sight": "z"})
    moved = POSITIONS[:, 2] + VELOCITIES[:, 2] * 2 / ASTROPY.H(1).value
    np.testing.assert_allclose(across.positions()[:, :2], np.stack([POSITIONS[:, 1], moved], axis=1))


def test_two_axes_stay_usable(tmp_path: Path) -> None:
    flat = halos(tmp_path, {"x": POSITIONS[:, 0], "y": POSITIONS[:, 1]}, units={"x": "Mpc", "y": "Mpc"})
    assert flat.roles.position == ("x", "y") and (flat.positions()[:, 2] == 0).all()
    same = read_catalog(flat.spec, coordinates={"project": "z"})
    np.testing.assert_array_equal(same.positions(), flat.positions())
    with pytest.raises(InputError, match="two axes of positions"):
        read_catalog(flat.spec, coordinates={"project": "x"})
    with pytest.raises(InputError, match="needs three axes"):
        read_catalog(flat.spec, coordinates={"project": "sky"})


@given(st.floats(0, 359.9), st.floats(-85, 85), st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), min_size=1))
def test_the_tangent_plane_is_that_of_fits(longitude: float, latitude: float, offsets: list) -> None:
    ra = (longitude + np.array([a for a, _ in offsets])) % 360
    dec = np.clip(latitude + np.array([b for _, b in offsets]), -90, 90)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [longitude, latitude], [1, 1]
    expected = np.stack(wcs.wcs_world2pix(ra, dec, 0), axis=1) - wcs.wcs_world2pix(longitude, latitude, 0)

    def unit(a: object, b: object) -> np.ndarray:
        a, b = np.radians(a), np.radians(b)
        return np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], axis=-1)

    found = np.degrees(tangent_plane(unit(ra, dec), unit(longitude, latitude)))
    near = unit(ra, dec) @ unit(longitude, latitude) > 0.05
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-7, atol=1e-7)
    assert np.isnan(found[unit(ra, dec) @ unit(longitude, latitude) < -1e-6]).all()


def test_clusters_without_distances_lie_on_the_plane_of_the_sky(shared_data: Path) -> None:
    path = shared_data / "star_clusters/ryon_results_ngc628.txt"
    clusters = read_catalog(path, coordinates={"project": "sky"}, lengths="arcmin")
    assert clusters.length_unit == "arcmin" and clusters.roles.position == ("east", "north")
    spread = np.ptp(clusters.positions(), axis=0)
    dec = clusters.values("DEdeg")
    assert spread[1] == pytest.approx(np.ptp(dec) * 60, rel=1e-3)
    assert spread[0] == pytest.approx(np.ptp(clusters.values("RAdeg")) * np.cos(np.radians(dec.mean())) * 60, rel=1e-2)
    globular = read_catalog(shared_data / "stars/ngc5904/NGC 5904.ecsv", coordinates={"project": "sky"})
    assert globular.length_unit == "deg" and len(globular) == 11010


def test_objects_all_around_are_on_no_plane(tmp_path: Path) -> None:
    half = RNG.normal(0, 1, (3, N))
    around = dict(zip("xyz", np.concatenate([half, -half], axis=1), strict=True))
    with pytest.raises(InputError, match="all around the observer"):
        halos(tmp_path, around, coordinates={"project": "sky"})


def test_via_lactea_from_the_side(shared_data: Path) -> None:
    path = shared_data / "sim/via_lactea_2/ViaLacteaII_Info.dat"
    whole, side = read_catalog(path, lengths="kpc"), read_catalog(path, lengths="kpc", coordinates={"project": "y"})
    assert whole.positions().min() == pytest.approx(-3074, abs=1) and whole.length_unit == "kpc"
    np.testing.assert_array_equal(side.positions()[:, :2], whole.positions()[:, [0, 2]])


# --- any choice ----------------------------------------------------------------------------------------------------

ODD = pd.DataFrame(
    {
        "ra": [10.0, 200.0, np.nan, 359.0],
        "dec": [-80.0, 0.0, 20.0, np.inf],
        "text": ["1 2 3", "-4 5 6", "", None],
        "word": ["a", "b", "c", "d"],
        "flag": [True, False, True, True],
        "z": [0.1, -1.0, np.nan, 2000.0],
        "cz": [1e4, 1e300, -np.inf, 0.0],
        "whole": [1, 2, 3, 4],
        "x": [0.0, 1.0, 2.0, 3.0],
        "y": [0.0, 0.0, 0.0, 0.0],
        "vx": [1.0, 2.0, 3.0, 4.0],
    }
)
name = st.none() | st.sampled_from(list(ODD.columns))
unit = st.sampled_from(
    ["", "Mpc", "kpc/h", "pMpc", "deg", "rad", "hourangle", "km/s", "mas", "Msun", "dex(Msun)", "1/Mpc3"]
)
coordinates = st.fixed_dictionaries(
    {},
    optional={
        "longitude": name,
        "latitude": name,
        "depth": name,
        "depth_kind": st.sampled_from([None, "redshift", "velocity", "distance", "parallax"]),
        "angles": st.sampled_from([None, "degrees", "hours", "sexagesimal", "radians"]),
        "space": st.sampled_from(["as given", "redshift"]),
        "line_of_sight": st.sampled_from([None, "x", "y", "z"]),
        "project": st.sampled_from([None, "x", "y", "z", "sky"]),
        "window": st.none() | st.just((-1e4, 1e4)),
    },
)


@settings(max_examples=400)
@given(
    said=coordinates,
    units=st.dictionaries(st.sampled_from(list(ODD.columns)), unit, max_size=4),
    position=st.none() | st.lists(st.sampled_from(list(ODD.columns)), min_size=2, max_size=3, unique=True),
    velocity=st.none() | st.just(["vx", "x", "y"]),
    lengths=st.sampled_from([None, "Mpc", "Mpc/h", "pkpc", "arcmin"]),
    redshift=st.sampled_from([None, 0.0, 2.0]),
    box=st.sampled_from([None, (5.0, 5.0, 0.0), (5.0, 5.0, 5.0)]),
)
def test_any_choice_gives_a_catalog_or_one_sentence(
    said: dict, units: dict, position: list | None, velocity: list | None, lengths: str, redshift: float, box: tuple
) -> None:
    roles = {role: tuple(names) for role, names in (("position", position), ("velocity", velocity)) if names}
    spec = CatalogSpec(
        path="odd",
        coordinates=said,
        units=units,
        roles=roles or None,
        lengths=lengths,
        redshift=redshift,
        box=box,
        periodic=box is not None,
    )
    try:
        catalog = assemble(RawCatalog(ODD, "odd"), spec)
    except InputError as error:
        assert "\n" not in str(error) and 20 < len(str(error)) < 420 and str(error).endswith((".", "?", "..."))
        return
    assert catalog.spec == spec
    for column in catalog.columns:
        if catalog.table[column].dtype.kind in "biuf":
            catalog.physical(str(column))
    if catalog.roles.position:
        assert catalog.positions().shape == (len(catalog), 3)
    if catalog.roles.velocity:
        assert catalog.velocities().shape == (len(catalog), 3)
    if position:  # named by the spec, which keeps it
        return
    again = assemble(RawCatalog(ODD, "odd"), spec.model_copy(update={"roles": catalog.roles}))
    assert again.roles.position == catalog.roles.position
