"""A run: one folder on disk that holds a training's specification, progress, results and log, complete in itself.

Pages, the command line and notebooks read the same folder; only the worker writes it. Every file appears whole
(written beside its place, then moved), so a reader never meets half of one.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from gnnlib.errors import InputError
from gnnlib.training.spec import RunSpec

# A copy of what `python -m gnnlib train sample --preset demo` leaves, without the lock.
DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "demo_run"
METRIC_COLUMNS = (
    "fold",
    "member",
    "epoch",
    "epochs",
    "train_loss",
    "validation_loss",
    "learning_rate",
    "seconds",
    "rows_per_s",
    "edges_per_s",
    "memory",
)
KEPT = "resume"  # the folder inside a run of what its worker can go on from
TRASH = ".trash"  # the folder among the runs where deleted ones are
ACTIVE = ("queued", "running")
WORKER_ENDED = (
    "The worker ended before the run was finished (stopped from outside or out of memory); start it again to go on."
)

State = Literal["queued", "running", "finished", "cancelled", "failed", "damaged"]


class Status(BaseModel):
    """How far a run has come. progress: 0..1. eta_s: seconds left as far as the worker can tell. pid: of the worker,
    on `host`.
    """

    model_config = ConfigDict(frozen=True)

    state: State
    message: str = ""
    pid: int | None = None
    host: str = ""
    started: datetime | None = None
    updated: datetime | None = None
    progress: float = 0.0
    eta_s: float | None = None


@dataclass(frozen=True)
class Run:
    """A view of one run folder; every property reads the files as they are now."""

    folder: Path

    @property
    def id(self) -> str:
        return "demo" if self.folder == DEMO_FOLDER else self.folder.name

    @property
    def read_only(self) -> bool:
        """True for the finished run that comes with the program."""
        return self.folder == DEMO_FOLDER

    @property
    def spec(self) -> RunSpec:
        """Raises InputError if spec.json is missing or damaged."""
        try:
            return RunSpec.model_validate_json((self.folder / "spec.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"Run '{self.id}' is damaged: its spec.json is missing or cannot be read; delete the run."
            ) from error

    @property
    def status(self) -> Status:
        """The worker's last word, corrected where the worker has died; state "damaged" where the files cannot be
        read.
        """
        try:
            status = Status.model_validate_json((self.folder / "status.json").read_bytes())
            _ = self.spec
        except (OSError, ValidationError, InputError):
            return Status(state="damaged", message="Its spec.json or status.json cannot be read; delete the run.")
        if status.state in ACTIVE and self.is_stale:
            return status.model_copy(update={"state": "failed", "message": WORKER_ENDED, "eta_s": None})
        return status

    @property
    def is_stale(self) -> bool:
        """True if a worker was started and the files say that it still has the run, while no process holds its lock."""
        try:
            status = Status.model_validate_json((self.folder / "status.json").read_bytes())
        except (OSError, ValidationError):
            return False
        return status.state in ACTIVE and status.started is not None and not self.has_worker

    @property
    def has_worker(self) -> bool:
        """True while a living process works on the run: the system frees the lock when a process ends, however it
        ends.
        """
        try:
            with (self.folder / "worker.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @property
    def metrics(self) -> pd.DataFrame:
        """One row an epoch: fold, member (of an ensemble), epoch, epochs, train_loss, validation_loss, learning_rate,
        seconds. Empty before the first.
        """
        rows = []
        path = self.folder / "metrics.jsonl"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    rows.append(json.loads(line))
                except ValueError:  # the line that is being written
                    continue
        table = pd.DataFrame(rows, columns=list(METRIC_COLUMNS))
        return table.assign(member=pd.to_numeric(table["member"]).fillna(0).astype(int))  # one where none is named

    @property
    def results(self) -> dict[str, Any]:
        """Metrics, baselines and folds; {} before the first fold is finished."""
        return self._json("results.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device and the catalog's origin; {} before training starts."""
        return self._json("environment.json")

    @property
    def predictions(self) -> pd.DataFrame:
        """row_id, truth, prediction, sigma, fold, residual, baseline_<name>, and the intervals lower_68, upper_68,
        lower_95, upper_95, which older runs lack; other tasks have the columns of `scores.table`. Raises InputError if
        there are none (yet).
        """
        return self._table("predictions.parquet", "predictions")

    @property
    def attention(self) -> pd.DataFrame:
        """source, receiver, fold, self_loop, length, layer{l}_head{h}. Raises InputError if there is none (yet)."""
        return self._table("attention.parquet", "attention")

    @property
    def notes(self) -> str:
        """What a person wrote about the run; "" where nothing was."""
        path = self.folder / "notes.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def write_notes(self, text: str) -> None:
        """Replace the notes. Raises InputError for the bundled run and where the folder cannot be written."""
        if self.read_only:
            raise InputError("The bundled run cannot be changed, so it has no notes; start a run of your own.")
        try:
            write_text(self.folder / "notes.txt", text)
        except OSError as error:
            raise InputError(f"The notes of run '{self.id}' cannot be written ({error.strerror}).") from error

    def delete(self) -> None:
        """Move the run to the folder .trash among its runs, from where `restore_run` brings it back.

        Raises InputError for the bundled run and while a worker has it.
        """
        if self.read_only:
            raise InputError("The bundled run cannot be deleted.")
        trash = self.folder.parent / TRASH
        trash.mkdir(exist_ok=True)
        with self.worker_lock():
            place = trash / self.id
            if place.exists():  # deleted before, and made again by hand since
                place = trash / f"{self.id}-{uuid.uuid4().hex[:6]}"
            self.folder.rename(place)

    @property
    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def write_status(self, **changes: object) -> Status:
        """Change fields of status.json; `updated` is set to now. Returns what was written."""
        path = self.folder / "status.json"
        before = json.loads(path.read_bytes()) if path.exists() else {}
        status = Status.model_validate({**before, **changes, "updated": datetime.now(UTC)})
        write_json(path, status.model_dump(mode="json"))
        return status

    @contextmanager
    def worker_lock(self) -> Iterator[IO[bytes]]:
        """Hold the run for this process. Raises InputError if another process has it."""
        with (self.folder / "worker.lock").open("ab") as file:
            for attempt in range(5):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if attempt == 4:
                        raise InputError(f"Run '{self.id}' already has a worker; wait for it or cancel it.") from None
                    time.sleep(0.05)  # `has_worker` of a reader holds it for an instant
            yield file

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.exists():
            return {}
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise InputError(f"Run '{self.id}' is damaged: its {name} cannot be read; delete the run.") from error

    def _table(self, name: str, what: str) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists():
            raise InputError(f"Run '{self.id}' has no {what}; its state is {self.status.state}.")
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"Run '{self.id}' is damaged: its {name} cannot be read; delete the run.") from error


