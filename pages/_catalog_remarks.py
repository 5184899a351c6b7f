"""What there is to say about a catalog, each remark on a line of its own with its remedy beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from gnnlib.catalog.expressions import Evaluation, quote
from gnnlib.catalog.missing import Suspect
from gnnlib.catalog.select import Suggestion
from gnnlib.catalog.summary import Summary
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from pages import _catalog_gaps
from pages._catalog_subsets import add_and_use
from pages._layout import key_for
from pages._sidebar import plain

SHOWN = 4  # remarks in view; the others unfold
# Sentences of the catalog itself -> the section where it can be mended.
_SECTIONS = (
    (r"no header", "Name them", "Columns"),
    (r"unit of .* is not stated|unit .* not understood", "Set the unit", "Columns"),
    (r"radians would fit", "Say which", "Space"),
    (r"hours or degrees|recognised as positions|3D positions", "Choose positions", "Space"),
    (r"whether it is periodic|box of .* left out|box is not filled", "Look at the box", "Space"),
)


@dataclass(frozen=True)
class Remark:
    """A sentence in Markdown, and what may be done about it: a label and a callback with its arguments."""

    text: str
    label: str = ""
    remedy: Callable[..., None] | None = None
    args: tuple[Any, ...] = ()


def remarks(
    rows: Catalog, whole: Catalog, summary: Summary, suspects: tuple[Suspect, ...], offered: tuple[Suggestion, ...]
) -> list[Remark]:
    """What can be mended comes before what is merely good to know.

    summary: of the whole catalog. suspects, offered: of the rows that are kept.
    """
    cuts = {cut.condition: cut for cut in offered if cut.name not in whole.spec.subsets}
    found = [
        _of_sentence(sentence, whole, cuts) for sentence in rows.warnings if not _settled(sentence, rows, set(cuts))
    ]
    undecided = [suspect for suspect in suspects if suspect.column not in whole.spec.missing]
    if undecided:
        names = list(dict.fromkeys(suspect.column for suspect in undecided))
        told = ", ".join(f"{_code(s.column)} {_value(s.value)} ({s.rows:,})" for s in undecided[:3])
        more = f" and {len(undecided) - 3} more" if len(undecided) > 3 else ""
        what = "one column seem" if len(names) == 1 else f"{len(names)} columns seem"
        found.append(
            Remark(
                f"Values in {what} to stand for missing ones: {told}{more}.",
                "Treat as missing",
                _catalog_gaps.mask,
                (tuple(undecided),),
            )
        )
    found += [_cut(plain(_counted(cut)), cut) for cut in cuts.values()]
    empty = [column.name for column in summary.columns if column.missing > 0.5 * summary.rows]
    if empty:
        more = f" and {len(empty) - 6} more" if len(empty) > 6 else ""
        told = ", ".join(map(_code, empty[:6]))
        found.append(Remark(f"More than half of the values are missing in {told}{more}.", "See gaps", go, ("Gaps",)))
    return sorted(found, key=lambda remark: remark.remedy is None)


def _cut(sentence: str, cut: Suggestion) -> Remark:
    return Remark(sentence, f"Cut {cut.cut:,} row{'s' * (cut.cut > 1)}", add_and_use, (cut.name, cut.condition))


def _counted(cut: Suggestion) -> str:
    """The reason for a cut with how many rows it is about."""
    if cut.cut == 1:
        return re.sub(r"^These rows (\w+)", lambda verb: f"1 row {verb[1]}s", cut.reason)
    return cut.reason.replace("These rows", f"{cut.cut:,} rows")


def _settled(sentence: str, rows: Catalog, offered: set[str]) -> bool:
    """Whether a sentence asks for a cut that every row kept meets already."""
    for condition in sentence.split("`")[1::2]:
        if condition in offered:
            return False
        try:
            return bool(Evaluation(rows).condition(condition).all())
        except InputError:
            continue
    return False


def _of_sentence(sentence: str, whole: Catalog, cuts: dict[str, Suggestion]) -> Remark:
    """A sentence of the catalog with its remedy; a cut that it names is taken out of `cuts`."""
    parts = sentence.split("`")
    text = "".join(_code(part) if place % 2 else plain(part) for place, part in enumerate(parts))
    for condition in parts[1::2]:
        if condition in cuts:
            return _cut(text, cuts.pop(condition))
    if "no finite position" in sentence:
        condition = " & ".join(f"isfinite({quote(name)})" for name in whole.roles.position)
        return Remark(text, "Cut them", add_and_use, ("placed", condition))
    for pattern, label, section in _SECTIONS:
        if re.search(pattern, sentence):
            return Remark(text, label, go, (section,))
    return Remark(text)


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else plain(text)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def go(section: str) -> None:
    """Open a section of the page."""
    st.session_state.catalog_section = section


def show(found: list[Remark]) -> None:
    """One compact list."""
    if not found:
        return
    st.html("<style>.st-key-remarks button { min-height: 0; padding-block: 0 }</style>")  # a line of text high
    with st.container(border=True, gap="xsmall", key="remarks"):
        for remark in found[:SHOWN]:
            _line(remark)
        if len(found) > SHOWN:
            more = len(found) - SHOWN
            with st.expander(f"{more} more remark{'s' * (more > 1)}", type="compact"):
                for remark in found[SHOWN:]:
                    _line(remark)


def _line(remark: Remark) -> None:
    text, remedy = st.columns([9, 1.6], vertical_alignment="center", gap="small")
    text.markdown(f":small[:material/info: {remark.text}]")
    if remark.remedy:
        with remedy.container(horizontal=True, horizontal_alignment="right"):
            st.button(
                f":primary[{remark.label}]",
                key=key_for("remedy", remark.text),
                type="tertiary",
                on_click=remark.remedy,
                args=remark.args,
            )
