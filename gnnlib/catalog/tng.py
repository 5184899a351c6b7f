"""SUBFIND group catalogs of IllustrisTNG and its relatives (AREPO, Gadget-4): one HDF5 file or a folder of chunks.

Units and meanings follow the TNG data specification (Nelson et al. 2019; tng-project.org/data/docs/specifications):
lengths in ckpc/h, masses in 1e10 Msun/h, and group numbers that count over the whole catalog, not over a file. The
table has them in comoving Mpc and Msun with h removed. The subhalos are the table, with columns of their host groups;
the groups are another.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from gnnlib.catalog.hdf5_parts import attributes, datasets, load, own
from gnnlib.catalog.raw import RawCatalog, Report, TableBuilder, choose_table
from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError

TYPES = ("gas", "dm", "type2", "tracers", "stars", "bh")
BANDS = ("U", "B", "V", "K", "g", "r", "i", "z")
ELEMENTS = ("H", "He", "C", "N", "O", "Ne", "Mg", "Si", "Fe", "total")
ROWS_PER_CHUNK = 10_000_000
TABLES = ("Subhalo", "Group")

# Pattern of the dataset's name -> (unit, power of ten, power of h) that turns the stored number into `unit`.
_UNITS: tuple[tuple[str, str, float, int], ...] = (
    (r".*SFR.*", "Msun/yr", 1.0, 0),
    (r".*BHMdot", "Msun/yr", 1e10 / 0.978e9, 0),  # stored in (1e10 Msun/h) / (0.978 Gyr/h): h cancels
    (r".*(Metal|Fractions).*", "", 1.0, 0),
    (r".*Photometrics", "mag", 1.0, 0),
    (r".*(Pos|CM|HalfmassRad(Type)?|VmaxRad|PhotometricsRad)|Group_R_.*", "cMpc", 1e-3, -1),
    (r".*(Mass|MassType|Rad|RadType)|Group_M_.*", "Msun", 1e10, -1),  # ...MassInRad, after the radii above
    (r"GroupVel", "km/s", 1.0, 0),  # stored in km/s/a, see _groups_table
    (r".*(Vel|VelDisp|Vmax)", "km/s", 1.0, 0),
    (r".*Spin", "kpc km/s", 1.0, -1),
)
_MEANING = {
    "SubhaloFlag": "false where the subhalo is not of cosmological origin and should be dropped",
    "SubhaloGrNr": "number of the host group in the whole catalog",
    "SubhaloMassType_stars": "stellar mass bound to the subhalo",
    "SubhaloMassType_dm": "dark-matter mass bound to the subhalo",
    "SubhaloMass": "total bound mass, the stars included",
    "SubhaloVmax": "maximum of the rotation curve, which the stars contribute to",
    "SubhaloVelDisp": "velocity dispersion of all particles, the stars included",
}


@dataclass(frozen=True)
class _Chunk:
    number: int
    groups: dict[str, np.ndarray]
    subhalos: dict[str, np.ndarray]
    header: dict[str, float]

    @property
    def n(self) -> int:
        return len(next(iter(self.subhalos.values()), ()))

    @property
    def n_groups(self) -> int:
        return len(next(iter(self.groups.values()), ()))


def is_group_catalog(file: h5py.File) -> bool:
    stated = "Ngroups_ThisFile" in attributes(own(file, "Header"))
    return stated or (own(file, "Subhalo") is not None and own(file, "Group") is not None)


def are_chunks(files: list[Path]) -> bool:
    """Whether HDF5 files are chunks of one group catalog, and not catalogs of their own; the first readable one tells.

    A group catalog that is one file says so (`NumFiles` 1): several of those are several catalogs.
    """
    for path in files:
        try:
            with h5py.File(path, "r") as file:
                stated = attributes(own(file, "Header"))
                return is_group_catalog(file) and int(np.ravel(stated.get("NumFiles", 0))[0]) != 1
        except (OSError, RuntimeError, KeyError, ValueError):
            continue
    return True


def chunk_files(folder: Path) -> list[Path]:
    """The chunks in a folder (or in its only `groups_NNN`), in the order of their numbers."""
    files = [path for path in folder.iterdir() if path.suffix in (".hdf5", ".h5")]
    inner = [path for path in folder.iterdir() if path.is_dir() and re.fullmatch(r"groups_\d+", path.name)]
    if not files and len(inner) == 1:
        return chunk_files(inner[0])
    return sorted(files, key=lambda path: (_chunk_number(path), path.name))


def read_folder(folder: Path, spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Read a folder of chunks, see `read`."""
    files = chunk_files(folder)
    if not files:
        raise InputError(
            f"The folder '{folder.name}' holds no .hdf5 file and no other catalog; choose a catalog file, or a folder"
            " of catalogs, of SUBFIND chunks or of Parquet files."
        )
    raw = read(files, spec, report, rows)
    if (fetched := folder / "provenance.json").is_file():  # beside chunks that `gnnlib.catalog.sources` downloaded
        raw.provenance |= json.loads(fetched.read_text("utf-8"))
    return raw


