"""Units with their power of h and their frame, checked against astropy's own units and its `littleh`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import astropy.cosmology.units as cu
import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog import Catalog, read_catalog
from gnnlib.catalog.units import Measure, convert, convert_length, parse_measure, shown_as, split_name
from gnnlib.errors import InputError

LENGTHS = ("Mpc", "Mpc/h", "kpc", "kpc/h", "pc", "cMpc", "cMpc/h", "ckpc/h", "pMpc", "pMpc/h", "pkpc", "Gpc/h")
_PIECES = ("Mpc", "kpc", "h", "/", "^", "-1", "(", ")", "[", "]", "dex", "log10", "c", "p", "1e10", "*")
MASSES = ("Msun", "Msun/h", "1e10 Msun", "1e10 Msun/h", "dex(Msun)", "dex(Msun/h)", "dex(1e10 Msun/h)")


@pytest.mark.parametrize(
    ("text", "unit", "power", "frame"),
    [
        ("Mpc/h", "Mpc", -1, ""),
        ("ckpc/h", "kpc", -1, "comoving"),
        ("cMpc", "Mpc", 0, "comoving"),
        ("comoving Mpc/h", "Mpc", -1, "comoving"),
        ("co-moving kpc / h", "kpc", -1, "comoving"),
        ("Mpccm/h", "Mpc", -1, "comoving"),
        ("pkpc", "kpc", 0, "proper"),
        ("pMpc h^-1", "Mpc", -1, "proper"),
        ("kpc (proper)", "kpc", 0, "proper"),
        ("physical kpc/h", "kpc", -1, "proper"),
        ("h^3 cMpc^-3", "Mpc^-3", 3, "comoving"),
        ("h-1 Mpc", "Mpc", -1, ""),
        ("h^-1 Mpc", "Mpc", -1, ""),
        ("h^{-1} Mpc", "Mpc", -1, ""),
        ("Mpc h**-1", "Mpc", -1, ""),
        ("1e10 Msun/h", "1e10 Msun", -1, ""),
        ("10^10 M_sun/h", "1e10 Msun", -1, ""),
        ("M☉", "Msun", 0, ""),
        ("Msun", "Msun", 0, ""),
        ("(km/s)", "km/s", 0, ""),
        ("km s^-1", "km/s", 0, ""),
        ("h Mpc^-1", "Mpc^-1", 1, ""),
        ("Msun/h^2", "Msun", -2, ""),
        ("cm", "cm", 0, ""),
        ("pc", "pc", 0, ""),
        ("degrees", "deg", 0, ""),
        ("hourangle", "hourangle", 0, ""),
        ("h", "h", 0, ""),
        ("", "", 0, ""),
        ("---", "", 0, ""),
    ],
)
def test_units_are_parsed_with_their_power_of_h_and_frame(text: str, unit: str, power: int, frame: str) -> None:
    measure = parse_measure(text)
    assert (measure.h_power, measure.frame, measure.is_log) == (power, frame, False)
    assert u.Unit(measure.unit) == u.Unit(unit)
    assert parse_measure(measure.label) == measure


@pytest.mark.parametrize(
    ("text", "inside", "power"),
    [
        ("log10(Msun)", "Msun", 0),
        ("dex(Msun/h)", "Msun", -1),
        ("log(h^-1 Msun)", "Msun", -1),
        ("log10 Msun", "Msun", 0),
        ("dex(1e10 Msun/h)", "1e10 Msun", -1),
        ("[Msun]", "Msun", 0),  # VizieR
        ("[solMass/h]", "solMass", -1),
    ],
)
def test_logarithms_keep_what_they_are_of(text: str, inside: str, power: int) -> None:
    measure = parse_measure(text)
    assert measure.is_log and measure.h_power == power and u.Unit(measure.linear) == u.Unit(inside)
    assert parse_measure(measure.label) == measure


@pytest.mark.parametrize("text", ["furlongs", "Mpc/", "??", "x" * 100, "Mpc//h/h/)", "comoving km/s", "pMpc proper c"])
def test_an_unknown_unit_is_named(text: str) -> None:
    with pytest.raises(InputError, match="not understood"):
        parse_measure(text)


@given(st.text(max_size=12) | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_any_text_is_a_unit_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        parse_measure(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x [Mpc/h]", ("x", "Mpc/h")),
        ("x [ckpc/h]", ("x", "ckpc/h")),
        ("Mtidal[Msun]", ("Mtidal", "Msun")),
        ("mass (Msun)", ("mass", "Msun")),
        ("M<300pc[Msun]", ("M<300pc", "Msun")),
        ("x_mpc", ("x_mpc", "Mpc")),
        ("log(g)", ("log(g)", "")),
        ("A[x]", ("A[x]", "")),
        ("id(1)", ("id(1)", "")),
        ("E(B-V)", ("E(B-V)", "")),
        ("x", ("x", "")),
    ],
)
def test_units_in_names_are_split_off(name: str, expected: tuple[str, str]) -> None:
    assert split_name(name) == expected


def astropy_quantity(value: float, measure: Measure, h: float, redshift: float) -> u.Quantity:
    """The value as astropy's quantity without h, comoving: its own littleh and logarithms do the work."""
    linear = u.Unit(measure.linear) * cu.littleh**measure.h_power
    quantity = (value * u.dex(linear)).physical if measure.is_log else value * linear
    quantity = quantity.to(u.Unit(measure.linear), cu.with_H0(100 * h * u.km / u.s / u.Mpc))
    return quantity * (1 + redshift) if measure.frame == "proper" else quantity


