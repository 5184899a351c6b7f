"""The models a run can name: a new one is a file with a `build` function and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from gnnlib.errors import InputError
from gnnlib.models import attention, deepsets, dynamic, equivariant, message_passing, pointwise, transformer
from gnnlib.models.spec import ModelSpec, Task
from gnnlib.models.stack import Frame, Stack


@dataclass(frozen=True)
class ModelEntry:
    """label, description and equation (LaTeX) as pages show them; build(frame) -> module.

    fields: those of `ModelSpec` that this model has beside hidden, latent, unshared, depth, dropout, global_state and
    readout. package: one that must be installed for it, with the sentence that says how, or "".
    """

    label: str
    description: str
    equation: str
    build: Callable[[Frame], Stack]
    fields: tuple[str, ...] = ()
    package: str = ""

    @property
    def missing(self) -> str:
        """The sentence that says what to install before this model can be used; "" where nothing is missing."""
        if not self.package or find_spec(self.package):
            return ""
        return f"{self.label} needs the package {self.package}; install it with: pip install -r requirements-extras.txt"


def _tensor_product(frame: Frame) -> Stack:
    from gnnlib.models import tensor_product  # needs e3nn

    return tensor_product.build(frame)


MODELS: dict[str, ModelEntry] = {
    "attention": ModelEntry(
        "Attention",
        "Each object weighs its neighbours by what they are and where they are; the weights can be read afterwards.",
        r"\xi_i' = \psi\Big(\xi_i,\ \sum_j \alpha_{ij} v_{ij},\ \sum_j \sigma(g_{ij})\, w_{ij}\Big),\quad "
        r"\alpha_{ij} = \mathrm{softmax}_j\; a^\top \mathrm{LeakyReLU}(W_r \xi_i + W_s \xi_j + W_e e_{ij})",
        attention.build,
        fields=("heads",),
    ),
    "message_passing": ModelEntry(
        "Message passing",
        "Messages along the edges, summed, averaged and maximised over the neighbours (Wu & Jespersen 2023).",
        r"\xi_i' = \psi\Big(\xi_i,\ \bigoplus_{j} \varphi(\xi_i, \xi_j, e_{ij})\Big)",
        message_passing.build,
        fields=("aggregation", "self_path"),
    ),
    "transformer": ModelEntry(
        "Transformer",
        "Attention by comparing what an object asks for with what its neighbours offer; the weights can be read.",
        r"\xi_i' = \psi\Big(\xi_i,\ \sum_j \alpha_{ij} (V \xi_j + V_e e_{ij})\Big),\quad "
        r"\alpha_{ij} = \mathrm{softmax}_j\; (Q \xi_i)^\top (K \xi_j + K_e e_{ij}) / \sqrt{c}",
        transformer.build,
        fields=("heads",),
    ),
    "egnn": ModelEntry(
        "Equivariant (EGNN)",
        "Works on the directions to the neighbours, not only the distances, and turns with them (Satorras 2021).",
        r"m_{ij} = \varphi(\xi_i, \xi_j, |r_{ij}|, e_{ij}),\quad "
        r"s_i = \mathrm{mean}_j\, \tfrac{r_{ij}}{|r_{ij}| + 1}\, \varphi_x(m_{ij}),\quad "
        r"\xi_i' = \psi\Big(\xi_i,\ \textstyle\sum_j m_{ij},\ |s_i|\Big)",
        equivariant.build,
        fields=("velocities",),
    ),
    "tensor_product": ModelEntry(
        "Equivariant (tensor products)",
        "Objects carry scalars and vectors, combined with the directions to the neighbours (NequIP's way, with e3nn).",
        r"m_{ij} = w(\xi_i, \xi_j, |r_{ij}|, e_{ij})\; (\xi_j, V_j) \otimes Y(\hat r_{ij}),\quad "
        r"V_i' = V_i + W\, \mathrm{mean}_j\, m^{(1)}_{ij},\quad "
        r"\xi_i' = \psi\Big(\xi_i,\ \textstyle\sum_j m^{(0)}_{ij},\ |V_i'|\Big)",
        _tensor_product,
        fields=("velocities",),
        package="e3nn",
    ),
    "dynamic": ModelEntry(
        "Dynamic",
        "Listens along the edges, then to the objects most like it anywhere; those edges can be seen (DGCNN).",
        r"z_i = \psi\Big(\xi_i,\ \max_j \varphi(\xi_i, \xi_j, e_{ij})\Big),\quad "
        r"\xi_i' = \psi'\Big(z_i,\ \max_{k\,\in\,\mathrm{kNN}(z_i)} \varphi'(z_i, z_k - z_i)\Big)",
        dynamic.build,
        fields=("neighbours",),
    ),
    "deepsets": ModelEntry(
        "DeepSets",
        "No edges: each object by its own features and a summary of all objects. A control for who is near whom.",
        r"\xi_i' = \psi\Big(\xi_i,\ \mathrm{mean}_k\, \varphi(\xi_k)\Big)",
        deepsets.build,
    ),
    "pointwise": ModelEntry(
        "Pointwise",
        "No edges: each object by its own features only. What the graph models are compared with.",
        r"\xi_i' = \psi(\xi_i)",
        pointwise.build,
    ),
}


def build_model(
    spec: ModelSpec,
    n_features: int,
    n_edge_features: int,
    n_outputs: int = 1,
    seed: int = 0,
    task: Task = "node_regression",
) -> Stack:
    """A freshly initialised model; equal arguments give equal weights, and the global random state is left alone.

    n_features: F of x [N, F]; n_edge_features: D of edge_attr [M, D], 0 allowed; n_outputs: targets T, or classes C of
    a node classification (an edge task has one logit). Its forward is (x [N, F], edge_index [2, M], edge_attr [M, D],
    geometry, where) -> `Output`. Raises InputError for an unknown model name or a package that is not installed.
    """
    if spec.name not in MODELS:
        raise InputError(f"There is no model '{spec.name}'; choose one of {', '.join(MODELS)}.")
    if missing := MODELS[spec.name].missing:
        raise InputError(missing)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[spec.name].build(Frame(spec, n_features, n_edge_features, n_outputs, task))
