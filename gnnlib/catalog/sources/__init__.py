"""Catalogs from remote services: VizieR, SDSS, any TAP service, HATS catalogs, the TNG group catalogs.

A question is a spec (frozen, validated, JSON); `fetch` asks it and leaves one file that `read_catalog` reads. A new
service is one module with a spec, `question` and `ask`, and one row in `SOURCES`. The libraries that speak to the
services are imported when a question is asked, not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gnnlib.catalog.raw import Report
from gnnlib.catalog.sources import hats, sdss, tap, tng_api, vizier
from gnnlib.catalog.sources.answer import Answer, write
from gnnlib.catalog.sources.network import LARGEST_ANSWER, Session, in_one_sentence
from gnnlib.catalog.sources.specs import Cone, Errand, RemoteSpec, make
from gnnlib.errors import InputError


@dataclass(frozen=True)
class Source:
    """A service: what it is called, its kind of question, how to ask it, and a question that gives a good catalog.

    about: one sentence for a person who chooses. seconds: the longest a fetch may take. largest: bytes of one answer.
    key_variables: where the environment may hold the key it needs. trusts: the addresses that may know the key.
    """

    label: str
    about: str
    spec: type[RemoteSpec]
    ask: Callable[[Any, Errand], Answer | Path]
    question: Callable[[Any], str]
    example: RemoteSpec
    seconds: float = 300.0
    largest: int = LARGEST_ANSWER
    key_variables: tuple[str, ...] = ()
    trusts: Callable[[str], bool] = lambda url: False


SOURCES: dict[str, Source] = {
    "vizier": Source(
        label="VizieR",
        about="Tables of published papers and surveys, by their catalogue id.",
        spec=vizier.VizierSpec,
        ask=vizier.ask,
        question=vizier.question,
        example=vizier.VizierSpec(catalog="J/ApJS/199/26/table3", constraints={"cz": "500..6000"}),  # 2MRS
    ),
    "sdss": Source(
        label="SDSS",
        about="Spectra with redshifts and photometry around a place on the sky, or any SQL.",
        spec=sdss.SdssSpec,
        ask=sdss.ask,
        question=sdss.question,
        example=sdss.SdssSpec(cone=Cone(ra=194.95, dec=27.98, radius=1.5)),  # the Coma cluster
    ),
    "tap": Source(
        label="TAP",
        about="Any service of the Virtual Observatory that answers ADQL queries.",
        spec=tap.TapSpec,
        ask=tap.ask,
        question=tap.question,
        example=tap.TapSpec(url=tap.KNOWN["Gaia archive (ESA)"][0], query=tap.KNOWN["Gaia archive (ESA)"][1]),
    ),
    "hats": Source(
        label="HATS",
        about="Large surveys cut into tiles of the sky, of which a cone is read.",
        spec=hats.HatsSpec,
        ask=hats.ask,
        question=hats.question,
        example=hats.HatsSpec(
            url=hats.KNOWN["Gaia DR3"][0],
            columns=hats.KNOWN["Gaia DR3"][1],
            cone=Cone(ra=56.75, dec=24.12, radius=2.0),  # the Pleiades
        ),
        seconds=900.0,
    ),
    "tng": Source(
        label="TNG",
        about="Group catalogs of the IllustrisTNG simulations, with your API key.",
        spec=tng_api.TngSpec,
        ask=tng_api.ask,
        question=tng_api.question,
        example=tng_api.TngSpec(simulation="TNG100-3"),
        seconds=6 * 3600.0,
        largest=tng_api.LARGEST_FILE,
        key_variables=tng_api.KEY_VARIABLES,
        trusts=tng_api.trusted,
    ),
}


def make_spec(service: str, **fields: Any) -> RemoteSpec:
    """A question to a service; what is wrong with its fields comes out as one sentence (InputError)."""
    if service not in SOURCES:
        raise InputError(f"There is no service '{service}'; choose one of {', '.join(SOURCES)}.")
    return make(SOURCES[service].spec, **fields)


def source_of(spec: RemoteSpec) -> Source:
    return next(source for source in SOURCES.values() if type(spec) is source.spec)


def key_of(source: Source) -> str:
    """The key from the environment, or ""."""
    return next(filter(None, (os.environ.get(name, "").strip() for name in source.key_variables)), "")


def fetch(spec: RemoteSpec, folder: str | Path, report: Report | None = None, key: str | None = None) -> Path:
    """Ask a service and write its answer into `folder`; returns the file, or the folder of chunks, for `read_catalog`.

    report: called with the share done (0 to 1) and what is being done. key: for services that need one; None takes it
    from the environment. Whatever goes wrong (no network, a refusal, a mistake in the question, no rows) is raised as
    an InputError of one sentence, and nothing is left behind.
    """
    source = source_of(spec)
    who = urlsplit(getattr(spec, "url", "")).hostname or source.label
    tell = report or (lambda share, what: None)

    def received(got: int, announced: int) -> None:
        share = got / announced if announced else min(got / 50e6, 1.0)
        tell(0.1 + 0.6 * share, f"Received {got / 1e6:.1f} MB from {who}")

    key = key_of(source) if key is None else key.strip()
    with Session(source.seconds, received, source.largest, key, trusts=source.trusts) as session:
        tell(0.0, f"Asking {who}")
        try:
            answer = source.ask(spec, Errand(session, Path(folder), tell))
            path = answer if isinstance(answer, Path) else write(answer, spec, Path(folder))
        except InputError:
            raise
        except Exception as error:
            raise in_one_sentence(error, who, session) from error
    tell(1.0, "Done")
    return path