def read(files: list[Path], spec: CatalogSpec, report: Report | None = None, rows: int | None = None) -> RawCatalog:
    """Read the subhalos, or the groups (spec.table), of one chunk or many; missing and empty ones are reported.

    Row ids are chunk number x 10^7 + row in the chunk. Subhalos have host columns (`Group_M_Crit200`, ...) and
    `is_central` joined where the group's row is among the files. rows: only the first, from the first chunk that has
    any, without hosts.
    """
    asked = choose_table([(name,) for name in TABLES], spec.table, files[0].name)
    chunks = []
    for k, path in enumerate(files):
        if report:
            report(0.9 * k / len(files), path.name)
        chunks.append(_open_chunk(path, rows))
        if rows is not None and (chunks[-1].n_groups if asked == 1 else chunks[-1].n):
            break
    header = chunks[0].header
    for path, chunk in zip(files, chunks, strict=False):
        if (chunk.header["BoxSize"], chunk.header["Time"]) != (header["BoxSize"], header["Time"]):
            raise InputError(
                f"'{path.name}' is of another simulation or snapshot than '{files[0].name}'; read them apart."
            )
    warnings = _coverage(chunks, int(header["NumFiles"])) if rows is None else []
    chosen = TABLES[asked or 0]
    if not any(chunk.n for chunk in chunks) and any(chunk.n_groups for chunk in chunks) and asked is None:
        chosen = "Group"
        warnings.append("The files hold groups but no subhalo, so the groups are the catalog.")
    if not any(chunk.n_groups if chosen == "Group" else chunk.n for chunk in chunks):
        which = f"'{files[0].name}' is an empty chunk" if len(files) == 1 else f"All {len(files)} chunks are empty"
        what = "group" if chosen == "Group" else "subhalo"
        raise InputError(f"{which} of a group catalog: it holds no {what}; add the chunks that hold them.")
    h = spec.h or header["HubbleParam"]
    if not h > 0:
        raise InputError(f"'{files[0].name}' states no HubbleParam; give h.")
    builder = TableBuilder()
    if chosen == "Group":
        counts = [chunk.n_groups for chunk in chunks]
        roles = _groups_table(builder, chunks, h, header["Time"], files[0].name)
    else:
        counts = [chunk.n for chunk in chunks]
        warnings += _subhalos_table(builder, chunks, h, files[0].name, hosts=rows is None)
        roles = _roles(builder)
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="SUBFIND group catalog (HDF5)",
        roles=roles,
        row_ids=np.concatenate(
            [
                chunk.number * ROWS_PER_CHUNK + np.arange(count, dtype=np.int64)
                for chunk, count in zip(chunks, counts, strict=True)
            ]
        ),
        box=header["BoxSize"] / 1000 / h if header["BoxSize"] > 0 else None,
        box_unit="cMpc",
        periodic=True if header["BoxSize"] > 0 else None,
        h=h,
        redshift=_redshift(header),
        tables=TABLES if any(chunk.n_groups for chunk in chunks) else (),
        table_read=chosen,
        rows=_total(header, chosen, len(files)) if rows is not None else sum(counts),
        provenance={
            "redshift": round(header["Redshift"], 6),
            "chunks_read": len(chunks),
            "chunks": int(header["NumFiles"]),
        },
        warnings=warnings + builder.warnings,
        inferred=["units", "periodic"],
    )


