"""Makes the bundled sample: a particle-mesh simulation, its haloes, galaxies in them, and a known truth to find.

Development only; the app never imports it. README.md beside it says what the result is. To make it again, in a
virtual environment of its own (Python 3.11; about 7 GB of memory and half an hour on two cores):

    pip install jaxpm==0.1.6 jax==0.10.2 packaging typing_extensions colossus==1.4.0 numba scipy pandas pyarrow \
        scikit-learn matplotlib
    python assets/sample/make_sample.py --work sample_work

Stages (`--stage`) keep what they made in the work folder, so a later one can be repeated alone:
simulate (JaxPM: Gaussian field, 2LPT and the kernels of the particle-mesh force; leapfrog of FastPM, Feng et al. 2016)
-> haloes (friends-of-friends, b = 0.2) -> galaxies (writes the Parquet file) -> checks (checks.py; writes checks.png).
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import numpy as np

HERE = Path(__file__).parent
STAGES = ("simulate", "haloes", "galaxies", "checks")

COSMOLOGY = {"Omega_m": 0.3089, "Omega_b": 0.0486, "h": 0.6774, "sigma8": 0.8159, "n_s": 0.9667}  # Planck 2015
H = COSMOLOGY["h"]
CRITICAL_DENSITY = 2.77536627e11  # h^2 Msun / Mpc^3

LINKING_B = 0.2
SMALLEST_HALO = 20  # particles, of the haloes found
SMALLEST_LISTED = 44  # particles, of the haloes in the sample

SURVIVING = 0.55  # of the subhaloes ever accreted (Han et al. 2016)
SUBHALO_MASS_FUNCTION = (0.22, -0.91, 6.0, 3.0)  # unevolved, all orders (Jiang & van den Bosch 2016, table A1)
CONCENTRATION_SCATTER = 0.16  # dex (Diemer & Kravtsov 2015)

SHMR = {"log10_M1": 11.590, "N": 0.0351, "beta": 1.376, "gamma": 0.608}  # z = 0, M200c in Msun (Moster et al. 2013)
CONCENTRATION_SLOPE = 0.4  # d log10 M* / d log10 c at fixed mass
ENVIRONMENT_RADIUS = 3.0  # Mpc, comoving, no h
ENVIRONMENT_PIVOT = 1e12  # Msun/h
ENVIRONMENT_STRENGTH = 0.20  # dex a standard deviation of the environment
SCATTER = 0.10  # dex


# ---------------------------------------------------------------------------------------------- simulate


def set_cosmology():
    """The colossus cosmology of the sample: flat, no radiation, as the particle-mesh code has it."""
    from colossus.cosmology import cosmology

    return cosmology.setCosmology(
        "filament-sample",
        {
            "flat": True,
            "relspecies": False,
            "H0": 100 * H,
            "Om0": COSMOLOGY["Omega_m"],
            "Ob0": COSMOLOGY["Omega_b"],
            "sigma8": COSMOLOGY["sigma8"],
            "ns": COSMOLOGY["n_s"],
        },
    )


def jax_cosmology():
    """The same cosmology for JaxPM."""
    import jax_cosmo

    return jax_cosmo.Cosmology(
        Omega_c=COSMOLOGY["Omega_m"] - COSMOLOGY["Omega_b"],
        Omega_b=COSMOLOGY["Omega_b"],
        h=H,
        n_s=COSMOLOGY["n_s"],
        sigma8=COSMOLOGY["sigma8"],
        Omega_k=0.0,
        w0=-1.0,
        wa=0.0,
    )


class LeapfrogFactors:
    """Kick and drift factors of FastPM (Feng et al. 2016, eqs. 24 and 25): exact where growth is linear.

    For the equations of motion of JaxPM, in mesh cells and with p = a^2 dx/dt / H0:
    dx/da = p / (a^3 E), dp/da = 1.5 Omega_m F / (a^2 E).
    """

    def __init__(self, omega_m: float) -> None:
        self.omega_m = omega_m
        a = np.linspace(1e-4, 1.0, 20001)
        integrand = (a * self.expansion(a)) ** -3.0
        integral = np.concatenate([[0.0], np.cumsum(0.5 * (integrand[1:] + integrand[:-1]) * np.diff(a))])
        growth = self.expansion(a) * (integral + 0.4 * a[0] ** 2.5 * omega_m**-1.5)
        self._a = a
        self._growth = growth / growth[-1]
        self._rate = np.gradient(self._growth, a)
        self._momentum = a**3 * self.expansion(a) * self._rate
        self._force = np.gradient(self._momentum, a)

    def expansion(self, a):
        return np.sqrt(self.omega_m * a**-3.0 + 1 - self.omega_m)

    def _at(self, table, a):
        return np.interp(a, self._a, table)

    def drift(self, start: float, stop: float, reference: float) -> float:
        change = self._at(self._growth, stop) - self._at(self._growth, start)
        return change / self._at(self._rate, reference) / (reference**3 * self.expansion(reference))

    def kick(self, start: float, stop: float, reference: float) -> float:
        change = self._at(self._momentum, stop) - self._at(self._momentum, start)
        return 1.5 * self.omega_m * change / self._at(self._force, reference) / (
            reference**2 * self.expansion(reference)
        )  # fmt: skip


class Forces:
    """Particle-mesh forces: cloud in cell, then the kernels of JaxPM on a real transform, slab by slab.

    The same force as `jaxpm.pm.pm_forces` (tested by `compare_with_jaxpm`) in a third of its memory.
    """

    slab = 32

    def __init__(self, cells: int) -> None:
        import jax
        from jaxpm.kernels import gradient_kernel, invlaplace_kernel

        self.cells = cells
        self.wavenumber = (2 * np.pi * np.fft.fftfreq(cells)).astype(np.float32)
        self.half_wavenumber = (2 * np.pi * np.fft.rfftfreq(cells)).astype(np.float32)

        def kernel(delta_k, kx, ky, kz, axis):
            kvec = (kx[:, None, None], ky[None, :, None], kz[None, None, :])
            return -gradient_kernel(kvec, axis) * invlaplace_kernel(kvec) * delta_k

        self._kernel = jax.jit(kernel, static_argnums=4)

    def kick(self, positions: np.ndarray, velocities: np.ndarray, factor: float) -> None:
        """velocities += factor * force at the positions, both [N, 3] float32 in cells."""
        import particles
        from scipy import fft

        mesh = np.zeros((self.cells,) * 3, dtype=np.float32)
        particles.paint(positions, mesh)
        mesh *= self.cells**3 / positions.shape[0]
        delta_k = fft.rfftn(mesh, workers=2)
        field_k = np.empty_like(delta_k)
        del mesh
        for axis in range(3):
            for start in range(0, self.cells, self.slab):
                rows = slice(start, start + self.slab)
                field_k[rows] = self._kernel(
                    delta_k[rows], self.wavenumber[rows], self.wavenumber, self.half_wavenumber, axis
                )
            field = fft.irfftn(field_k, s=(self.cells,) * 3, workers=2)
            particles.kick(positions, field, factor, velocities, axis)


def compare_with_jaxpm(cells: int = 64, seed: int = 1) -> float:
    """Largest difference between our force and that of jaxpm.pm.pm_forces, in units of its rms."""
    import jax.numpy as jnp
    from jaxpm.pm import pm_forces

    positions = np.random.default_rng(seed).uniform(0, cells, (cells**3, 3)).astype(np.float32)
    ours = np.zeros_like(positions)
    Forces(cells).kick(positions, ours, 1.0)
    theirs = np.asarray(pm_forces(jnp.asarray(positions), mesh_shape=(cells,) * 3)).reshape(-1, 3)
    return float(np.abs(ours - theirs).max() / theirs.std())


def initial_conditions(arguments: argparse.Namespace, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and momenta [N, 3] float32 in force-mesh cells at the scale factor `start`, by JaxPM's 2LPT."""
    import jax
    import jax.numpy as jnp
    from jaxpm.pm import linear_field, lpt

    side = arguments.particles
    k = np.geomspace(1e-4, 1e3, 2048)
    power = jnp.asarray(set_cosmology().matterPowerSpectrum(k))

    def spectrum(wavenumber):
        positive = jnp.maximum(wavenumber, k[0])
        return jnp.where(wavenumber > 0, jnp.exp(jnp.interp(jnp.log(positive), jnp.log(k), jnp.log(power))), 0.0)

    field = linear_field((side,) * 3, [arguments.box] * 3, spectrum, jax.random.PRNGKey(arguments.seed))
    with patch("jaxpm.pm.cic_read_dx", lambda values, displacement, **_: values):  # reading on the lattice: as is
        displacement, momentum, _ = lpt(jax_cosmology(), field, a=start, order=2)
    scale = arguments.mesh / side
    lattice = np.stack(np.meshgrid(*[np.arange(side, dtype=np.float32)] * 3, indexing="ij"), axis=-1)
    positions = (lattice + np.asarray(displacement)).reshape(-1, 3) * np.float32(scale)
    momenta = np.asarray(momentum).reshape(-1, 3) * np.float32(scale)
    return np.mod(positions, np.float32(arguments.mesh)).astype(np.float32), momenta.astype(np.float32)


