"""New columns on the Catalog page: worked out from the others by an expression, with examples that fit the catalog."""

from __future__ import annotations

import numpy as np
import streamlit as st

from gnnlib.catalog.expressions import Evaluation, quote
from gnnlib.catalog.functions import FUNCTIONS
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from pages import _session
from pages._catalog_subsets import GRAMMAR
from pages._layout import put, why_not
from pages._sidebar import plain


def derived(whole: Catalog) -> None:
    """The columns derived so far, and a place to make another."""
    for number, name in enumerate(whole.spec.derived):
        _line(whole, number, name)
    _new(whole)
    with st.expander("Functions", icon=":material/function:"):
        st.dataframe(
            {
                "function": [function.usage for function in FUNCTIONS.values()],
                "gives": [function.help for function in FUNCTIONS.values()],
            },
            hide_index=True,
            height=300,
        )


def _line(whole: Catalog, number: int, name: str) -> None:
    spec, place = whole.spec, f"derived_{number}"
    refused = _session.refusal(place)
    put(place, refused.said if refused else spec.derived[name])
    called, expression, away = st.columns([2, 5, 0.7], vertical_alignment="center", wrap=False)
    called.markdown(f"**{plain(whole.columns[name].label)}**")
    expression.text_input("Expression", key=place, label_visibility="collapsed", on_change=_change, args=(place, name))
    away.button(
        "",
        icon=":material/delete:",
        key=f"{place}_away",
        on_click=_remove,
        args=(place, name),
        type="tertiary",
        help="Delete",
    )
    why_not(place)


def _change(place: str, name: str) -> None:
    said = st.session_state[place]
    _session.choose(place, said, derived=_session.catalog_spec().derived | {name: said.strip()})


def _remove(place: str, name: str) -> None:
    spec = _session.catalog_spec()
    _session.choose(place, spec.derived[name], derived={k: v for k, v in spec.derived.items() if k != name})


def examples(whole: Catalog) -> dict[str, str]:
    """Columns that this catalog could do with: name -> expression."""
    roles, found = whole.roles, dict[str, str]()
    numbers = [name for name in whole.table.columns if whole.table[name].dtype.kind in "iuf"]
    if roles.mass in numbers and not whole.columns[str(roles.mass)].unit.startswith("dex"):
        found["log_mass"] = f"log10({quote(str(roles.mass))})"
    if len(roles.velocity) == 3:
        found["speed"] = "sqrt(" + " + ".join(f"{quote(name)} ** 2" for name in roles.velocity) + ")"
    if roles.position:
        found["density"] = f"overdensity({_typical(whole):.2g})"
        found["distance_5"] = "neighbor_distance(5)"
    if roles.group:
        found["members"] = f"group_size({quote(roles.group)})"
        if roles.mass in numbers and not roles.central:
            found["central"] = f"is_central({quote(roles.group)}, {quote(str(roles.mass))})"
    colours = [name for name in numbers if name.lower() in ("g", "r", "gmag", "rmag", "phot_g_mean_mag")][:2]
    if len(colours) == 2:
        found["colour"] = f"{quote(colours[0])} - {quote(colours[1])}"
    return {name: expression for name, expression in found.items() if name not in whole.columns}


def _typical(whole: Catalog) -> float:
    """A radius that holds some tens of objects: a few times the mean distance between them."""
    points = whole.positions()[:, : len(whole.roles.position)]
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return 1.0
    sides = np.maximum(np.ptp(points, axis=0), 1e-12)
    return float(1.8 * np.exp(np.log(sides).mean()) / len(points) ** (1 / points.shape[1]))


@st.fragment(key="new-column")
def _new(whole: Catalog) -> None:
    state = st.session_state
    with st.container(border=True):
        name, expression, add = st.columns([2, 4, 1.6], vertical_alignment="bottom")
        name.text_input("New column", key="new_column", persist_state="session", placeholder="log_mass")
        expression.text_input(
            "Expression",
            key="new_expression",
            persist_state="session",
            live="400ms",
            placeholder="log10(mass) - 10",
            help=GRAMMAR,
        )
        add.button("Add", key="add_column", width="stretch", on_click=_add)
        text = state.new_expression.strip()
        if text:
            st.caption(_preview(whole, text))
        why_not("new_column")
        offered = examples(whole)
        if offered:
            with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
                st.caption("Examples", width="content")
                for called, written in offered.items():
                    st.button(written, key=f"example_{called}", type="tertiary", on_click=_fill, args=(called, written))
    if state.pop("column_added", False):
        st.rerun()


def _preview(whole: Catalog, text: str) -> str:
    """What the first rows would get; functions that look at all rows are only tried on all of them when added."""
    if any(word in text for word in (name for name, f in FUNCTIONS.items() if f.places)):
        return ":material/pending: worked out when it is added: it looks at the surroundings of every object"
    try:
        values = Evaluation(whole).values(text)
    except InputError as error:
        return f":material/pending: {plain(str(error))}"
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ":material/warning: no row gets a value"
    without = f", {len(values) - len(finite):,} rows without a value" if len(finite) < len(values) else ""
    return f":material/check: from {finite.min():.4g} to {finite.max():.4g}, median {np.median(finite):.4g}{without}"


def _fill(name: str, expression: str) -> None:
    st.session_state.new_column, st.session_state.new_expression = name, expression


def _add() -> None:
    state, spec = st.session_state, _session.catalog_spec()
    name, expression = state.new_column.strip(), state.new_expression.strip()
    said = (name, expression)
    if not name or not expression:
        missing = "a name, such as log_mass" if not name else "an expression, such as log10(mass)"
        _session.refuse("new_column", said, f"The column needs {missing}.")
    elif name in spec.derived:
        _session.refuse("new_column", said, f"There is a column '{name}' already; write another name.")
    elif _session.choose("new_column", said, derived=spec.derived | {name: expression}):
        state.new_column = state.new_expression = ""
        state.figure_of = name
        state.column_added = True
