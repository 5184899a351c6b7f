"""The two-dimensional figures, one function each: data in, a Plotly figure out.

Backgrounds are transparent and fonts and grid lines inherit, so the same figure sits on the light and on the dark
theme; the few fixed colours (`ACCENT`, `COOL`, ...) were chosen to read on both. Scatter plots keep their row ids
in `customdata`, so a click can be turned into a selection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gnnlib.view.ego import Ego

ACCENT = "#d98f33"
COOL = "#4f8fd0"
GREEN = "#3f9f79"
ROSE = "#c9615a"
MUTED = "#8592a6"
FAINT = "#9aa3b0"  # what a cut took away
CYCLE = (ACCENT, COOL, GREEN, "#a876c0", ROSE, "#3ba3b3", "#b8a13a", MUTED)
# Dark to luminous without reaching the white of paper or the black of the sky at either end.
GLOW = ((0.0, "#3b3f8f"), (0.3, "#8a4a86"), (0.6, "#cf6a5a"), (0.85, "#e9a23f"), (1.0, "#f0cf6a"))

HEIGHT = 290
MOST_RINGS = 60  # as on the canvas


def blank(height: int = HEIGHT, legend: bool = False) -> go.Figure:
    """A figure without anything in it, in the style of all."""
    figure = go.Figure()
    _quiet(figure, height, legend)
    return figure


def _quiet(figure: go.Figure, height: int, legend: bool = False) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 26 if legend else 10, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        bargap=0.04,
        hoverlabel={"font": {"size": 12}},
    )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(automargin=True, zeroline=False, title_standoff=6, exponentformat="power")


def histogram(
    values: np.ndarray,
    label: str,
    log: bool = False,
    bins: int = 60,
    kept: np.ndarray | None = None,
    selected: np.ndarray | None = None,
    counted: str = "objects",
) -> go.Figure:
    """Counts of one column; non-finite values are left out, and with `log` also those that have no logarithm.

    kept: [N] bool, the rows that a cut keeps; the others stand in grey on top of them. selected: [N] bool, rows that
    stand out, below the others of their bin. counted: what the rows are, for the axis.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if log:
        with np.errstate(all="ignore"):
            numbers = np.log10(numbers)
    finite = np.isfinite(numbers)
    numbers = numbers[finite]
    figure = blank()
    if numbers.size:
        edges = np.histogram_bin_edges(numbers, bins=bins)
        parts = [("kept", ACCENT, numbers)]
        if selected is not None and selected.any():
            parts = [
                ("selected", ROSE, numbers[selected[finite]]),
                ("not selected", ACCENT, numbers[~selected[finite]]),
            ]
        elif kept is not None and not kept.all():
            parts = [("kept", ACCENT, numbers[kept[finite]]), ("cut away", FAINT, numbers[~kept[finite]])]
        for name, colour, part in parts:
            figure.add_bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=np.histogram(part, bins=edges)[0],
                width=np.diff(edges),
                name=name,
                marker={"color": colour, "line": {"width": 0}},
                hovertemplate="%{x:.4g}: %{y:,} "
                + counted
                + (f" {name}" if len(parts) > 1 else "")
                + "<extra></extra>",
            )
        figure.update_layout(barmode="stack")
    figure.update_xaxes(title=f"log₁₀ {label}" if log else label)
    figure.update_yaxes(title=counted, tickformat=",")
    return figure


def category_counts(values: pd.Series, label: str, most: int = 20, kept: np.ndarray | None = None) -> go.Figure:
    """Counts of the most frequent values of a column of words; kept as in `histogram`."""
    words = values.astype(str)
    names = words.value_counts().head(most).index
    figure = blank()
    parts = [("kept", ACCENT, words)]
    if kept is not None and not kept.all():
        parts = [("kept", ACCENT, words[kept]), ("cut away", FAINT, words[~kept])]
    for name, colour, part in parts:
        counts = part.value_counts().reindex(names, fill_value=0).to_numpy()
        figure.add_bar(x=names.tolist(), y=counts, name=name, marker={"color": colour})
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title=label, type="category")
    figure.update_yaxes(title="objects", tickformat=",")
    return figure


