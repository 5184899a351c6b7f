"""The form of a new run: what is predicted, by which model, with which preset; everything else is folded away."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError
from streamlit.delta_generator import DeltaGenerator

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError
from gnnlib.models.registry import MODELS
from gnnlib.models.spec import Aggregation, ModelSpec, Readout
from gnnlib.training.baselines import BASELINES, DEFAULTS, usable
from gnnlib.training.presets import PRESETS, WORDS
from gnnlib.training.run import create_run, runs_directory
from gnnlib.training.schedule import SCHEDULES
from gnnlib.training.spec import RunSpec
from gnnlib.view.upload.places import keep
from pages import _session, _train_plan
from pages._layout import key_for
from pages._sidebar import graph_label, plain
from pages._train_task import checked_label, more_targets, what_and_from_what

SPLITS = {"slabs": "Slabs", "blocks": "Blocks", "group": "Groups", "random": "Random (leaks)"}
SPLIT_MEANINGS = {
    "slabs": "Slabs of equal counts along the longest axis, with a buffer between train and test.",
    "blocks": "Blocks in three dimensions, with a buffer between train and test.",
    "group": "Blocks of whole groups, with a buffer between train and test.",
    "random": "Neighbours of test objects are trained on, so the scores are too good. For comparison only.",
}
DEVICES = {"auto": "Automatic", "cuda": "CUDA", "mps": "Apple MPS", "cpu": "CPU"}
SCHEDULE_WORDS = {
    "one_cycle": "One cycle: up, then down to 0",
    "cosine": "Cosine down to 0",
    "step": "Steps: a fifth at 1/2, again at 3/4",
    "constant": "Constant",
}
# fields of a model that only some have -> label and what it means
SWITCHES = {
    "self_path": ("Path of its own", "A node's own features take a way of their own, beside the messages"),
    "velocities": ("Velocity vectors", "The model sees the vectors of peculiar velocity and turns with them"),
    "global_state": (
        "Global state",
        "Every layer also keeps a state of the whole graph; batches are whole graphs then",
    ),
}


def form(rows: Catalog) -> tuple[RunSpec | None, DeltaGenerator]:
    """The form; returns what it says, None where that is not complete, and the place for what it would take."""
    with st.container(border=True):
        st.subheader("New run", anchor=False)
        chosen = what_and_from_what(rows)
        preset = preset_choice()
        model = model_choice(preset)
        start_from = PRESETS[preset]
        with st.expander("Architecture and optimisation", icon=":material/tune:"):
            knobs, optimisation = architecture(rows, model, preset, chosen)
        with st.expander("Folds", icon=":material/grid_view:"):
            folds = cross_validation(rows, start_from, preset, knobs["depth"])
        with st.expander("Rows, device and name", icon=":material/more_horiz:"):
            where = st.text_input(
                "Keep rows where",
                rows.spec.where or "",
                key=key_for("train_where", rows.spec.path, rows.spec.where),
                placeholder="all rows",
                persist_state="session",
            )
            device = device_choice()
            name = st.text_input("Name", key="run_name", placeholder="optional", max_chars=80)
        said = {
            **chosen,
            "model": {"name": model, **knobs},
            "preset": preset,
            "device": device,
            "name": name.strip(),
            **optimisation,
            **folds,
        }
        try:
            spec = specification(rows, where, said)
        except InputError as error:
            spec, refused = None, str(error)
        st.caption(f"On the graph in view: {plain(graph_label(_session.graph_spec(), rows.length_unit))}.")
        place = st.container()
        if st.button("Start training", type="primary", icon=":material/play_arrow:", key="start", width="stretch"):
            if spec is None:
                st.error(refused, icon=":material/error:")
            else:
                begin(spec)
        return spec, place


def model_choice(preset: str) -> str:
    """One of the models that can be used here, at first that of the preset."""
    there = [name for name, entry in MODELS.items() if not entry.missing]
    model = st.selectbox(
        "Model",
        there,
        there.index(ModelSpec.model_validate(PRESETS[preset]["model"]).name),
        format_func=lambda name: MODELS[name].label,
        key=f"model_{preset}",
        persist_state="session",
    )
    entry = MODELS[model]
    with st.container(gap=None):
        st.caption(entry.description)
        for absent in (other for other in MODELS.values() if other.missing):
            st.caption(absent.missing)
    with st.popover("Its equation", icon=":material/function:", type="tertiary"):
        for part in entry.equation.split(r",\quad "):
            st.latex(part)
        st.caption(
            "ξ: an object's state, at first its features. e: what the edge carries. φ, ψ: small networks. "
            "The sum over j runs over the neighbours; U copies work side by side, `depth` layers follow each other."
        )
    return model


def preset_choice() -> str:
    preset = st.selectbox(
        "Preset", list(PRESETS), format_func=lambda name: WORDS[name][0], key="preset", persist_state="session"
    )
    st.caption(WORDS[preset][1])
    return preset


def architecture(
    rows: Catalog, model: str, preset: str, chosen: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The knobs of the model and of the optimisation, starting from the preset."""
    given, task = PRESETS[preset], chosen["task"]
    start = ModelSpec.model_validate(given["model"] | {"name": model})
    fields = MODELS[model].fields
    left, right = st.columns(2)

    def number(place: Any, label: str, name: str, meaning: str, most: int) -> int:
        return place.number_input(
            label, 1, most, getattr(start, name), help=meaning, key=f"{name}_{preset}_{model}", persist_state="session"
        )

    knobs: dict[str, Any] = {
        "hidden": number(left, "Hidden width", "hidden", "Width of the layers inside φ, ψ and ρ", 1024),
        "latent": number(right, "Latent width", "latent", "Width of a node's state ξ", 1024),
        "unshared": number(left, "Unshared copies U", "unshared", "Message functions in parallel", 16),
        "depth": number(right, "Depth", "depth", "Stacked layers; each reaches one edge further", 8),
    }
    if "heads" in fields:
        knobs["heads"] = number(left, "Heads", "heads", "Attention heads in each copy", 16)
    if "neighbours" in fields:
        knobs["neighbours"] = number(left, "Neighbours in latent space", "neighbours", "Of each node, found anew", 256)
    knobs["dropout"] = right.number_input(
        "Dropout", 0.0, 0.9, start.dropout, 0.05, key=f"dropout_{preset}_{model}", persist_state="session"
    )
    if "aggregation" in fields:
        wanted = st.pills(
            "Aggregation",
            get_args(Aggregation),
            selection_mode="multi",
            default=list(start.aggregation),
            key=f"aggregation_{preset}",
        )
        knobs["aggregation"] = tuple(wanted) or start.aggregation
    with st.container(horizontal=True):
        for name, (label, meaning) in SWITCHES.items():
            if name in fields or name == "global_state":
                value = st.toggle(label, getattr(start, name), help=meaning, key=f"{name}_{preset}_{model}")
                knobs[name] = value
    if task == "graph_regression":
        knobs["readout"] = st.segmented_control(
            "From the members to the group",
            get_args(Readout),
            default=start.readout,
            required=True,
            key=f"readout_{preset}",
        )
    return knobs, optimisation_of(rows, given, preset, chosen)


