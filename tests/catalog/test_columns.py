"""Units with their power of h, and the roles that names suggest."""

from __future__ import annotations

import contextlib

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnlib.catalog.columns import display_factor, infer_roles, length_factor, length_unit_of, parse_unit, split_name
from gnnlib.catalog.table import Column
from gnnlib.errors import InputError


@pytest.mark.parametrize(
    ("text", "unit", "power"),
    [
        ("Mpc/h", "Mpc", -1),
        ("ckpc/h", "kpc", -1),
        ("cMpc", "Mpc", 0),
        ("h-1 Mpc", "Mpc", -1),
        ("h^-1 Mpc", "Mpc", -1),
        ("h^{-1} Mpc", "Mpc", -1),
        ("Mpc h**-1", "Mpc", -1),
        ("[kpc / h]", "kpc", -1),
        ("1e10 Msun/h", "1e10 Msun", -1),
        ("10^10 M_sun/h", "1e10 Msun", -1),
        ("M☉", "Msun", 0),
        ("Msun", "Msun", 0),
        ("(km/s)", "km/s", 0),
        ("km s^-1", "km/s", 0),
        ("h Mpc^-1", "Mpc^-1", 1),
        ("Msun/h^2", "Msun", -2),
        ("log10(Msun)", "dex(Msun)", 0),
        ("degrees", "deg", 0),
        ("hourangle", "hourangle", 0),
        ("h", "h", 0),
        ("", "", 0),
        ("---", "", 0),
    ],
)
def test_units_are_parsed_with_their_power_of_h(text: str, unit: str, power: int) -> None:
    parsed, h_power = parse_unit(text)
    assert h_power == power
    if unit.startswith("dex"):
        assert parsed == unit
    else:
        assert u.Unit(parsed) == u.Unit(unit)


@pytest.mark.parametrize("text", ["furlongs", "Mpc/", "??", "x" * 100, "Mpc//h/h/)"])
def test_an_unknown_unit_is_named(text: str) -> None:
    with pytest.raises(InputError, match="not understood"):
        parse_unit(text)


@given(st.text(max_size=12))
def test_any_text_is_a_unit_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        parse_unit(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x [Mpc/h]", ("x", "Mpc/h")),
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


def test_lengths_convert_with_and_without_h() -> None:
    kpc_h, mpc, pc = Column("x", "kpc", -1), Column("y", "Mpc"), Column("z", "pc")
    assert length_unit_of([kpc_h], 0.7) == "Mpc" and length_unit_of([kpc_h], None) == "Mpc/h"
    assert length_unit_of([pc], None) == "pc" and length_unit_of([Column("a")], 0.7) == ""
    assert length_factor(kpc_h, "Mpc", 0.5) == pytest.approx(2e-3)
    assert length_factor(kpc_h, "Mpc/h", None) == pytest.approx(1e-3)
    assert length_factor(mpc, "Mpc/h", 0.5) == pytest.approx(0.5)
    assert length_factor(pc, "pc", None) == 1
    with pytest.raises(InputError, match="give h"):
        length_factor(kpc_h, "Mpc", None)
    with pytest.raises(InputError, match="'a' has no unit"):
        length_unit_of([mpc, Column("a")], None)


def test_columns_are_shown_without_powers_of_ten_or_h() -> None:
    assert display_factor(Column("m", "1e10 Msun", -1), 0.5) == (pytest.approx(2e10), "Msun")
    assert display_factor(Column("m", "1e10 Msun", -1), None) == (pytest.approx(1e10), "Msun/h")
    assert display_factor(Column("m", "dex(Msun)"), 0.5) == (1.0, "dex(Msun)")


@pytest.mark.parametrize(
    ("names", "position", "velocity"),
    [
        ("x y z vx vy vz", "x y z", "vx vy vz"),
        ("X Y Z VX VY VZ", "X Y Z", "VX VY VZ"),
        ("halo_x halo_y halo_z halo_vx halo_vy halo_vz", "halo_x halo_y halo_z", "halo_vx halo_vy halo_vz"),
        ("group_pos_0 group_pos_1 group_pos_2 spin_0 spin_1 spin_2", "group_pos_0 group_pos_1 group_pos_2", ""),
        (
            "GroupPos_x GroupPos_y GroupPos_z SubhaloPos_x SubhaloPos_y SubhaloPos_z",
            "SubhaloPos_x SubhaloPos_y SubhaloPos_z",
            "",
        ),
        ("sg_xx sg_yy sg_zz", "sg_xx sg_yy sg_zz", ""),
        ("PosX PosY PosZ VelX VelY VelZ", "PosX PosY PosZ", "VelX VelY VelZ"),
        ("x y mass", "x y", ""),
        ("x_err y_err z_err", "", ""),
        ("max_i may_i maz_i", "", ""),
        ("jx jy jz mass", "", ""),
    ],
)
def test_positions_and_velocities_are_recognised(names: str, position: str, velocity: str) -> None:
    table = pd.DataFrame({name: np.arange(4.0) for name in names.split()})
    roles = infer_roles(table)
    assert roles.get("position", ()) == tuple(position.split())
    assert roles.get("velocity", ()) == tuple(velocity.split())


@pytest.mark.parametrize(
    "name",
    ["stellar_mass", "Mstar", "log_mstar", "mass_stellar", "logMstar", "SubhaloMassType_stars", "stellar_mass_msun"],
)
def test_stellar_mass_is_the_target_and_no_feature(name: str) -> None:
    table = pd.DataFrame(
        {"id": [1, 2, 3], "x": [1.0, 2, 3], "y": [1.0, 2, 3], "z": [1.0, 2, 3], "mvir": [1.0, 2, 3], name: [1.0, 2, 3]}
    )
    roles = infer_roles(table)
    assert roles["target"] == name and roles["mass"] == "mvir" and roles["row_id"] == "id"
    assert roles["features"] == ("mvir",)


def test_positions_velocities_ids_and_errors_are_never_features() -> None:
    names = ["galaxy_id", "host_id", "x", "y", "z", "vx", "vy", "vz", "spin_x", "spin_y", "spin_z", "ra", "dec"]
    names += ["e_mass", "mass_err", "SubhaloFlag", "vmax"]
    table = pd.DataFrame({name: np.arange(4) + k for k, name in enumerate(names)})
    assert infer_roles(table)["features"] == ("vmax",)
