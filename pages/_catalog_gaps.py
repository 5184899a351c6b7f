"""Gaps on the Catalog page: values that stand for missing ones, empty cells, and what is done about either."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.missing import Suspect
from gnnlib.catalog.table import Catalog
from pages import _session
from pages._layout import key_for, why_not

RULES = {"keep": "keep", "mask": "mask", "drop": "drop rows"}


def gaps(whole: Catalog, suspects: tuple[Suspect, ...]) -> None:
    """One line a column that has a suspect, an empty cell or a rule.

    suspects: those of the catalog before any rule.
    """
    rules = whole.spec.missing
    undecided = [suspect for suspect in suspects if suspect.column not in rules]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption("Mask: no value there. Drop: its rows are cut, too. Double-click to change.")
        with st.container(horizontal=True, width="content"):
            st.button(
                "Treat all as missing", key="mask_all", disabled=not undecided, on_click=mask, args=(tuple(undecided),)
            )
            st.button("Keep all", key="keep_all", disabled=not undecided, on_click=keep, args=(tuple(undecided),))
    lines = _lines(whole, suspects)
    if not lines:
        st.success("No column has gaps, or values that look as if they stood for missing ones.", icon=":material/done:")
    else:
        _table(lines, whole)
    why_not("gaps")
    _another(whole)


def _lines(whole: Catalog, suspects: tuple[Suspect, ...]) -> list[dict[str, Any]]:
    rules, lines = whole.spec.missing, []
    for name in map(str, whole.table.columns):
        found = [suspect for suspect in suspects if suspect.column == name]
        empty = int(whole.table[name].isna().sum())
        rule = rules.get(name)
        if not found and not empty and rule is None:
            continue
        values = rule.values if rule else tuple(suspect.value for suspect in found)
        lines.append(
            {
                "column": name,
                "values": ", ".join(_written(value) for value in values),
                "found": sum(suspect.rows for suspect in found if suspect.value in values),
                "empty": empty,
                "rule": rule.rule if rule else None,
                "why": " ".join(suspect.reason for suspect in found),
            }
        )
    return sorted(lines, key=lambda line: (not line["found"], line["rule"] is not None, -line["empty"]))


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _table(lines: list[dict[str, Any]], whole: Catalog) -> None:
    table = pd.DataFrame(lines)
    key = key_for("gaps", whole.spec.path, whole.spec.table, whole.spec.missing, tuple(whole.columns))
    st.data_editor(
        table,
        key=key,
        hide_index=True,
        height=35 * min(len(table) + 1, 12) + 3,
        disabled=["column", "found", "empty", "why"],
        placeholder="–",
        column_config={
            "column": st.column_config.TextColumn("Column", pinned=True),
            "values": st.column_config.TextColumn("Stand for missing", help="Separated by commas"),
            "found": st.column_config.NumberColumn("Rows", help="Rows that hold one of these values in the file"),
            "empty": st.column_config.NumberColumn("Empty", help="Cells without a value, the masked ones included"),
            "rule": st.column_config.SelectboxColumn(
                "Rule", options=list(RULES), format_func=lambda rule: RULES[str(rule)]
            ),
            "why": st.column_config.TextColumn("Why", width="large"),
        },
        on_change=_take,
        args=(key, lines),
    )


def _take(key: str, lines: list[dict[str, Any]]) -> None:
    """Take over what was changed in the table: a rule, or the values that it is about."""
    rules: dict[str, Any] = {name: rule.model_dump() for name, rule in _session.catalog_spec().missing.items()}
    for row, cells in st.session_state[key]["edited_rows"].items():
        line = lines[row] | cells
        if line["rule"] is None and "values" not in cells:
            rules.pop(line["column"], None)
            continue
        rules[line["column"]] = {"values": values_of(line["values"] or ""), "rule": line["rule"] or "mask"}
    _session.choose("gaps", None, missing=rules)


def values_of(text: str) -> tuple[float | str, ...]:
    """The values in a text such as `-99, 1e37, inf, N/A`; infinities stay words, so that JSON can hold them."""
    found: list[float | str] = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        try:
            number = float(part)
        except ValueError:
            found.append(part)
        else:
            found.append(number if np.isfinite(number) else part)
    return tuple(found)


def mask(suspects: tuple[Suspect, ...]) -> None:
    """Treat these values as missing, beside those that are already."""
    _rule(suspects, "mask")


def keep(suspects: tuple[Suspect, ...]) -> None:
    """Say that these values are values."""
    _rule(suspects, "keep")


def _rule(suspects: tuple[Suspect, ...], rule: str) -> None:
    rules: dict[str, Any] = {name: said.model_dump() for name, said in _session.catalog_spec().missing.items()}
    for name in dict.fromkeys(suspect.column for suspect in suspects):
        rules[name] = {"values": tuple(s.value for s in suspects if s.column == name), "rule": rule}
    _session.choose("gaps", None, missing=rules)


def _another(whole: Catalog) -> None:
    """A rule for a column that is not listed."""
    with st.form("another_gap", border=True):
        name, values, rule, add = st.columns([3, 3, 3, 1.4], vertical_alignment="bottom")
        name.selectbox("Another column", list(map(str, whole.table.columns)), index=None, key="gap_column")
        values.text_input("Values that stand for missing", key="gap_values", placeholder="-99, -999")
        rule.selectbox("Rule", list(RULES)[1:], key="gap_rule", format_func=RULES.__getitem__)
        add.form_submit_button("Add", on_click=_add, width="stretch")
    why_not("another_gap")


def _add() -> None:
    state = st.session_state
    if not state.gap_column:
        _session.refuse("another_gap", None, "Choose the column that the values stand in.")
        return
    values = values_of(state.gap_values)
    if not values and state.gap_rule == "mask":
        _session.refuse("another_gap", None, "Write the values that stand for missing ones, such as -99, -999.")
        return
    rules = {name: rule.model_dump() for name, rule in _session.catalog_spec().missing.items()}
    rules[state.gap_column] = {"values": values, "rule": state.gap_rule}
    if _session.choose("another_gap", None, missing=rules):
        state.gap_values = ""
