"""What the questions to remote sources have in common: a cone on the sky, a limit on the rows, one run of asking."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gnnlib.catalog.raw import Report
from gnnlib.catalog.sources.network import Session, said
from gnnlib.errors import InputError

ROWS = 100_000
S = TypeVar("S", bound=BaseModel)


class Cone(BaseModel):
    """A circle on the sky: centre ra, dec (ICRS) and radius, all in degrees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ra: float = Field(ge=0, lt=360, allow_inf_nan=False)
    dec: float = Field(ge=-90, le=90, allow_inf_nan=False)
    radius: float = Field(gt=0, le=180, allow_inf_nan=False)

    def __str__(self) -> str:
        return f"within {self.radius:g} deg of RA {self.ra:g}, Dec {self.dec:g}"


class RemoteSpec(BaseModel):
    """A question to a service, complete: the same JSON asks it again. rows: the most rows that are fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=ROWS, ge=1, le=5_000_000)


@dataclass(frozen=True)
class Errand:
    """One run of a question: the network it may use, where its file goes, whom to tell how far it is."""

    session: Session
    folder: Path
    report: Report


def make(kind: type[S], **fields: Any) -> S:
    """A spec, its first mistake as one sentence (InputError)."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        if isinstance(cause := first.get("ctx", {}).get("error"), ValueError):
            raise InputError(str(cause)) from error
        place = " ".join(str(part) for part in first["loc"] if not isinstance(part, int)) or "question"
        what = first["msg"].removeprefix("Input ")
        raise InputError(f"The setting '{place}' {what}; correct it.") from error


def pair(text: str) -> tuple[str, str]:
    """ "cz=500..6000" as a name and a condition. Raises InputError for anything else."""
    name, sign, condition = text.partition("=")
    if not (name.strip() and sign and condition.strip()):
        raise InputError(f"'{said(text)}' is not a name, '=' and a condition; write e.g. cz=500..6000.")
    return name.strip(), condition.strip()


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas or lines."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())
