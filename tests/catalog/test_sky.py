"""From the sky to space: known objects at their known places, by astropy's account; catalogs that do not say enough."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import Angle, SkyCoord
from astropy.cosmology import WMAP9, FlatLambdaCDM, LambdaCDM, Planck18, w0waCDM
from hypothesis import given
from hypothesis import strategies as st

from gnnlib.catalog import Catalog, read_catalog
from gnnlib.catalog.cosmology import comoving_distances, cosmology, little_h
from gnnlib.errors import InputError

RNG = np.random.default_rng(5)
N = 30
RA, DEC = RNG.uniform(0, 360, N), np.degrees(np.arcsin(RNG.uniform(-1, 1, N)))


def read(tmp_path: Path, columns: dict[str, object], **corrections: object) -> Catalog:
    pd.DataFrame(columns).to_csv(tmp_path / "t.csv", index=False)
    return read_catalog(tmp_path / "t.csv", **corrections)


def test_redshifts_and_velocities_become_comoving_distances(tmp_path: Path) -> None:
    z = RNG.uniform(0.01, 0.2, N)
    expected = SkyCoord(RA * u.deg, DEC * u.deg, Planck18.comoving_distance(z)).cartesian.xyz.to_value(u.Mpc).T
    by_z = read(tmp_path, {"ra": RA, "dec": DEC, "z": z})
    assert by_z.roles.position == ("x_sky", "y_sky", "z_sky") and by_z.length_unit == "Mpc"
    np.testing.assert_allclose(by_z.positions(), expected, rtol=1e-9, atol=1e-9)
    assert "Planck18" in by_z.provenance["positions"]
    by_cz = read(tmp_path, {"RAJ2000": RA, "DEJ2000": DEC, "cz": z * 299792.458})
    np.testing.assert_allclose(by_cz.positions(), expected, rtol=1e-9, atol=1e-9)


def test_parallaxes_become_parsecs_and_distances_stay(tmp_path: Path) -> None:
    distance = RNG.uniform(5, 500, N)
    expected = SkyCoord(RA * u.deg, DEC * u.deg, distance * u.pc).cartesian.xyz.to_value(u.pc).T
    stars = read(tmp_path, {"ra": RA, "dec": DEC, "parallax": 1000 / distance})
    assert stars.length_unit == "pc"
    np.testing.assert_allclose(stars.positions(), expected, atol=1e-9)
    near = read(tmp_path, {"ra": RA, "dec": DEC, "dist [kpc]": distance})
    assert near.length_unit == "Mpc"
    np.testing.assert_allclose(near.positions(), expected / 1000, atol=1e-12)


def test_that_angles_may_be_radians_is_said(tmp_path: Path) -> None:
    z = np.full(N, 0.1)
    doubtful = read(tmp_path, {"ra": np.radians(RA), "dec": np.radians(DEC), "z": z})
    assert any("read as degrees, though radians would fit" in warning for warning in doubtful.warnings)
    for others in ({"ra": RA, "dec": DEC, "z": z}, {"ra": 2 + RA / 1000, "dec": DEC / 90, "z": z}):
        assert not any("radians" in warning for warning in read(tmp_path, others).warnings)


def test_sexagesimal_places_are_read_and_hours_are_told_apart(tmp_path: Path) -> None:
    text = SkyCoord(RA * u.deg, DEC * u.deg).to_string("hmsdms", sep=":", precision=6)
    ra, dec = zip(*(pair.split() for pair in text), strict=True)
    z = np.full(N, 0.1)
    plain = read(tmp_path, {"ra": RA, "dec": DEC, "z": z}).positions()
    np.testing.assert_allclose(read(tmp_path, {"ra": ra, "dec": dec, "z": z}).positions(), plain, atol=1e-4)
    hours = {"ra": RA / 15, "dec": DEC, "z": z}
    concluded = read(tmp_path, hours)  # from 0 to 24 all over the sky
    np.testing.assert_allclose(concluded.positions(), plain)
    assert "angles" in concluded.inferred and any("read as hours" in warning for warning in concluded.warnings)
    flat = read(tmp_path, hours | {"dec": DEC / 10})
    assert flat.roles.position == () and any("hours or degrees" in warning for warning in flat.warnings)
    np.testing.assert_allclose(read(tmp_path, hours, units={"ra": "hourangle"}).positions(), plain)


def test_places_without_distance_are_no_positions(tmp_path: Path) -> None:
    flat = read(tmp_path, {"ra": RA, "dec": DEC, "mag": RNG.uniform(10, 20, N)})
    assert flat.roles.position == () and any("without a distance" in warning for warning in flat.warnings)
    with pytest.raises(InputError, match="no position columns"):
        flat.positions()


def test_noisy_parallaxes_are_no_distances(tmp_path: Path) -> None:
    noisy = read(tmp_path, {"ra": RA, "dec": DEC, "parallax": RNG.normal(0.1, 0.2, N), "parallax_error": 0.2})
    assert noisy.roles.position == () and any("too noisy" in warning for warning in noisy.warnings)


def test_any_column_may_be_chosen_as_depth_and_its_unit_says_what_it_is(tmp_path: Path) -> None:
    columns = {"ra": RA, "dec": DEC, "V": np.linspace(1000, 9000, N), "mag": 1.0}
    role = {"roles": {"position": ("ra", "dec", "V")}}
    by_velocity = read(tmp_path, columns, **role, units={"V": "km/s"})
    distance = np.linalg.norm(by_velocity.positions(), axis=1)
    np.testing.assert_allclose(distance, Planck18.comoving_distance(columns["V"] / 299792.458).value)
    by_distance = read(tmp_path, columns, **role, units={"V": "kpc"})
    np.testing.assert_allclose(np.linalg.norm(by_distance.positions(), axis=1), columns["V"] / 1000)
    with pytest.raises(InputError, match="What 'V' measures"):
        read(tmp_path, {**columns, "V": np.linspace(1, 9, N)}, **role)


def test_derived_positions_named_in_a_specification_are_derived_again(tmp_path: Path) -> None:
    first = read(tmp_path, {"ra": RA, "dec": DEC, "cz": 5000.0, "mag": np.arange(N)})
    again = read_catalog(first.spec, roles=first.roles)
    np.testing.assert_array_equal(first.positions(), again.positions())


def test_rows_behind_the_observer_have_no_position(tmp_path: Path) -> None:
    catalog = read(tmp_path, {"ra": RA, "dec": DEC, "z": np.where(np.arange(N) < 3, -0.001, 0.1)})
    assert np.isnan(catalog.positions()).all(axis=1).sum() == 3
    assert any(warning.startswith("3 of 30 rows have no finite position") for warning in catalog.warnings)


# --- angles --------------------------------------------------------------------------------------------------------


def directions(catalog: Catalog) -> np.ndarray:
    positions = catalog.positions()
    return positions / np.linalg.norm(positions, axis=1)[:, None]


@pytest.mark.parametrize(
    ("angles", "ra", "dec"),
    [
        ("degrees", RA, DEC),
        ("hours", RA / 15, DEC),
        ("radians", np.radians(RA), np.radians(DEC)),
        (
            "sexagesimal",
            *zip(*(p.split() for p in SkyCoord(RA, DEC, unit="deg").to_string("hmsdms", precision=8)), strict=True),
        ),
    ],
)
def test_angles_are_read_as_they_are_said_to_be(tmp_path: Path, angles: str, ra: object, dec: object) -> None:
    said = {"longitude": "a", "latitude": "b", "depth": "c", "depth_kind": "distance", "angles": angles}
    catalog = read(tmp_path, {"a": ra, "b": dec, "c": 1.0}, coordinates=said, units={"c": "Mpc"})
    expected = SkyCoord(RA, DEC, unit="deg").cartesian.xyz.value.T
    np.testing.assert_allclose(directions(catalog), expected, atol=1e-12)
    assert "angles" not in catalog.inferred and "position" not in catalog.inferred


@pytest.mark.parametrize(
    ("texts", "degrees"),
    [
        (["14 29 42.95", "00 00 00", "23 59 59.999"], [217.4289583, 0.0, 359.999995833]),
        (["14:29:42.95", "0:0:0.5", "1:02:03"], [217.4289583, 0.002083333, 15.5125]),
        (["14h29m42.95s", "1h2m3s", "0h 0m 1s"], [217.4289583, 15.5125, 0.004166667]),
        (["217d25m44.25s", "1d2m3s", "300d0m0s"], [217.4289583, 1.0341666667, 300.0]),
        (["14 29.5", "0 30.0", "12 15"], [217.375, 7.5, 183.75]),
    ],
)
def test_sexagesimal_right_ascensions(tmp_path: Path, texts: list[str], degrees: list[float]) -> None:
    catalog = read(tmp_path, {"ra": texts, "dec": ["+10 00 00", "-00 30 00", "-62 40 46.2"], "dist [Mpc]": 1.0})
    expected = SkyCoord(degrees, [10.0, -0.5, -62.6795], unit="deg").cartesian.xyz.value.T
    np.testing.assert_allclose(catalog.positions(), expected, atol=1e-9)


@given(st.floats(-89.9999, 89.9999), st.sampled_from([":", " ", "dm"]), st.integers(3, 8))
def test_declinations_are_those_astropy_reads(degrees: float, separator: str, precision: int) -> None:
    from gnnlib.catalog.sky import _sexagesimal

    text = Angle(degrees, "deg").to_string(sep=separator, precision=precision, alwayssign=degrees > 30, pad=True)
    numbers, hours = _sexagesimal("dec", pd.Series([text, None, " "]))
    assert hours is (False if separator == "dm" else None) and np.isnan(numbers[1:]).all()
    assert numbers[0] == pytest.approx(Angle(text, unit="deg").deg, abs=1e-12)


def test_a_minus_before_zero_degrees_counts(tmp_path: Path) -> None:
    catalog = read(tmp_path, {"ra": ["0 0 0", "1 0 0"], "dec": ["-00 30 00", "+00 30 00"], "dist [Mpc]": 1.0})
    np.testing.assert_allclose(catalog.positions()[:, 2], np.sin(np.radians([-0.5, 0.5])))


@pytest.mark.parametrize(
    ("ra", "dec", "words"),
    [
        (["1 2 3", "north"], ["1 2 3", "4 5 6"], "row 2 has 'north'"),
        (["1 2 3", "1 72 3"], ["1 2 3", "4 5 6"], "row 2 has '1 72 3'"),
        (["1 2 3", "31 0 0"], ["1 2 3", "4 5 6"], "beyond 24 hours"),
        (["1h2m3s", "3d0m0s"], ["1 2 3", "4 5 6"], "in hours and in degrees"),
    ],
)
def test_what_is_no_angle_is_named(tmp_path: Path, ra: list[str], dec: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(
            tmp_path, {"ra": ra, "dec": dec, "z": 0.1}, coordinates={"longitude": "ra", "latitude": "dec", "depth": "z"}
        )


def test_angles_beyond_the_sky_are_counted_or_refused(tmp_path: Path) -> None:
    dec = np.where(np.arange(N) == 4, -999.0, DEC)
    catalog = read(tmp_path, {"ra": RA, "dec": dec, "z": 0.1})
    assert np.isnan(catalog.positions()[4]).all() and np.isfinite(np.delete(catalog.positions(), 4, 0)).all()
    assert any("1 rows are no place on the sky" in warning for warning in catalog.warnings)
    with pytest.raises(InputError, match="beyond 360 and 90 degrees"):
        read(tmp_path, {"ra": RA, "dec": DEC, "z": 0.1}, coordinates={"angles": "radians", "depth": "z"})


def test_galactic_places_stand_in_for_missing_equatorial_ones(tmp_path: Path) -> None:
    galactic = SkyCoord(RA, DEC, unit="deg").galactic
    columns = {"l": galactic.l.deg, "b": galactic.b.deg, "dist [kpc]": 2.0}
    catalog = read(tmp_path, columns)
    np.testing.assert_allclose(directions(catalog), galactic.cartesian.xyz.value.T, atol=1e-12)
    assert "galactic" in catalog.provenance["positions"]
    both = read(tmp_path, columns | {"ra": RA, "dec": DEC})
    np.testing.assert_allclose(directions(both), SkyCoord(RA, DEC, unit="deg").cartesian.xyz.value.T, atol=1e-12)
    chosen = read(tmp_path, columns | {"ra": RA, "dec": DEC}, coordinates={"longitude": "l", "latitude": "b"})
    np.testing.assert_allclose(directions(chosen), galactic.cartesian.xyz.value.T, atol=1e-12)


# --- depths and cosmologies ----------------------------------------------------------------------------------------

COSMOLOGIES = {
    "Planck18": Planck18,
    "wmap9": WMAP9,
    "FlatLambdaCDM(H0=70, Om0=0.3)": FlatLambdaCDM(H0=70, Om0=0.3),
    "FlatLambdaCDM(70, 0.3, Tcmb0=2.7255)": FlatLambdaCDM(H0=70, Om0=0.3, Tcmb0=2.7255),
    "LambdaCDM(H0=72, Om0=0.25, Ode0=0.6)": LambdaCDM(H0=72, Om0=0.25, Ode0=0.6),
    "w0waCDM(H0=68,Om0=0.3,Ode0=0.7,w0=-0.9,wa=0.2)": w0waCDM(H0=68, Om0=0.3, Ode0=0.7, w0=-0.9, wa=0.2),
}


@pytest.mark.parametrize("text", COSMOLOGIES)
def test_interpolated_distances_are_those_of_astropy(text: str) -> None:
    redshift = np.concatenate([10 ** RNG.uniform(-6, 2.99, 300), [1e-8, 0.1, 1.0, 999.0]])
    expected = COSMOLOGIES[text].comoving_distance(redshift).to_value(u.Mpc)
    assert np.abs(comoving_distances(redshift, text) / expected - 1).max() < 1e-6
    assert little_h(text) == COSMOLOGIES[text].h


def test_redshifts_that_are_none_have_no_distance() -> None:
    assert np.isnan(comoving_distances(np.array([0.0, -0.01, np.nan, np.inf, 2000.0]), "Planck18")).all()


@pytest.mark.parametrize(
    "text",
    [
        "Planck99",
        "",
        "FlatLambdaCDM",
        "FlatLambdaCDM()",
        "FlatLambdaCDM(H0=70)",
        "FlatLambdaCDM(H0=0.7, Om0=0.3)",
        "FlatLambdaCDM(H0=70, Om0=nan)",
        "FlatLambdaCDM(H0=70, Om0=0.3, Om0=0.3)",
        "FlatLambdaCDM(H0=70, Om0=0.3, name='x')",
        "FlatLambdaCDM(H0=__import__('os'), Om0=0.3)",
        "LambdaCDM(H0=70, Om0=0.1, Ode0=5)",  # bounces before redshift 1000
        "__import__('os').system('true')",
        "default_cosmology",
    ],
)
def test_other_cosmologies_are_refused_without_being_evaluated(text: str) -> None:
    with pytest.raises(InputError):
        comoving_distances(np.array([0.1]), text)


@given(st.text(max_size=40))
def test_any_text_is_a_cosmology_or_an_input_error(text: str) -> None:
    try:
        cosmology(text)
    except InputError as error:
        assert "\n" not in str(error).replace(text[:60], "")


def test_the_cosmology_decides_distances_and_h(tmp_path: Path) -> None:
    z = RNG.uniform(0.01, 0.2, N)
    text = "FlatLambdaCDM(H0=70, Om0=0.3)"
    catalog = read(tmp_path, {"ra": RA, "dec": DEC, "z": z}, coordinates={"cosmology": text}, lengths="Mpc/h")
    expected = FlatLambdaCDM(H0=70, Om0=0.3).comoving_distance(z).to_value(u.Mpc) * 0.7
    np.testing.assert_allclose(np.linalg.norm(catalog.positions(), axis=1), expected, rtol=1e-7)
    assert catalog.h == 0.7 and "h" in catalog.inferred and text in catalog.provenance["positions"]
    assert catalog.columns["x_sky"].frame == "comoving" and "redshift space" in catalog.provenance["space"]
    other = read(tmp_path, {"ra": RA, "dec": DEC, "z": z}, coordinates={"cosmology": text}, h=0.5)
    assert any("whose h is 0.7" in warning for warning in other.warnings)
    with pytest.raises(InputError, match="cosmology 'Planck99' is not known"):
        read(tmp_path, {"ra": RA, "dec": DEC, "z": z}, coordinates={"cosmology": "Planck99", "depth": "z"})


@pytest.mark.parametrize(
    ("kind", "values", "unit", "expected"),
    [
        ("redshift", [0.01, 0.1, 1.0], None, Planck18.comoving_distance([0.01, 0.1, 1.0]).to_value(u.Mpc)),
        ("velocity", [3e3, 1e4, 3e4], None, Planck18.comoving_distance(np.array([3e3, 1e4, 3e4]) / 299792.458).value),
        ("velocity", [3e6, 1e7, 3e7], "m/s", Planck18.comoving_distance(np.array([3e3, 1e4, 3e4]) / 299792.458).value),
        ("distance", [1.0, 2.0, 3.0], "kpc", [1e-3, 2e-3, 3e-3]),
        ("distance", [1.0, 2.0, 3.0], "Mpc/h", [1.0, 2.0, 3.0]),
        ("distance", [1.0, 2.0, 3.0], None, [1.0, 2.0, 3.0]),
        ("distance", [3.26156377716743, 2.0, 3.0], "lyr", np.array([1.0, 2 / 3.26156377716743, 3 / 3.26156377716743])),
        ("parallax", [100.0, 2.0, 0.5], None, [10.0, 500.0, 2000.0]),
        ("parallax", [0.1, 0.002, 0.0005], "arcsec", [10.0, 500.0, 2000.0]),
    ],
)
def test_every_depth_becomes_a_distance(
    tmp_path: Path, kind: str, values: list[float], unit: str | None, expected: np.ndarray
) -> None:
    columns = {"lon": [10.0, 20, 30], "lat": [-5.0, 0, 5], "far": values}
    said = {"longitude": "lon", "latitude": "lat", "depth": "far", "depth_kind": kind}
    catalog = read(tmp_path, columns, coordinates=said, units={"far": unit} if unit else {})
    np.testing.assert_allclose(np.linalg.norm(catalog.positions(), axis=1), expected, rtol=1e-7)
    space = "redshift" if kind in ("redshift", "velocity") else "real"
    assert catalog.provenance["space"] == f"{space} space"
    assert not catalog.columns["x"].inferred
    if kind == "distance" and unit == "Mpc/h":
        assert catalog.length_unit == "Mpc/h"
    if space == "real":
        with pytest.raises(InputError, match="are in real space"):
            read(tmp_path, columns, coordinates=said | {"space": "redshift"}, units={"far": unit} if unit else {})


def test_what_a_column_is_and_what_it_is_called_may_not_differ(tmp_path: Path) -> None:
    columns = {"ra": RA, "dec": DEC, "cz": 5000.0, "mag": 1.0}
    with pytest.raises(InputError, match="a velocity, but a redshift is asked for"):
        read(tmp_path, columns, coordinates={"depth": "cz", "depth_kind": "redshift"}, units={"cz": "km/s"})
    with pytest.raises(InputError, match="gives no distance"):
        read(tmp_path, columns, coordinates={"depth": "mag", "depth_kind": "distance"}, units={"mag": "mag"})
    with pytest.raises(InputError, match="no column 'nothing'"):
        read(tmp_path, columns, coordinates={"depth": "nothing"})


def test_bad_parallaxes_lose_their_place_and_weak_ones_are_counted(tmp_path: Path) -> None:
    parallax, error = np.linspace(1, 10, N), np.full(N, 0.1)
    parallax[:4], error[10:13] = [0.0, -1.0, np.nan, -5.0], 9.0
    catalog = read(tmp_path, {"ra": RA, "dec": DEC, "parallax": parallax, "parallax_error": error})
    assert np.flatnonzero(np.isnan(catalog.positions()[:, 0])).tolist() == [0, 1, 2, 3]
    assert (
        "4 rows have none" in catalog.provenance["positions"]
        and "in 3 rows it is below" in catalog.provenance["positions"]
    )


def test_sky_coordinates_named_go_before_cartesian_columns(tmp_path: Path) -> None:
    columns = {"X": RA, "Y": DEC, "Z": RA, "ra": RA, "dec": DEC, "dist [kpc]": 3.0}
    assert read(tmp_path, columns).roles.position == ("X", "Y", "Z")
    catalog = read(tmp_path, columns, coordinates={"longitude": "ra", "latitude": "dec"})
    assert catalog.roles.position == ("x_sky", "y_sky", "z_sky")
    np.testing.assert_allclose(np.linalg.norm(catalog.positions(), axis=1), 3e-3)
    again = read_catalog(catalog.spec, roles=catalog.roles)
    np.testing.assert_array_equal(catalog.positions(), again.positions())


# --- real catalogs -------------------------------------------------------------------------------------------------


def test_the_nearest_stars_are_where_astropy_puts_them(shared_data: Path) -> None:
    stars = read_catalog(shared_data / "stars/nearest/Nearest.csv", units={"Dist": "pc"})
    table = stars.table
    expected = SkyCoord(
        table["RA"].to_numpy(str),
        table["Dec"].to_numpy(str),
        table["Dist"].to_numpy() * u.pc,
        unit=(u.hourangle, u.deg),
    )
    np.testing.assert_allclose(stars.positions(), expected.cartesian.xyz.to_value(u.pc).T, atol=1e-9)
    assert stars.length_unit == "pc" and np.linalg.norm(stars.positions(), axis=1).max() <= 10.25


def test_globular_clusters_agree_with_their_own_cartesian_columns(shared_data: Path) -> None:
    path = shared_data / "stars/globulars/harris_vii202_catalog.tsv"
    said = {"longitude": "GLON", "latitude": "GLAT", "depth": "Rsun", "depth_kind": "distance"}
    clusters = read_catalog(path, coordinates=said, lengths="kpc")
    listed = clusters.table[["X", "Y", "Z"]].to_numpy(float)
    known = np.isfinite(listed).all(axis=1)
    assert known.sum() >= 140
    assert np.abs(clusters.positions() - listed)[known].max() < 0.2  # the list rounds to 0.1 kpc
    by_text = read_catalog(
        path, coordinates={"longitude": "RAJ2000", "latitude": "DEJ2000", "depth": "Rsun"}, lengths="kpc"
    )
    galactic = SkyCoord(
        *by_text.positions()[known].T, representation_type="cartesian", unit="kpc", frame="fk5"
    ).galactic
    assert np.abs(galactic.cartesian.xyz.value.T - listed[known]).max() < 0.2


def test_shapley_velocities_and_its_foreground(shared_data: Path) -> None:
    said = {"depth": "V", "depth_kind": "velocity", "cosmology": "FlatLambdaCDM(H0=70, Om0=0.3)"}
    shapley = read_catalog(shared_data / "survey/shapley/Shapley_galaxy_data.csv", coordinates=said)
    velocity = shapley.values("V").astype(float)
    behind = velocity <= 0
    assert behind.sum() == 3 and np.isnan(shapley.positions()[behind]).all()
    assert "3 rows have none" in shapley.provenance["positions"]
    distance = FlatLambdaCDM(H0=70, Om0=0.3).comoving_distance(velocity[~behind] / 299792.458)
    expected = SkyCoord(shapley.values("R.A.")[~behind] * u.deg, shapley.values("Dec.")[~behind] * u.deg, distance)
    np.testing.assert_allclose(
        shapley.positions()[~behind], expected.cartesian.xyz.to_value(u.Mpc).T, rtol=1e-6, atol=1e-6
    )


def test_a_fast_velocity_by_any_name_is_a_recession_and_a_magnitude_is_not(tmp_path: Path, shared_data: Path) -> None:
    shapley = read_catalog(shared_data / "survey/shapley/Shapley_galaxy_data.csv")
    assert shapley.length_unit == "Mpc" and "unit was taken to be km/s" in str(shapley.provenance["positions"])
    assert "position" in shapley.inferred
    bright = read(tmp_path, {"ra": RA, "dec": DEC, "V": RNG.uniform(5, 15, N)})
    assert not bright.roles.position


def test_angles_split_over_columns_are_joined(tmp_path: Path) -> None:
    place = SkyCoord(RA * u.deg, DEC * u.deg)
    hours, dec = place.ra.hms, place.dec.signed_dms
    split = {"RAh": hours.h, "RAm": hours.m, "RAs": hours.s, "DE-": np.where(dec.sign < 0, "-", "+"), "DEd": dec.d}
    joined = read(tmp_path, {**split, "DEm": dec.m, "DEs": dec.s, "z": np.full(N, 0.1)})
    expected = SkyCoord(place.ra, place.dec, Planck18.comoving_distance(0.1)).cartesian.xyz.to_value(u.Mpc).T
    np.testing.assert_allclose(joined.positions(), expected, rtol=1e-6, atol=1e-6)
    assert not {"RAh", "RAm", "RAs", "DEd", "DEm", "DEs"} & set(joined.roles.features)


def test_eco_without_a_header(shared_data: Path) -> None:
    names = ("name", "ra", "dec", "cz", *(f"c{k}" for k in range(4, 22)))
    eco = read_catalog(shared_data / "survey/eco_dr1/eco_dr1.txt", names=names, lengths="Mpc/h")
    distance = np.linalg.norm(eco.positions(), axis=1) / Planck18.h
    assert distance.min() == pytest.approx(Planck18.comoving_distance(2532.8 / 299792.458).value, rel=1e-4)
    assert distance.max() == pytest.approx(Planck18.comoving_distance(7470.0 / 299792.458).value, rel=1e-4)


def test_sami_and_yang_by_redshift(shared_data: Path) -> None:
    sami = read_catalog(shared_data / "survey/sami_dr2/dr2_sample.csv", coordinates={"depth": "z_tonry"})
    np.testing.assert_allclose(
        np.linalg.norm(sami.positions(), axis=1), Planck18.comoving_distance(sami.values("z_tonry")).value, rtol=1e-6
    )
    yang = read_catalog(shared_data / "survey/yang_groups/groupCatalog_Yang_deCarvalho2017.fits")
    np.testing.assert_allclose(
        np.linalg.norm(yang.positions(), axis=1), Planck18.comoving_distance(yang.values("<z>")).value, rtol=1e-6
    )


def test_the_gaia_slice_is_the_same_in_both_frames(shared_data: Path) -> None:
    path = shared_data / "stars/gaia_slice/raw_L000-030.csv"
    equatorial = read_catalog(path).positions()
    galactic = read_catalog(path, coordinates={"longitude": "l", "latitude": "b"}).positions()
    turned = SkyCoord(*equatorial.T, representation_type="cartesian", frame="icrs").galactic.cartesian.xyz.value.T
    np.testing.assert_allclose(galactic, turned, rtol=1e-4, atol=0.05)
    longitude = np.degrees(np.arctan2(galactic[:, 1], galactic[:, 0]))
    assert longitude.min() >= 0 and longitude.max() <= 30
    assert np.linalg.norm(galactic, axis=1).min() == pytest.approx(1000 / 129.2, rel=1e-3)


def test_hours_of_the_bright_stars_are_concluded_and_can_be_corrected(shared_data: Path) -> None:
    path, distance = shared_data / "stars/hyg_bright/stars_trimmed.csv", {"distance": "pc"}
    stars = read_catalog(path, units=distance)
    assert "angles" in stars.inferred and any("read as hours" in warning for warning in stars.warnings)
    expected = SkyCoord(stars.values("ra") * u.hourangle, stars.values("dec") * u.deg, stars.values("distance") * u.pc)
    np.testing.assert_allclose(stars.positions(), expected.cartesian.xyz.to_value(u.pc).T, rtol=1e-9, atol=1e-6)
    said = read_catalog(path, units=distance, coordinates={"angles": "hours"})
    np.testing.assert_allclose(said.positions(), stars.positions())
    assert "angles" not in said.inferred
    degrees = read_catalog(path, units=distance, coordinates={"angles": "degrees"})
    assert not np.allclose(degrees.positions(), stars.positions())
