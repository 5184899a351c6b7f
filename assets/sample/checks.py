"""Checks of the bundled sample: against theory, and how much of the planted truth can be found.

Development only; run as a stage of make_sample.py, whose work folder it reads. Draws checks.png beside this file.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise

import numpy as np
from make_sample import (
    ENVIRONMENT_PIVOT,
    ENVIRONMENT_RADIUS,
    HERE,
    SCATTER,
    H,
    environment,
    jax_cosmology,
    mean_stellar_mass,
    pairs,
    particle_mass,
    set_cosmology,
)


def mass_function_check(axis, arguments: argparse.Namespace, settings: dict, table) -> dict[str, float]:
    """Friends-of-friends masses (Warren et al. 2006 correction) and the adopted M200c against theory."""
    from colossus.lss import mass_function

    size = np.load(arguments.work / "haloes.npz")["size"]
    raw = particle_mass(settings) * size * (1 - size**-0.6)
    edges = np.geomspace(1e11, 2e15, 27)
    middle = np.sqrt(edges[1:] * edges[:-1])
    per = settings["box"] ** 3 * np.diff(np.log10(edges))
    fof = mass_function.massFunction(middle, 0.0, mdef="fof", model="watson13", q_out="dndlnM") * np.log(10)
    critical = mass_function.massFunction(middle, 0.0, mdef="200c", model="tinker08", q_out="dndlnM") * np.log(10)
    counts = np.histogram(raw, edges)[0]
    adopted = np.histogram(table.halo_mass[table.is_central], edges)[0]
    axis.loglog(middle, fof, color="C0", label="Watson+13, FoF")
    axis.errorbar(middle, counts / per, np.sqrt(counts) / per, fmt="o", ms=4, color="C0", label="haloes, as found")
    axis.loglog(middle, critical, color="C1", label="Tinker+08, 200c")
    axis.plot(
        middle[adopted > 0], (adopted / per)[adopted > 0], "s", ms=4, mfc="none", color="C1", label="adopted M200c"
    )
    axis.set(xlabel="halo mass [Msun/h]", ylabel="dn / dlog10 M  [(h/Mpc)$^3$]", ylim=(1e-7, 0.1))
    axis.legend(frameon=False, fontsize=8)
    bands = {"3e11-1e12": (3e11, 1e12), "1e12-1e13": (1e12, 1e13), "1e13-1e14": (1e13, 1e14)}
    ratio = {}
    for name, (low, high) in bands.items():
        fine = np.geomspace(low, high, 200)
        theory = mass_function.massFunction(fine, 0.0, mdef="fof", model="watson13", q_out="dndlnM")
        expected = np.sum(0.5 * (theory[1:] + theory[:-1]) * np.diff(np.log(fine))) * settings["box"] ** 3
        ratio[f"fof_over_watson13_{name}"] = float(np.sum((raw >= low) & (raw < high)) / expected)
    return ratio


def density_power(arguments: argparse.Namespace, settings: dict) -> tuple[np.ndarray, np.ndarray]:
    """Squared modes of the matter at z = 0 on a mesh as fine as the particles, [n, n, n/2+1] in (Mpc/h)^3, and |k|.

    The cloud-in-cell window is divided out and the shot noise taken off.
    """
    import particles
    from scipy import fft

    box, cells = settings["box"], settings["particles"]
    positions = np.load(arguments.work / "positions.npy") * np.float32(cells / box)
    mesh = np.zeros((cells,) * 3, dtype=np.float32)
    particles.paint(np.mod(positions, np.float32(cells)), mesh)
    power = np.abs(fft.rfftn(mesh / mesh.mean() - 1, workers=2)) ** 2 * np.float32(box**3 / cells**6)
    full, half = (2 * np.pi * f(cells, box / cells).astype(np.float32) for f in (np.fft.fftfreq, np.fft.rfftfreq))
    window = [np.sinc(k * np.float32(box / cells / (2 * np.pi))) ** 4 for k in (full, half)]
    power /= window[0][:, None, None] * window[0][None, :, None] * window[1]
    power -= np.float32((box / cells) ** 3)
    power[0, 0, 0] = 0
    return power, np.sqrt(full[:, None, None] ** 2 + full[None, :, None] ** 2 + half**2)


def power_check(axis, power: np.ndarray, wavenumber: np.ndarray, settings: dict) -> dict[str, float]:
    """Matter power at z = 0 against linear theory and halofit (Takahashi et al. 2012, from jax_cosmo)."""
    from jax_cosmo.power import nonlinear_matter_power

    edges = np.geomspace(1.8 * np.pi / settings["box"], np.pi * settings["particles"] / settings["box"], 30)
    bin_of = np.digitize(wavenumber.ravel(), edges)
    modes = np.bincount(bin_of, minlength=edges.size + 1)[1:-1]
    used = modes > 0
    k, found = (
        np.bincount(bin_of, values.ravel(), edges.size + 1)[1:-1][used] / modes[used] for values in (wavenumber, power)
    )
    halofit = np.asarray(nonlinear_matter_power(jax_cosmology(), k))
    axis.loglog(k, set_cosmology().matterPowerSpectrum(k), ls="--", color="0.6", label="linear")
    axis.loglog(k, halofit, color="C0", label="halofit")
    axis.plot(k, found, "o", ms=4, color="C1", label="particles")
    axis.set(xlabel="k [h/Mpc]", ylabel="matter power [(Mpc/h)$^3$]")
    axis.legend(frameon=False, fontsize=8)
    at = {name: np.interp(np.log(name), np.log(k), found / halofit) for name in (0.3, 1.0, 3.0)}
    return {f"power_over_halofit_k{name}": float(value) for name, value in at.items()}


def correlation_check(axis, power: np.ndarray, settings: dict, table) -> dict[str, float]:
    """Two-point function of the haloes against bias^2 times that of the matter in the same box.

    Bias: Tinker et al. (2010), averaged over the haloes. Linear theory of an infinite volume is drawn beside it; a box
    of this size holds no longer waves and few of the longest, so both two-point functions fall below it far out.
    """
    from colossus.lss import bias
    from scipy import fft
    from scipy.spatial import cKDTree

    box, cells = settings["box"], settings["particles"]
    central = table[table.is_central]
    tree = cKDTree(central[["x", "y", "z"]].to_numpy(float), boxsize=box)
    edges = np.geomspace(1.0, 30.0, 14)
    within = tree.count_neighbors(tree, edges).astype(float)
    random = len(central) * (len(central) - 1) / box**3 * 4 / 3 * np.pi * np.diff(edges**3)
    found = np.diff(within) / random - 1

    matter = fft.irfftn(power, s=(cells,) * 3, workers=2) * cells**3 / box**3
    lag = (np.fft.fftfreq(cells) * box).astype(np.float32)
    separation = np.sqrt(lag[:, None, None] ** 2 + lag[None, :, None] ** 2 + lag**2)
    bin_of = np.digitize(separation.ravel(), edges)
    matter = (np.bincount(bin_of, matter.ravel(), edges.size + 1) / np.bincount(bin_of, minlength=edges.size + 1))[1:-1]

    middle = np.sqrt(edges[1:] * edges[:-1])
    mean_bias = bias.haloBias(central.halo_mass.to_numpy(float), 0.0, "200c", model="tinker10").mean()
    linear = mean_bias**2 * set_cosmology().correlationFunction(middle)
    axis.loglog(middle, linear, ls="--", color="0.6", label="linear theory x bias$^2$")
    axis.loglog(middle, mean_bias**2 * matter, color="C0", label=f"matter here x bias$^2$ = {mean_bias:.2f}$^2$")
    axis.errorbar(middle, found, (1 + found) / np.sqrt(np.diff(within) / 2), fmt="o", ms=4, color="C1", label="haloes")
    axis.set(xlabel="r [Mpc/h]", ylabel="two-point function")
    axis.legend(frameon=False, fontsize=8)
    far = (middle > 4) & (middle < 15)
    return {"theory_bias": float(mean_bias), "measured_bias_4_15": float(np.sqrt((found[far] / matter[far]).mean()))}


def cross_validated(features: np.ndarray, target: np.ndarray, z: np.ndarray, box: float) -> dict[str, float]:
    """R2 and RMSE of gradient boosting over three slabs in z; training rows near a test slab (3 Mpc) left out."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    edges = np.quantile(z, [0, 1 / 3, 2 / 3, 1])
    edges[0], edges[-1] = 0.0, box
    prediction = np.empty_like(target)
    for low, high in pairwise(edges):
        test = (z >= low) & (z < high)
        reach = np.minimum(*(np.abs((z - face + box / 2) % box - box / 2) for face in (low, high)))
        model = HistGradientBoostingRegressor(max_iter=300, learning_rate=0.05, random_state=0)
        train = ~test & (reach > ENVIRONMENT_RADIUS * H)
        prediction[test] = model.fit(features[train], target[train]).predict(features[test])
    residual = target - prediction
    return {"r2": float(1 - np.mean(residual**2) / target.var()), "rmse_dex": float(np.sqrt(np.mean(residual**2)))}


