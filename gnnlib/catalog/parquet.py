"""Apache Parquet, read with pyarrow; units and descriptions from the fields' metadata.

The schema metadata `filament` (JSON: name, box, box_unit, periodic, h, roles, ...) of the bundled sample is understood.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gnnlib.catalog.raw import RawCatalog, TableBuilder
from gnnlib.catalog.table import CatalogSpec

_SETTINGS = ("name", "box", "box_unit", "periodic", "h", "roles")


def read(path: Path, spec: CatalogSpec) -> RawCatalog:
    """Read a Parquet file; columns that are neither numbers, text nor vectors are left out with a warning."""
    with path.open("rb") as source:  # by handle: pyarrow reads meaning into names such as "Npix=46.parquet"
        table = pq.read_table(source)
    builder = TableBuilder()
    left_out = []
    for field, column in zip(table.schema, table.columns, strict=True):
        described = {key.decode(): value.decode("utf-8", "replace") for key, value in (field.metadata or {}).items()}
        values = _values(column, field.type)
        if values is None:
            left_out.append(field.name)
        elif not field.name.startswith("__index_level_"):
            builder.add(field.name, values, described.get("unit", ""), described.get("description", ""))
    if left_out:
        builder.warnings.append(f"{len(left_out)} columns of an unusual type were left out: {', '.join(left_out[:5])}.")
    stated = json.loads((table.schema.metadata or {}).get(b"filament", b"{}"))
    return RawCatalog(
        table=builder.table(),
        columns=builder.columns,
        format="Parquet",
        roles=stated.get("roles") or {},
        box=stated.get("box"),
        box_unit=stated.get("box_unit", ""),
        periodic=stated.get("periodic"),
        h=stated.get("h"),
        name=stated.get("name", ""),
        provenance={key: value for key, value in stated.items() if key not in _SETTINGS},
        warnings=builder.warnings,
    )


def _values(column: pa.ChunkedArray, kind: pa.DataType) -> np.ndarray | None:
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type) and not column.null_count:
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), kind.list_size)
    if pa.types.is_boolean(kind) and column.null_count:
        column = column.cast(pa.int8())
        kind = pa.int8()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy()  # integers with gaps come back as float64 with NaN
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_temporal(kind):
        return np.array([None if value is None else str(value) for value in column.to_pylist()], dtype=object)
    return None
