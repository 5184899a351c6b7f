"""Several runs side by side: in what their specifications differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gnnlib.training.spec import RunSpec

TEST = (
    "task",
    "target",
    "more_targets",
    "label",
    "graph_by",
    "aggregate",
    "catalog",
    "split",
    "group",
    "folds",
    "seed",
)
NAMES_ONLY = ("name", "preset")  # say nothing about what is trained


def differences(specs: Mapping[str, RunSpec]) -> pd.DataFrame:
    """One row a setting that is not the same in all runs, one column a run; values as text."""
    flat = {name: _flat(spec.model_dump(mode="json", exclude=set(NAMES_ONLY))) for name, spec in specs.items()}
    settings = list(dict.fromkeys(setting for values in flat.values() for setting in values))
    table = pd.DataFrame({name: [values.get(setting, "") for setting in settings] for name, values in flat.items()})
    table.insert(0, "setting", settings)
    return table[table[list(flat)].nunique(axis=1) > 1].reset_index(drop=True)


def same_test(specs: Sequence[RunSpec]) -> bool:
    """Whether the runs predict the same of the same rows in the same test parts, so that their scores compare."""
    return all(getattr(spec, name) == getattr(specs[0], name) for spec in specs for name in TEST)


def _flat(value: Mapping[str, Any], start: str = "") -> dict[str, str]:
    """`{"model": {"depth": 2}}` -> `{"model depth": "2"}`."""
    found: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= _flat(item, f"{start}{name} ")
        elif isinstance(item, list | tuple):
            found[f"{start}{name}"] = ", ".join(map(str, item))
        else:
            found[f"{start}{name}"] = "" if item is None else str(item)
    return found
