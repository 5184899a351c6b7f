"""A run's predictions joined back to the whole catalog, as a table for other programs."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from gnnlib.catalog.table import Catalog, Column
from gnnlib.errors import InputError

FORMATS = {  # label -> (extension, media type)
    "FITS": ("fits", "application/fits"),
    "Parquet": ("parquet", "application/vnd.apache.parquet"),
    "CSV": ("csv", "text/csv"),
    "VOTable": ("vot", "application/x-votable+xml"),
}
ADDED = {
    "row_id": "the row's id in Filament",
    "prediction": "out-of-fold prediction",
    "sigma": "standard deviation of the prediction",
    "fold": "fold whose model predicted the row, from 0; -1 where none did",
    "residual": "prediction minus truth",
    "lower_68": "lower end of the 68 % conformal interval",
    "upper_68": "upper end of the 68 % conformal interval",
    "lower_95": "lower end of the 95 % conformal interval",
    "upper_95": "upper end of the 95 % conformal interval",
}


def joined(catalog: Catalog, predictions: pd.DataFrame, target: str = "") -> tuple[pd.DataFrame, dict[str, Column]]:
    """All rows and columns of a catalog with what a run predicted beside them: the table and what its columns hold.

    Of classes: the most probable one, "" where none was predicted, and the probability of each. Rows that were not
    predicted (cut away, or without a finite target) have NaN and fold -1. A column of the catalog
    keeps its name; an added one that is called the same gets "filament_" before it. Raises InputError where a
    predicted row is not in the catalog.
    """
    known = predictions.set_index("row_id")
    place = pd.Index(catalog.row_ids)
    if not known.index.isin(place).all():
        raise InputError("The run predicted rows that this catalog does not have; open the run's own catalog.")
    table, columns = catalog.table.reset_index(drop=True).copy(), dict(catalog.columns)
    found = known.reindex(place)
    added = {name: meaning for name, meaning in ADDED.items() if name == "row_id" or name in found}
    added |= {name: "out-of-fold probability" for name in map(str, found) if name.startswith("probability_")}
    for name, meaning in added.items():
        new = name if name not in table else f"filament_{name}"
        if name == "row_id":
            table[new] = catalog.row_ids
        elif name == "fold":
            table[new] = found[name].fillna(-1).to_numpy().astype(np.int16)
        elif found[name].dtype.kind in "if":
            table[new] = found[name].to_numpy(dtype=np.float64)
        else:
            table[new] = found[name].fillna("").to_numpy(dtype=object)
        about = f"{meaning} of {target}" if target and name in ("prediction", "residual") else meaning
        columns[new] = Column(new, description=about)
    return table, columns


def packed(table: pd.DataFrame, columns: dict[str, Column], label: str) -> bytes:
    """The table as the bytes of a file; label: one of `FORMATS`. Units and descriptions go where the format has them.

    A unit that holds h ("Mpc/h") is written into the description, since the formats know no such unit.
    """
    if label == "CSV":
        return table.to_csv(index=False).encode()
    buffer = io.BytesIO()
    if label == "Parquet":
        table.to_parquet(buffer, index=False)
        return buffer.getvalue()
    if label not in FORMATS:
        raise InputError(f"There is no format '{label}'; choose one of {', '.join(FORMATS)}.")
    binary = {"tabledata_format": "binary2"} if label == "VOTable" else {}
    _astropy(table, columns).write(buffer, format=label.lower(), **binary)
    return buffer.getvalue()


def _astropy(table: pd.DataFrame, columns: dict[str, Column]):  # type: ignore[no-untyped-def]
    from astropy import units
    from astropy.table import Column as AstropyColumn
    from astropy.table import Table

    out = Table()
    for name, values in table.items():
        array, column = values.to_numpy(), columns.get(str(name), Column(str(name)))
        if array.dtype.kind not in "biuf":
            array = values.astype(str).to_numpy(dtype=str)
        unit, said = None, [column.description] if column.description else []
        if column.unit:
            try:
                unit = units.Unit(column.unit) if not column.h_power else None
            except ValueError:
                unit = None
            if unit is None:
                said.append(f"[{column.unit_label}]")
        out[str(name)] = AstropyColumn(array, unit=unit, description=" ".join(said) or None)
    return out
