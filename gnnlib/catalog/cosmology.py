"""The cosmology that turns redshifts into distances: one of astropy's, by name or by its parameters.

Distances are interpolated between exact ones, because astropy integrates anew for each row: a million take it over ten
seconds, and a quarter of a second here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.errors import InputError

if TYPE_CHECKING:
    from astropy.cosmology import FLRW
    from scipy.interpolate import CubicHermiteSpline

SPEED_OF_LIGHT_KM_S = 299792.458
MAX_REDSHIFT = 1000.0
MODELS = ("FlatLambdaCDM", "LambdaCDM", "FlatwCDM", "wCDM", "Flatw0waCDM", "w0waCDM")
_BOUNDS = {  # of what an observer can mean; beyond them a typing error is likelier
    "H0": (10.0, 1000.0),
    "Om0": (0.0, 5.0),
    "Ode0": (-5.0, 5.0),
    "w0": (-10.0, 2.0),
    "wa": (-10.0, 10.0),
    "Tcmb0": (0.0, 10.0),
    "Neff": (0.0, 20.0),
    "Ob0": (0.0, 5.0),
}
_INTERVALS = 4096  # in log(1 + z) up to MAX_REDSHIFT; relative error below 1e-9


@lru_cache(maxsize=64)
def cosmology(text: str) -> FLRW:
    """astropy's cosmology of that name ("Planck18", "WMAP9") or "FlatLambdaCDM(H0=70, Om0=0.3)" and its relatives.

    The text is matched, never evaluated. Raises InputError for others, and for parameters out of their range.
    """
    import astropy.cosmology  # a second that most catalogs do not need

    known = {name.lower(): name for name in astropy.cosmology.available}
    if (name := known.get(text.strip().lower())) is not None:
        return getattr(astropy.cosmology, name)
    found = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", text)
    if not found or found[1] not in MODELS:
        raise InputError(
            f"The cosmology '{text[:60]}' is not known; use one of {', '.join(known.values())}, or parameters as in"
            " FlatLambdaCDM(H0=70, Om0=0.3)."
        )
    order = ("H0", "Om0") if found[1].startswith("Flat") else ("H0", "Om0", "Ode0")
    given: dict[str, float] = {}
    for place, part in enumerate(found[2].split(",")):
        parameter, _, number = part.rpartition("=")
        parameter = parameter.strip() or (order[place] if place < len(order) else "")
        try:
            value = float(number)
        except ValueError:
            value = np.nan
        low, high = _BOUNDS.get(parameter, (np.nan, np.nan))
        if parameter in given or not low <= value <= high:
            allowed = ", ".join(f"{key} from {a:g} to {b:g}" for key, (a, b) in _BOUNDS.items())
            raise InputError(f"The cosmology has '{part.strip()[:40]}'; its parameters are {allowed}, each once.")
        given[parameter] = value
    try:
        return getattr(astropy.cosmology, found[1])(**given)
    except (TypeError, ValueError) as error:
        raise InputError(f"The cosmology '{text[:60]}' lacks or has too many parameters; give {order}.") from error


def little_h(text: str) -> float:
    """H0 / (100 km/s/Mpc) of a cosmology."""
    return float(cosmology(text).h)


def expansion(text: str, redshift: float) -> float:
    """E(z) = H(z) / H0 of a cosmology, which does not depend on H0 but for radiation."""
    return float(cosmology(text).efunc(redshift))


def comoving_distances(redshift: np.ndarray, text: str) -> np.ndarray:
    """Line-of-sight comoving distances in Mpc to redshifts [N]; NaN outside 0 < z < 1000. They differ by less
    than 1e-7 from those of astropy, which integrates to about that.

    In a curved universe they are the radial ones (Hogg 1999), not the transverse ones.
    """
    redshift = np.asarray(redshift, dtype=np.float64)
    inside = (redshift > 0) & (redshift < MAX_REDSHIFT)  # NaN is not inside
    return np.where(inside, _distance_curve(text)(np.log1p(np.where(inside, redshift, 0.0))), np.nan)


@lru_cache(maxsize=8)
def _distance_curve(text: str) -> CubicHermiteSpline:
    """Comoving distance over u = log(1 + z), exact at the knots in value (Gauss-Legendre) and slope."""
    from scipy.interpolate import CubicHermiteSpline

    model = cosmology(text)
    hubble_distance = SPEED_OF_LIGHT_KM_S / float(model.H0.value)
    knots = np.linspace(0.0, np.log1p(MAX_REDSHIFT), _INTERVALS + 1)

    def slope(u: np.ndarray) -> np.ndarray:  # dD/du = (c / H0) (1 + z) / E(z)
        with np.errstate(all="ignore"):
            return hubble_distance * np.exp(u) * model.inv_efunc(np.expm1(u))

    points, weights = np.polynomial.legendre.leggauss(5)
    width = knots[1] - knots[0]
    inner = (knots[:-1, None] + knots[1:, None] + width * points) / 2
    pieces = (slope(inner.ravel()).reshape(inner.shape) * weights).sum(axis=1) * width / 2
    distance, slopes = np.concatenate([[0.0], np.cumsum(pieces)]), slope(knots)
    if not (np.isfinite(distance).all() and np.isfinite(slopes).all()):
        raise InputError(
            f"In the cosmology '{text[:60]}' redshifts up to {MAX_REDSHIFT:g} have no distance; change it."
        )
    return CubicHermiteSpline(knots, distance, slopes)
