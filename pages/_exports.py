"""What a person takes away: tables as Parquet or CSV, the graph in the formats that other programs read."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from gnnlib.explain.export import FORMATS as JOINED
from gnnlib.explain.export import joined, packed
from gnnlib.graph import exchange
from gnnlib.graph.graph import Graph
from gnnlib.training.run import Run
from pages import _session

FORMATS = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
# Suffix of a graph's file: what it is called, its type, what reads it.
GRAPHS = {
    "pt": ("PyG .pt", "application/octet-stream", "A torch_geometric.data.Data; torch.load reads it with weights_only"),
    "parquet": ("Parquet", FORMATS["parquet"], "One row an edge: row ids, separation, length, features"),
    "graphml": ("GraphML", "application/xml", "For Gephi, Cytoscape, igraph and networkx"),
    "csv": ("CSV", FORMATS["csv"], "One row an edge: row ids, separation, length, features"),
}


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


def joined_downloads(run: Run, label: str) -> None:
    """The whole catalog, every row and column of it, with the predictions of its objects beside them."""

    def made(form: str) -> bytes:
        table, columns = joined(_session.whole(run.spec.catalog), run.predictions, run.spec.target)
        return packed(table, columns, form)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(label)
        for form, (extension, mime) in JOINED.items():
            st.download_button(
                form,
                partial(made, form),
                file_name=f"predictions_{run.id}.{extension}",
                mime=mime,
                icon=":material/download:",
                key=f"export_{extension}",
                on_click="ignore",
            )


def graph_downloads(n_edges: int, graph: Callable[[], Graph]) -> None:
    """One button a format of the graph's file, which is made when it is asked for. n_edges: self-loops not counted."""
    with st.popover("Export the graph", icon=":material/hub:"):
        for extension, (label, mime, meaning) in GRAPHS.items():
            fits = extension != "graphml" or n_edges <= exchange.MAX_GRAPHML_EDGES
            st.download_button(
                label,
                partial(_graph_file, graph, extension),
                file_name=f"graph.{extension}",
                mime=mime,
                icon=":material/download:",
                key=f"download_graph_{extension}",
                on_click="ignore",
                disabled=not fits,
                width="stretch",
                help=meaning if fits else f"For graphs of at most {exchange.MAX_GRAPHML_EDGES:,} edges",
            )


def _graph_file(make: Callable[[], Graph], extension: str) -> bytes:
    graph, buffer = make(), io.BytesIO()
    if extension == "csv":
        return exchange.edge_table(graph).to_csv(index=False).encode()
    write = {"pt": exchange.write_pyg, "parquet": exchange.write_parquet, "graphml": exchange.write_graphml}
    write[extension](graph, buffer)
    return buffer.getvalue()