def truth_check(axis, settings: dict, table) -> dict[str, object]:
    """How well log10 stellar_mass is predicted without neighbours, with the planted term, with hand-made features."""
    box = settings["box"]
    positions = table[["x", "y", "z"]].to_numpy(float)
    mass = table.halo_mass.to_numpy(float)
    target = np.log10(table.stellar_mass.to_numpy(float))
    own = np.column_stack([np.log10(mass), np.log10(table.v_max), table.is_central])
    every = np.column_stack([own, np.log10(table.host_mass), table.concentration, table[["vx", "vy", "vz"]]])

    def hand_made(radius_mpc: float) -> np.ndarray:
        i, j, _ = pairs(positions, box, radius_mpc * H)
        summed = np.bincount(i, mass[j] / ENVIRONMENT_PIVOT, minlength=len(mass))
        return np.column_stack([np.bincount(i, minlength=len(mass)), np.log10(1 + summed)])

    def planted(radius_mpc: float) -> np.ndarray:
        return environment(positions, mass, box, radius_mpc * H)

    def score(*features: np.ndarray) -> dict[str, float]:
        return cross_validated(np.column_stack(features), target, positions[:, 2], box)

    radii = [1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0]
    result: dict[str, object] = {
        "rows": len(table),
        "target_std_dex": float(target.std()),
        "own halo": score(own),
        "every halo column": score(every),
        "planted term": score(own, planted(ENVIRONMENT_RADIUS)),
        "hand-made": score(own, hand_made(ENVIRONMENT_RADIUS)),
        "every halo column + hand-made": score(every, hand_made(ENVIRONMENT_RADIUS)),
        "term at other radii (rmse)": {radius: score(own, planted(radius))["rmse_dex"] for radius in radii},
        "hand-made at other radii (rmse)": {radius: score(own, hand_made(radius))["rmse_dex"] for radius in radii},
        "mean degree": {radius: len(pairs(positions, box, radius * H)[0]) / len(mass) for radius in radii},
    }
    axis.plot(
        radii, result["hand-made at other radii (rmse)"].values(), "s-", color="C0", label="count and summed mass"
    )
    axis.plot(radii, result["term at other radii (rmse)"].values(), "o-", color="C1", label="planted form")
    axis.axhline(result["own halo"]["rmse_dex"], color="0.4", ls="--", label="own halo alone")
    axis.axhline(SCATTER, color="0.4", ls=":", label="scatter floor")
    axis.set(xlabel="radius of the neighbours [Mpc]", ylabel="RMSE of log10 M* [dex]", ylim=(0.09, 0.255))
    axis.legend(frameon=False, fontsize=8, loc="upper center")
    return result


