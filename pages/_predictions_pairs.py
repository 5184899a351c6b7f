"""The Predictions page of a run that says which pairs of objects belong together: curves, pairs, edges in space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from gnnlib.catalog.table import Catalog
from gnnlib.explain import pairs
from gnnlib.graph.build import build_graph
from gnnlib.graph.graph import Graph
from gnnlib.training.baselines import BASELINES
from gnnlib.training.data import usable_rows
from gnnlib.training.run import Run
from gnnlib.training.tasks.pairs import CLASSES
from gnnlib.view import charts_tasks
from gnnlib.view.colors import Colors
from gnnlib.view.export import Shot
from gnnlib.view.scene import Scene, graph_scene
from gnnlib.view.viewpoint import around
from pages import _results, _session
from pages._exports import downloads
from pages._layout import headed_choice
from pages._linked import linked_canvas, linked_table
from pages._scene_files import scene_files
from pages._sidebar import in_words, plain, source_name
from pages._words import chance

LISTED = 1000  # pairs in the table
NEAR = 0.025  # least radius of the picture of a pair, of the frame's
COLOURS = {"probability": "Probability", "right": "Right or wrong"}
ORDERS = {"worst": "Worst", "best": "Best", "selected": "Of the selection"}
JUDGED = ("right, apart", "right, together", "wrong, apart", "wrong, together")


@dataclass(frozen=True)
class Pairs:
    """rows: that the run used. graph: theirs. table: one row a tested pair, as in predictions.parquet, with its
    separation. pair_of: [M] place in it of each directed edge, -1 where that was not tested.
    """

    rows: Catalog
    graph: Graph
    table: pd.DataFrame
    pair_of: np.ndarray

    def pair(self, place: int) -> dict[str, Any]:
        """One row of the table, by column: each in its own type, since an id would not survive as a float."""
        return {str(name): values.iloc[place] for name, values in self.table.items()}

    @property
    def surprise(self) -> np.ndarray:
        """[P] near 1 where the run was surely wrong."""
        return pairs.surprise(self.table["truth"].to_numpy(), self.table["probability"].to_numpy())

    @property
    def touching(self) -> np.ndarray:
        """[P] bool: the pairs with a selected object at an end."""
        chosen = self.rows.row_ids[_session.selected_rows(self.rows.row_ids)]
        return np.logical_or(*(np.isin(self.table[end].to_numpy(), chosen) for end in ("source", "receiver")))

    @property
    def shown(self) -> int:
        """The pair that the card is about: that of the two objects selected last, else of the pairs of the selection,
        or of all, the one that the run was most surely wrong about.
        """
        last = self.rows.row_ids[_session.selected_rows(self.rows.row_ids)][-2:]
        both = np.logical_and(*(np.isin(self.table[end].to_numpy(), last) for end in ("source", "receiver")))
        if len(last) == 2 and both.any():
            return int(np.argmax(both))
        touching = self.touching
        return int(np.argmax(np.where(touching | ~touching.any(), self.surprise, -1.0)))


@st.cache_resource(max_entries=4, show_spinner="Opening the run")
def _pairs(run_id: str, moment: float) -> Pairs:
    run = _session.load_run(run_id)
    rows, predictions = _session.catalog(run.spec.catalog), run.predictions
    rows = rows.take(usable_rows(run.spec, rows))
    graph = build_graph(rows, run.spec.graph)
    pair_of = pairs.edges_of_pairs(graph, predictions["source"].to_numpy(), predictions["receiver"].to_numpy())
    separation = pairs.separations(graph, pair_of, len(predictions))
    return Pairs(rows, graph, predictions.assign(separation=separation), pair_of)


@st.cache_resource(max_entries=4, show_spinner="Preparing the view")
def scene_of(run_id: str, moment: float, colour: str, file: str | None) -> Scene:
    found = _pairs(run_id, moment)
    probability, truth = found.table["probability"].to_numpy(), found.table["truth"].to_numpy()
    together = probability >= 0.5
    of_pairs = probability if colour == "probability" else together + 2.0 * (together != (truth == 1))
    of_edges = np.where(found.pair_of < 0, np.nan, of_pairs[found.pair_of]).astype(np.float32)
    colours = Colors(of_edges, "probability of belonging together", (0.0, 1.0), "plasma")
    if colour == "right":
        colours = Colors(of_edges, "what was said of the pair", (0.0, len(JUDGED) - 1.0), categories=JUDGED)
    return graph_scene(
        found.graph,
        found.rows,
        file=file,
        size_by=np.zeros(len(found.rows)),  # small, so that the edges are what one sees
        edge_colors=colours,
        node_scale=0.3,
        edge_width=np.where(found.pair_of < 0, 0.0, 1.0),
        details=(found.rows.roles.mass,) if found.rows.roles.mass else (),
    )


def show(run: Run) -> None:
    with _session.explained():
        found = _pairs(run.id, _results.written(run))
        if found.table.empty:
            st.info("No pair is tested yet.")
            return
    inspected(run, found)
    curves(run, found)
    spread, listed = st.columns([2, 3], gap="medium")
    with spread:
        histogram(found)
    with listed:
        table(run, found)
    downloads("Every tested pair with its probability", f"predictions_{run.id}", lambda: run.predictions)


@st.fragment(key="inspected_pairs")
def inspected(run: Run, found: Pairs) -> None:
    """Picture and card. A click runs this part alone, so that the card answers at once; the rest follows."""
    picture, card = st.columns([3, 2], gap="medium")
    with picture:
        pair_map(run, found)
    with card:
        pair_card(run, found)
    _session.settle()


def pair_map(run: Run, found: Pairs) -> None:
    colour = headed_choice("Pairs in space", "Coloured by", COLOURS, "pairs_colour", persist_state="session")
    scene = scene_of(run.id, _results.written(run), colour, _session.drawn_file(found.rows))
    linked_canvas(scene, key="pairs_canvas", height=470)
    tested = len(found.table)
    grey = " Grey ones were not tested: they join two folds, or have no label." if (found.pair_of < 0).any() else ""
    st.caption(f"{tested:,} tested pairs.{grey} {in_words(scene.caption)}".strip())
    scene_files(scene, Shot(), _session.seen())


def pair_card(run: Run, found: Pairs) -> None:
    """What was said of the pair, and the rows of its two ends beside each other."""
    row = found.pair(found.shown)
    with st.container(border=True):
        st.subheader(f"Rows {plain(row['source'])} and {plain(row['receiver'])}", anchor=False)
        if not found.touching.any():
            st.caption("The most surely wrong pair. Click an object, or select a row of the table, to see another one.")
        unit = found.rows.length_unit
        with st.container(horizontal=True, gap="medium"):
            st.metric("Probability", chance(row["probability"]), width="content", help="Of belonging together")
            st.metric("Truth", CLASSES[int(row["truth"])], width="content")
            st.metric("Separation", f"{row['separation']:.3g} {plain(unit)}".strip(), width="content")
        label = str(run.spec.label)
        said_by = label if label.strip() in found.rows.columns else source_name(label)
        wrong = (row["probability"] >= 0.5) != (row["truth"] == 1)
        st.caption(
            f"{'Wrong' if wrong else 'Right'} at a half, predicted by fold {int(row['fold']) + 1}, out of fold. By "
            f"{plain(said_by)} they are {'together' if row['truth'] == 1 else 'apart'}."
        )
        places = pd.Index(found.rows.row_ids).get_indexer(pd.Index([row["source"], row["receiver"]]))
        values = found.rows.table.iloc[places]
        st.dataframe(
            pd.DataFrame(
                {"column": [found.rows.columns[str(name)].label for name in values.columns]}
                | {
                    f"row {found.rows.row_ids[place]}": [
                        f"{value:.6g}" if isinstance(value, float | np.floating) else str(value) for value in one
                    ]
                    for place, (_, one) in zip(places, values.iterrows(), strict=True)
                }
            ),
            hide_index=True,
            height=250,
        )


@st.cache_data(max_entries=4, show_spinner="Drawing the curves")
def _curves(run_id: str, moment: float) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    run = _session.load_run(run_id)
    told = run.predictions
    truth = told["truth"].to_numpy()
    scores = {_results.model_label(run): told["probability"]}
    for column in (str(name) for name in told if str(name).startswith("baseline_")):
        name = column.removeprefix("baseline_")
        scores[BASELINES[name].label if name in BASELINES else name] = told[column]
    of = {
        curve: {name: pairs.thinned(make(truth, values.to_numpy())) for name, values in scores.items()}
        for curve, make in (("precision_recall", pairs.precision_recall), ("roc", pairs.roc))
    }
    return of["precision_recall"], of["roc"]


def curves(run: Run, found: Pairs) -> None:
    with _session.explained():
        precision_recall, roc = _curves(run.id, _results.written(run))
    share = float(found.table["truth"].mean())
    metrics = run.results["metrics"]
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Precision and recall", anchor=False)
        st.plotly_chart(charts_tasks.precision_recall(precision_recall, share), key="precision_recall")
        mean = _results.shown_metric("average_precision", metrics["average_precision"]["mean"])
        st.caption(f"Average precision {mean}, the mean of the folds; a guess has {share:.3f}, the dashed line.")
    with right:
        st.subheader("ROC", anchor=False, help="Receiver operating characteristic: right alarms against false ones")
        st.plotly_chart(charts_tasks.roc(roc), key="roc")
        mean = _results.shown_metric("roc_auc", metrics["roc_auc"]["mean"])
        st.caption(f"Area {mean}, the mean of the folds; a guess has 0.5, the dashed line.")


def histogram(found: Pairs) -> None:
    st.subheader("Probabilities", anchor=False)
    truth, probability = found.table["truth"].to_numpy(), found.table["probability"].to_numpy()
    st.plotly_chart(charts_tasks.probabilities(truth, probability, CLASSES), key="pair_probabilities")
    together = int(truth.sum())
    st.caption(f"{together:,} tested pairs belong together and {len(truth) - together:,} do not; logarithmic.")


def table(run: Run, found: Pairs) -> None:
    """Pairs, the most surely wrong first; selecting one selects its two objects and goes there."""
    which = headed_choice("Pairs", "Which pairs", ORDERS, "which_pairs")
    surprise = found.surprise
    places = np.flatnonzero(found.touching) if which == "selected" else np.arange(len(surprise))
    order = places[np.argsort(surprise[places] if which == "best" else -surprise[places], kind="stable")][:LISTED]
    listed = found.table.iloc[order][["source", "receiver", "truth", "probability", "separation", "fold"]]
    listed = listed.reset_index(drop=True).assign(truth=[CLASSES[int(kind)] for kind in listed["truth"]])
    unit = found.rows.length_unit
    config: dict[str, Any] = {
        "probability": st.column_config.ProgressColumn(format="%.3f", min_value=0.0, max_value=1.0),
        "separation": st.column_config.NumberColumn(f"separation [{unit}]" if unit else "separation", format="%.3f"),
    }
    linked_table(listed, f"pairs_{which}", lambda place: go_to(run, found, int(order[place])), 330, config)
    first = "surest right" if which == "best" else "most surely wrong"
    st.caption(f"{len(listed):,} of {len(places):,} pairs, the {first} first; select a row to see its two objects.")


def go_to(run: Run, found: Pairs, pair: int) -> None:
    """Select the two objects of a pair and move the picture there."""
    row = found.pair(pair)
    _session.select([row["source"], row["receiver"]])
    places = pd.Index(found.rows.row_ids).get_indexer(pd.Index([row["source"], row["receiver"]]))
    _session.draw_file_of(found.rows, int(places[0]))
    scene = scene_of(run.id, _results.written(run), "probability", _session.drawn_file(found.rows))
    _session.show_view(around(scene, found.graph.positions[places], found.graph.box, _session.view(), NEAR))