def simulate(arguments: argparse.Namespace) -> None:
    """Particles at z = 0: positions (Mpc/h) and peculiar velocities (km/s), as .npy in the work folder."""
    import particles

    print(f"force against jaxpm.pm.pm_forces: largest difference {compare_with_jaxpm():.1e} of the rms", flush=True)
    start = 1 / (1 + arguments.start_redshift)
    positions, momenta = initial_conditions(arguments, start)
    forces, factors = Forces(arguments.mesh), LeapfrogFactors(COSMOLOGY["Omega_m"])
    times = np.linspace(start, 1.0, arguments.steps + 1)
    halves = np.concatenate([[start], 0.5 * (times[1:] + times[:-1]), [1.0]])
    clock = time.time()
    for step, a in enumerate(times):
        forces.kick(positions, momenta, factors.kick(halves[step], halves[step + 1], a))
        if step < arguments.steps:
            particles.drift(positions, momenta, factors.drift(a, times[step + 1], halves[step + 1]), arguments.mesh)
        print(f"step {step}/{arguments.steps}  a = {a:.3f}  {time.time() - clock:.0f} s", flush=True)
    cell = arguments.box / arguments.mesh
    np.save(arguments.work / "positions.npy", positions * np.float32(cell))
    np.save(arguments.work / "velocities.npy", momenta * np.float32(100 * cell))
    settings = {name: getattr(arguments, name) for name in ("box", "particles", "mesh", "steps", "seed")}
    settings["start_redshift"] = arguments.start_redshift
    (arguments.work / "simulation.json").write_text(json.dumps(settings))