def _total(header: dict[str, float], table: str, files: int) -> int | None:
    """Rows of the whole table where all its chunks are there."""
    total = int(header["Nsubgroups_Total" if table == "Subhalo" else "Ngroups_Total"])
    return total if total and files == int(header["NumFiles"]) else None


def _redshift(header: dict[str, float]) -> float:
    """As stated, or from the scale factor that Arepo and Gadget call Time."""
    if header["Redshift"] == 0 and 0 < header["Time"] < 1:
        return 1 / header["Time"] - 1
    return header["Redshift"] if header["Redshift"] > 1e-9 else 0.0  # TNG writes 2e-16 for z = 0


def _subhalos_table(builder: TableBuilder, chunks: list[_Chunk], h: float, file: str, hosts: bool) -> list[str]:
    """Add the columns of the subhalos and, if wanted, of their groups; what is to be said about the rows."""
    _add_all(builder, [chunk.subhalos for chunk in chunks if chunk.n], h)
    if "SubhaloPos_x" not in builder.arrays:
        raise InputError(f"'{file}' has subhalos without SubhaloPos, so they have no positions; choose another file.")
    return (_join_hosts(builder, chunks, h) if hosts else []) + _row_warnings(builder)


def _groups_table(
    builder: TableBuilder, chunks: list[_Chunk], h: float, scale_factor: float, file: str
) -> dict[str, object]:
    """Add the columns of the groups; their roles. Their velocities are stored in km/s/a."""
    filled = [chunk.groups for chunk in chunks if chunk.n_groups]
    if scale_factor > 0:
        filled = [
            groups | {"GroupVel": groups["GroupVel"] / np.float32(scale_factor)} if "GroupVel" in groups else groups
            for groups in filled
        ]
    _add_all(builder, filled, h)
    if "GroupPos_x" not in builder.arrays:
        raise InputError(f"'{file}' has groups without GroupPos, so they have no positions; choose the subhalos.")
    found: dict[str, object] = {
        role: tuple(f"{name}_{axis}" for axis in "xyz")
        for role, name in (("position", "GroupPos"), ("velocity", "GroupVel"))
        if f"{name}_x" in builder.arrays
    }
    mass = next((name for name in ("Group_M_Crit200", "GroupMass") if name in builder.arrays), None)
    return found | {"mass": mass, "row_id": None, "group": None}


def _add_all(builder: TableBuilder, parts: list[dict[str, np.ndarray]], h: float) -> None:
    names = list(dict.fromkeys(name for part in parts for name in part))
    partial = [name for name in names if not all(name in part for part in parts)]
    for name in names:
        if name not in partial:
            _add(builder, name, np.concatenate([part[name] for part in parts]), h)
    if partial:
        builder.warnings.append(f"Left out, because not every chunk has them: {', '.join(partial[:6])}.")


def _chunk_number(path: Path) -> int:
    found = re.search(r"\.(\d+)$", path.stem)
    return int(found[1]) if found else 0


def _open_chunk(path: Path, rows: int | None = None) -> _Chunk:
    try:
        return _read_chunk(path, rows)
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"The chunk '{path.name}' is damaged or cut short; copy it again.") from error


