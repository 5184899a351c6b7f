"""Filament's library: catalog -> graph -> run -> predictions and attention, without a browser.

Names are imported when they are first used, so `import gnnlib` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnnlib.catalog.read import read_catalog
    from gnnlib.catalog.table import Catalog, CatalogSpec, Roles
    from gnnlib.errors import InputError
    from gnnlib.graph.build import build_graph
    from gnnlib.graph.graph import Graph, GraphSpec
    from gnnlib.models.spec import ModelSpec
    from gnnlib.training.run import Run, list_runs, load_run
    from gnnlib.training.spec import RunSpec
    from gnnlib.training.worker import train

__all__ = [
    "Catalog",
    "CatalogSpec",
    "Graph",
    "GraphSpec",
    "InputError",
    "ModelSpec",
    "Roles",
    "Run",
    "RunSpec",
    "build_graph",
    "list_runs",
    "load_run",
    "read_catalog",
    "train",
]

_HOME = {
    "gnnlib.catalog.read": ("read_catalog",),
    "gnnlib.catalog.table": ("Catalog", "CatalogSpec", "Roles"),
    "gnnlib.errors": ("InputError",),
    "gnnlib.graph.build": ("build_graph",),
    "gnnlib.graph.graph": ("Graph", "GraphSpec"),
    "gnnlib.models.spec": ("ModelSpec",),
    "gnnlib.training.run": ("Run", "list_runs", "load_run"),
    "gnnlib.training.spec": ("RunSpec",),
    "gnnlib.training.worker": ("train",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'gnnlib' has no attribute '{name}'")
    return getattr(import_module(_MODULE_OF[name]), name)