# ------------------------------------------------------------------------------------------------ haloes


def particle_mass(settings: dict) -> float:
    """Msun/h."""
    return COSMOLOGY["Omega_m"] * CRITICAL_DENSITY * settings["box"] ** 3 / settings["particles"] ** 3


def find_haloes(arguments: argparse.Namespace) -> None:
    """Friends-of-friends groups: particles, centre (Mpc/h) and mean velocity (km/s), as haloes.npz."""
    import particles

    settings = json.loads((arguments.work / "simulation.json").read_text())
    box = settings["box"]
    positions = np.load(arguments.work / "positions.npy")
    np.mod(positions, np.float32(box), out=positions)
    link = LINKING_B * box / settings["particles"]
    cells = min(int(box / link), 2 * settings["particles"])
    order, label = particles.friends_of_friends(positions, box, link, cells)
    velocities = np.load(arguments.work / "velocities.npy")
    size, centre, velocity = particles.group_means(positions, velocities, order, label, box, SMALLEST_HALO)
    np.savez(arguments.work / "haloes.npz", size=size, centre=centre, velocity=velocity)
    print(f"{size.size} haloes of {SMALLEST_HALO} particles or more; the largest has {size.max()}", flush=True)


def halo_masses(size: np.ndarray, settings: dict, rng: np.random.Generator) -> np.ndarray:
    """M200c (Msun/h) by abundance: the halo of rank i gets the mass that i haloes exceed in theory in this volume.

    Theory: Tinker et al. (2008) at 200 times the critical density. Equal particle counts are ordered at random.
    """
    from colossus.lss import mass_function

    set_cosmology()
    mass = np.geomspace(1e10, 1e16, 3001)
    density = mass_function.massFunction(mass, 0.0, mdef="200c", model="tinker08", q_out="dndlnM")
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(np.log(mass))
    above = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]]) * settings["box"] ** 3
    rank = np.empty(size.size)
    rank[np.argsort(-(size + rng.uniform(-0.5, 0.5, size.size)))] = np.arange(size.size) + 0.5
    keep = above > 0
    return np.exp(np.interp(-np.log(rank), -np.log(above[keep]), np.log(mass[keep])))


# ---------------------------------------------------------------------------------------------- galaxies


