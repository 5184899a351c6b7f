"""Cuts: the rows of a catalog where a condition holds, conditions with a name, and those that a catalog calls for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnnlib.catalog import missing, space
from gnnlib.catalog.expressions import Evaluation, evaluate_condition, names_in, quote
from gnnlib.catalog.grammar import shorten
from gnnlib.catalog.repeats import repeated
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError

DECADES = 2  # a column of positive values over more than this is wanted as a logarithm


def select(catalog: Catalog, where: str) -> Catalog:
    """The rows where `where` is true, row ids kept; the cut is added to `catalog.spec.where`.

    Raises InputError for an expression that is not a condition or that no row meets.
    """
    keep = evaluate_condition(where, catalog)
    if not keep.any():
        raise InputError(f"No row of {len(catalog):,} meets '{where.strip()[:80]}'; loosen the cut.")
    before = catalog.spec.where
    combined = where if before is None else f"({before}) & ({where})"
    return catalog.take(keep, spec=catalog.spec.model_copy(update={"where": combined}))


def kept(catalog: Catalog) -> np.ndarray:
    """Rows [N] of a whole catalog that its spec keeps: the cut holds and no value is missing that may not be.

    Functions of whole columns and of the surroundings in the cut see all rows of `catalog`.
    """
    keep = missing.known(catalog) & space.in_window(catalog)
    return keep & evaluate_condition(catalog.spec.where, catalog) if catalog.spec.where else keep


def counts(catalog: Catalog) -> dict[str, int]:
    """How many rows of `catalog` each named subset holds. Raises InputError for one that is no condition."""
    rows = Evaluation(catalog)
    return {name: int(rows.subset(name).sum()) for name in catalog.spec.subsets}


def check_subsets(catalog: Catalog) -> None:
    """Raises InputError for a named subset that has no name, the name of a column, no grammar, or a condition in which
    it occurs itself."""
    subsets = catalog.spec.subsets
    for name, condition in subsets.items():
        if not name.strip() or name != name.strip():
            raise InputError(f"A subset is called '{name}'; give it a name without blanks at its ends.")
        if name in catalog.columns or name in catalog.spec.derived:
            raise InputError(f"A subset and a column are both called '{shorten(name)}'; give the subset another name.")
        try:
            names_in(condition, catalog.columns)
        except InputError as error:
            raise InputError(f"Subset '{shorten(name)}': {error}") from error
    for name in subsets:
        _refuse_circles(name, catalog, [])


def _refuse_circles(name: str, catalog: Catalog, above: list[str]) -> None:
    subsets = catalog.spec.subsets
    if name in above:
        circle = " -> ".join(shorten(step) for step in [*above[above.index(name) :], name])
        raise InputError(f"Subset '{shorten(name)}' is defined by itself ({circle}); change one of the conditions.")
    for inner in names_in(subsets[name], {*catalog.columns, *subsets}):
        if inner in subsets:
            _refuse_circles(inner, catalog, [*above, name])


# Cuts that a catalog calls for


@dataclass(frozen=True)
class Suggestion:
    """A named cut to offer. rows: how many it keeps; cut: how many it takes away; reason: a sentence."""

    name: str
    condition: str
    rows: int
    cut: int
    reason: str


def suggest_cuts(catalog: Catalog) -> tuple[Suggestion, ...]:
    """Named subsets that the values call for: zeros in columns wanted as logarithms, flags of bad objects, repeats.

    Only cuts that take rows away and leave some are suggested, and none whose name is taken. The columns looked at for
    logarithms are the target, the mass and the features.
    """
    found = [*_positive(catalog), *_flags(catalog), *_unique(catalog)]
    taken = {*catalog.columns, *catalog.spec.subsets}
    return tuple(cut for cut in found if cut.cut and cut.rows and cut.name not in taken)


def _suggestion(name: str, condition: str, keep: np.ndarray, reason: str) -> Suggestion:
    rows = int(keep.sum())
    return Suggestion(name, condition, rows, len(keep) - rows, reason)


def _positive(catalog: Catalog) -> list[Suggestion]:
    roles, found = catalog.roles, []
    for name in dict.fromkeys([roles.target, roles.mass, *roles.features]):
        if name not in catalog.columns or catalog.columns[name].unit.startswith("dex"):
            continue
        values = catalog.values(name)
        if values.dtype.kind not in "iuf" or "log" in name.lower():
            continue
        keep = values > 0
        zeros, negative = int((values == 0).sum()), int((values < 0).sum())
        finite = values[keep & np.isfinite(values)]
        if not zeros or negative > 0.01 * len(values) or not len(finite):
            continue
        low, high = np.percentile(finite, [1, 99])
        mass = catalog.columns[name].unit.endswith("Msun") or name == roles.mass
        if mass or high > low * 10**DECADES:
            below = f" and {negative:,} below" if negative else ""
            reason = f"{name} is 0 in {zeros:,} rows{below}, where its logarithm is not a number."
            found.append(_suggestion(f"positive_{name}", f"{quote(name)} > 0", keep, reason))
    return found


def _flags(catalog: Catalog) -> list[Suggestion]:
    """Flags of the field's catalogs whose documentation tells users to drop rows."""
    found = []
    for name in catalog.columns:
        values = catalog.table[name].to_numpy() if name.lower() in ("subhaloflag", "phantom") else np.empty(0)
        if name.lower() == "subhaloflag" and values.dtype.kind in "biu":
            reason = "SubhaloFlag is False for clumps that are not of cosmological origin (Nelson et al. 2019)."
            condition = quote(name) if values.dtype == bool else f"{quote(name)} != 0"
            found.append(_suggestion("cosmological", condition, values != 0, reason))
        elif name.lower() == "phantom" and values.dtype.kind in "iuf":
            reason = "phantom > 0 marks halos that consistent-trees put in where the halo finder saw none."
            found.append(_suggestion("no_phantoms", f"{quote(name)} == 0", values == 0, reason))
    return found


def _unique(catalog: Catalog) -> list[Suggestion]:
    rows = repeated(catalog.table)
    found = [_suggestion("unique_rows", "not duplicate()", ~rows, "These rows repeat an earlier row in every column.")]
    position = [name for name in catalog.roles.position if name in catalog.columns]
    file = [catalog.files.column] if catalog.files else []  # two files have rows with the same id or place
    if position:
        places = repeated(catalog.table[position + file], with_gaps=False)
        if (places & ~rows).any():
            condition = f"not duplicate({', '.join(map(quote, position))})"
            reason = "These rows lie exactly where an earlier row lies."
            found.append(_suggestion("unique_positions", condition, ~places, reason))
    name = catalog.roles.row_id
    if name in catalog.columns:
        ids = repeated(catalog.table[[str(name), *file]], with_gaps=False)
        if (ids & ~rows).any():
            reason = f"These rows repeat an earlier row's {name}."
            found.append(_suggestion("unique_ids", f"not duplicate({quote(str(name))})", ~ids, reason))
    return found
