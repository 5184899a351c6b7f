"""Units as astronomers write them, each with its power of h and, for lengths, comoving or proper; and conversions.

The Hubble parameter h (H0 in 100 km/s/Mpc) is kept apart from astropy's unit because "Mpc/h" cannot be converted before
h is known; so is the frame, because proper = comoving x a needs the scale factor a = 1/(1 + z).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

import astropy.units as u
import numpy as np

from gnnlib.errors import InputError

Frame = Literal["", "comoving", "proper"]
Number = TypeVar("Number", float, np.ndarray)

_WORDS = {
    "degrees": "deg",
    "degree": "deg",
    "sec": "s",
    "Lsun": "solLum",
    "Msol": "Msun",
    "M_sun": "Msun",
    "M☉": "Msun",
}
_WORDS |= {"mags": "mag", "years": "yr", "hours": "hourangle", "hour": "hourangle", "arcseconds": "arcsec"}
_NO_UNIT = {"", "-", "--", "---", "none", "unitless", "dimensionless", "n/a", "1"}
# "/h", "h-1", "h^-1", "h**(-1)", "h" as a word of its own
_LITTLE_H = re.compile(
    r"(?P<slash>/\s*)?(?<![A-Za-z_])(?:h|littleh)(?:\s*(?:\^|\*\*)?\s*[({]?(?P<power>-?\d)[)}]?)?(?![A-Za-z_\d])"
)
_FRAMES: tuple[tuple[Frame, str], ...] = (
    ("comoving", r"\(?\b(?:co-?moving|com)\b\)?|\bc(?=[kMG]?pc)|(?<=pc)cm\b"),  # "Mpccm" is yt's comoving Mpc
    ("proper", r"\(?\b(?:proper|physical|phys)\b\)?|\bp(?=[kMG]?pc)"),
)
_LOGARITHM = re.compile(r"(?:log|log10|lg|dex)\s*(?:\((?P<round>.*)\)|\[(?P<square>.*)\]|\s(?P<bare>.+))")
_SUFFIX_UNITS = {"mpc": "Mpc", "kpc": "kpc", "pc": "pc", "kms": "km/s", "msun": "Msun", "deg": "deg", "mas": "mas"}
_TODAY = 1e-9  # snapshots at z = 0 say 2e-16
_PARSECS = re.compile(r"\b([kMG]?pc)(?!\w*[a-z])")


class Measure(NamedTuple):
    """What a number is measured in: the physical value is `value * h**h_power` in `unit`.

    unit: an astropy unit string, "dex(...)" for logarithms to base 10 of what it encloses, "" where unknown. h_power:
    -1 for Mpc/h and Msun/h. frame: for powers of a length, where it is said.
    """

    unit: str = ""
    h_power: int = 0
    frame: Frame = ""

    @property
    def is_log(self) -> bool:
        return self.unit.startswith("dex(")

    @property
    def linear(self) -> str:
        """The unit without a logarithm."""
        return self.unit[4:-1] if self.is_log else self.unit

    @property
    def label(self) -> str:
        """All of it as people write it, to be parsed again: "ckpc/h", "pMpc", "dex(Msun/h)"."""
        h = {0: "", -1: "/h", 1: " h"}.get(self.h_power, f" h^{self.h_power}")
        unit = _PARSECS.sub(rf"{self.frame[:1]}\1", self.linear)
        return f"dex({unit}{h})" if self.is_log else f"{unit}{h}"

    @property
    def short(self) -> str:
        """As headings and axes show it, where lengths without a "p" are comoving or of no frame: "kpc/h", "pMpc"."""
        return (self if self.frame == "proper" else self._replace(frame="")).label

    def like(self, standard: str) -> bool:
        """Whether it measures the same as the astropy unit `standard`, be it as a logarithm."""
        return bool(self.linear) and u.Unit(self.linear).is_equivalent(u.Unit(standard))

    @property
    def bare(self) -> Measure:
        """The same without powers of ten: "1e10 Msun" -> "Msun"."""
        unit = re.sub(r"^[\d.]+(?:[eE][+-]?\d+)?\s*(?=[A-Za-z])", "", self.linear)
        return self._replace(unit=f"dex({unit})" if self.is_log else unit)


@lru_cache(maxsize=4096)
def parse_measure(text: str) -> Measure:
    """A unit as people write it: "ckpc/h" -> Measure("kpc", -1, "comoving").

    Understands the frame of a length ("cMpc", "pkpc", "kpc (proper)", "comoving Mpc/h"), powers of ten ("1e10 Msun/h",
    "10^10 M_sun h^-1") and logarithms ("log10(Msun/h)", and "[Msun]" as VizieR writes them). Raises InputError for a
    unit that astropy does not know, or a frame of what is no power of a length.
    """
    unit = text.strip()
    if unit.strip("[]").strip().lower() in _NO_UNIT:
        return Measure()
    logarithm = _LOGARITHM.fullmatch(unit) or re.fullmatch(r"\[(?P<square>[^\[\]]*)\]", unit)
    if logarithm:
        unit = next(inside for inside in logarithm.groups() if inside is not None).strip()
    frames = []
    for name, pattern in _FRAMES:
        unit, times = re.subn(pattern, " ", unit)
        frames += [name] * bool(times)
    unit = re.sub(r"\b10\s*(?:\^|\*\*)\s*(-?\d+)", r"1e\1", unit)
    unit = re.sub(r"[^\W\d]+[_☉]\w*|[^\W\d]+☉?", lambda word: _WORDS.get(word[0], word[0]), unit)
    power = 0

    def note_h(found: re.Match[str]) -> str:
        nonlocal power
        power += (-1 if found["slash"] else 1) * int(found["power"] or 1)
        return " "

    if unit != "h":  # alone it is the hour
        unit = _LITTLE_H.sub(note_h, unit)
    unit = re.sub(r"\s+", " ", unit).strip(" .*")
    unit = unit[1:-1].strip() if re.fullmatch(r"\([^()]*\)", unit) else unit
    try:
        u.Unit(unit or "1")
        if frames and not (len(frames) == 1 and _length_power(unit)):
            raise ValueError("a frame is that of a length")
    except (ValueError, TypeError, RecursionError, OverflowError, ZeroDivisionError) as error:
        raise InputError(f"The unit '{text[:40]}' is not understood; use one such as 'Mpc/h' or 'Msun'.") from error
    return Measure(f"dex({unit})" if logarithm else unit, power, frames[0] if frames else "")


def split_name(name: str) -> tuple[str, str]:
    """Split "x [Mpc/h]" or "mass (Msun)" into the name and its unit; other names come back whole with ""."""
    found = re.fullmatch(r"(?P<name>.*?[^\s_])[\s_]*(?:\[(?P<square>[^\[\]]+)\]|\((?P<round>[^()]+)\))", name)
    if found:
        inside = found["square"] or found["round"]
        function = found["round"] and re.fullmatch(r"(?i)(log|log10|ln|exp|sqrt|f|p)", found["name"])
        if not inside.strip().isdigit() and not function:
            try:
                parse_measure(inside)
                return found["name"], inside
            except InputError:
                pass
        return name, ""
    suffix = re.fullmatch(r".+_(mpc|kpc|pc|kms|msun|deg|mas)", name, re.IGNORECASE)
    return name, _SUFFIX_UNITS[suffix[1].lower()] if suffix else ""


def convert(
    values: Number,
    source: Measure,
    target: Measure,
    h: float | None = None,
    redshift: float | None = None,
    what: str = "The value",
) -> Number:
    """`values` of the one measure in the other; logarithms of what is not positive are NaN or -inf.

    h and redshift are needed only where the power of h or the frame differs; a target without a frame takes proper
    lengths to comoving ones. what: how a refusal calls the values. Raises InputError where the two measure different
    things, or where h, the redshift or the frame is not known.
    """
    scale = factor(source, target, h, redshift, what)
    if source.is_log and target.is_log:
        return values + float(np.log10(scale)) if scale != 1.0 else values
    with np.errstate(all="ignore"):
        if source.is_log:
            return 10.0**values * scale
        return np.log10(values * scale) if target.is_log else values * scale


def factor(source: Measure, target: Measure, h: float | None, redshift: float | None, what: str) -> float:
    """The factor between the linear parts of two measures, see `convert`."""
    if source.linear == target.linear:
        scale = 1.0
    else:
        try:
            scale = float(u.Unit(source.linear).to(u.Unit(target.linear)))
        except u.UnitConversionError as error:
            raise InputError(f"{what} is in {source.label or 'no unit'}, which is no {target.label}.") from error
    power = source.h_power - target.h_power
    if power and h is None:
        raise InputError(f"{what} is in {source.label}; give h to turn it into {target.label}.")
    if power and h is not None:
        scale *= h**power
    to = target.frame or "comoving"
    today = redshift is not None and abs(redshift) < _TODAY
    if source.frame != target.frame and (target.frame or source.frame == "proper") and not today:
        if not source.frame:
            raise InputError(
                f"{what} is in {source.label}, not said to be comoving or proper; give its unit as cMpc, pkpc or alike."
            )
        if redshift is None:
            raise InputError(f"{what} is {source.frame}; give the redshift of the snapshot to make it {to}.")
        scale *= (1 + redshift) ** ((-1 if to == "proper" else 1) * _length_power(source.linear))
    return scale


def convert_length(
    value: Number, from_unit: str, to_unit: str, h: float | None = None, redshift: float | None = None
) -> Number:
    """A length (or angle) such as a linking length from one length unit of the app to another, e.g. "Mpc" to "kpc/h".

    Unchanged where either unit is "" (unknown). A unit without "p" is comoving. Raises InputError as `convert` does.
    """
    if not from_unit or not to_unit or from_unit == to_unit:
        return value
    source = parse_measure(from_unit)
    if not source.frame and source.like("Mpc"):
        source = source._replace(frame="comoving")
    return convert(value, source, parse_measure(to_unit), h, redshift, "The length")


def shown_as(
    measure: Measure,
    h: float | None = None,
    redshift: float | None = None,
    lengths: str | None = None,
    masses: str | None = None,
) -> Measure:
    """How a column is shown: without powers of ten, and without h where it is known; or as the app's choice says.

    lengths: the unit of lengths in parsecs; masses: "Msun", "Msun/h", "dex(Msun)" or "dex(Msun/h)". What cannot be
    followed, because h, the redshift or the frame is not known, is left as it is, so that the label stays true.
    """
    if not measure.unit:
        return measure
    target = measure.bare._replace(h_power=0)
    if masses and measure.like("Msun"):
        target = parse_measure(masses)
    elif lengths and measure.like("Mpc") and not measure.is_log and _PARSECS.search(measure.unit):
        wanted = parse_measure(lengths)
        target = wanted if wanted.like("Mpc") else target
    if target.h_power != measure.h_power and h is None:
        target = target._replace(h_power=measure.h_power)
    try:
        factor(measure, target, h, redshift, "")
    except InputError:
        target = target._replace(frame=measure.frame)
    return target


def _length_power(unit: str) -> int:
    """p for a unit of (length)^p, 0 for others."""
    bases = u.Unit(unit or "1").decompose()
    powers = {str(base): power for base, power in zip(bases.bases, bases.powers, strict=True)}
    power = powers.pop("m", 0)
    return int(power) if not powers and power == int(power) else 0
