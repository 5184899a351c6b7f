"""What is to be predicted, and from what."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.training.tasks.pairs import is_file
from pages import _files
from pages._layout import key_for

TASKS = {
    "node_regression": "A number of each object",
    "node_classification": "A class of each object",
    "edge_classification": "Whether two objects belong together",
    "graph_regression": "A number of each group",
}
AGGREGATES = {"same": "the members' own, all alike", "sum": "sum", "mean": "mean", "max": "largest"}
MOST_CLASSES = 20  # different values of a column that is offered first as a class


def what_and_from_what(rows: Catalog) -> dict[str, Any]:
    """The task with its target and features, as fields of a `RunSpec`."""
    task = st.selectbox(
        "Predict", list(TASKS), format_func=TASKS.__getitem__, key="task", persist_state="session", width="stretch"
    )
    key = key_for(task, rows.spec.path, rows.roles)
    chosen: dict[str, Any] = {"task": task}
    if task == "edge_classification":
        chosen["label"] = _column(
            rows,
            "Two objects belong together where they share",
            key,
            rows.roles.group,
            "A column that is equal at both ends of an edge (a group's id), an expression, or a file of labelled pairs "
            "on the server.",
        )
    else:
        chosen |= _target(rows, task, key)
    chosen["features"] = tuple(
        st.multiselect(
            "Features",
            _options(rows, rows.roles.features),
            [best for name in rows.roles.features if (best := logarithm(rows, name)) != chosen.get("target")],
            key=f"features_{key}",
            accept_new_options=True,
            persist_state="session",
            placeholder="none: positions only",
            help="Columns or expressions. Positions cannot be features: the edges carry them.",
        )
    )
    if not chosen["features"]:
        st.caption(":material/info: Positions only: objects are told apart by their surroundings alone.")
    return chosen


def _target(rows: Catalog, task: str, key: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if task == "graph_regression":
        by = rows.files.column if rows.files else rows.roles.group
        chosen["graph_by"] = _column(rows, "Groups are the rows that share", key, by, "No edge joins two groups.")
    first: tuple[str, ...] = (rows.roles.target,) if rows.roles.target else ()
    if rows.files and task == "graph_regression":  # what is known of a file as a whole
        first = rows.files.parameters or first
    options = _class_options(rows) if task == "node_classification" else _options(rows, first)
    chosen["target"] = (
        st.selectbox(
            "Class" if task == "node_classification" else "Target",
            options,
            key=f"target_{key}",
            accept_new_options=True,
            persist_state="session",
            help="A column or an expression such as "
            + ("stellar_mass > 1e10." if task == "node_classification" else "log10(stellar_mass)."),
        )
        or ""
    )
    if task == "graph_regression":
        chosen["aggregate"] = st.selectbox(
            "Of a group it is",
            list(AGGREGATES),
            format_func=AGGREGATES.__getitem__,
            key=f"aggregate_{key}",
            persist_state="session",
        )
    return chosen


def more_targets(rows: Catalog, target: str) -> tuple[str, ...]:
    """Further numbers of each object, predicted beside the first one."""
    return tuple(
        st.multiselect(
            "Also predict",
            [name for name in _options(rows, ()) if name != target],
            key=key_for("more_targets", rows.spec.path),
            accept_new_options=True,
            persist_state="session",
            placeholder="nothing else",
        )
    )


def checked_label(rows: Catalog, label: str) -> str:
    """The label of pairs; a file is one that may be read here. Raises InputError where it may not."""
    if not label:
        raise InputError("No label is chosen; name a column that is equal for objects that belong together.")
    return str(_files.server_path(label)) if is_file(label, rows) else label


def _column(rows: Catalog, label: str, key: str, first: str | None, meaning: str) -> str:
    names = [str(name) for name in rows.table.columns if name not in rows.roles.position]
    chosen = st.selectbox(
        label,
        list(dict.fromkeys([*([first] if first else []), *names])),
        index=0 if first else None,
        key=f"column_{key}",
        accept_new_options=True,
        persist_state="session",
        placeholder="choose a column",
        help=meaning,
    )
    return chosen or ""


def logarithm(rows: Catalog, name: str) -> str:
    """`log10(name)` for a positive column of wide range, else the name: what is best learnt."""
    values = rows.values(name)
    if not name.isidentifier() or values.dtype.kind not in "iuf":
        return name
    finite = values[np.isfinite(values)]
    wide = finite.size and finite.min() > 0 and finite.max() > 5 * finite.min()
    return f"log10({name})" if wide else name


def _options(rows: Catalog, first: tuple[str, ...]) -> list[str]:
    """What can be chosen as target or feature: the columns found for it, in their best form, then all others."""
    best = [logarithm(rows, name) for name in first]
    others = [str(name) for name in rows.table.columns if name not in rows.roles.position]
    return list(dict.fromkeys([*best, *others]))


def _class_options(rows: Catalog) -> list[str]:
    """Columns of few different values before all others."""
    few = [name for name in _options(rows, ()) if rows.table[name].nunique() <= MOST_CLASSES]
    return list(dict.fromkeys([*few, *_options(rows, ())]))