def draw_slice(axis, table, box: float, depth: float = 12.0) -> None:
    """Galaxies of a slab `depth` Mpc/h thick, coloured by stellar mass."""
    slab = table[table.z < depth].sort_values("stellar_mass")
    log_stellar = np.log10(slab.stellar_mass)
    axis.set_facecolor("#0b0f1a")
    axis.scatter(slab.x, slab.y, s=0.4 * 4 ** (log_stellar - 9.5), c=log_stellar, cmap="magma", vmin=9, vmax=11.5, lw=0)
    axis.set(xlabel="x [Mpc/h]", ylabel="y [Mpc/h]", xlim=(0, box), ylim=(0, box), aspect="equal")
    axis.set_title(f"galaxies, {depth:.0f} Mpc/h deep", fontsize=9)


def draw_stellar_masses(axis, table, box: float) -> None:
    """Stellar against halo mass, coloured by the environment."""
    mass = table.halo_mass.to_numpy(float)
    surroundings = environment(table[["x", "y", "z"]].to_numpy(float), mass, box, ENVIRONMENT_RADIUS * H)
    dots = axis.scatter(mass, table.stellar_mass, s=1, c=surroundings, cmap="viridis", lw=0, rasterized=True)
    grid = np.geomspace(mass.min(), mass.max(), 100)
    axis.loglog(grid, 10 ** mean_stellar_mass(grid), color="k", lw=1, label="Moster+13")
    axis.figure.colorbar(dots, ax=axis, label="environment E")
    axis.set(xlabel="halo_mass [Msun/h]", ylabel="stellar_mass [Msun]")
    axis.legend(frameon=False, fontsize=8)


def make_checks(arguments: argparse.Namespace) -> None:
    """checks.png beside this script, and the numbers quoted in README.md as checks.json in the work folder."""
    import matplotlib

    matplotlib.use("Agg")
    import pandas as pd
    from matplotlib import pyplot

    set_cosmology()
    settings = json.loads((arguments.work / "simulation.json").read_text())
    table = pd.read_parquet(HERE / "filament_sample.parquet")
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7.6), layout="constrained")
    numbers: dict[str, object] = mass_function_check(axes[0, 0], arguments, settings, table)
    power, wavenumber = density_power(arguments, settings)
    numbers |= power_check(axes[0, 1], power, wavenumber, settings)
    numbers |= correlation_check(axes[0, 2], power, settings, table)
    draw_slice(axes[1, 0], table, settings["box"])
    draw_stellar_masses(axes[1, 1], table, settings["box"])
    numbers |= truth_check(axes[1, 2], settings, table)
    figure.savefig(HERE / "checks.png", dpi=85)
    (arguments.work / "checks.json").write_text(json.dumps(numbers, indent=1))
    print(json.dumps(numbers, indent=1))
    print(f"checks.png: {(HERE / 'checks.png').stat().st_size / 1e3:.0f} kB", flush=True)
