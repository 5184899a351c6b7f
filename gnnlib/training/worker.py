"""Runs trainings as processes: start, wait in turn, cancel, and leave the run's status true whatever happens.

A page never trains. It writes a run, calls `launch` and reads the folder; the worker is `python -m gnnlib train RUN`,
a process of its own that outlives the page. Workers wait for their turn, see `gnnlib.training.queue`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnlib.errors import InputError
from gnnlib.training.baselines import BASELINES, usable
from gnnlib.training.run import ACTIVE, KEPT, Run, create_run
from gnnlib.training.spec import RunSpec

if TYPE_CHECKING:
    from gnnlib.training.data import TrainingData

WORKER = "FILAMENT_WORKER"  # environment variable: the run whose lock this process was born with
BUNDLED = "The bundled run cannot be trained again; start a new one with the preset 'demo'."
ENDED: dict[str, Any] = {"eta_s": None, "pid": None, "host": ""}
STARTING_S = 20.0  # how long `cancel` waits for a worker that is just being born
# How glibc keeps memory in a worker: arrays up to 32 MB, its largest threshold, come from memory that stays with the
# process. Else each is mapped and zeroed anew at every step: a fifth of the time of a step of attention.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
Report = Callable[[str], None]


class Cancelled(Exception):
    """Raised inside a worker that was asked to stop."""


def train(spec: RunSpec, runs_dir: Path | None = None, report: Report | None = None, logger: str | None = None) -> Run:
    """Check the input, create a run and train it here and now. Raises InputError before anything is written."""
    from gnnlib.training import distributed

    data = check(spec)
    run = create_run(spec, runs_dir) if distributed.rank() == 0 else None
    run = Run(Path(distributed.text_of_the_first(str(run.folder) if run else "")))
    execute(run, data, report, logger)
    return run


def check(spec: RunSpec) -> TrainingData:
    """Everything that can be refused before a run exists: names of models, devices and baselines, and the data."""
    from gnnlib.models.registry import MODELS
    from gnnlib.training.data import prepare
    from gnnlib.training.devices import resolve

    if spec.model.name not in MODELS:
        raise InputError(f"There is no model '{spec.model.name}'; choose one of {', '.join(MODELS)}.")
    for name in spec.baselines:
        if name not in BASELINES:
            raise InputError(f"There is no baseline '{name}'; choose from {', '.join(BASELINES)}.")
        if not usable(name, spec.task):
            fitting = ", ".join(known for known in BASELINES if usable(known, spec.task))
            raise InputError(f"The baseline '{name}' is not for {spec.task.replace('_', ' ')}; choose from {fitting}.")
    resolve(spec.device)
    return prepare(spec)


def execute(
    run: Run, data: TrainingData | None = None, report: Report | None = None, logger: str | None = None
) -> None:
    """Train a run in this process and leave its folder finished, cancelled or failed. One that was stopped or killed
    goes on where it was; one that is finished is left as it is.

    data: what `check` gave for the run's spec, if it was called already. report: called with each line of the log.
    logger: a row of `tracking.LOGGERS` that is told of the metrics too. In all but the first of several processes that
    train together, only helps the first.
    Anything that goes wrong is written to the run and raised again; a cancelled run is not an error.
    """
    import torch

    from gnnlib.training import distributed
    from gnnlib.training.queue import turn
    from gnnlib.training.tracking import tracked

    if run.read_only:
        raise InputError(BUNDLED)
    if distributed.rank() > 0:
        return _help(run, data)
    with _held(run), _stop_signals() as stop:
        log = _Log(run, report)
        if run.status.state == "finished":
            log(f"Run {run.id} is finished; to train again, start a new one.")
            shutil.rmtree(run.folder / KEPT, ignore_errors=True)  # of a worker killed at its very end
            distributed.agreed(False, torch.device(distributed.place()))
            return
        run.write_status(state="queued", message="Waiting for its turn.", pid=os.getpid(), **_fresh())
        try:
            with turn(run, stop) as device:
                if device is None:
                    distributed.agreed(False, torch.device(distributed.place()))
                    raise Cancelled
                if device.type == "cuda" and distributed.size() == 1:
                    torch.cuda.set_device(device)
                with tracked(run, logger) as track:
                    _train(run, data, log, stop, track)
        except (Cancelled, KeyboardInterrupt):
            log("Cancelled.")
            run.write_status(state="cancelled", message="Cancelled; start it again to go on.", **ENDED)
        except InputError as error:
            log.write(f"Failed: {error}")
            run.write_status(state="failed", message=str(error), **ENDED)
            raise
        except BaseException as error:
            log.write(traceback.format_exc())
            sentence = f"Training stopped unexpectedly ({type(error).__name__}); the details are in its log.txt."
            run.write_status(state="failed", message=sentence, **ENDED)
            raise


def launch(run: Run) -> None:
    """Start the run's worker as a process of its own, which outlives this one. Raises InputError if it already has
    one.
    """
    if run.read_only:
        raise InputError(BUNDLED)
    project = str(Path(__file__).resolve().parents[2])
    paths = [project, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**ALLOCATOR, **os.environ, "PYTHONPATH": os.pathsep.join(paths), WORKER: str(run.folder)}
    with run.worker_lock() as lock, (run.folder / "log.txt").open("ab") as log:
        if run.status.state == "finished":
            raise InputError(f"Run '{run.id}' is finished; to train again, start a new one.")
        run.write_status(state="queued", message="Starting.", pid=None, **_fresh())
        worker = subprocess.Popen(
            [sys.executable, "-m", "gnnlib", "train", str(run.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            pass_fds=[lock.fileno()],  # the worker holds the lock from its first moment to its last
        )
    threading.Thread(target=worker.wait, daemon=True).start()  # leaves no zombie


def cancel(run: Run) -> None:
    """Ask the run's worker to stop after this epoch; a run that has not started is cancelled at once.

    Raises InputError if the worker is on another machine.
    """
    status = run.status
    if status.state not in ACTIVE:
        return
    if not run.has_worker:
        run.write_status(state="cancelled", message="Cancelled before it started.", eta_s=None)
        return
    if status.host != socket.gethostname():
        raise InputError(f"Run '{run.id}' is trained by a process on '{status.host}'; cancel it there.")
    patience = time.monotonic() + STARTING_S
    while run.status.pid is None and run.has_worker and time.monotonic() < patience:
        time.sleep(0.1)  # a worker that was launched a moment ago has yet to write its process id
    if (pid := run.status.pid) is not None and run.has_worker:
        os.kill(pid, signal.SIGTERM)


def was_launched(run: Run) -> bool:
    """True in the process that `launch` started for this run."""
    return os.environ.get(WORKER) == str(run.folder)


@contextmanager
def _held(run: Run) -> Iterator[None]:
    """The run's lock, taken here or inherited from `launch`."""
    if was_launched(run) and run.has_worker:
        yield
    else:
        with run.worker_lock():
            yield


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set while the block runs; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Log:
    """Writes lines to the run's log.txt; when called, hands them to `report` as well."""

    def __init__(self, run: Run, report: Report | None) -> None:
        self.path, self.report = run.folder / "log.txt", report

    def write(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now():%H:%M:%S} {line}\n")

    def __call__(self, line: str) -> None:
        self.write(line)
        if self.report is not None:
            self.report(line)