def _read_chunk(path: Path, rows: int | None) -> _Chunk:
    with h5py.File(path, "r") as file:
        if not is_group_catalog(file):
            raise InputError(
                f"'{path.name}' is not a chunk of a SUBFIND group catalog; choose catalog files one by one."
            )
        stated = attributes(own(file, "Header"))
        header = {
            key: float(np.ravel(stated.get(key, default))[0])
            for key, default in (
                ("BoxSize", 0),
                ("HubbleParam", 0),
                ("Time", 1),
                ("Redshift", 0),
                ("NumFiles", 1),
                ("Nsubgroups_Total", 0),
                ("Ngroups_Total", 0),
            )
        }

        def table(name: str) -> dict[str, np.ndarray]:
            group = own(file, name)
            items = datasets(group) if isinstance(group, h5py.Group) else {}
            found = {key: load(item, path, rows) for key, item in items.items() if item.dtype.kind in "biuf"}
            if len({len(values) for values in found.values()}) > 1:
                raise KeyError(f"{name}: columns of unlike length")
            return found

        return _Chunk(_chunk_number(path), table("Group"), table("Subhalo"), header)


def _add(builder: TableBuilder, name: str, values: np.ndarray, h: float) -> None:
    unit, scale, power = next(
        ((unit, scale, power) for pattern, unit, scale, power in _UNITS if re.fullmatch(pattern, name)), ("", 1.0, 0)
    )
    if name == "SubhaloFlag":
        values = values.astype(bool)
    if scale != 1.0 or power:
        values = values.astype(np.float64) * (scale * h**power)
    width = values.shape[1] if values.ndim == 2 else 1
    suffixes: tuple[str, ...] = {len(TYPES): TYPES, len(BANDS): BANDS, len(ELEMENTS): ELEMENTS}.get(width, ())
    before = set(builder.columns)
    builder.add(name, values, unit, "", suffixes, inferred=True)
    for new in set(builder.columns) - before:
        builder.columns[new] = replace(builder.columns[new], description=_MEANING.get(new, ""), inferred=True)


def _coverage(chunks: list[_Chunk], total: int) -> list[str]:
    warnings = []
    empty = [str(chunk.number) for chunk in chunks if not chunk.n]
    if len(chunks) < total:
        warnings.append(
            f"{len(chunks)} of the {total} chunks of this group catalog are here: {total - len(chunks)} are missing,"
            " so the box is not filled."
        )
    if empty:
        many = "chunks are" if len(empty) > 1 else "chunk is"
        warnings.append(
            f"{len(empty)} {many} empty, without a subhalo ({', '.join(empty[:8])}{', ...' if len(empty) > 8 else ''})."
        )
    return warnings


def _row_warnings(builder: TableBuilder) -> list[str]:
    warnings = []
    stars, flag = builder.arrays.get("SubhaloMassType_stars"), builder.arrays.get("SubhaloFlag")
    if stars is not None and (none := int((stars == 0).sum())):
        warnings.append(
            f"{none:,} of the {len(stars):,} subhalos in the files have zero stellar mass, where log10 is not finite;"
            " keep the others with `SubhaloMassType_stars > 0`."
        )
    if flag is not None and (bad := int((~flag).sum())):
        warnings.append(
            f"{bad:,} subhalos in the files have SubhaloFlag false (not of cosmological origin);"
            " keep the others with `SubhaloFlag`."
        )
    return warnings


def _roles(builder: TableBuilder) -> dict[str, object]:
    """Fixed by the format. Features: what the surroundings are usually predicted from, dark-matter properties first."""

    def there(*names: str) -> tuple[str, ...]:
        return tuple(name for name in names if name in builder.arrays)

    def one(name: str) -> str | None:
        return name if name in builder.arrays else None

    return {
        "position": there("SubhaloPos_x", "SubhaloPos_y", "SubhaloPos_z"),
        "velocity": there("SubhaloVel_x", "SubhaloVel_y", "SubhaloVel_z"),
        "mass": one("SubhaloMassType_dm"),
        "target": one("SubhaloMassType_stars"),
        "features": there("SubhaloMassType_dm", "SubhaloVmax", "SubhaloHalfmassRadType_dm"),
        "group": one("SubhaloGrNr"),
        "central": one("is_central"),
        "row_id": None,
    }


# --- hosts ---------------------------------------------------------------------------------------------------------


