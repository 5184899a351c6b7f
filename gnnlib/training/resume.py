"""What a run keeps while it is under way, so that a worker killed at any moment can be followed by another.

The folder `resume` of a run holds the finished folds, and of each training under way a checkpoint of everything that
its next step depends on. Every piece appears whole (written beside its place, then moved), in safetensors, Parquet and
JSON, and the folder goes when the run is finished.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from gnnlib.training.run import KEPT, Run, write_json, write_text, written_whole

SHORTEST_S = 1.0  # between two checkpoints of a training
SHARE = 0.02  # of the time, at most, goes into checkpoints


@dataclass(frozen=True)
class FoldOutcome:
    """What a finished fold leaves: figures, its entry of results.json; tables, by the name of the run's file that its
    rows go to; weights, by name.
    """

    figures: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    weights: dict[str, Tensor]


class Kept:
    """The folder `resume` of a run. identity: names all that the numbers depend on; what was kept under another is
    thrown away. `continues` tells whether anything was found. writes: False in a process that only looks.
    """

    def __init__(self, run: Run, identity: str, writes: bool = True) -> None:
        self.folder = run.folder / KEPT
        if not writes:
            return
        mark = self.folder / "identity"
        if not (mark.is_file() and mark.read_text(encoding="utf-8") == identity):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            write_text(mark, identity)
        self.continues = len(list(self.folder.iterdir())) > 1
        for left in (*run.folder.glob(".*.tmp"), *self.folder.glob(".*")):  # of a process that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    def finished(self, number: int) -> bool:
        return self._place(number).is_dir()

    def fold(self, number: int) -> FoldOutcome:
        """What `keep` was given for this fold."""
        place = self._place(number)
        return FoldOutcome(
            json.loads((place / "figures.json").read_bytes()),
            {file.stem: pd.read_parquet(file) for file in sorted(place.glob("*.parquet"))},
            load_file(place / "weights.safetensors"),
        )

    def keep(self, number: int, outcome: FoldOutcome) -> None:
        """Write a fold that is finished; the checkpoints of its trainings go."""
        place = self._place(number)
        new = place.with_name(f".{place.name}")
        new.mkdir()
        write_json(new / "figures.json", outcome.figures)
        for name, table in outcome.tables.items():
            table.to_parquet(new / f"{name}.parquet", index=False)
        save_file({name: value.contiguous() for name, value in outcome.weights.items()}, new / "weights.safetensors")
        new.rename(place)
        for file in self.folder.glob(f"{place.name}.*"):
            file.unlink()

    def training(self, number: int, name: str) -> Checkpoint:
        """The checkpoint of one training within a fold."""
        return Checkpoint(self.folder / f"fold{number}.{name}.safetensors")

    def _place(self, number: int) -> Path:
        return self.folder / f"fold{number}"


class Checkpoint:
    """Tensors and facts (anything that JSON holds) of a training under way, in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved, self.cost = time.monotonic(), 0.0

    @property
    def due(self) -> bool:
        """Whether enough time has passed since the last one."""
        return time.monotonic() - self.saved > max(SHORTEST_S, self.cost / SHARE)

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        began = time.monotonic()
        with written_whole(self.path) as path:
            save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, path, _text(facts))
        self.saved = time.monotonic()
        self.cost = self.saved - began

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved last; None where nothing was, or where a power cut has damaged it."""
        try:
            with safe_open(self.path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(file.metadata()["facts"])
        except (OSError, SafetensorError, ValueError):
            return None


def _text(facts: dict[str, Any]) -> dict[str, str]:
    return {"facts": json.dumps(facts)}