def _fresh() -> dict[str, Any]:
    """The fields of a status that a new start resets."""
    return {"host": socket.gethostname(), "started": datetime.now(UTC), "progress": 0.0, "eta_s": None}


def _help(run: Run, data: TrainingData | None) -> None:
    """Compute what the first of several processes that train together asks for, and write nothing."""
    import torch

    from gnnlib.training import distributed
    from gnnlib.training.crossvalidation import cross_validate

    with _stop_signals() as stop:
        if distributed.agreed(False, torch.device(distributed.place())):  # until it is the run's turn
            cross_validate(run, data or check(run.spec), lambda line: None, stop.is_set)


def _train(
    run: Run, data: TrainingData | None, log: _Log, stop: threading.Event, track: Callable[[dict[str, Any]], None]
) -> None:
    import torch

    from gnnlib.training import distributed
    from gnnlib.training.crossvalidation import cross_validate

    started = time.perf_counter()
    run.write_status(state="running", message="Reading the catalog and building the graph.", started=datetime.now(UTC))
    data = data or check(run.spec)
    distributed.agreed(True, torch.device(distributed.place()))
    if not cross_validate(run, data, log, stop.is_set, track):
        raise Cancelled
    seconds = time.perf_counter() - started
    run.write_status(state="finished", message=f"Finished in {seconds:.0f} s.", progress=1.0, **ENDED)
    shutil.rmtree(run.folder / KEPT, ignore_errors=True)
    log(f"Finished in {seconds:.1f} s.")
