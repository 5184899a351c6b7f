"""Who may train: so many at once on a device, in the order the runs were made, and those that wait say so."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
import torch

from gnnlib.errors import InputError
from gnnlib.training import queue
from gnnlib.training.queue import WORKERS, turn
from gnnlib.training.run import Run, create_run

from .conftest import run_spec
from .test_worker import wait_for


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(queue, "LOOK_EVERY_S", 0.05)


class Worker:
    """A run with a thread that takes its turn and keeps it until told to end."""

    def __init__(self, run: Run) -> None:
        self.run, self.stop, self.end = run, threading.Event(), threading.Event()
        self.device: torch.device | None = None
        run.write_status(state="queued")
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        with self.run.worker_lock(), turn(self.run, self.stop) as self.device:
            if self.device is not None:
                self.run.write_status(state="running")
                self.end.wait(60)
                self.run.write_status(state="finished")


@pytest.fixture
def workers(halos, tmp_path):
    with ExitStack() as made:

        def start(**fields) -> Worker:
            worker = Worker(create_run(run_spec(halos, **fields), tmp_path))
            made.callback(worker.thread.join)
            made.callback(worker.end.set)
            made.callback(worker.stop.set)
            return worker

        yield start


def trains(worker: Worker) -> bool:
    return worker.run.status.state == "running"


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_train_at_once_and_the_others_follow_in_order(workers, monkeypatch, at_once):
    monkeypatch.setenv(WORKERS, str(at_once))
    line = [workers() for _ in range(at_once + 2)]
    first, (second, third) = line[:at_once], line[at_once:]
    wait_for(lambda: all(trains(worker) for worker in first), "the first to train")
    wait_for(lambda: "to finish." in second.run.status.message, "the second to wait")
    wait_for(lambda: "after 1 other run in line" in third.run.status.message, "the third to know its place")
    assert all(worker.run.id in second.run.status.message for worker in first)
    first[0].end.set()
    wait_for(lambda: trains(second), "the second to train")
    assert not trains(third)
    second.end.set()
    wait_for(lambda: trains(third), "the third to train")


def test_one_that_waits_can_be_stopped_and_those_behind_it_go_on(workers):
    first, second, third = (workers() for _ in range(3))
    wait_for(lambda: "after 1 other" in third.run.status.message, "the third to wait")
    second.stop.set()
    second.thread.join()
    assert second.device is None
    first.end.set()
    wait_for(lambda: trains(third), "the third to train")


def test_runs_on_another_device_are_not_waited_for(workers, monkeypatch):
    kinds = {"cpu": torch.device("cpu"), "mps": torch.device("mps")}
    monkeypatch.setattr(queue, "resolve", kinds.__getitem__)
    one, other = workers(), workers(device="mps")
    wait_for(lambda: trains(one) and trains(other), "both to train")


def test_of_several_graphics_processors_the_next_run_takes_a_free_one(workers, monkeypatch):
    monkeypatch.setattr(queue, "resolve", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    one, other, third = workers(), workers(), workers()
    wait_for(lambda: trains(one) and trains(other), "two to train")
    wait_for(lambda: "to finish." in third.run.status.message, "the third to wait")
    assert {one.device, other.device} == {torch.device("cuda", 0), torch.device("cuda", 1)}
    other.end.set()
    wait_for(lambda: trains(third), "the third to train")
    assert third.device == other.device


@pytest.mark.parametrize("given", ["0", "two", "-1", ""])
def test_a_number_of_workers_that_is_none_is_refused_in_a_sentence(monkeypatch, given):
    monkeypatch.setenv(WORKERS, given)
    with pytest.raises(InputError, match="set it to the number of workers"):
        queue.workers_at_once()