def runs_directory() -> Path:
    """Where runs are kept: $FILAMENT_RUNS, or the folder `runs` where the program was started."""
    return Path(os.environ.get("FILAMENT_RUNS") or "runs").resolve()


def create_run(spec: RunSpec, runs_dir: Path | None = None) -> Run:
    """A new folder runs_dir/YYYYMMDD-HHMMSS-<6 hex of the spec's hash> with spec.json and a status of "queued".

    A relative path of the catalog is made absolute, so that the run can be started from anywhere. Raises InputError
    if the folder cannot be written.
    """
    runs_dir = runs_dir.resolve() if runs_dir is not None else runs_directory()
    path = spec.catalog.path
    if path != "sample" and "://" not in path:
        spec = spec.model_copy(
            update={"catalog": spec.catalog.model_copy(update={"path": str(Path(path).expanduser().resolve())})}
        )
    new = runs_dir / f".new-{uuid.uuid4().hex}"
    try:
        new.mkdir(parents=True)
        write_text(new / "spec.json", spec.model_dump_json(indent=1))
        Run(new).write_status(state="queued", message="Waiting to be started.")
        moment = datetime.now()
        while (folder := runs_dir / f"{moment:%Y%m%d-%H%M%S}-{spec.digest()}").exists():
            moment += timedelta(seconds=1)
        new.rename(folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise InputError(
            f"The folder of runs '{runs_dir}' cannot be written ({error.strerror}); choose another with FILAMENT_RUNS."
        ) from error
    return Run(folder)


def load_run(reference: str | Path, runs_dir: Path | None = None) -> Run:
    """The run with this id ("demo" is the bundled one), or in this folder. Raises InputError if there is none."""
    if reference == "demo":
        folder = DEMO_FOLDER
    elif isinstance(reference, str) and re.fullmatch(r"[\w-][\w.-]*", reference):
        folder = (runs_dir or runs_directory()) / reference
    else:
        folder = Path(reference).resolve()
    if not (folder / "spec.json").is_file():
        raise InputError(f"There is no run '{reference}'; `python -m gnnlib runs` lists the runs.")
    return Run(folder)


def restore_run(run_id: str, runs_dir: Path | None = None) -> Run:
    """Bring a deleted run back. Raises InputError if it is not in the trash or its place is taken."""
    runs_dir = runs_dir.resolve() if runs_dir is not None else runs_directory()
    deleted = {run.id: run.folder for run in deleted_runs(runs_dir)}
    if run_id not in deleted:
        raise InputError(f"There is no deleted run '{run_id}'; `python -m gnnlib runs --deleted` lists them.")
    place = runs_dir / run_id
    if place.exists():
        raise InputError(f"There is a run '{run_id}' already, so the deleted one cannot come back; delete that first.")
    deleted[run_id].rename(place)
    return Run(place)


def deleted_runs(runs_dir: Path | None = None) -> list[Run]:
    """The runs in the trash, newest first."""
    trash = (runs_dir.resolve() if runs_dir is not None else runs_directory()) / TRASH
    return [Run(folder) for folder in sorted(trash.iterdir(), reverse=True)] if trash.is_dir() else []


def list_runs(runs_dir: Path | None = None) -> list[Run]:
    """All runs, newest first, damaged ones included (their status says so); the bundled one last."""
    runs_dir = runs_dir.resolve() if runs_dir is not None else runs_directory()
    folders = [f for f in runs_dir.iterdir() if f.is_dir() and f.name[0] != "."] if runs_dir.is_dir() else []
    runs = [Run(folder) for folder in sorted(folders, reverse=True)]
    return runs + ([Run(DEMO_FOLDER)] if (DEMO_FOLDER / "spec.json").is_file() else [])


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to beside `path`; moved into its place if the block succeeds, removed if it fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write a JSON file whole; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False))


def finite(value: Any) -> Any:
    """The same value for JSON: numpy numbers as Python numbers, NaN and infinity as None, tuples as lists, keys as
    text.
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