def _join_hosts(builder: TableBuilder, chunks: list[_Chunk], h: float) -> list[str]:
    """Add the scalar columns of each subhalo's group, and `is_central`, run by run of neighbouring chunks."""
    grouped = [chunk.groups for chunk in chunks if {"GroupFirstSub", "GroupNsubs"} <= chunk.groups.keys()]
    if "SubhaloGrNr" not in builder.arrays or not grouped:
        return ["The files hold no groups, so there are no host masses and centrals are not marked."]
    scalar = [
        name
        for name, values in grouped[0].items()
        if values.ndim == 1 and name != "GroupFirstSub" and all(name in groups for groups in grouped)
    ]
    total = sum(chunk.n for chunk in chunks)
    hosts = {name: np.full(total, np.nan) for name in scalar}
    central = np.zeros(total, dtype=bool)
    joined = np.zeros(total, dtype=bool)
    start = 0
    for run in _runs(chunks):
        size = sum(chunk.n for chunk in run)
        rows = slice(start, start + size)
        start += size
        with_groups = [chunk.groups for chunk in run if "GroupFirstSub" in chunk.groups]
        if not size or not with_groups:
            continue
        number = np.concatenate([chunk.subhalos["SubhaloGrNr"] for chunk in run if chunk.n]).astype(np.int64)
        first_sub = np.concatenate([groups["GroupFirstSub"] for groups in with_groups]).astype(np.int64)
        counts = np.concatenate([groups["GroupNsubs"] for groups in with_groups]).astype(np.int64)
        offsets = _offsets(number, first_sub, counts, whole=run[0].number == 0)
        if offsets is None:
            continue
        first_group, first_subhalo = offsets
        row = number - first_group
        here = (row >= 0) & (row < len(first_sub))
        joined[rows] = here
        central[rows][here] = (first_sub[row[here]] - first_subhalo) == np.flatnonzero(here)
        for name in scalar:
            values = np.concatenate([groups[name] for groups in with_groups])
            hosts[name][rows][here] = values[row[here]]
    if not joined.any():
        return [
            "The files do not say which group row belongs to which subhalo, so host masses and centrals are left out."
        ]
    for name, values in hosts.items():
        _add(builder, name, values, h)
    if joined.all():
        builder.add("is_central", central, description="true for the first subhalo of its group")
        return []
    builder.add(
        "is_central",
        np.where(joined, central, np.nan),
        description="1 for the first subhalo of its group, NaN where unknown",
    )
    return [
        f"{int((~joined).sum()):,} subhalos belong to groups that are not in the files; their host columns are missing."
    ]


def _runs(chunks: list[_Chunk]) -> list[list[_Chunk]]:
    """Chunks that follow each other without a gap."""
    runs: list[list[_Chunk]] = []
    for chunk in chunks:
        if runs and chunk.number == runs[-1][-1].number + 1:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return runs


def _offsets(number: np.ndarray, first_sub: np.ndarray, counts: np.ndarray, whole: bool) -> tuple[int, int] | None:
    """(number of the first group, number of the first subhalo) of a run of chunks in the whole catalog.

    number: SubhaloGrNr [S]. first_sub, counts: GroupFirstSub and GroupNsubs [G]. A run from chunk 0 starts at (0, 0).
    Elsewhere some stretch of equal `number` must be the first populated group: the answer is the one stretch that
    agrees with every group, or None where that leaves a choice.
    """
    populated = np.flatnonzero(counts > 0)
    if not len(populated):
        return None
    starts = np.flatnonzero(np.r_[True, np.diff(number) != 0])
    fitting = []
    for start in starts[:1000]:
        first_group = int(number[start] - populated[0])
        first_subhalo = int(first_sub[populated[0]] - start)
        if whole and (first_group, first_subhalo) != (0, 0):
            continue
        rows = first_sub[populated] - first_subhalo
        inside = (rows >= 0) & (rows < len(number))
        if first_group >= 0 and np.array_equal(number[rows[inside]], populated[inside] + first_group):
            if start == 0 and counts.sum() == len(number):  # the files hold exactly their own groups' subhalos
                return first_group, first_subhalo
            fitting.append((first_group, first_subhalo))
    return fitting[0] if len(fitting) == 1 else None
