"""Cuts: the rows of a catalog where a condition holds."""

from __future__ import annotations

from gnnlib.catalog.expressions import evaluate_condition
from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError


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
