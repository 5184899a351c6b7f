"""What a model is, in numbers: the part of a run that a person tunes on the Train page."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Aggregation = Literal["sum", "mean", "max", "std"]
Readout = Literal["sum", "mean", "max", "attention"]
Task = Literal["node_regression", "node_classification", "edge_classification", "graph_regression"]


class ModelSpec(BaseModel):
    """Architecture in the terms of Wu (2025): U unshared message functions x depth stacked layers, then rho.

    name: an entry of `gnnlib.models.registry.MODELS`. hidden: width of the layers inside phi, psi and rho.
    latent: width of the node state xi. unshared: U. depth: stacked layers. global_state: each copy also keeps a state
    of the whole graph. readout: from the nodes of a graph to the graph (graph tasks only). The others belong to the
    models whose registry entry names them: heads in each unshared copy; aggregation over the edges of a receiver,
    concatenated; self_path: a node's own features on a way of their own; neighbours: of each node in latent space;
    velocities: whether the vectors of peculiar velocity are used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "attention"
    hidden: int = Field(64, ge=4, le=1024)
    latent: int = Field(32, ge=4, le=1024)
    heads: int = Field(4, ge=1, le=16)
    unshared: int = Field(1, ge=1, le=16)
    depth: int = Field(1, ge=1, le=8)
    aggregation: tuple[Aggregation, ...] = ("sum", "mean", "max")
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    self_path: bool = False
    global_state: bool = False
    neighbours: int = Field(16, ge=1, le=256)
    velocities: bool = False
    readout: Readout = "mean"