def degree_histogram(degrees: np.ndarray, selected: np.ndarray | None = None) -> go.Figure:
    """How many neighbours the nodes have, with the mean marked; selected: [N] bool, nodes that stand out."""
    figure = blank()
    top = int(degrees.max()) if degrees.size else 0
    step = max(1, -(-(top + 1) // 60))
    edges = np.arange(0, top + step + 1, step) - 0.5
    centres = edges[:-1] + step / 2
    chosen = np.zeros(len(degrees), dtype=bool) if selected is None else selected
    for part, colour, name in ((degrees[chosen], ROSE, " selected"), (degrees[~chosen], ACCENT, "")):
        if not len(part) and name:
            continue
        figure.add_bar(
            x=centres,
            y=np.histogram(part, bins=edges)[0],
            width=step,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"degree %{{x:.0f}}: %{{y:,}} nodes{name}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    if degrees.size:
        mean = float(degrees.mean())
        figure.add_vline(x=mean, line={"color": COOL, "width": 1.5, "dash": "dot"})
        figure.add_annotation(
            x=mean, y=1, yref="paper", text=f"mean {mean:.1f}", showarrow=False, xanchor="left", xshift=5
        )
    figure.update_xaxes(title="degree")
    figure.update_yaxes(title="nodes", tickformat=",")
    return figure


def radius_curves(
    curves: Mapping[str, np.ndarray],
    current: float | None,
    unit: str = "Mpc",
    marks: Mapping[str, float] | None = None,
    degrees: bool = True,
) -> go.Figure:
    """What the graph is like at every linking length; the current one is marked.

    curves: as `RadiusSweep.curves` gives them, name -> [R]. Above: isolated fraction and largest component; below,
    unless `degrees` is False: the mean degree with the band that holds 16 to 84 % of the nodes, on a logarithmic axis.
    marks: other lengths worth a line, by name.
    """
    figure = make_subplots(rows=2 if degrees else 1, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    _quiet(figure, 400 if degrees else 250, legend=True)
    radii, hover = curves["radius"], "%{x:.3g} " + unit + ": %{y:.3g}"
    for name, key, colour in (
        ("isolated", "isolated_fraction", ROSE),
        ("largest component", "largest_component_fraction", ACCENT),
    ):
        line = {"color": colour, "width": 2}
        figure.add_scatter(x=radii, y=curves[key], name=name, mode="lines", line=line, hovertemplate=hover)
    figure.update_yaxes(title="fraction of nodes", range=[0, 1.03], row=1, col=1)
    if degrees:
        # On a logarithmic axis a degree of 0 lies below what is shown, so a band that reaches it leaves at the foot.
        low, mean, high = (np.maximum(curves[key], 1e-3) for key in ("degree_p16", "mean_degree", "degree_p84"))
        _band(figure, radii, low, mean, high, COOL, row=2, col=1)
        figure.data[-1].update(name="mean degree, 16–84 % of nodes", showlegend=True, hovertemplate=hover)
        for trace in figure.data[-3:-1]:
            trace.showlegend = False
        top = max(float(np.log10(high[-1:].max(initial=1.0))), 1.0)
        figure.update_yaxes(title="degree", type="log", range=[-0.5, top + 0.1], dtick=1, row=2, col=1)
    for level, (name, at) in enumerate((marks or {}).items()):
        _mark_length(figure, at, f"{name} {at:.3g}", float(radii[-1]), 0.62 - 0.15 * level, "dot")
    if current is not None:
        _mark_length(figure, current, f"<b>{current:.4g}</b>", float(radii[-1]), 0.77, "solid")
    figure.update_xaxes(title=f"linking length [{unit}]" if unit else "linking length", row=2 if degrees else 1, col=1)
    figure.update_xaxes(range=[float(radii[0]), float(radii[-1])])
    return figure


def _mark_length(figure: go.Figure, at: float, text: str, last: float, level: float, dash: str) -> None:
    """A vertical line through all panels, and what it stands for at a height of the first."""
    figure.add_shape(
        type="line", x0=at, x1=at, xref="x", y0=0, y1=1, yref="paper", line={"color": MUTED, "width": 1.6, "dash": dash}
    )
    right = at > 0.62 * last
    figure.add_annotation(
        x=at,
        y=level,
        text=text,
        showarrow=False,
        xanchor="right" if right else "left",
        xshift=-5 if right else 5,
        font={"size": 12},
    )


def pair_correlation(bounds: np.ndarray, xi: np.ndarray, current: float | None, unit: str = "Mpc") -> go.Figure:
    """1 + xi: pairs over those of a uniform catalog, against separation; both axes logarithmic.

    bounds: [R + 1] of the bins, ascending and positive; xi: [R]. Bins without pairs are left out.
    """
    figure = blank(height=330)
    there = np.isfinite(xi) & (xi > -1)
    figure.add_scatter(
        x=np.sqrt(bounds[:-1] * bounds[1:])[there],
        y=1 + xi[there],
        mode="lines+markers",
        line={"color": ACCENT, "width": 2},
        marker={"size": 5},
        hovertemplate="%{x:.3g} " + unit + ": 1 + ξ = %{y:.4g}<extra></extra>",
    )
    figure.add_hline(y=1, line={"color": MUTED, "width": 1.2, "dash": "dash"})
    if current:
        figure.add_vline(x=current, line={"color": MUTED, "width": 1.6})
    figure.update_xaxes(title=f"separation [{unit}]" if unit else "separation", type="log", dtick="D2")
    figure.update_yaxes(title="1 + ξ", type="log", dtick=1)
    return figure


def step_memory(radii: np.ndarray, used: np.ndarray, current: float | None, unit: str = "Mpc") -> go.Figure:
    """Bytes [R] of a training step at each linking length [R]; the current one is marked with its value."""
    figure = blank(height=330)
    gigabytes = np.asarray(used) / 1e9
    figure.add_scatter(
        x=radii,
        y=gigabytes,
        mode="lines",
        line={"color": ACCENT, "width": 2},
        hovertemplate="%{x:.3g} " + unit + ": %{y:.3g} GB<extra></extra>",
    )
    if current is not None:
        figure.add_vline(x=current, line={"color": MUTED, "width": 1.6})
        now = float(np.interp(current, radii, gigabytes))
        right = current > 0.62 * float(radii[-1])
        figure.add_annotation(
            x=current,
            y=np.log10(now),
            text=f"<b>{now:.3g} GB</b>",
            showarrow=False,
            xanchor="right" if right else "left",
            xshift=-6 if right else 6,
            yshift=12 if right else -12,
        )
    figure.update_xaxes(title=f"linking length [{unit}]" if unit else "linking length")
    figure.update_yaxes(title="GB", type="log", dtick="D2")
    return figure


def positions(
    first: np.ndarray,
    second: np.ndarray,
    labels: tuple[str, str],
    most: int = 20_000,
    kept: np.ndarray | None = None,
    row_ids: Sequence[object] | np.ndarray | None = None,
    selected: Sequence[object] = (),
) -> go.Figure:
    """A projection of the catalog on two axes, equal scales; at most `most` rows, drawn at random with a fixed seed.

    kept: [N] bool, the rows that a cut keeps; the others stand behind them in grey. row_ids: [N], put into `customdata`
    of the rows kept; those `selected` get a ring and are always drawn.
    """
    finite = np.isfinite(first) & np.isfinite(second)
    figure = blank(height=360)
    groups = [(finite, ACCENT, 0.55)]
    if kept is not None and not kept.all():
        groups = [(finite & ~kept, FAINT, 0.35), (finite & kept, ACCENT, 0.6)]
    for number, (group, colour, opacity) in enumerate(groups):
        shown = np.flatnonzero(group)
        if shown.size > most:
            shown = np.sort(np.random.default_rng(0).choice(shown, most, replace=False))
        ids = None if row_ids is None or number < len(groups) - 1 else _as_ids(np.asarray(row_ids)[shown])
        figure.add_scattergl(
            x=first[shown],
            y=second[shown],
            customdata=ids,
            mode="markers",
            marker={"size": 2.5 if shown.size > 3000 else 4, "color": colour, "opacity": opacity},
            unselected={"marker": {"opacity": opacity}},
            hoverinfo="skip" if ids is None else None,
            hovertemplate=None if ids is None else "row %{customdata}<extra></extra>",
        )
    if row_ids is not None:
        _mark(figure, first, second, row_ids, selected)
    figure.update_xaxes(title=labels[0])
    figure.update_yaxes(title=labels[1], scaleanchor="x", scaleratio=1)
    return figure


def loss_curves(history: pd.DataFrame) -> go.Figure:
    """Training (thin) and validation (thick) loss of every fold, and of each of its networks, against the epoch.

    history: columns fold, epoch, train_loss, validation_loss and, of an ensemble, member, one row an epoch, as in a
    run's metrics.jsonl.
    """
    figure = blank(height=330, legend=True)
    member = history["member"] if "member" in history else pd.Series(0, history.index)
    for one in sorted(set(zip(history["fold"].astype(int), member.astype(int), strict=True))):
        rows = history[(history["fold"] == one[0]) & (member == one[1])]
        colour = CYCLE[one[0] % len(CYCLE)]
        label = f"fold {one[0] + 1}" + (f", network {one[1] + 1}" if member.max() > 0 else "")
        for column, name, width, opacity in (
            ("train_loss", f"{label}, training", 1.0, 0.55),
            ("validation_loss", label, 2.2, 1.0),
        ):
            if column not in rows or rows[column].isna().all():
                continue
            figure.add_scatter(
                x=rows["epoch"],
                y=rows[column],
                name=name,
                legendgroup=label,
                showlegend=column == "validation_loss",
                mode="lines",
                opacity=opacity,
                line={"color": colour, "width": width},
                hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )
    _epochs(figure, history)
    figure.update_yaxes(title="loss")
    return figure


def losses_of_runs(histories: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Validation loss of several runs against the epoch: the mean over their folds, and what these span as a band.

    histories: name -> as in `loss_curves`. Where no rows are watched, the training loss.
    """
    figure = blank(height=330, legend=True)
    for number, (name, history) in enumerate(histories.items()):
        colour = CYCLE[number % len(CYCLE)]
        watched = history["validation_loss"].notna().any()
        folds = history.groupby("epoch")["validation_loss" if watched else "train_loss"].agg(["min", "mean", "max"])
        _band(figure, folds.index, folds["min"], folds["mean"], folds["max"], colour)
        label = name if watched else f"{name} (training)"
        figure.data[-1].update(name=label, showlegend=True, hovertemplate=f"{label}, epoch %{{x}}: %{{y:.4f}}")
        for trace in figure.data[-3:-1]:
            trace.showlegend = False
    _epochs(figure, pd.concat(histories.values()))
    figure.update_yaxes(title="loss, mean of the folds")
    return figure


def _epochs(figure: go.Figure, history: pd.DataFrame) -> None:
    """An axis of whole epochs."""
    few = history["epoch"].max() <= 12
    figure.update_xaxes(title="epoch", tick0=1, dtick=1 if few else None, tickformat=",d")


def along_training(history: pd.DataFrame, column: str, label: str) -> go.Figure:
    """One column of a run's history over all epochs of all folds, in the order in which they were trained."""
    figure = blank(height=150)
    figure.add_scatter(
        x=np.arange(1, len(history) + 1),
        y=history[column],
        mode="lines",
        line={"color": COOL, "width": 1.8},
        hovertemplate="%{y:.4g}<extra></extra>",
    )
    figure.update_xaxes(title="epochs trained so far")
    figure.update_yaxes(title=label, rangemode="tozero", nticks=4)
    return figure


def ego_graph(ego: Ego, row_ids: np.ndarray, unit: str = "Mpc", weight: str = "attention") -> go.Figure:
    """A node in the middle of those it listens to, at their true separations in the plane in which they spread most.

    row_ids: [N] of the whole graph; `customdata` holds those of the neighbours. An edge is the wider the larger its
    weight.
    """
    figure = blank(height=300)
    across, up = np.sort(np.argsort(-np.abs(ego.separations).sum(axis=0), kind="stable")[:2])
    places = ego.separations[:, [across, up]]
    if len(places):
        faint = float(np.clip(30 / (len(ego.links) or 1), 0.12, 0.5))
        _lines(figure, places[ego.links[:, 0]], places[ego.links[:, 1]], MUTED, 0.6, faint)
        share = _shares(ego.weights, len(places))
        for level in range(4):  # a line has one width, so edges are drawn in four
            part = places[np.minimum((4 * share).astype(int), 3) == level]
            _lines(figure, np.zeros_like(part), part, ACCENT, 1.0 + 1.2 * level, 0.35 + 0.2 * level)
    near = zip(row_ids[ego.places], ego.lengths, strict=True)
    told = [f"row {row_id}<br>{length:.3g} {unit}".rstrip() for row_id, length in near]
    if ego.weights is not None:
        told = [f"{text}<br>{weight} {value:.3g}" for text, value in zip(told, ego.weights, strict=True)]
    figure.add_scatter(
        x=places[:, 0],
        y=places[:, 1],
        customdata=_as_ids(row_ids[ego.places]),
        text=told,
        mode="markers",
        marker={"size": 9, "color": COOL, "opacity": 1.0, "line": {"width": 0}},
        unselected={"marker": {"opacity": 1.0}},
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_scatter(
        x=[0.0], y=[0.0], mode="markers", hoverinfo="skip", marker={"size": 14, "color": ROSE, "line": {"width": 0}}
    )
    label = f" [{unit}]" if unit else ""
    figure.update_xaxes(title=f"Δ{'xyz'[across]}{label}")
    figure.update_yaxes(title=f"Δ{'xyz'[up]}{label}", scaleanchor="x", scaleratio=1)
    return figure


def _lines(figure: go.Figure, starts: np.ndarray, ends: np.ndarray, colour: str, width: float, opacity: float) -> None:
    """Straight lines from starts [K, 2] to ends [K, 2]."""
    places = np.full((len(starts), 3, 2), np.nan)
    places[:, 0], places[:, 1] = starts, ends
    x, y = places.reshape(-1, 2).T
    line = {"color": colour, "width": width}
    figure.add_scatter(x=x, y=y, mode="lines", opacity=opacity, hoverinfo="skip", line=line)


def _shares(values: np.ndarray | None, n: int) -> np.ndarray:
    """[n] from 0 to 1 of the largest; an even middle where nothing is known."""
    if values is None or not np.nanmax(np.nan_to_num(values), initial=0.0) > 0:
        return np.full(n, 0.4)
    return np.nan_to_num(values) / np.nanmax(values)


def parity(
    truth: np.ndarray,
    prediction: np.ndarray,
    row_ids: Sequence[object] | np.ndarray,
    label: str,
    colour: np.ndarray | None = None,
    colour_label: str = "",
    selected: Sequence[object] = (),
    point: str = "row",
) -> go.Figure:
    """Prediction against truth on equal axes with the 1:1 line; `customdata` holds the row ids.

    point: what one is, under the pointer; a graph has its own id in place of a row's.
    """
    figure = blank(height=440)
    finite = np.isfinite(truth) & np.isfinite(prediction)
    span = np.concatenate([truth[finite], prediction[finite]]) if finite.any() else np.array([0.0, 1.0])
    low, high = float(span.min()), float(span.max())
    margin = 0.03 * (high - low or 1.0)
    limits = [low - margin, high + margin]
    marker: dict[str, object] = {"size": 5, "opacity": 0.75, "color": ACCENT}
    if colour is not None:
        shade = np.asarray(colour, dtype=np.float64)
        known = shade[np.isfinite(shade)]
        if known.size:
            marker |= {
                "color": shade,
                "colorscale": [list(stop) for stop in GLOW],
                "cmin": float(np.quantile(known, 0.01)),
                "cmax": float(np.quantile(known, 0.99)),
                "colorbar": {
                    "title": {"text": colour_label, "side": "top", "font": {"size": 11}},
                    "orientation": "h",
                    "y": 1.0,
                    "yanchor": "bottom",
                    "thickness": 8,
                    "len": 0.7,
                    "outlinewidth": 0,
                },
            }
    figure.add_scattergl(
        x=truth,
        y=prediction,
        customdata=_as_ids(row_ids),
        mode="markers",
        marker=marker,
        # What is not selected keeps its opacity: the selection is marked by a ring, not by hiding the rest.
        unselected={"marker": {"opacity": 0.75}},
        hovertemplate=point + " %{customdata}<br>truth %{x:.3f}<br>prediction %{y:.3f}<extra></extra>",
    )
    figure.add_scattergl(
        x=limits, y=limits, mode="lines", line={"color": MUTED, "width": 1.2, "dash": "dash"}, hoverinfo="skip"
    )
    _mark(figure, truth, prediction, row_ids, selected)
    figure.update_xaxes(title=f"{label}, truth", range=limits, constrain="domain")
    figure.update_yaxes(title=f"{label}, predicted", range=limits, scaleanchor="x", scaleratio=1, constrain="domain")
    return figure


def residual_against(
    values: np.ndarray,
    residual: np.ndarray,
    row_ids: Sequence[object] | np.ndarray,
    label: str,
    target: str,
    selected: Sequence[object] = (),
) -> go.Figure:
    """Residual (prediction minus truth) against one column, with running 16, 50 and 84 % quantiles."""
    figure = blank(height=430)
    values = np.asarray(values, dtype=np.float64)
    figure.add_scattergl(
        x=values,
        y=residual,
        customdata=_as_ids(row_ids),
        mode="markers",
        marker={"size": 4, "opacity": 0.35, "color": COOL},
        unselected={"marker": {"opacity": 0.35}},
        hovertemplate="row %{customdata}<br>%{x:.4g}<br>residual %{y:+.3f}<extra></extra>",
    )
    centres, low, median, high = running_quantiles(values, residual)
    _quantile_lines(figure, centres, low, median, high)
    figure.add_hline(y=0, line={"color": MUTED, "width": 1.2, "dash": "dash"})
    _mark(figure, values, residual, row_ids, selected)
    figure.update_xaxes(title=label)
    figure.update_yaxes(title=f"residual of {target}")
    return figure


def running_quantiles(
    x: np.ndarray, y: np.ndarray, bins: int = 18, fewest: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centres and the 16, 50 and 84 % quantiles of y in bins of x with equal counts, at least `fewest` points each."""
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    if x.size < fewest:
        return (np.empty(0),) * 4
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, min(bins, x.size // fewest))
    centres = np.array([np.median(x[part]) for part in parts])
    low, median, high = np.array([np.quantile(y[part], (0.16, 0.5, 0.84)) for part in parts]).T
    return centres, low, median, high


def attention_by_separation(profile: pd.DataFrame, unit: str = "Mpc") -> go.Figure:
    """Relative attention against separation: median, 16-84 % band and the line 1, which means no preference.

    profile: one row a bin, with its bounds low and high and the quantiles p16, median and p84.
    """
    figure = blank(height=330)
    centres = (profile["low"] + profile["high"]) / 2
    _band(figure, centres, profile["p16"], profile["median"], profile["p84"])
    figure.add_hline(y=1, line={"color": MUTED, "width": 1.2, "dash": "dash"})
    figure.add_annotation(
        x=1, xref="paper", y=1, text="no preference", showarrow=False, xanchor="right", yshift=9, font={"size": 11}
    )
    figure.update_xaxes(title=f"separation [{unit}]" if unit else "separation")
    figure.update_yaxes(title="attention × degree", rangemode="tozero")
    return figure


def model_comparison(scores: Mapping[str, tuple[float, float]], metric: str, model: str) -> go.Figure:
    """One metric of the model and the baselines, mean and standard deviation over the folds; the model stands out."""
    figure = blank(height=60 + 38 * len(scores))
    names = list(scores)[::-1]
    means = [scores[name][0] for name in names]
    figure.add_scatter(
        x=means,
        y=names,
        mode="markers",
        error_x={"array": [scores[name][1] for name in names], "thickness": 1.4, "width": 4, "color": MUTED},
        marker={"size": 11, "color": [ACCENT if name == model else COOL for name in names]},
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    figure.update_xaxes(title=metric)
    figure.update_yaxes(type="category", showgrid=True)
    return figure


def attention_profile(profile: pd.DataFrame, label: str) -> go.Figure:
    """Relative attention against a quantity of the edges, as `attention_by_separation` draws it."""
    figure = attention_by_separation(profile, "")
    figure.update_xaxes(title=label)
    return figure


def attention_by_kind(table: pd.DataFrame) -> go.Figure:
    """Relative attention between kinds of objects: median with the 16-84 % range; table as `attention.by_kind`."""
    figure = blank(height=230)
    names = [f"{row['source']} → {row['receiver']}" for _, row in table.iterrows()]
    _medians(figure, table, names)
    figure.update_traces(
        customdata=table["edges"], hovertemplate="%{y}: %{x:.3f} (%{customdata:,} edges)<extra></extra>"
    )
    figure.add_vline(x=1, line={"color": MUTED, "width": 1.2, "dash": "dash"})
    figure.update_xaxes(title="attention × degree", rangemode="tozero")
    figure.update_yaxes(type="category")
    return figure


def _medians(figure: go.Figure, table: pd.DataFrame, names: list[str]) -> None:
    """A point a row at its median, with the range from p16 to p84."""
    figure.add_scatter(
        x=table["median"],
        y=names,
        mode="markers",
        error_x={
            "array": table["p84"] - table["median"],
            "arrayminus": table["median"] - table["p16"],
            "thickness": 1.4,
            "width": 4,
            "color": MUTED,
        },
        marker={"size": 11, "color": ACCENT},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )


def head_entropy(table: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """How spread out each head's attention is, median with the 16-84 % range; table as `attention.entropy`."""
    figure = blank(height=90 + 34 * len(table))
    _medians(figure, table, list(names))
    figure.update_xaxes(title="entropy / log(edges)", range=[0, 1.02])
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def agreement(table: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """A square table of rank correlations, from -1 to 1."""
    figure = blank(height=120 + 34 * len(table))
    figure.add_heatmap(
        z=table.to_numpy(),
        x=list(names),
        y=list(names),
        zmin=-1,
        zmax=1,
        colorscale=[[0, COOL], [0.5, "rgba(133,146,166,0.15)"], [1, ACCENT]],
        text=table.to_numpy(),
        texttemplate="%{text:.2f}",
        hovertemplate="%{y}, %{x}: ρ = %{z:.3f}<extra></extra>",
        showscale=False,
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def importances(table: pd.DataFrame, unit: str) -> go.Figure:
    """How much the held-out error rises without each block; table as `explain.features.importance`."""
    figure = blank(height=100 + 32 * len(table), legend=True)
    colours = {"node features": ACCENT, "edge features": COOL, "graph": GREEN}
    for kind, part in table.groupby("kind", sort=False):
        figure.add_bar(
            x=part["increase"],
            y=part["block"],
            name=str(kind),
            orientation="h",
            marker={"color": colours[str(kind)]},
            error_x={"array": part["error"], "thickness": 1.4, "width": 4, "color": MUTED},
            hovertemplate="%{y}: RMSE + %{x:.4f}<extra></extra>",
        )
    figure.update_xaxes(title="RMSE rises by" + (f" [{unit}]" if unit else ""))
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=table["block"].tolist()[::-1])
    return figure


def ablation(table: pd.DataFrame, length_unit: str, unit: str) -> go.Figure:
    """The held-out error against the longest edge that is kept; table as `explain.features.radius_ablation`."""
    figure = blank(height=300)
    figure.add_scatter(
        x=table["length"],
        y=table["rmse"],
        customdata=table["edges"],
        mode="lines+markers",
        line={"color": ACCENT, "width": 2},
        hovertemplate="up to %{x:.3g}: RMSE %{y:.4f}, %{customdata:.0%} of the edges<extra></extra>",
    )
    figure.update_xaxes(title=f"longest edge kept [{length_unit}]" if length_unit else "longest edge kept")
    figure.update_yaxes(title=f"RMSE [{unit}]" if unit else "RMSE", rangemode="tozero")
    return figure


def point_by_point(table: pd.DataFrame, names: tuple[str, str], selected: Sequence[object] = ()) -> go.Figure:
    """The residuals of two runs against each other; table as `explain.errors.paired`. Axes are equal."""
    figure = blank(height=440)
    x, y = table["residual_first"].to_numpy(), table["residual_second"].to_numpy()
    reach = 1.05 * float(np.abs(np.concatenate([x, y])).max(initial=0.0)) or 1.0
    figure.add_scattergl(
        x=x,
        y=y,
        customdata=_as_ids(table["row_id"].to_numpy()),
        mode="markers",
        marker={"size": 4, "opacity": 0.4, "color": COOL},
        unselected={"marker": {"opacity": 0.4}},
        hovertemplate="row %{customdata}<br>%{x:+.3f}, %{y:+.3f}<extra></extra>",
    )
    for slope in (1, -1):
        line = {"color": MUTED, "width": 1.2, "dash": "dash"}
        figure.add_scattergl(
            x=[-reach, reach], y=[-slope * reach, slope * reach], mode="lines", line=line, hoverinfo="skip"
        )
    _mark(figure, x, y, table["row_id"].to_numpy(), selected)
    figure.update_xaxes(title=f"residual of {names[0]}", range=[-reach, reach], constrain="domain")
    figure.update_yaxes(
        title=f"residual of {names[1]}", range=[-reach, reach], scaleanchor="x", scaleratio=1, constrain="domain"
    )
    return figure


def fidelity(curves: pd.DataFrame, measure: str, labels: Mapping[str, str], unit: str) -> go.Figure:
    """Mean change of a prediction when a share of its edges is kept, or removed, in the order of each ranking."""
    figure = blank(height=390, legend=True)
    colours = {"attention": ACCENT, "distance": COOL, "deletion": GREEN, "shuffled": MUTED}
    others = iter(["#a876c0", "#3ba3b3", "#b8a13a"])
    for name, part in curves.groupby("ranking", sort=False):
        key = str(name)
        figure.add_scatter(
            x=part["fraction"],
            y=part[measure],
            name=labels[key],
            mode="lines",
            line={
                "color": colours.get(key) or next(others),
                "width": 3 if key == "attention" else 1.8,
                "dash": "dot" if key == "shuffled" else "solid",
            },
            hovertemplate=f"{labels[key]}, %{{x:.0%}}: %{{y:.4f}}<extra></extra>",
        )
    kept = measure == "fidelity_minus"
    figure.update_xaxes(title=f"highest share of the edges that is {'kept' if kept else 'removed'}", tickformat=".0%")
    figure.update_yaxes(title=f"mean change [{unit}]" if unit else "mean change", rangemode="tozero")
    return figure


def rank_correlations(
    table: pd.DataFrame, labels: Mapping[str, str], shuffled: tuple[float, float] | None
) -> go.Figure:
    """Each ranking's correlation with the deletion effect, with its error. The band: 95 % of shuffled attention."""
    figure = blank(height=90 + 38 * len(table))
    if shuffled:
        figure.add_vrect(x0=shuffled[0], x1=shuffled[1], fillcolor=MUTED, opacity=0.25, line_width=0)
    figure.add_vline(x=0, line={"color": MUTED, "width": 1.2, "dash": "dash"})
    figure.add_scatter(
        x=table["rho"],
        y=[labels[str(name)] for name in table.index],
        mode="markers",
        error_x={"array": table["error"], "thickness": 1.4, "width": 4, "color": MUTED},
        marker={"size": 11, "color": [ACCENT if name == "attention" else COOL for name in table.index]},
        hovertemplate="%{y}: ρ = %{x:.3f}<extra></extra>",
    )
    figure.update_xaxes(title="rank correlation with the deletion effect", range=[-1, 1])
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def error_by_bin(table: pd.DataFrame, measure: str, label: str) -> go.Figure:
    """A measure of error in bins of a column, for all objects and for each kind; table as `explain.errors.by_bins`."""
    figure = blank(legend=True)
    for kind, colour in (("all", MUTED), ("centrals", ACCENT), ("satellites", COOL)):
        part = table[table["kind"] == kind]
        if len(part):
            figure.add_scatter(
                x=part["centre"],
                y=part[measure],
                name=kind,
                customdata=part["objects"],
                mode="lines+markers",
                line={"color": colour, "width": 2},
                hovertemplate=f"{kind}, %{{x:.3g}}: %{{y:.4f}} (%{{customdata:,}} objects)<extra></extra>",
            )
    figure.update_xaxes(title=label)
    figure.update_yaxes(title="bias" if measure == "bias" else measure.upper(), rangemode="tozero")
    return figure


def calibration(levels: pd.DataFrame) -> go.Figure:
    """Share of the truths inside the interval of each level, with the line on which it is what it promises."""
    figure = blank()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "width": 1.2, "dash": "dash"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=levels["level"],
        y=levels["inside"],
        mode="lines+markers",
        line={"color": ACCENT, "width": 2},
        hovertemplate="promised %{x:.0%}: %{y:.1%} inside<extra></extra>",
    )
    figure.update_xaxes(title="promised", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title="inside", tickformat=".0%", range=[0, 1])
    return figure


def _band(
    figure: go.Figure, x: object, low: object, median: object, high: object, colour: str = ACCENT, **place: int
) -> None:
    """A median, or a mean, with its 16-84 % band; place: the row and column of a figure that has several."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", **place}
    figure.add_scatter(x=x, y=low, **edge)
    figure.add_scatter(x=x, y=high, fill="tonexty", fillcolor=f"rgba({red},{green},{blue},0.22)", **edge)
    line = {"color": colour, "width": 2.4}
    figure.add_scatter(x=x, y=median, mode="lines", line=line, hovertemplate="%{x:.3g}: %{y:.3g}", **place)


def _quantile_lines(figure: go.Figure, x: object, low: object, median: object, high: object) -> None:
    """A median between its 16 and 84 % quantiles, as WebGL lines: points in WebGL would cover a filled band."""
    for values, width in ((low, 1.2), (median, 2.6), (high, 1.2)):
        figure.add_scattergl(x=x, y=values, mode="lines", line={"color": ACCENT, "width": width}, hoverinfo="skip")


def _mark(
    figure: go.Figure,
    x: np.ndarray,
    y: np.ndarray,
    row_ids: Sequence[object] | np.ndarray,
    selected: Sequence[object],
) -> None:
    """A ring around each selected row; a dot where rings would hide what they surround."""
    if not len(selected):
        return
    chosen = np.isin(np.asarray(row_ids), np.asarray(list(selected)))
    ring = {"size": 15, "color": "rgba(0,0,0,0)", "line": {"color": ROSE, "width": 2.4}}
    figure.add_scattergl(
        x=np.asarray(x)[chosen],
        y=np.asarray(y)[chosen],
        mode="markers",
        marker=ring if chosen.sum() <= MOST_RINGS else {"size": 4, "color": ROSE},
        hoverinfo="skip",
    )


def _as_ids(row_ids: Sequence[object] | np.ndarray) -> list[str]:
    """Row ids as text: a 64-bit id does not survive as a JavaScript number."""
    return [str(row_id) for row_id in row_ids]
