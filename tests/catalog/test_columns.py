"""The roles that names suggest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog.columns import infer_roles


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
