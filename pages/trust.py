"""Whether to believe a run: attention against what neighbours really do, what inputs matter, symmetries tried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from gnnlib.explain.attention import ALL_HEADS, LARGEST, head_label
from gnnlib.training.run import Run
from gnnlib.view import charts
from pages import _results, _session
from pages._exports import downloads
from pages._layout import heading, metric_strip, next_step
from pages._sidebar import plain, run_title

if TYPE_CHECKING:
    from gnnlib.explain.honesty import Honesty

SECTIONS = ("Attention against effects", "Which inputs matter", "Symmetries")
OBJECTS = (50, 200, 500, 1000)
KEPT = 32  # results of long work


def main() -> None:
    run = _results.run_in_view("Trust", "Whether to believe what a model shows.")
    if run is None:
        return
    heading("Trust", f"Whether to believe **{plain(run_title(run))}**: its models are asked again, on held-out rows.")
    if sentence := _results.of_another_task(run):
        st.info(plain(sentence))
        return
    section = st.segmented_control(
        "Section",
        SECTIONS,
        default=SECTIONS[0],
        required=True,
        key="trust_section",
        persist_state="session",
        label_visibility="collapsed",
    )
    with _session.explained():
        if section == SECTIONS[0]:
            honesty(run)
        elif section == SECTIONS[1]:
            inputs(run)
        else:
            symmetries(run)
    next_step("whatif.py", "Next: change the universe", ":material/experiment:")


@st.cache_resource(max_entries=1)
def kept() -> dict[tuple[object, ...], Any]:
    """What was worked out, for all sessions. Not a cached function of its own: those cannot show how far they are."""
    return {}


def worked_out(key: tuple[object, ...], label: str, work: Callable[[Callable[[float, str], None]], Any]) -> Any:
    """The result of long work, begun by a button and with a bar while it goes on; None before."""
    if key in kept():
        return kept()[key]
    place = st.empty()
    if not place.button(label, type="primary", key=f"start_{key[0]}"):
        return None

    def report(share: float, text: str) -> None:
        place.progress(share, text)

    found = work(report)
    place.empty()
    while len(kept()) >= KEPT:
        kept().pop(next(iter(kept())))
    kept()[key] = found
    return found


def honesty(run: Run) -> None:
    from gnnlib.explain.honesty import RANKINGS

    heads = _results.attention_heads(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.selectbox("Objects", OBJECTS, index=1, key="honesty_objects", persist_state="session", width=120)
        head = ALL_HEADS
        if heads:
            head = st.selectbox(
                "Attention",
                [ALL_HEADS, LARGEST, *heads],
                format_func=head_label,
                key="honesty_head",
                persist_state="session",
                width=240,
            )
    st.caption(
        "For objects drawn at random every neighbour is deleted and the model asked again. How well does attention "
        "rank the neighbours by that, compared with distance alone and with attention shuffled among them?"
    )

    def work(report: Callable[[float, str], None]) -> Honesty:
        from gnnlib.explain.honesty import judge

        return judge(_results.replay(run), count, head, report=report)

    found = worked_out(("honesty", run.id, _results.written(run), count, head), "Ask the model", work)
    if found is None:
        return
    first, *others = found.verdict()
    with st.container(border=True):
        st.markdown(f"**{plain(first)}**")
        for sentence in others:
            st.markdown(plain(sentence))
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Rank correlation with the deletion effect", anchor=False)
        st.plotly_chart(charts.rank_correlations(found.correlations, RANKINGS, found.shuffled), key="correlations")
        st.caption("Mean over objects with at least four neighbours; grey: 95 % of shuffled attention.")
    with right:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader("Fidelity", anchor=False)
            measure = st.segmented_control(
                "Curve",
                ["fidelity_minus", "fidelity_plus"],
                default="fidelity_minus",
                required=True,
                format_func={"fidelity_minus": "keep only", "fidelity_plus": "remove"}.__getitem__,
                key="fidelity_measure",
                label_visibility="collapsed",
            )
        labels = RANKINGS if heads else RANKINGS | {"shuffled": "At random"}
        st.plotly_chart(charts.fidelity(found.curves, str(measure), labels, found.unit), key="fidelity")
        better = "lower" if measure == "fidelity_minus" else "higher"
        st.caption(f"Of {found.objects:,} objects; a {better} curve ranks the edges better.")
    downloads("Every edge with every ranking", f"honesty_{run.id}", lambda: found.edges)


def inputs(run: Run) -> None:
    from gnnlib.explain.errors import unit_of

    st.caption(
        "Each input is dealt out anew among the held-out objects, or edges, and the rise of the error told. The model "
        "is not trained again: this says what it uses, not what could be done without it."
    )

    def work(report: Callable[[float, str], None]) -> tuple[pd.DataFrame, pd.DataFrame]:
        from gnnlib.explain.features import importance, radius_ablation

        table = importance(_results.replay(run), report=lambda share, text: report(0.7 * share, text))
        report(0.75, "Edges by their length")
        return table, radius_ablation(_results.replay(run))

    found = worked_out(("inputs", run.id, _results.written(run)), "Destroy the inputs in turn", work)
    if found is None:
        return
    table, by_length = found
    unit = unit_of(run.spec.target)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Error without each input", anchor=False)
        st.plotly_chart(charts.importances(table, unit), key="importances")
    with right:
        st.subheader("Error without the longer edges", anchor=False)
        st.plotly_chart(charts.ablation(by_length, _results.outcome(run)[0].length_unit, unit), key="ablation")
    downloads("Importance of each input", f"importance_{run.id}", lambda: table)


@st.cache_resource(max_entries=2, show_spinner="Training a network that is told where everything is")
def counter_of(run_id: str, moment: float) -> Any:
    from gnnlib.explain.symmetry import counter_example

    return counter_example(_results.replay(_session.load_run(run_id)))


@st.cache_data(max_entries=32, show_spinner="Building the graph anew and asking the model")
def tried(run_id: str, moment: float, name: str, with_counter: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from gnnlib.explain.symmetry import trial

    counter = counter_of(run_id, moment) if with_counter else None
    return asdict(trial(_results.replay(_session.load_run(run_id)), name, counter=counter))


def symmetries(run: Run) -> None:
    from gnnlib.explain.errors import unit_of
    from gnnlib.explain.symmetry import TRIALS

    st.caption(
        "The catalog is transformed, its graph built anew and the model asked again. What the laws of nature do not "
        "notice should not change a prediction by more than rounding. For comparison: a network that has x, y and z "
        "among its features."
    )
    moment, key = _results.written(run), f"trials_{run.id}"
    done: list[str] = st.session_state.setdefault(key, [])
    with st.container(horizontal=True):
        for name, label in TRIALS.items():
            if name == "shift" and _results.outcome(run)[1].box is None:
                continue
            if name == "permute" and run.spec.graph.method == "edge_list" and run.spec.graph.edge_ids == "indices":
                continue  # the file of edges counts rows
            if st.button(label, key=f"trial_{name}") and name not in done:
                done.append(name)
    if not done:
        return
    unit = unit_of(run.spec.target)
    rows = []
    for name in done:
        own, other = tried(run.id, moment, name, False), tried(run.id, moment, name, True)
        rows.append(
            {
                "transformation": TRIALS[name] + (", box opened" if own["open_box"] else ""),
                "largest change": own["largest"],
                "largest change, absolute positions": other["largest"],
                "edges that differ": own["edges"],
            }
        )
    last = tried(run.id, moment, done[-1], False)
    shown = f" {unit}" if unit else ""
    metric_strip(
        [
            (
                f"{TRIALS[done[-1]]}: largest change",
                f"{last['largest']:.1e}{shown}",
                "Over all tested objects of a fold",
            ),
            (
                "With absolute positions",
                f"{tried(run.id, moment, done[-1], True)['largest']:.2g}{shown}",
                "The same for a network that is told x, y and z",
            ),
            ("Spread of the target", f"{last['spread']:.3f}{shown}", None),
            ("Objects", f"{last['objects']:,}", None),
        ]
    )
    number = st.column_config.NumberColumn(format="scientific")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={"largest change": number, "largest change, absolute positions": number},
    )
    if any(row["edges that differ"] for row in rows):
        st.caption(
            "Edges differ where rounding moves a pair across the linking length; their objects then change more."
        )


main()
