"""python -m gnnlib fetch SERVICE ... --out FILE: the questions of `gnnlib.catalog.sources` on the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gnnlib.catalog.sources import SOURCES, fetch, make_spec
from gnnlib.catalog.sources.specs import RemoteSpec, names, pair
from gnnlib.catalog.sources.tng_api import numbers
from gnnlib.errors import InputError


def add_fetch(commands: Any, output: argparse.ArgumentParser, parser_class: type[argparse.ArgumentParser]) -> None:
    """Add the command to the subparsers `commands`. output: the parent parser with --json."""
    command = commands.add_parser("fetch", help="get a catalog from VizieR, SDSS, TAP, HATS or TNG")
    services = command.add_subparsers(required=True, metavar="|".join(SOURCES), parser_class=parser_class)

    asking = parser_class(add_help=False)
    asking.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="where the catalog goes (a folder: tng)"
    )
    asking.add_argument("--rows", type=int, metavar="N", help="the most rows; a cut answer is reported")

    sky = parser_class(add_help=False)
    sky.add_argument("--cone", metavar="RA,DEC,R", help="a circle on the sky in degrees, e.g. 194.95,27.98,1.5")

    def add(service: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        source = SOURCES[service]
        added = services.add_parser(service, parents=[asking, *parents, output], help=source.about)
        added.set_defaults(command=_fetch, service=service)
        return added

    vizier = add("vizier", sky)
    vizier.add_argument("catalog", metavar="ID", help="e.g. J/ApJS/199/26/table3")
    vizier.add_argument("--constraint", action="append", metavar="COL=COND", help="e.g. cz=500..6000; may be repeated")
    vizier.add_argument("--columns", metavar="A,B")

    sdss = add("sdss", sky)
    sdss.add_argument("--sql", metavar="SELECT")
    sdss.add_argument("--release", type=int, metavar="N")

    tap = add("tap")
    tap.add_argument("url", metavar="URL", help="of the service, e.g. https://gea.esac.esa.int/tap-server/tap")
    tap.add_argument("query", metavar="ADQL")

    hats = add("hats", sky)
    hats.add_argument("url", metavar="URL", help="address or folder of the catalog")
    hats.add_argument("--columns", metavar="A,B")

    tng = add("tng")
    tng.add_argument("simulation", metavar="SIMULATION", help="e.g. TNG100-1; the key is read from $FILAMENT_TNG_KEY")
    tng.add_argument("--snapshot", type=int, metavar="N")
    tng.add_argument("--what", choices=("fields", "chunks", "listing"))
    tng.add_argument("--fields", metavar="A,B", help="e.g. SubhaloPos,SubhaloMassType")
    tng.add_argument("--chunks", metavar="N-M", help="e.g. 0-9,12; all where left out")
    tng.add_argument("--filter", action="append", metavar="NAME=X", help="of a listing, e.g. mass_stars__gt=1")


def _fetch(options: argparse.Namespace) -> None:
    spec = spec_of(options)
    out: Path = options.out
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"The folder '{out}' is not empty; name a new one with --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    report = None if options.json else _Progress()
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=out.parent) as folder:
        fetched = fetch(spec, folder, report)
        if fetched.is_dir() != out.is_dir() and out.exists():
            kind = "file" if fetched.is_file() else "folder"
            raise InputError(f"'{out}' exists and the answer is a {kind}; give --out another name.")
        os.replace(fetched, out)
    from gnnlib.catalog.read import read_catalog

    catalog = read_catalog(out)
    if options.json:
        summary = {"path": str(out), "warnings": list(catalog.warnings), **catalog.provenance}
        print(json.dumps(summary, default=str))
        return
    print(f"{len(catalog):,} rows, {len(catalog.columns)} columns in {out}")
    for sentence in catalog.warnings:
        print(f"Warning: {sentence}", file=sys.stderr)


def spec_of(options: argparse.Namespace) -> RemoteSpec:
    """The question that the options ask. Raises InputError for options that do not fit."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    fields: dict[str, Any] = {
        name: given[name] for name in ("rows", "catalog", "sql", "release", "url", "query") if name in given
    }
    fields |= {name: given[name] for name in ("simulation", "snapshot", "what") if name in given}
    for name in ("columns", "fields"):
        if name in given:
            fields[name] = names(given[name])
    for option, name in (("constraint", "constraints"), ("filter", "filters")):
        if option in given:
            fields[name] = dict(pair(text) for text in given[option])
    if "cone" in given:
        parts = given["cone"].split(",")
        if len(parts) != 3:
            raise InputError(f"--cone '{given['cone']}' is not three numbers; write RA,DEC,RADIUS in degrees.")
        fields["cone"] = dict(zip(("ra", "dec", "radius"), (part.strip() for part in parts), strict=True))
    elif options.service == "hats":
        raise InputError("A HATS catalog is searched in a circle; give --cone RA,DEC,RADIUS in degrees.")
    if "chunks" in given:
        fields["chunks"] = numbers(given["chunks"])
    return make_spec(options.service, **fields)


class _Progress:
    """A line on standard error for the beginning, the end and every other second."""

    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, share: float, what: str) -> None:
        if share in (0.0, 1.0) or time.monotonic() - self.last > 2:
            self.last = time.monotonic()
            print(f"{100 * share:3.0f} %  {what}", file=sys.stderr)
