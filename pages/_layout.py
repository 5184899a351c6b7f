"""The parts that every page is made of: a heading, a strip of figures and the step that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages import _session

EXTREMES = {"Worst": "Worst", "Best": "Best"}  # the two ends of a table by its errors


def heading(title: str, sentence: str) -> None:
    """The page's title and what it is for."""
    with st.container(gap=None, width="content"):
        st.title(title, anchor=False)
        st.caption(sentence)


def headed_choice(title: str, label: str, options: Mapping[str, str], key: str, **more: Any) -> str:
    """A subheader with a choice beside it, of which the first is the one at the start. options: by what each is called.
    label: for those who cannot see it. more: for the `segmented_control`."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(title, anchor=False)
        return str(
            st.segmented_control(
                label,
                list(options),
                default=next(iter(options)),
                required=True,
                format_func=options.__getitem__,
                key=key,
                label_visibility="collapsed",
                **more,
            )
        )


def dark() -> bool | None:
    """Whether the page is dark; None before the browser has said so."""
    return {"dark": True, "light": False}.get(st.context.theme.type or "")


def metric_strip(figures: Sequence[tuple[str, str, str | None]], border: bool = True) -> None:
    """A row of figures: label, value, and what the label means where that is not obvious."""
    with st.container(border=border, horizontal=True, gap="medium", horizontal_alignment="distribute"):
        for label, value, meaning in figures:
            st.metric(label, value, help=meaning, width="content")


def next_step(page: str, label: str, icon: str) -> None:
    """The way on, at the foot of a page."""
    st.space("small")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(label, type="primary", icon=icon, key="next_step"):
            st.switch_page(page)


def put(key: str, value: object) -> None:
    """Let the widget that follows show `value`, also where that was changed elsewhere."""
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def why_not(place: str) -> None:
    """The sentence why the last choice at this place could not be made, beside what caused it."""
    if refused := _session.refusal(place):
        st.error(refused.why, icon=":material/error:")


def key_for(name: str, *about: object) -> str:
    """A widget's key that changes with what the widget is about, so that no old value is shown for something else."""
    return f"{name}_{abs(hash(repr(about)))}"


def number_columns(table: pd.DataFrame) -> dict[str, Any]:
    """Column settings that write very large and very small numbers, such as masses, with a power of ten."""
    found: dict[str, Any] = {}
    for name in (name for name, kind in table.dtypes.items() if kind.kind == "f"):
        sizes = np.abs(table[name].to_numpy(dtype=np.float64))
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        if sizes.size and (sizes.max() >= 1e7 or sizes.max() < 1e-3):
            found[str(name)] = st.column_config.NumberColumn(format="scientific")
    return found
