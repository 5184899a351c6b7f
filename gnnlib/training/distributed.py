"""Several processes train one model together: each takes its share of the rows of a batch, their gradients are added.

Started by `torchrun -m gnnlib train RUN`, one process a device. All hold the same weights and take the same step, so
the numbers are those of one process but for the order of sums. The first one writes the run; the others only compute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gnnlib.models.output import Output

PATIENCE = timedelta(days=7)  # a process waits as long as the first one waits for its turn or fits a baseline


def rank() -> int:
    """The number of this process among those that train together, 0 for the first and for one alone."""
    return dist.get_rank() if _several() else 0


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _several() else 1


def was_started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ or {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes that torchrun has started; does nothing in a process of its own."""
    if not was_started_by_torchrun():
        yield
        return
    graphics = torch.cuda.is_available()
    if graphics:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    dist.init_process_group("nccl" if graphics else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def share(examples: Tensor) -> Tensor:
    """This process's part of the examples [r]; neighbours stay together."""
    return examples.tensor_split(size())[rank()]


def add(values: Tensor) -> Tensor:
    """The sum of `values` over the processes, in place."""
    if _several():
        dist.all_reduce(values)
    return values


def add_gradients(model: nn.Module, *more: float) -> list[float]:
    """Sum the gradients of `model` over the processes in place, and return the sums of the numbers `more`."""
    if not _several():
        return list(more)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    one = torch.cat([*(gradient.flatten() for gradient in gradients), gradients[0].new_tensor(more)])
    dist.all_reduce(one)
    parts = one.split([*(gradient.numel() for gradient in gradients), len(more)])
    for gradient, part in zip(gradients, parts, strict=False):
        gradient.copy_(part.view_as(gradient))
    return parts[-1].tolist()


def of_the_first(values: Tensor, device: torch.device) -> None:
    """Put into `values` what the first process has in them; device: where the processes exchange theirs."""
    if _several():
        there = values.to(device)
        dist.broadcast(there, src=0)
        values.copy_(there)


def whole(output: Output) -> Output:
    """The rows of all processes' outputs, in their order; each may have another number of them. Without attention."""
    if not _several():
        return output
    counts = torch.zeros(size(), dtype=torch.int64, device=output.mean.device)
    counts[rank()] = len(output.mean)
    ends = add(counts).cumsum(dim=0).tolist()

    def of_all(rows: Tensor) -> Tensor:
        gathered = rows.new_zeros((ends[-1], *rows.shape[1:]))
        gathered[ends[rank()] - len(rows) : ends[rank()]] = rows
        return add(gathered)

    return Output(of_all(output.mean), None if output.log_variance is None else of_all(output.log_variance))


def place() -> str:
    """Where the processes exchange what they have: "cuda" or "cpu"."""
    return "cuda" if _several() and dist.get_backend() == "nccl" else "cpu"


def text_of_the_first(text: str) -> str:
    """The text that the first process has."""
    if not _several():
        return text
    letters = torch.zeros(4096, dtype=torch.uint8)
    written = torch.tensor(list(text.encode()), dtype=torch.uint8)
    letters[: len(written)] = written
    of_the_first(letters, torch.device(place()))
    return bytes(letters.tolist()).rstrip(b"\0").decode()


def agreed(yes: bool, device: torch.device) -> bool:
    """True everywhere if it is True in any process."""
    return bool(add(torch.tensor([float(yes)], device=device)).item()) if _several() else yes


def together() -> None:
    """Wait until all processes are here."""
    if _several():
        dist.barrier()


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
