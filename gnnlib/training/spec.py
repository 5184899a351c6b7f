"""The run's specification: everything needed to train again and get the same numbers."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gnnlib.catalog.table import CatalogSpec
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec, Task
from gnnlib.training.baselines import DEFAULTS


class RunSpec(BaseModel):
    """Catalog + graph + model + task + folds + optimisation. Written as spec.json into the run.

    task: what is predicted: a number or a class of each node, whether a pair of nodes belongs together, or a number of
    each graph. target, features: column names or expressions (`log10(SubhaloMassType_dm)`); a class may be text, and
    without features objects are told apart by their edges alone. more_targets: further numbers of each node, predicted
    beside the first. label: of pairs (edge task), a column that is equal at both ends of a pair that belongs together
    (a group's id), or the path of a file of pairs with a column of labels. graph_by: the column whose values divide the
    rows into graphs (graph task), None for the files of a folder of catalogs; aggregate: how the target of the members
    becomes that of the graph, "same" where it is the same for all of them. seeds: members of the ensemble that each
    fold trains, from `seed` on. split: "slabs", "blocks" (spatial), "group" (blocks of whole groups of the column
    `group`), "random" (leaks, for comparison only). buffer: in the catalog's length unit, None = what `depth` layers
    reach (linking length x depth, else so many steps along the edges), 0 for a random split. In a folder of catalogs a
    fold takes whole files, whatever the split. batch_size: training rows in a step, at most. schedule: of the learning
    rate, see `gnnlib.training.schedule`. patience: epochs without a better validation loss after which a training ends;
    None for never. clip: the longest gradient. amp: training in bfloat16 where that is safe. compile: with
    torch.compile. memory_gb: what a step may take of memory; None for most of what is free. central: optional column
    that is true for centrals. device: "auto", "cpu", "cuda", "mps".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: CatalogSpec
    graph: GraphSpec
    model: ModelSpec = ModelSpec()
    task: Task = "node_regression"
    target: str = ""
    more_targets: tuple[str, ...] = ()
    label: str | None = None
    graph_by: str | None = None
    aggregate: Literal["same", "sum", "mean", "max"] = "same"
    features: tuple[str, ...] = ()
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
    schedule: Literal["one_cycle", "cosine", "step", "constant"] = "one_cycle"
    patience: int | None = Field(None, ge=1)
    clip: float = Field(1.0, gt=0)
    amp: bool = False
    compile: bool = False
    memory_gb: float | None = Field(None, gt=0)
    seed: int = 0
    seeds: int = Field(1, ge=1, le=50)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    baselines: tuple[str, ...] = DEFAULTS["node_regression"]

    @model_validator(mode="before")
    @classmethod
    def _baselines_of_the_task(cls, given: Any) -> Any:
        if isinstance(given, dict) and "baselines" not in given and given.get("task") in DEFAULTS:
            return given | {"baselines": DEFAULTS[given["task"]]}
        return given

    @model_validator(mode="after")
    def _complete(self) -> RunSpec:
        if self.task == "edge_classification":
            if not self.label:
                raise ValueError("pairs need a label: a column equal at both ends, or a file of labelled pairs")
        elif not self.target:
            raise ValueError("a target is missing")
        if self.more_targets and self.task != "node_regression":
            raise ValueError("only numbers of nodes can have several targets")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """All that is predicted of an object, the first one first."""
        return (self.target, *self.more_targets)

    @property
    def predicted(self) -> str:
        """What is predicted, in a few words: `log10(mass)`, `same halo_id`."""
        return ", ".join(self.targets) if self.task != "edge_classification" else f"same {self.label}"

    def digest(self) -> str:
        """Six hexadecimal digits that change when anything in the spec changes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:6]
