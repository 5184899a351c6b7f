"""The two-dimensional figures of classes and of pairs, in the style of `gnnlib.view.charts`.

Names of classes come from a catalog, so what Plotly would read as formatting in them is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gnnlib.view.charts import ACCENT, COOL, CYCLE, HEIGHT, MUTED, blank

CURVES_HEIGHT = 360
INK = {False: "#1f2536", True: "#f1ece0"}  # of words on cells, on a light and on a dark page
NUMBERED = 6  # classes up to which a cell of the confusion matrix holds its count beside its share
WRITTEN = 12  # classes up to which it holds anything
LONG = 8  # letters of a class from which its names on the axis are slanted


def confusion(counts: np.ndarray, classes: Sequence[str], dark: bool | None = None) -> go.Figure:
    """Share of each true class (row) that was given each class (column), with the counts; counts: [C, C].

    dark: whether the page is, for the words in the cells; None leaves them in the colour of the axes.
    """
    counts = np.asarray(counts, dtype=np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [escape(str(name)) for name in classes]
    figure = blank(height=max(HEIGHT, 90 + 26 * len(names)))
    figure.add_heatmap(
        z=share,
        x=names,
        y=names,
        customdata=counts,
        colorscale=[[0, "rgba(217,143,51,0.05)"], [1, "rgba(217,143,51,0.8)"]],
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        showscale=False,
        hovertemplate="truth %{y}, predicted %{x}: %{customdata:,} (%{z:.1%} of the truth)<extra></extra>",
    )
    if len(names) <= WRITTEN:  # as words of their own: a heatmap chooses their colour for an opaque ground
        cells = [(x, y, share[at, to], counts[at, to]) for at, y in enumerate(names) for to, x in enumerate(names)]
        few = len(names) <= NUMBERED
        figure.add_scatter(
            x=[cell[0] for cell in cells],
            y=[cell[1] for cell in cells],
            text=[f"<b>{part:.1%}</b><br>{n:,.0f}" if few else f"{part:.0%}" * (n > 0) for _, _, part, n in cells],
            mode="text",
            textfont={} if dark is None else {"color": INK[dark]},
            hoverinfo="skip",
        )
    slanted = len(names) * max(map(len, names)) > LONG * NUMBERED
    figure.update_xaxes(title="predicted", type="category", tickangle=-35 if slanted else 0, showgrid=False)
    figure.update_yaxes(title="truth", type="category", autorange="reversed", showgrid=False)
    return figure


def reliability(table: pd.DataFrame) -> go.Figure:
    """How often the most probable class is right against its probability, with the line of perfect calibration.

    table: one row a bin, as `explain.classes.reliability`.
    """
    figure = blank()
    _diagonal(figure)
    figure.add_scatter(
        x=table["probability"],
        y=table["right"],
        customdata=table["objects"],
        mode="lines+markers",
        error_y={"array": table["error"], "thickness": 1.4, "width": 4, "color": MUTED},
        line={"color": ACCENT, "width": 2},
        marker={"size": 8},
        hovertemplate="probability %{x:.1%}: %{y:.1%} right (%{customdata:,} objects)<extra></extra>",
    )
    low = float(table[["low"]].min().min()) if len(table) else 0.0
    floor = max(0.0, min(low, float((table["right"] - table["error"]).min()) if len(table) else 0.0) - 0.03)
    figure.update_xaxes(
        title="probability of the predicted class", tickformat=".0%", range=[max(0.0, low - 0.03), 1.02]
    )
    figure.update_yaxes(title="share that is right", tickformat=".0%", range=[floor, 1.03])
    return figure


def precision_recall(curves: Mapping[str, pd.DataFrame], guess: float) -> go.Figure:
    """Precision against recall, the first curve standing out; curves: name -> as `explain.pairs.precision_recall`.

    guess: the precision of one who knows nothing, the share of pairs that belong together.
    """
    figure = _curves(curves, "recall", "precision")
    figure.add_hline(y=guess, line={"color": MUTED, "width": 1.2, "dash": "dash"})
    figure.update_xaxes(title="recall: share of what belongs together that is found", range=[-0.01, 1.02])
    figure.update_yaxes(title="precision", range=[0, 1.03])
    return figure


def roc(curves: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Right alarms against false ones, the first curve standing out; curves: name -> as `explain.pairs.roc`."""
    figure = _curves(curves, "false_alarms", "found")
    _diagonal(figure)
    figure.update_xaxes(title="share of what is apart that is taken for together", range=[-0.01, 1.02])
    figure.update_yaxes(title="share found", range=[0, 1.03])
    return figure


def _curves(curves: Mapping[str, pd.DataFrame], x: str, y: str) -> go.Figure:
    figure = blank(height=CURVES_HEIGHT, legend=True)
    for number, (name, table) in enumerate(curves.items()):
        figure.add_scatter(
            x=table[x],
            y=table[y],
            customdata=table["threshold"],
            name=escape(name),
            mode="lines",
            line={"color": CYCLE[number % len(CYCLE)], "width": 1.3 if number else 3},
            opacity=0.8 if number else 1,
            hovertemplate="from a probability of %{customdata:.3f} on: %{x:.3f}, %{y:.3f}",
        )
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(legend={"font": {"size": 11}})
    return figure


def _diagonal(figure: go.Figure) -> None:
    line = {"color": MUTED, "width": 1.2, "dash": "dash"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False)


def probabilities(truth: np.ndarray, probability: np.ndarray, names: tuple[str, str], bins: int = 40) -> go.Figure:
    """How the probability [P] is spread among the pairs of either kind, as shares of the kind.

    truth: [P] 0 or 1. names: of the kinds 0 and 1.
    """
    figure = blank(height=CURVES_HEIGHT, legend=True)
    edges = np.linspace(0, 1, bins + 1)
    for kind, colour in ((0, COOL), (1, ACCENT)):
        counts = np.histogram(probability[truth == kind], bins=edges)[0]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts / max(counts.sum(), 1),
            width=np.diff(edges),
            customdata=counts,
            name=names[kind],
            opacity=0.65,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"{names[kind]}, %{{x:.2f}}: %{{customdata:,}} pairs (%{{y:.1%}})<extra></extra>",
        )
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title="probability of belonging together", range=[0, 1])
    figure.update_yaxes(title="share of the kind", type="log", tickformat=".2~%", dtick=1)
    return figure
