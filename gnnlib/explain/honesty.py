"""Whether to believe attention: how well it ranks neighbours by what they really do to a prediction.

For a sample of objects every neighbour is deleted and the model asked again; attention, distance and the other methods
are then judged by how they rank the neighbours of each object against that, and by fidelity curves. The controls
are attention shuffled among the neighbours of an object, and distance alone. After Jain & Wallace 2019 (arXiv
1902.10186); fidelity+ and fidelity- as in Yuan et al. 2023 (arXiv 2012.15445), for regression: changes in the
target's unit rather than of a class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gnnlib.errors import InputError
from gnnlib.explain import effects
from gnnlib.explain.attention import ALL_HEADS, LARGEST, head_label
from gnnlib.explain.errors import unit_of
from gnnlib.explain.ranks import by_group, mean_and_error, standard_ranks
from gnnlib.explain.replay import Fields, Replay

FEWEST = 4  # neighbours an object must have for a rank correlation
SHUFFLES = 200
MOST_WORK = 3e9  # edges passed over for a model that looks at the whole graph: some minutes
FRACTIONS = np.linspace(0, 1, 11)
CERTAIN = 3.0  # standard errors from which a difference of errors counts as one
RANKINGS = {
    "attention": "Attention",
    "distance": "Distance alone",
    "gradient": "Gradient × input",
    "integrated": "Integrated gradients",
    "mask": "Learned mask",
    "deletion": "Deletion effect",
    "shuffled": "Shuffled",
}


@dataclass(frozen=True)
class Worth:
    """Whether there is anything to explain, of all tested rows. Errors in the target's unit; `certainty` is a
    difference of mean squared errors in its standard errors.

    rmse of the model, of the training mean, and of the model with all edges taken away; those of its baselines that
    see the same features of the object alone, by name.
    """

    rmse: float
    rmse_mean: float
    rmse_no_edges: float
    certainty_mean: float
    certainty_edges: float
    alone: dict[str, float]

    @property
    def learned(self) -> bool:
        """Whether the model predicts better than the mean."""
        return self.certainty_mean >= CERTAIN

    @property
    def uses_neighbours(self) -> bool:
        """Whether the model predicts better with its edges than without."""
        return self.certainty_edges >= CERTAIN


@dataclass(frozen=True)
class Honesty:
    """What came of it for `objects` receivers.

    edges: one row an edge: source, receiver (row ids), length, and each ranking that the model has: the deletion effect
    signed, in the target's unit, as gradient and integrated; attention, mask and distance (minus the length).
    correlations: index ranking, columns rho (mean over receivers of Spearman's with the size of the deletion effect),
    error (standard error of that mean), objects. curves: ranking, fraction, fidelity_plus (mean change when the highest
    fraction is removed), fidelity_minus (when only it is kept). shuffled: bounds that hold 95 % of shuffled attention.
    against_distance: mean difference of attention's rho and distance's, and its standard error.
    """

    edges: pd.DataFrame
    correlations: pd.DataFrame
    curves: pd.DataFrame
    worth: Worth
    objects: int
    shuffled: tuple[float, float] | None
    against_distance: tuple[float, float] | None
    unit: str
    head: str

    def verdict(self) -> list[str]:
        """The findings in words with their numbers, the most important first."""
        return _verdict(self)


def worth(replay: Replay) -> Worth:
    """The errors of a run's models with edges, without, and of the mean of the training rows."""
    rows = np.flatnonzero(replay.fold_of >= 0)
    truth = replay.target[rows]
    with_edges, without, mean = replay.prediction[rows], np.empty(len(rows)), np.empty(len(rows))
    for fold, at, nodes in replay.by_fold(rows):
        without[at] = fold.without_edges()[nodes]
        mean[at] = fold.scalers.target.mean[0]
    squares = (with_edges - truth) ** 2
    stored = replay.run.predictions
    alone = {
        name.removeprefix("baseline_"): float(np.sqrt(np.mean((stored[name] - stored["truth"]) ** 2)))
        for name in stored.columns
        if name.startswith("baseline_") and name != "baseline_mean"
    }
    return Worth(
        rmse=float(np.sqrt(squares.mean())),
        rmse_mean=float(np.sqrt(np.mean((mean - truth) ** 2))),
        rmse_no_edges=float(np.sqrt(np.mean((without - truth) ** 2))),
        certainty_mean=_certainty((mean - truth) ** 2 - squares),
        certainty_edges=_certainty((without - truth) ** 2 - squares),
        alone=alone,
    )


def judge(
    replay: Replay,
    count: int = 200,
    head: str = ALL_HEADS,
    seed: int = 0,
    report: Callable[[float, str], None] = lambda share, text: None,
) -> Honesty:
    """Judge attention (of one head, or the mean of all) and its rivals on `count` objects drawn at random.

    report: called with the share done, 0 to 1, and what comes next. Raises InputError where the model sees no edges.
    """
    rows = replay.sample(count, seed)
    if not len(rows) or replay.folds[0].model.reach == 0:
        raise InputError(
            f"The model '{replay.run.spec.model.name}' of this run looks at no edges, so there are none to explain."
        )
    passes = len(rows) * 2 * effects.MASK_DRAWS * effects.MASK_STEPS
    if replay.folds[0].model.reach is None and passes * replay.folds[0].graph.n_edges > MOST_WORK:
        raise InputError(
            f"This model looks at the whole graph, so each of some {passes:,} questions takes a pass over all of it; "
            "judge fewer objects, or a model that looks at its neighbourhood."
        )
    tables: list[pd.DataFrame] = []
    curves, objects = [], 0
    parts = [(fold, part) for fold, _, nodes in replay.by_fold(rows) for part in fold.fields(nodes).parts()]
    for number, (fold, fields) in enumerate(parts):

        def tell(step: float, text: str, number: int = number) -> None:
            report((number + step) / len(parts), text)

        table = _rankings(replay, fields, head, seed + number, tell)
        tell(0.9, "Fidelity curves")
        curves.append(_curves(fields, table))
        tables.append(table.assign(fold=fold.number, object=table.pop("field") + objects))
        objects += len(fields)
    edges = pd.concat(tables, ignore_index=True)
    correlations, shuffled, against = _correlations(edges, edges.pop("object").to_numpy(), seed)
    report(1.0, "Errors with and without edges")
    changes = pd.concat(curves).groupby(["ranking", "fraction"], sort=False, as_index=False).sum()
    changes[["fidelity_plus", "fidelity_minus"]] = changes[["fidelity_plus", "fidelity_minus"]].div(
        changes.pop("objects"), axis=0
    )
    return Honesty(
        edges=edges,
        correlations=correlations,
        curves=changes,
        worth=worth(replay),
        objects=len(rows),
        shuffled=shuffled,
        against_distance=against,
        unit=unit_of(replay.run.spec.target),
        head=head,
    )


def _rankings(replay: Replay, fields: Fields, head: str, seed: int, tell: Callable[[float, str], None]) -> pd.DataFrame:
    """One row an edge into a centre, with every ranking."""
    near = np.flatnonzero(fields.near)
    fold, ids = fields.fold, replay.data.catalog.row_ids
    source, receiver = fields.edge_index[:, near]
    length = fold.graph.lengths[fields.edge[near]]
    table = pd.DataFrame(
        {
            "source": ids[fold.rows[fields.node[source]]],
            "receiver": ids[fold.rows[fields.node[receiver]]],
            "field": fields.of_edge[near],
            "length": length,
        }
    )
    attention = fields.attention()
    if attention is not None:
        table["attention"] = _head(replay, attention[near], head)
    table["distance"] = -length
    tell(0.0, "Deleting neighbours")
    table["deletion"] = effects.deletion(fields)
    tell(0.15, "Gradients")
    table["gradient"] = effects.gradient_times_input(fields)
    table["integrated"] = effects.integrated_gradients(fields)[0]
    tell(0.45, "Learning masks")
    table["mask"] = effects.learned_mask(fields, seed)
    if attention is not None:
        table["shuffled"] = _shuffled(table["attention"].to_numpy(), table["field"].to_numpy(), seed)
    else:
        table["shuffled"] = np.random.default_rng(seed).random(len(table))
    return table


def _head(replay: Replay, attention: np.ndarray, head: str) -> np.ndarray:
    """One column of attention [E, layers * heads] by its name, or the mean of all."""
    if head in (ALL_HEADS, LARGEST):
        return attention.mean(axis=1) if head == ALL_HEADS else attention.max(axis=1)
    layers, names = replay.run.spec.model.depth, []
    for layer in range(layers):
        names += [f"layer{layer}_head{number}" for number in range(attention.shape[1] // layers)]
    if head not in names:
        raise InputError(f"There is no attention head '{head}'; choose one of {', '.join(names)}.")
    return attention[:, names.index(head)].astype(np.float64)


def _shuffled(values: np.ndarray, group: np.ndarray, seed: int) -> np.ndarray:
    """Values dealt out anew within each group; groups lie together."""
    order = np.lexsort([np.random.default_rng(seed).random(len(values)), group])
    return values[order]


def _curves(fields: Fields, table: pd.DataFrame) -> pd.DataFrame:
    """Summed changes of the predictions at each fraction of edges, for every ranking: fidelity+ and fidelity-."""
    near, group = np.flatnonzero(fields.near), table["field"].to_numpy()
    counts = np.bincount(group, minlength=len(fields))
    rows = []
    before = fields.predict()[0]
    for name in (name for name in RANKINGS if name in table):
        order = np.lexsort([-np.abs(table[name]) if name in SIGNED else -table[name], group])
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        top = place < np.rint(FRACTIONS[:, None] * counts)[:, group]
        keep = np.ones((2 * len(FRACTIONS), len(fields.edge)), dtype=bool)
        keep[: len(FRACTIONS), near], keep[len(FRACTIONS) :, near] = ~top, top
        change = np.abs(fields.predict(keep) - before).sum(axis=1)
        plus, minus = change[: len(FRACTIONS)], change[len(FRACTIONS) :]
        rows += [(name, *at, len(fields)) for at in zip(FRACTIONS, plus, minus, strict=True)]
    return pd.DataFrame(rows, columns=["ranking", "fraction", "fidelity_plus", "fidelity_minus", "objects"])


SIGNED = ("deletion", "gradient", "integrated")  # what counts is their size


def _correlations(
    edges: pd.DataFrame, group: np.ndarray, seed: int
) -> tuple[pd.DataFrame, tuple[float, float] | None, tuple[float, float] | None]:
    """The table of rank correlations with the deletion effect, the band of shuffled attention, and attention's lead
    over distance.
    """
    counts = np.bincount(group)
    enough = counts[group] >= FEWEST
    edges, group = edges[enough], np.unique(group[enough], return_inverse=True)[1]
    truth = standard_ranks(np.abs(edges["deletion"].to_numpy()), group)
    rows, single = {}, {}
    for name in (name for name in RANKINGS if name in edges and name != "deletion"):
        values = edges[name].to_numpy()
        rho = by_group(standard_ranks(np.abs(values) if name in SIGNED else values, group) * truth, group)
        single[name] = rho
        rows[name] = mean_and_error(rho)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["rho", "error", "objects"])
    if "attention" not in edges or not len(edges):
        return table, None, None
    ranks = standard_ranks(edges["attention"].to_numpy(), group)
    means = [mean_and_error(by_group(_shuffled(ranks, group, seed + 1 + n) * truth, group))[0] for n in range(SHUFFLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    lead, error, _ = mean_and_error(single["attention"] - single["distance"])
    return table, (float(low), float(high)), (lead, error)


def _certainty(gain: np.ndarray) -> float:
    """The mean of a gain in its standard errors; 0 where nothing changes."""
    spread = gain.std(ddof=1) if len(gain) > 1 else 0.0
    return float(gain.mean() / (spread / np.sqrt(len(gain)))) if spread > 0 else 0.0


def _verdict(found: Honesty) -> list[str]:
    value, unit = found.worth, f" {found.unit}" if found.unit else ""
    if not value.learned:
        return [
            f"There is nothing to explain: on held-out rows the model errs by {value.rmse:.3f}{unit}, the mean of the "
            f"training rows by {value.rmse_mean:.3f}{unit}, so it has learned nothing that holds there.",
            *_about_attention(found),
        ]
    if not value.uses_neighbours:
        start = (
            f"There is nothing to explain in the edges: without any of them the held-out error is "
            f"{value.rmse_no_edges:.3f}{unit}, with them {value.rmse:.3f}{unit}."
        )
    else:
        start = (
            f"The model uses its neighbours: without any edge its held-out error rises from {value.rmse:.3f}{unit} to "
            f"{value.rmse_no_edges:.3f}{unit}."
        )
        if value.alone:
            best = min(value.alone, key=lambda name: value.alone[name])
            start += (
                f" The best model that sees each object alone ({best.replace('_', ' ')}) errs by "
                f"{value.alone[best]:.3f}{unit}."
            )
    return [start, *_about_attention(found), *_about_curves(found)]


def _about_attention(found: Honesty) -> list[str]:
    table = found.correlations
    if not len(table) or not table["objects"].max():
        return [f"No object of the sample has {FEWEST} neighbours, so there are no ranks to compare."]

    of = {str(name): (float(row["rho"]), float(row["error"]), int(row["objects"])) for name, row in table.iterrows()}

    def rho(name: str) -> str:
        return f"{of[name][0]:+.2f} ± {of[name][1]:.2f}"

    others = ", ".join(
        f"{RANKINGS[name].lower()} {rho(name)}" for name in ("gradient", "integrated", "mask") if name in of
    )
    if found.shuffled is None or found.against_distance is None:
        return [
            f"Rank correlation with the deletion effect, of {of['distance'][2]} objects with at "
            f"least {FEWEST} neighbours: distance alone {rho('distance')}, {others}. This model has no attention."
        ]
    low, high = found.shuffled
    own = of["attention"][0]
    lead, error = found.against_distance
    which = "attention" if found.head == ALL_HEADS else f"attention ({head_label(found.head).lower()})"
    said = [
        f"On this run {which} predicts the deletion effect with ρ = {rho('attention')}, distance alone "
        f"{rho('distance')}, shuffled attention between {low:+.2f} and {high:+.2f} "
        f"(mean rank correlation of {of['attention'][2]} objects with at least {FEWEST} neighbours)."
    ]
    if low <= own <= high:
        said.append("That is no better than chance: this attention does not say which neighbours matter.")
    elif own < low:
        said.append("That is worse than chance: the neighbours it weighs most change the prediction least.")
    elif lead > 2 * error:
        said.append(f"That is more than distance tells, by {lead:.2f} ± {error:.2f}.")
    elif lead < -2 * error:
        said.append(f"Distance alone tells more, by {-lead:.2f} ± {error:.2f}; to rank neighbours, take the distance.")
    else:
        said.append(f"That is what distance tells, too (difference {lead:+.2f} ± {error:.2f}).")
    return [*said, f"The other methods: {others}."]


def _about_curves(found: Honesty) -> list[str]:
    of_unit = f" and in {found.unit}" if found.unit else ""
    at = found.curves[np.isclose(found.curves["fraction"], 0.3)].set_index("ranking")["fidelity_minus"]
    named = [name for name in ("attention", "distance", "mask", "deletion", "shuffled") if name in at.index]
    listed = ", ".join(f"{RANKINGS[name].lower()} {at[name]:.3f}" for name in named)
    return [f"With only the highest 30 % of its edges a prediction changes, in the mean{of_unit}, by: {listed}."]
