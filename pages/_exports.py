"""Tables that a person takes away, as bytes of a Parquet or CSV file."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from gnnlib.graph.graph import Graph

FORMATS = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}


def edge_table(graph: Graph) -> pd.DataFrame:
    """One row a directed edge: source and receiver row ids, separation (source minus receiver), length, features."""
    source, receiver = graph.edge_index
    table = {"source": graph.row_ids[source], "receiver": graph.row_ids[receiver]}
    table |= {f"d{axis}": graph.separations[:, place] for place, axis in enumerate("xyz")}
    table["length"] = graph.lengths
    table |= {f"feature_{name}": graph.edge_features[:, place] for place, name in enumerate(graph.edge_feature_names)}
    return pd.DataFrame(table)


def downloads(label: str, stem: str, table: Callable[[], pd.DataFrame]) -> None:
    """One button a format; the file is made when it is asked for."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(label)
        for extension, mime in FORMATS.items():
            st.download_button(
                extension.capitalize() if extension == "parquet" else "CSV",
                partial(_packed, table, extension),
                file_name=f"{stem}.{extension}",
                mime=mime,
                icon=":material/download:",
                key=f"download_{stem}_{extension}",
                on_click="ignore",
            )


def _packed(make: Callable[[], pd.DataFrame], extension: str) -> bytes:
    table = make()
    if extension == "csv":
        return table.to_csv(index=False).encode()
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
