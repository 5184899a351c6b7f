"""Catalogs: reading, units, roles, cuts and summaries."""

from __future__ import annotations

from gnnlib.catalog.expressions import evaluate, names_in
from gnnlib.catalog.read import FORMATS, READABLE, read_catalog
from gnnlib.catalog.sample import SAMPLE_PATH, load_sample
from gnnlib.catalog.select import select
from gnnlib.catalog.summary import Summary, summarize
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles

__all__ = [
    "FORMATS",
    "READABLE",
    "SAMPLE_PATH",
    "Catalog",
    "CatalogSpec",
    "Column",
    "Roles",
    "Summary",
    "evaluate",
    "load_sample",
    "names_in",
    "read_catalog",
    "select",
    "summarize",
]
