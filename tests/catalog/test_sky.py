"""From the sky to space: known objects at their known places, and catalogs that do not say enough."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.cosmology import Planck18

from gnnlib.catalog import Catalog, read_catalog
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


def test_sexagesimal_places_are_read_and_hours_need_a_word(tmp_path: Path) -> None:
    text = SkyCoord(RA * u.deg, DEC * u.deg).to_string("hmsdms", sep=":", precision=6)
    ra, dec = zip(*(pair.split() for pair in text), strict=True)
    z = np.full(N, 0.1)
    plain = read(tmp_path, {"ra": RA, "dec": DEC, "z": z}).positions()
    np.testing.assert_allclose(read(tmp_path, {"ra": ra, "dec": dec, "z": z}).positions(), plain, atol=1e-4)
    hours = {"ra": RA / 15, "dec": DEC, "z": z}
    unsaid = read(tmp_path, hours)
    assert unsaid.roles.position == () and any("hours or degrees" in warning for warning in unsaid.warnings)
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
        read(tmp_path, columns, **role)


def test_derived_positions_named_in_a_specification_are_derived_again(tmp_path: Path) -> None:
    first = read(tmp_path, {"ra": RA, "dec": DEC, "cz": 5000.0, "mag": np.arange(N)})
    again = read_catalog(first.spec, roles=first.roles)
    np.testing.assert_array_equal(first.positions(), again.positions())


def test_rows_behind_the_observer_have_no_position(tmp_path: Path) -> None:
    catalog = read(tmp_path, {"ra": RA, "dec": DEC, "z": np.where(np.arange(N) < 3, -0.001, 0.1)})
    assert np.isnan(catalog.positions()).all(axis=1).sum() == 3
    assert any(warning.startswith("3 of 30 rows have no finite position") for warning in catalog.warnings)