def nfw_mass(x: np.ndarray) -> np.ndarray:
    """ln(1 + x) - x / (1 + x), the mass profile of Navarro, Frenk & White (1997)."""
    return np.log1p(x) - x / (1 + x)


def halo_structure(mass: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Concentration, its offset from the median (dex), R200c (kpc/h) and V_max (km/s) of haloes of M200c (Msun/h)."""
    from colossus.halo import concentration

    set_cosmology()
    grid = np.geomspace(mass.min() * 0.99, mass.max() * 1.01, 64)
    median = concentration.concentration(grid, "200c", 0.0, model="diemer19")
    typical = np.exp(np.interp(np.log(mass), np.log(grid), np.log(median)))
    c = np.maximum(typical * 10 ** rng.normal(0.0, CONCENTRATION_SCATTER, mass.size), 1.5)
    radius = (3 * mass / (4 * np.pi * 200 * CRITICAL_DENSITY)) ** (1 / 3)  # Mpc/h
    v200 = np.sqrt(4.30091e-9 * mass / radius)
    v_max = v200 * np.sqrt(0.21621 * c / nfw_mass(c))  # the circular velocity peaks at 2.163 scale radii
    return {"concentration": c, "offset": np.log10(c / typical), "r200": 1e3 * radius, "v_max": v_max}


def draw_satellites(host_mass: np.ndarray, smallest: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Host row and mass at infall (Msun/h) of each satellite with at least the mass `smallest`.

    A Poisson draw from the subhalo mass function dN/dln x = g x^a exp(-b x^w), x = infall mass / host mass, times
    the fraction that survives.
    """
    g, alpha, beta, omega = SUBHALO_MASS_FUNCTION
    x = np.geomspace(smallest / host_mass.max(), 1.0, 4001)
    density = SURVIVING * g * x**alpha * np.exp(-beta * x**omega)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(np.log(x))
    above = np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])
    expected = np.interp(np.log(smallest / host_mass), np.log(x), above)
    host = np.repeat(np.arange(host_mass.size), rng.poisson(expected))
    level = rng.uniform(0, 1, host.size) * expected[host]
    ratio = np.exp(np.interp(-level, -above, np.log(x)))
    return host, ratio * host_mass[host]