@pytest.mark.parametrize("target", LENGTHS + MASSES)
@pytest.mark.parametrize("source", LENGTHS + MASSES)
@settings(max_examples=6)
@given(value=st.floats(1e-3, 30), h=st.floats(0.4, 1), redshift=st.floats(0, 20))
def test_conversions_agree_with_astropy_and_come_back(
    source: str, target: str, value: float, h: float, redshift: float
) -> None:
    measures = parse_measure(source), parse_measure(target)
    if measures[0].like("Mpc") != measures[1].like("Mpc"):
        with pytest.raises(InputError, match="is no"):
            convert(value, *measures, h, redshift)
        return
    source_measure, back = (
        m if m.frame or m.is_log or not m.like("Mpc") else m._replace(frame="comoving") for m in measures
    )
    there = convert(value, source_measure, measures[1], h, redshift)
    assert convert(there, back, source_measure, h, redshift) == pytest.approx(value, rel=1e-9, abs=1e-9)
    standard = u.Mpc if measures[0].like("Mpc") else u.Msun
    before, after = (
        astropy_quantity(number, measure, h, redshift).to_value(standard)
        for number, measure in zip((value, there), measures, strict=True)
    )
    assert after == pytest.approx(before, rel=1e-8)


@given(st.sampled_from(LENGTHS), st.sampled_from(LENGTHS), st.floats(1e-3, 1e3), st.floats(0.4, 1), st.floats(0, 9))
def test_a_linking_length_survives_every_switch(first: str, second: str, length: float, h: float, z: float) -> None:
    there = convert_length(length, first, second, h, z)
    assert convert_length(there, second, first, h, z) == pytest.approx(length, rel=1e-12)


def test_a_linking_length_of_unknown_unit_stays_and_arrays_convert() -> None:
    assert convert_length(3.0, "", "Mpc") == 3.0 and convert_length(3.0, "Mpc", "") == 3.0
    np.testing.assert_allclose(convert_length(np.array([1.0, 2.0]), "Mpc", "kpc/h", 0.5), [500, 1000])
    assert convert_length(1.0, "deg", "arcmin") == pytest.approx(60)
    with pytest.raises(InputError, match="no Mpc"):
        convert_length(1.0, "deg", "Mpc")