def optimisation_of(rows: Catalog, given: dict[str, Any], preset: str, chosen: dict[str, Any]) -> dict[str, Any]:
    start = {name: field.default for name, field in RunSpec.model_fields.items()} | given
    left, right = st.columns(2)
    said: dict[str, Any] = {
        "epochs": left.number_input("Epochs", 1, 100_000, start["epochs"], key=f"epochs_{preset}"),
        "batch_size": right.number_input(
            "Batch size",
            1,
            1_000_000,
            start["batch_size"],
            key=f"batch_{preset}",
            help="Rows a step, each with all the neighbours its output depends on",
        ),
        "learning_rate": left.number_input(
            "Learning rate", 1e-6, 1.0, start["learning_rate"], 1e-3, format="%.4g", key=f"rate_{preset}"
        ),
        "weight_decay": right.number_input(
            "Weight decay", 0.0, 1.0, start["weight_decay"], 1e-4, format="%.4g", key=f"decay_{preset}"
        ),
        "schedule": st.selectbox(
            "Learning rate over the training",
            list(SCHEDULES),
            list(SCHEDULES).index(start["schedule"]),
            format_func=SCHEDULE_WORDS.__getitem__,
            key=f"schedule_{preset}",
        ),
    }
    left, right = st.columns(2)
    said |= {
        "patience": left.number_input(
            "Patience",
            1,
            100_000,
            start["patience"],
            placeholder="never",
            key=f"patience_{preset}",
            help="Stop after so many epochs without a better validation loss",
        ),
        "clip": right.number_input("Longest gradient", 1e-3, 1e3, start["clip"], format="%.4g", key=f"clip_{preset}"),
        "seeds": left.number_input(
            "Networks a fold",
            1,
            50,
            start["seeds"],
            key=f"seeds_{preset}",
            help="Trained from different seeds; their mean predicts, their spread adds to the uncertainty",
        ),
        "seed": right.number_input("Seed", 0, 2**31 - 1, start["seed"], key="seed"),
    }
    if "cuda" in usable_devices():
        said["amp"] = left.toggle("bfloat16", start["amp"], key=f"amp_{preset}", help="Mixed precision where safe")
    said["compile"] = right.toggle(
        "torch.compile", start["compile"], key=f"compile_{preset}", help="Pays on a GPU; the plain model where it fails"
    )
    task = chosen["task"]
    preferred = given.get("baselines", DEFAULTS[task]) if task == "node_regression" else DEFAULTS[task]
    wanted = st.pills(
        "Baselines",
        [name for name in BASELINES if usable(name, task)],
        selection_mode="multi",
        default=list(preferred),
        format_func=lambda name: BASELINES[name].label,
        key=f"baselines_{preset}_{task}",
        help="On the same folds. “+ neighbours”: with hand-made features of the surroundings.",
    )
    said["baselines"] = tuple(wanted)
    if task == "node_regression":
        said["more_targets"] = more_targets(rows, chosen["target"])
    return said


