"""Every choice about a catalog can be made on the command line, and a wrong one is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.cli import main

RNG = np.random.default_rng(2)
TABLE = pd.DataFrame(RNG.uniform(0, 30, (100, 3)), columns=list("xyz")).assign(
    vx=0.0, vy=0.0, vz=RNG.normal(0, 300, 100), mass=RNG.uniform(1, 9, 100), mag=np.where(np.arange(100) < 7, -99, 15.0)
)


@pytest.fixture
def halos(tmp_path: Path) -> Path:
    TABLE.to_csv(tmp_path / "halos.csv", index=False)
    return tmp_path / "halos.csv"


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main([str(argument) for argument in arguments] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1 and "Traceback" not in printed.err
    return printed.err.strip()


def column(told: dict, name: str) -> dict:
    return next(column for column in told["columns"] if column["name"] == name)


def test_a_slab_is_periodic_along_the_axes_named(halos, capsys):
    told = answer(capsys, "catalog", halos, "--box", "30,30,0", "--periodic", "x,y")
    assert told["periodic"] == [True, True, False] and told["box"] == [30, 30, 0]
    assert answer(capsys, "catalog", halos, "--box", "30,30,0")["periodic"] == [True, True, False]
    assert answer(capsys, "catalog", "--box", 30, "--periodic", halos)["periodic"] is True
    assert answer(capsys, "catalog", halos, "--box", 30, "--no-periodic")["periodic"] is False
    open_z = answer(capsys, "graph", halos, "--radius", 4, "--box", "30", "--periodic", "x,y")
    positions = TABLE[["x", "y", "z"]].to_numpy()
    separation = positions[:, None] - positions
    separation[..., :2] -= 30 * np.round(separation[..., :2] / 30)
    assert open_z["edges"] == ((separation**2).sum(-1) <= 16).sum() - 100


def test_units_lengths_and_the_linking_length_follow_each_other(halos, capsys):
    units = [option for axis in "xyz" for option in ("--unit", f"{axis}=cMpc/h")]
    in_mpc = answer(capsys, "graph", halos, *units, "--h", 0.5, "--radius", 8, "--box", 60)
    in_mpc_h = answer(capsys, "graph", halos, *units, "--h", 0.5, "--radius", 4, "--box", 30, "--lengths", "Mpc/h")
    assert in_mpc["edges"] == in_mpc_h["edges"]
    told = answer(capsys, "catalog", halos, *units, "--unit", "mass=1e10 Msun/h", "--masses", "dex(Msun)")
    assert column(told, "mass")["unit"] == "1e10 Msun/h"


def test_redshift_space_windows_and_projections(halos, capsys):
    units = [option for axis in "xyz" for option in ("--unit", f"{axis}=Mpc")]
    window = [*units, "--h", 0.7, "--redshift", 0, "--cosmology", "FlatLambdaCDM(H0=70, Om0=0.3)"]
    told = answer(capsys, "catalog", halos, *window, "--window", "-500,1000", "--space", "redshift")
    flow = TABLE["z"] * 70 + TABLE["vz"]
    assert told["rows"] == ((flow >= -500) & (flow <= 1000)).sum()
    assert told["roles"]["position"] == ["x", "y", "z_redshift_space"]
    along_x = answer(capsys, "catalog", halos, *window, "--window", "0,1000", "--project", "x", "--line-of-sight", "x")
    assert along_x["rows"] == (TABLE["x"] * 70 <= 1000).sum()


def test_the_supercluster_from_the_command_line(shared_data, capsys):
    path = shared_data / "survey/shapley/Shapley_galaxy_data.csv"
    position = ["--position", "R.A.,Dec.,V", "--unit", "V=km/s"]
    told = answer(capsys, "catalog", path, *position, "--window", "9000,18000", "--cosmology", "WMAP9")
    assert told["rows"] == 2587 and any("WMAP9" in warning for warning in told["warnings"])
    flat = answer(capsys, "graph", path, *position, "--window", "9000,18000", "--project", "sky", "--k", 5)
    assert flat["nodes"] == 2587


def test_headerless_names_gaps_derived_columns_and_subsets(shared_data, halos, capsys):
    slab = shared_data / "sim/nbody_1200mpch/Halo3D_300.txt"
    names = "x [Mpc/h],y [Mpc/h],z [Mpc/h],vx,vy,vz,mass [Msun/h]"
    told = answer(capsys, "catalog", slab, "--names", names, "--lengths", "Mpc/h")
    assert told["rows"] == 29171 and column(told, "mass")["unit"] == "Msun/h"
    derived = ["--derive", "logm=log10(mass)", "--subset", "heavy=logm > 0.5", "--where", "heavy"]
    told = answer(capsys, "catalog", halos, *derived)
    assert told["rows"] == (np.log10(TABLE["mass"]) > 0.5).sum() and column(told, "logm")["dtype"] == "float64"
    assert column(answer(capsys, "catalog", halos, "--missing", "mag=-99,-98"), "mag")["missing"] == 7
    assert answer(capsys, "catalog", halos, "--missing", "mag=-99:drop")["rows"] == 93


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "5"], "--window '5' needs 2 numbers"),
        (["--window", "9,5"], "--window"),
        (["--periodic=a"], "--periodic 'a' names no axes"),
        (["--box", "30", "--periodic", "--no-periodic"], "contradict"),
        (["--box", "30,30,0", "--periodic", "x,y,z", "--unit", "x"], "--unit 'x' has no form"),
        (["--box", "30,x,0"], "--box '30,x,0'"),
        (["--missing", "mag=1:burn"], "rule 'burn'"),
        (["--missing", "mag"], "--missing 'mag' has no form"),
        (["--lengths", "parrots"], "not understood"),
        (["--lengths", "Msun"], "no unit of length"),
        (["--masses", "Mpc"], "no unit of mass"),
        (["--space", "redshift"], "positions with a unit"),
        (["--project", "w"], "invalid choice"),
        (["--cosmology", "open('x')", "--position", "x,y,z"], ""),
        (["--unit", "q=Mpc"], "no column 'q'"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(halos, capsys, options, words):
    if not words:  # a cosmology that nothing uses does no harm, and is not evaluated
        assert answer(capsys, "catalog", halos, *options)["rows"] == 100
    else:
        assert words in refusal(capsys, "catalog", halos, *options)
