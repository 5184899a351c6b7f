"""The run's specification: everything needed to train again and get the same numbers."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gnnlib.catalog.table import CatalogSpec
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec


class RunSpec(BaseModel):
    """Catalog + graph + model + task + folds + optimisation. Written as spec.json into the run.

    target, features: column names or expressions (`log10(SubhaloMassType_dm)`). split: "slabs", "blocks" (spatial),
    "group" (blocks of whole groups of the column `group`), "random" (leaks, for comparison only). buffer: in the
    catalog's length unit, None = what `depth` layers reach (linking length x depth, else so many steps along the
    edges), 0 for a random split. batch_size: training rows in a step, at most. central: optional column that is true
    for centrals. device:
    "auto", "cpu", "cuda", "mps".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: CatalogSpec
    graph: GraphSpec
    model: ModelSpec = ModelSpec()
    target: str
    features: tuple[str, ...] = Field(min_length=1)
    name: str = ""
    preset: str | None = None
    split: Literal["slabs", "blocks", "group", "random"] = "slabs"
    group: str | None = None
    central: str | None = None
    folds: int = Field(3, ge=2, le=20)
    buffer: float | None = Field(None, ge=0)
    epochs: int = Field(50, ge=1, le=100_000)
    batch_size: int = Field(512, ge=1)
    learning_rate: float = Field(0.01, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    baselines: tuple[str, ...] = ("mean", "linear", "random_forest", "boosted_trees", "mlp")

    def digest(self) -> str:
        """Six hexadecimal digits that change when anything in the spec changes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:6]