def cross_validation(rows: Catalog, given: dict[str, Any], preset: str, depth: int) -> dict[str, Any]:
    """How the rows are divided into test, train and buffer."""
    start = {name: field.default for name, field in RunSpec.model_fields.items()} | given
    if rows.files:
        st.caption("Each file is a box of its own: a fold takes whole files, dealt out at random by the seed.")
        number = st.number_input("Folds", 2, 20, start["folds"], key=f"folds_{preset}")
        st.toggle("Show them", key=_train_plan.DRAWN, help="Listed below, for the choices as they are")
        return {"split": "slabs", "folds": number, "central": rows.roles.central}
    split = st.segmented_control(
        "Split",
        list(SPLITS),
        default=start["split"],
        format_func=SPLITS.__getitem__,
        required=True,
        key=f"split_{preset}",
    )
    if split == "random":
        st.warning(SPLIT_MEANINGS[split], icon=":material/warning:")
    else:
        st.caption(SPLIT_MEANINGS[split])
    left, right = st.columns(2)
    folds: dict[str, Any] = {
        "split": split,
        "folds": left.number_input("Folds", 2, 20, start["folds"], key=f"folds_{preset}"),
        "central": rows.roles.central,
    }
    spec, unit = _session.graph_spec(), rows.length_unit
    needed = (spec.radius or 0) * depth if spec.method == "radius" else None
    default = "0" if split == "random" else "edge length × depth" if needed is None else f"{needed:.4g}"
    folds["buffer"] = right.number_input(
        f"Buffer [{unit}]" if unit else "Buffer",
        min_value=0.0,
        value=None,
        placeholder=f"default: {default}",
        help="Rows closer to a test row than this are neither trained on nor watched. Default: linking length × depth.",
        key="buffer",
    )
    if split != "random" and needed and folds["buffer"] is not None and folds["buffer"] < needed * (1 - 1e-9):
        st.warning(
            f"Narrower than linking length × depth = {needed:.4g} {unit}: training objects lie where a test prediction "
            "looks, so the scores may be too good.",
            icon=":material/warning:",
        )
    if split == "group":
        options = [str(name) for name in rows.table.columns]
        at = options.index(rows.roles.group) if rows.roles.group else None
        folds["group"] = st.selectbox("Group id", options, index=at, key="split_group")
    st.toggle("Show them in 3D", key=_train_plan.DRAWN, help="Drawn below, for the choices as they are")
    return folds


@st.cache_data(show_spinner=False)
def usable_devices() -> dict[str, str]:
    """Name -> what it is, of the devices this machine has; "auto" says which one it takes."""
    from gnnlib.training.devices import describe, resolve

    found = {}
    for name in DEVICES:
        try:
            found[name] = describe(resolve(name))
        except InputError:
            continue
    return found


def device_choice() -> str:
    found = usable_devices()
    return st.selectbox(
        "Device",
        list(found),
        format_func=lambda name: f"{DEVICES[name]}: {found[name]}",
        key="device",
        persist_state="session",
    )


def specification(rows: Catalog, where: str, said: dict[str, Any]) -> RunSpec:
    """What the form says, checked as far as that needs no data. Raises InputError."""
    if said["task"] == "edge_classification":
        said = said | {"label": checked_label(rows, said["label"])}
    elif not said["target"]:
        raise InputError("No target is chosen; name a column or an expression.")
    if said["task"] == "graph_regression" and not said["graph_by"]:
        raise InputError("No column of groups is chosen; name the one that the members of a group share.")
    source = rows.spec.model_copy(update={"where": where.strip() or None})
    try:
        return RunSpec.model_validate({"catalog": source, "graph": _session.graph_spec(), **said})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{place or 'This'}: {first['msg'].removeprefix('Value error, ')}.") from error


def begin(spec: RunSpec) -> None:
    """Check everything, write the run and start its worker."""
    from gnnlib.training.worker import launch

    try:
        _train_plan.prepared(spec)
        run = create_run(with_uploads_kept(spec))
        launch(run)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
    else:
        _session.open_run(run.id)
        st.rerun()


def with_uploads_kept(spec: RunSpec) -> RunSpec:
    """The same run on copies of its uploads that outlive the visit: of the catalog, and of a file of edges."""

    def kept(path: str) -> str:
        return str(keep(Path(path), _session.temporary_folder(), runs_directory() / ".uploads"))

    if spec.catalog.path != "sample":
        spec = spec.model_copy(update={"catalog": spec.catalog.model_copy(update={"path": kept(spec.catalog.path)})})
    if spec.graph.edges:
        spec = spec.model_copy(update={"graph": spec.graph.model_copy(update={"edges": kept(spec.graph.edges)})})
    return spec