def nfw_radii(c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Radii in units of R200 of one point each in NFW haloes of concentration c [N], by inversion on a table."""
    x = np.geomspace(1e-3, 1.0, 400)
    share = nfw_mass(c[:, None] * x) / nfw_mass(c)[:, None]
    level = rng.uniform(0, 1, c.size)
    return np.array([np.interp(u, row, x) for u, row in zip(level, share, strict=True)])


def environment(positions: np.ndarray, mass: np.ndarray, box: float, radius: float) -> np.ndarray:
    """log10(1 + sum over neighbours j within `radius` (Mpc/h) of (M_j / 1e12 Msun/h) sin^2(pi r_ij / radius)), [N].

    Massive neighbours about half a radius away count most, close companions and the rim count nothing.
    """
    i, j, separation = pairs(positions, box, radius)
    weight = np.sin(np.pi * separation / radius) ** 2
    total = np.bincount(i, weight * mass[j] / ENVIRONMENT_PIVOT, minlength=len(mass))
    return np.log10(1 + total)


def pairs(positions: np.ndarray, box: float, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directed pairs (receiver, sender, separation) closer than `radius` in the periodic box."""
    from scipy.spatial import cKDTree

    half = cKDTree(positions, boxsize=box).query_pairs(radius, output_type="ndarray")
    difference = positions[half[:, 0]] - positions[half[:, 1]]
    separation = np.linalg.norm(difference - box * np.round(difference / box), axis=1)
    return np.concatenate(half.T), np.concatenate(half.T[::-1]), np.tile(separation, 2)


def mean_stellar_mass(mass: np.ndarray) -> np.ndarray:
    """log10 of the mean stellar mass (Msun) in haloes of M200c `mass` (Msun/h): Moster et al. (2013), eq. 2."""
    ratio = mass / H / 10 ** SHMR["log10_M1"]
    return np.log10(mass / H * 2 * SHMR["N"] / (ratio ** -SHMR["beta"] + ratio ** SHMR["gamma"]))


def make_galaxies(arguments: argparse.Namespace) -> None:
    """One central a halo and its satellites, their stellar masses; writes the Parquet file."""
    settings = json.loads((arguments.work / "simulation.json").read_text())
    box = settings["box"]
    rng = np.random.default_rng(settings["seed"])
    found = np.load(arguments.work / "haloes.npz")
    mass = halo_masses(found["size"], settings, rng)
    listed = np.argsort(-mass)[: np.sum(found["size"] >= SMALLEST_LISTED)]  # heaviest first
    mass, halo_centre, halo_velocity = mass[listed], found["centre"][listed], found["velocity"][listed]
    hosts = halo_structure(mass, rng)

    host, satellite_mass = draw_satellites(mass, mass.min(), rng)
    satellites = halo_structure(satellite_mass, rng)
    direction = rng.normal(size=(host.size, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = nfw_radii(hosts["concentration"][host], rng) * hosts["r200"][host] / 1e3
    dispersion = 1082.9 * (mass / 1e15) ** 0.3361  # km/s, one axis, at z = 0, per h^-1 Msun (Evrard et al. 2008)

    n_hosts = mass.size
    halo = np.concatenate([np.arange(n_hosts), host])
    centre = np.concatenate([np.zeros((n_hosts, 3)), direction * distance[:, None]])
    motion = np.concatenate([np.zeros((n_hosts, 3)), rng.normal(size=(host.size, 3)) * dispersion[host, None]])
    positions = np.mod(halo_centre[halo] + centre, box).astype(np.float32)
    positions[positions >= np.float32(box)] = 0.0
    velocities = halo_velocity[halo] + motion
    column = {name: np.concatenate([hosts[name], satellites[name]]) for name in hosts}
    column["halo_mass"] = np.concatenate([mass, satellite_mass]).astype(np.float32)

    surroundings = environment(
        positions.astype(np.float64), column["halo_mass"].astype(np.float64), box, ENVIRONMENT_RADIUS * H
    )
    standard = (surroundings - surroundings.mean()) / surroundings.std()
    log_stellar = (
        mean_stellar_mass(column["halo_mass"].astype(np.float64))
        + CONCENTRATION_SLOPE * column["offset"]
        + ENVIRONMENT_STRENGTH * standard
        + rng.normal(0.0, SCATTER, halo.size)
    )
    table = {
        "galaxy_id": np.arange(halo.size, dtype=np.int32),
        "halo_id": halo.astype(np.int32),
        "is_central": np.arange(halo.size) < n_hosts,
        **{name: positions[:, axis] for axis, name in enumerate("xyz")},
        **{f"v{name}": velocities[:, axis] for axis, name in enumerate("xyz")},
        "halo_mass": column["halo_mass"],
        "host_mass": mass[halo],
        "concentration": column["concentration"],
        "v_max": column["v_max"],
        "r200": column["r200"],
        "stellar_mass": 10**log_stellar,
    }
    by_host = np.argsort(halo, kind="stable")  # each central before its satellites, the heaviest halo first
    table = {name: values[by_host] for name, values in table.items()}
    table["galaxy_id"] = np.arange(halo.size, dtype=np.int32)
    write_table(table, describe(settings, mass, surroundings))
    print(f"{halo.size} galaxies, {host.size} of them satellites; smallest halo {mass.min():.3e} Msun/h", flush=True)


COLUMNS = {
    "galaxy_id": ("", "unique number of the galaxy"),
    "halo_id": ("", "number of the host halo, heaviest first; a central and its satellites share it"),
    "is_central": ("", "true for the one central galaxy of each halo, false for satellites"),
    "x": ("Mpc/h", "comoving position along x, 0 <= x < box"),
    "y": ("Mpc/h", "comoving position along y, 0 <= y < box"),
    "z": ("Mpc/h", "comoving position along z, 0 <= z < box"),
    "vx": ("km/s", "peculiar velocity along x"),
    "vy": ("km/s", "peculiar velocity along y"),
    "vz": ("km/s", "peculiar velocity along z"),
    "halo_mass": ("Msun/h", "M200c of the halo (central) or of the subhalo at infall (satellite)"),
    "host_mass": ("Msun/h", "M200c of the host halo; equal to halo_mass for centrals"),
    "concentration": ("", "NFW concentration c200c of the galaxy's own (sub)halo"),
    "v_max": ("km/s", "maximum circular velocity of the galaxy's own (sub)halo"),
    "r200": ("kpc/h", "R200c of the galaxy's own (sub)halo (satellite: at infall)"),
    "stellar_mass": ("Msun", "stellar mass, h removed"),
}


def describe(settings: dict, mass: np.ndarray, surroundings: np.ndarray) -> dict:
    """What the file says about itself: the JSON object in its schema metadata."""
    return {
        "name": "Filament sample",
        "box": [settings["box"]] * 3,
        "box_unit": "Mpc/h",
        "periodic": True,
        "h": H,
        "cosmology": {"model": "flat LambdaCDM", **COSMOLOGY},
        "redshift": 0,
        "provenance": {
            "made_by": "assets/sample/make_sample.py",
            "date": date.today().isoformat(),
            "seed": settings["seed"],
            "simulation": {
                "code": "JaxPM initial conditions (2LPT) and force kernels, FastPM leapfrog",
                "particles": settings["particles"] ** 3,
                "particle_mass_msun_h": particle_mass(settings),
                "mesh": settings["mesh"],
                "steps": settings["steps"],
                "start_redshift": settings["start_redshift"],
            },
            "haloes": f"friends of friends, b={LINKING_B}, {SMALLEST_LISTED}+ particles; M200c by abundance (Tinker08)",
            "satellites": "Jiang & van den Bosch 2016 infall mass function x 0.55 (Han et al. 2016), NFW positions",
            "stellar_masses": "Moster et al. 2013 + concentration + environment + scatter (see planted_truth)",
            "selection": f"every halo and subhalo of at least {mass.min():.4g} Msun/h; no cut in stellar mass",
            "versions": {name: version(name) for name in ("jaxpm", "jax", "colossus", "numba", "numpy", "scipy")},
        },
        "planted_truth": {
            "formula": (
                "log10(stellar_mass) = f(halo_mass) + concentration_slope * d + strength_dex * (E - mean) / std"
                " + scatter_dex * N(0, 1); E = log10(1 + sum_j (halo_mass_j / 1e12 Msun/h) * sin(pi r_ij / radius)^2)"
                " over all other rows j with r_ij < radius (periodic, comoving); f: Moster et al. 2013;"
                " d = log10(concentration / median at this mass)"
            ),
            "radius_mpc": ENVIRONMENT_RADIUS,
            "strength_dex": ENVIRONMENT_STRENGTH,
            "mean": float(surroundings.mean()),
            "std": float(surroundings.std()),
            "concentration_slope": CONCENTRATION_SLOPE,
            "scatter_dex": SCATTER,
        },
        "licence": "CC0-1.0",
        "roles": {
            "position": ["x", "y", "z"],
            "velocity": ["vx", "vy", "vz"],
            "mass": "halo_mass",
            "target": "stellar_mass",
            "features": ["halo_mass", "v_max", "is_central"],
            "group": "halo_id",
            "row_id": "galaxy_id",
            "central": "is_central",
        },
    }


def write_table(table: dict[str, np.ndarray], about: dict) -> None:
    """The Parquet file: float32, zstd, unit and description with each column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields, arrays = [], []
    for name, (unit, description) in COLUMNS.items():
        values = table[name].astype(np.float32) if table[name].dtype.kind == "f" else table[name]
        arrays.append(pa.array(values))
        metadata = {b"unit": unit.encode(), b"description": description.encode()}
        fields.append(pa.field(name, arrays[-1].type, nullable=False, metadata=metadata))
    schema = pa.schema(fields, metadata={b"filament": json.dumps(about).encode()})
    path = HERE / "filament_sample.parquet"
    split = [name for name in COLUMNS if table[name].dtype.kind == "f"]
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        use_byte_stream_split=split,
    )
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the bundled sample.")
    parser.add_argument("--stage", choices=STAGES, action="append", help="repeatable; default: all")
    parser.add_argument("--work", type=Path, default=Path("sample_work"), help="folder for particles and haloes")
    parser.add_argument("--box", type=float, default=128.0, help="side of the box, Mpc/h")
    parser.add_argument("--particles", type=int, default=320, help="particles a side")
    parser.add_argument("--mesh", type=int, default=640, help="force mesh cells a side")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--start-redshift", type=float, default=9.0)
    parser.add_argument("--seed", type=int, default=20230)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    from checks import make_checks

    stage = {"simulate": simulate, "haloes": find_haloes, "galaxies": make_galaxies, "checks": make_checks}
    for name in arguments.stage or STAGES:
        clock = time.time()
        stage[name](arguments)
        print(f"{name}: {time.time() - clock:.0f} s", flush=True)


if __name__ == "__main__":
    main()
