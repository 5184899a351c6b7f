"""The catalog that comes with Filament."""

from __future__ import annotations

from pathlib import Path

from gnnlib.catalog.table import Catalog

SAMPLE_PATH = Path(__file__).resolve().parent.parent.parent / "assets" / "sample" / "filament_sample.parquet"


def load_sample() -> Catalog:
    """The bundled catalog; its making is described in its provenance."""
    from gnnlib.catalog.read import read_catalog

    return read_catalog("sample")