@pytest.mark.parametrize(
    ("source", "target", "h", "redshift", "words"),
    [
        ("Mpc/h", "Mpc", None, 0.0, "give h"),
        ("dex(Msun/h)", "Msun", None, None, "give h"),
        ("cMpc", "pMpc", 0.7, None, "give the redshift"),
        ("pMpc", "Mpc", 0.7, None, "give the redshift"),
        ("Mpc", "pMpc", 0.7, 1.0, "not said to be comoving or proper"),
        ("Msun", "Mpc", 0.7, 0.0, "which is no Mpc"),
    ],
)
def test_what_is_not_known_is_asked_for(
    source: str, target: str, h: float | None, redshift: float | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        convert(1.0, parse_measure(source), parse_measure(target), h, redshift, "Column 'x'")


def test_today_comoving_and_proper_are_one() -> None:
    assert convert(2.0, parse_measure("Mpc"), parse_measure("pMpc"), None, 0.0) == 2.0
    assert convert(2.0, parse_measure("ckpc"), parse_measure("pkpc"), None, 0.0) == 2.0


def test_columns_are_shown_without_powers_of_ten_or_h_where_it_is_known() -> None:
    mass = parse_measure("1e10 Msun/h")
    assert shown_as(mass, 0.5).label == "Msun" and shown_as(mass).label == "Msun/h"
    assert convert(1.0, mass, shown_as(mass, 0.5), 0.5) == pytest.approx(2e10)
    assert convert(1.0, mass, shown_as(mass), None) == pytest.approx(1e10)
    assert shown_as(parse_measure("dex(Msun/h)"), 0.5).label == "dex(Msun)"
    assert shown_as(parse_measure("h^3 cMpc^-3"), 0.5).label == "cMpc^-3"
    assert shown_as(Measure()) == Measure()


def test_a_choice_that_cannot_be_followed_leaves_a_true_label() -> None:
    assert shown_as(parse_measure("Msun/h"), None, masses="dex(Msun)").label == "dex(Msun/h)"
    assert shown_as(parse_measure("ckpc/h"), None, lengths="pMpc").label == "cMpc/h"
    assert shown_as(parse_measure("kpc"), 0.7, 1.0, lengths="pMpc").label == "Mpc"
    assert shown_as(parse_measure("km"), 0.7, lengths="Mpc").label == "km"  # radii of stars stay
    assert shown_as(parse_measure("kpc km/s"), 0.7, lengths="Mpc").label == "kpc km/s"


# --- through the catalog -------------------------------------------------------------------------------------------

N = 40
RNG = np.random.default_rng(3)
KPC_H = RNG.uniform(0, 75000, (N, 3))
HALOS = {**dict(zip("xyz", KPC_H.T, strict=True)), "mass": RNG.uniform(1, 100, N), "r_vir": RNG.uniform(50, 300, N)}
UNITS = {**dict.fromkeys("xyz", "ckpc/h"), "mass": "1e10 Msun/h", "r_vir": "ckpc/h"}


def halos(tmp_path: Path, **corrections: object) -> Catalog:
    pd.DataFrame(HALOS).to_csv(tmp_path / "halos.csv", index=False)
    return read_catalog(tmp_path / "halos.csv", **{"units": UNITS, "h": 0.5, **corrections})


@pytest.mark.parametrize(
    ("lengths", "factor", "label"),
    [
        (None, 2e-3, "Mpc"),
        ("Mpc", 2e-3, "Mpc"),
        ("Mpc/h", 1e-3, "Mpc/h"),
        ("kpc", 2.0, "kpc"),
        ("kpc/h", 1.0, "kpc/h"),
        ("pc", 2e3, "pc"),
        ("pMpc", 1e-3, "pMpc"),
        ("pkpc/h", 0.5, "pkpc/h"),
    ],
)
def test_one_switch_changes_positions_box_and_columns(
    tmp_path: Path, lengths: str | None, factor: float, label: str
) -> None:
    catalog = halos(tmp_path, lengths=lengths, redshift=1.0, box=75000 * factor, periodic=True)
    assert catalog.length_unit == label
    np.testing.assert_allclose(catalog.positions(), KPC_H * factor, rtol=1e-12)
    radius, unit = catalog.physical("r_vir")
    expected = (factor, label) if lengths else (2.0, "kpc")
    assert unit == expected[1]
    np.testing.assert_allclose(radius, HALOS["r_vir"] * expected[0])
    assert convert_length(75000 * factor, label, "Mpc/h", catalog.h, catalog.redshift) == pytest.approx(75)


@pytest.mark.parametrize(
    ("masses", "expected", "label"),
    [
        (None, 2e10 * HALOS["mass"], "Msun"),
        ("Msun", 2e10 * HALOS["mass"], "Msun"),
        ("Msun/h", 1e10 * HALOS["mass"], "Msun/h"),
        ("dex(Msun)", np.log10(2e10 * HALOS["mass"]), "dex(Msun)"),
        ("dex(Msun/h)", np.log10(1e10 * HALOS["mass"]), "dex(Msun/h)"),
    ],
)
def test_masses_are_shown_as_asked(tmp_path: Path, masses: str | None, expected: np.ndarray, label: str) -> None:
    values, unit = halos(tmp_path, masses=masses).physical("mass")
    assert unit == label
    np.testing.assert_allclose(values, expected)
    logarithms = pd.DataFrame({"x": [1.0, 2], "y": [1.0, 2], "z": [1.0, 2], "m": [12.0, 13]})
    logarithms.to_csv(tmp_path / "log.csv", index=False)
    catalog = read_catalog(tmp_path / "log.csv", units={"m": "dex(Msun/h)"}, h=0.5, masses=masses)
    values, unit = catalog.physical("m")
    h_free = logarithms["m"] + np.log10(2)
    by_choice = {
        None: h_free,
        "Msun": 10**h_free,
        "Msun/h": 10 ** logarithms["m"],
        "dex(Msun)": h_free,
        "dex(Msun/h)": logarithms["m"],
    }
    np.testing.assert_allclose(values, by_choice[masses])


def test_choices_without_what_they_need_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give h to turn it into Mpc"):
        halos(tmp_path, h=None, lengths="Mpc")
    with pytest.raises(InputError, match="give the redshift of the snapshot to make it proper"):
        halos(tmp_path, lengths="pMpc")
    with pytest.raises(InputError, match="no unit of length"):
        halos(tmp_path, lengths="Msun")
    with pytest.raises(InputError, match="no unit of mass"):
        halos(tmp_path, masses="Mpc")
    with pytest.raises(InputError, match="not understood"):
        halos(tmp_path, units={"x": "parrots"})


def test_without_h_it_stays_in_the_unit(tmp_path: Path) -> None:
    catalog = halos(tmp_path, h=None, masses="dex(Msun)")
    assert catalog.length_unit == "Mpc/h"
    assert catalog.physical("mass")[1] == "dex(Msun/h)"


def test_proper_positions_are_comoving_once_the_redshift_is_known(tmp_path: Path) -> None:
    units = {**UNITS, **dict.fromkeys("xyz", "pkpc")}
    proper = halos(tmp_path, units=units)
    assert proper.length_unit == "pMpc" and proper.columns["x"].unit_label == "pkpc"
    comoving = halos(tmp_path, units=units, lengths="Mpc", redshift=3.0)
    np.testing.assert_allclose(comoving.positions(), KPC_H * 4e-3)
    with pytest.raises(InputError, match="to make it comoving"):
        halos(tmp_path, units=units, lengths="Mpc")


def test_a_mass_called_a_logarithm_is_one_and_can_be_corrected(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [1.0, 2], "y": [1.0, 2], "z": [1.0, 2], "log_mass [Msun]": [12.0, 13.0]})
    table.to_csv(tmp_path / "t.csv", index=False)
    concluded = read_catalog(tmp_path / "t.csv")
    assert concluded.columns["log_mass"].unit_label == "dex(Msun)" and concluded.columns["log_mass"].inferred
    assert any("logarithms by their names" in warning for warning in concluded.warnings)
    corrected = read_catalog(tmp_path / "t.csv", units={"log_mass": "Msun"})
    assert corrected.columns["log_mass"].unit_label == "Msun" and not corrected.columns["log_mass"].inferred


def test_logarithms_of_vizier_are_logarithms(shared_data: Path) -> None:
    yang = read_catalog(shared_data / "survey/yang_groups/groupCatalog_Yang_deCarvalho2017.fits", masses="Msun")
    values, unit = yang.physical("logM200")
    assert unit == "Msun" and values.min() == pytest.approx(10**13.35, rel=0.02)


def test_the_tng_halos_in_every_unit(shared_data: Path) -> None:
    path, units = shared_data / "sim/tng100-1_halos_flat/data.hdf5", {"group_M200": "1e10 Msun/h"}
    units |= dict.fromkeys((f"group_pos_{axis}" for axis in "xyz"), "ckpc/h")
    catalog = read_catalog(path, units=units, h=0.6774, redshift=0.0, lengths="Mpc/h", box=75, masses="dex(Msun)")
    positions = catalog.positions()
    assert positions.min() == pytest.approx(0.24e-3, rel=0.02) and positions.max() == pytest.approx(74.9986, rel=1e-5)
    values, unit = catalog.physical("group_M200")
    assert unit == "dex(Msun)" and 10 ** values.min() == pytest.approx(6.775e10 / 0.6774, rel=1e-3)
