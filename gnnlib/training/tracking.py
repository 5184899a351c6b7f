"""The metrics of a run told to a logging service as well, where one is installed: TensorBoard or MLflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any

from gnnlib.errors import InputError
from gnnlib.training.run import Run

Track = Callable[[dict[str, Any]], None]
FIGURES = ("train_loss", "validation_loss", "learning_rate", "rows_per_s", "edges_per_s", "memory")


@contextmanager
def tracked(run: Run, logger: str | None) -> Iterator[Track]:
    """A function that hands a line of metrics.jsonl on to the logger, one of LOGGERS; None for no logger.

    Raises InputError where its package is not installed.
    """
    if logger is None:
        yield lambda line: None
        return
    package, opened = LOGGERS[logger]
    if find_spec(package) is None:
        raise InputError(f"--log {logger} needs the package {package}; pip install -r requirements-extras.txt.")
    with opened(run) as track:
        yield track


@contextmanager
def _tensorboard(run: Run) -> Iterator[Track]:
    """Event files in the folder `tensorboard` of the run: `tensorboard --logdir runs`."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run.folder / "tensorboard")) as writer:

        def track(line: dict[str, Any]) -> None:
            for name, value in _figures(line).items():
                writer.add_scalar(name, value, line["epoch"])

        yield track


@contextmanager
def _mlflow(run: Run) -> Iterator[Track]:
    """A run of the experiment "filament" at MLFLOW_TRACKING_URI, else in the folder .mlflow among the runs."""
    import mlflow

    if "MLFLOW_TRACKING_URI" not in os.environ:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # without it a database server is asked for
        mlflow.set_tracking_uri((run.folder.parent / ".mlflow").as_uri())
    mlflow.set_experiment("filament")
    with mlflow.start_run(run_name=run.id):
        mlflow.log_params(_flat(run.spec.model_dump(mode="json")))

        def track(line: dict[str, Any]) -> None:
            mlflow.log_metrics(_figures(line), step=line["epoch"])

        yield track
        for name, over_folds in run.results.get("metrics", {}).items():
            mlflow.log_metric(name, over_folds["mean"])


LOGGERS: dict[str, tuple[str, Callable[[Run], AbstractContextManager[Track]]]] = {
    "tensorboard": ("tensorboard", _tensorboard),
    "mlflow": ("mlflow", _mlflow),
}


def _figures(line: dict[str, Any]) -> dict[str, float]:
    """Name of a curve -> its value, of one line of metrics.jsonl."""
    member = f"_network{line['member']}" if line.get("member") else ""
    return {f"fold{line['fold']}{member}/{name}": line[name] for name in FIGURES if line.get(name) is not None}


def _flat(values: dict[str, Any], start: str = "") -> dict[str, Any]:
    """The fields of a specification by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{start}{name}.") if isinstance(value, dict) else {f"{start}{name}": value}
    return flat
