"""The contract of executors: subclass ``ExecutorContract`` in your tests and hand it yours.

::

    class TestMyExecutor(ExecutorContract):
        def make_executor(self):
            return MyExecutor()
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle

from hyperband.executors import Batch, Executor, Returned, Work
from hyperband.messages import (
    Event,
    Failed,
    FailureKind,
    Job,
    LossCause,
    Lost,
    Reported,
    Resume,
    Segment,
    Start,
    from_json,
    to_json,
)
from hyperband.testing.trainables import NoisyObject, chain, noisy_loop, troubled


class ExecutorContract:
    """Laws every executor keeps. Abilities are class attributes, so that a test is skipped by ability, not by name."""

    survives_process_death: ClassVar[bool] = True  #: user code may kill its process without hurting the driver

    def make_executor(self) -> Executor:
        """Return a fresh executor; the only method a subclass must write."""
        raise NotImplementedError

    # --- tools -------------------------------------------------------------------------------

    @contextmanager
    def running(self, directory: Path, trainable: object, data: Any = None) -> Iterator["Harness"]:
        """Start an executor on a trainable and close it in the end."""
        checkpoints = directory / "checkpoints"
        checkpoints.mkdir(exist_ok=True)
        pickled = None if data is None else cloudpickle.dumps(data)
        executor = self.make_executor()
        work = Work(cloudpickle.dumps(trainable), pickled, str(checkpoints), "loss", 3)
        try:
            yield Harness(executor, executor.start(work))
        finally:
            executor.close()

    # --- laws --------------------------------------------------------------------------------

    def test_every_job_comes_back_exactly_once(self, tmp_path: Path) -> None:
        """Whatever the batching: as many results as jobs, each with its trial, segment and attempt."""
        with self.running(tmp_path, chain) as harness:
            jobs = [start(trial, 1 + trial % 3) for trial in range(12)]
            for index, batch in enumerate((jobs[:1], jobs[1:6], jobs[6:])):
                harness.executor.submit(index % harness.workers, batch)
            events = harness.collect(12)
            assert sorted(event.trial for event in events) == list(range(12))
            by_trial = {event.trial: event for event in events}
            assert all(by_trial[job.trial].segment == job.segment for job in jobs)
            assert harness.executor.wait(0) == []

    def test_a_batch_comes_back_whole_and_in_order(self, tmp_path: Path) -> None:
        """One submission, one batch."""
        with self.running(tmp_path, chain) as harness:
            harness.executor.submit(0, [start(trial, 2) for trial in range(4)])
            batches = harness.batches(4)
            assert [[r.event.trial for r in batch.returned] for batch in batches] == [[0, 1, 2, 3]]
            assert batches[0].worker == 0

    def test_what_comes_back_is_data(self, tmp_path: Path) -> None:
        """Events and info survive strict JSON; nothing of the user's code reaches the driver."""
        with self.running(tmp_path, chain) as harness:
            harness.executor.submit(0, [start(0, 2)])
            returned = harness.batches(1)[0].returned[0]
            assert from_json(json.loads(json.dumps(to_json(returned.event), allow_nan=False))) == returned.event
            assert json.loads(json.dumps(returned.info, allow_nan=False))["seconds"] >= 0

    def test_a_segment_continues_where_the_last_one_ended(self, tmp_path: Path) -> None:
        """0 -> 2 -> 5 gives the value, and the very bytes of the state, of 0 -> 5; for each shape."""
        for number, trainable in enumerate((chain, noisy_loop, NoisyObject)):
            directory = tmp_path / str(number)
            directory.mkdir()
            with self.running(directory, trainable) as harness:
                whole = harness.one(start(7, 5))
                part = harness.one(start(7, 2, attempt=2))
                harness.one(start(8, 4))  # somebody else in between
                rest = harness.one(resume(part, 5, attempt=2))
            assert isinstance(whole, Reported)
            assert isinstance(rest, Reported)
            assert rest.metrics == whole.metrics
            assert rest.resource == 5

    def test_a_trial_is_a_function_of_its_id_and_config(self, tmp_path: Path) -> None:
        """Other trials on the same worker leave no trace in the random numbers."""
        for number, trainable in enumerate((noisy_loop, NoisyObject)):
            directory = tmp_path / str(number)
            directory.mkdir()
            with self.running(directory, trainable) as harness:
                alone = harness.one(start(1, 3))
                harness.one(start(2, 2))
                again = harness.one(start(1, 3))
            assert isinstance(alone, Reported)
            assert isinstance(again, Reported)
            assert alone.metrics == again.metrics

    def test_an_exception_is_an_event_and_the_worker_goes_on(self, tmp_path: Path) -> None:
        """The message names the error, the info holds the traceback; SystemExit is no different."""
        with self.running(tmp_path, troubled) as harness:
            for trouble, words in (("raise", "ValueError: x is 0.5"), ("system_exit", "SystemExit: 3")):
                returned = harness.returned(start(0, 1, trouble=trouble))
                assert isinstance(returned.event, Failed)
                assert returned.event.kind is FailureKind.EXCEPTION
                assert returned.event.message == words
                assert "troubled" in returned.info["traceback"]
            assert isinstance(harness.one(start(1, 1)), Reported)

    def test_a_neighbour_in_the_batch_is_not_harmed(self, tmp_path: Path) -> None:
        """A failing segment in the middle of a batch fails alone."""
        with self.running(tmp_path, troubled) as harness:
            jobs = [start(0, 1), start(1, 1, trouble="raise"), start(2, 1)]
            harness.executor.submit(0, jobs)
            kinds = {event.trial: type(event) for event in harness.collect(3)}
            assert kinds == {0: Reported, 1: Failed, 2: Reported}

    def test_a_missing_metric_names_the_keys_seen(self, tmp_path: Path) -> None:
        """And a metric that is no number names its type."""
        with self.running(tmp_path, troubled) as harness:
            for trouble, words in (("missing", "`lost`"), ("text", "str")):
                event = harness.one(start(0, 1, trouble=trouble))
                assert isinstance(event, Failed)
                assert event.kind is FailureKind.METRIC
                assert words in event.message
                assert "`loss`" in event.message

    def test_nan_is_a_value(self, tmp_path: Path) -> None:
        """A diverged trial has trained; the search ranks it last."""
        with self.running(tmp_path, troubled) as harness:
            event = harness.one(start(0, 1, trouble="nan"))
            assert isinstance(event, Reported)
            assert event.metrics["loss"] != event.metrics["loss"]

    def test_a_state_that_cannot_be_pickled_names_the_attribute(self, tmp_path: Path) -> None:
        """The path inside the state stands in the message."""
        with self.running(tmp_path, troubled) as harness:
            event = harness.one(start(0, 1, trouble="lock"))
            assert isinstance(event, Failed)
            assert event.kind is FailureKind.STATE
            assert "lock" in event.message
            assert "deep" in event.message

    def test_the_config_is_a_private_copy(self, tmp_path: Path) -> None:
        """User code that changes its config changes nobody else's."""
        with self.running(tmp_path, troubled) as harness:
            job = start(0, 1, trouble="mutate")
            harness.one(job)
            assert job.config["x"] == 0.5

    def test_a_damaged_checkpoint_is_never_trained_on(self, tmp_path: Path) -> None:
        """One changed byte: the attempt is lost, with the reason, and user code does not see the state."""
        with self.running(tmp_path, chain) as harness:
            part = harness.one(start(0, 2))
        for file in (tmp_path / "checkpoints").rglob("*"):
            if file.is_file():
                content = bytearray(file.read_bytes())
                content[len(content) // 2] ^= 1
                file.write_bytes(content)
        with self.running(tmp_path, chain) as harness:  # a fresh worker, which has nothing in memory
            event = harness.one(resume(part, 4))
            assert isinstance(event, Lost)
            assert event.cause is LossCause.CHECKPOINT

    def test_data_is_shared_with_every_worker(self, tmp_path: Path) -> None:
        """A function that loads data is called; its value is ``ctx.data``."""
        with self.running(tmp_path, uses_data, data=load_numbers) as harness:
            for worker in range(harness.workers):
                harness.executor.submit(worker, [start(worker, 1)])
            events = harness.collect(harness.workers)
            assert all(isinstance(event, Reported) and event.metrics["loss"] == 6.0 for event in events)

    def test_a_dead_worker_gives_its_jobs_back_and_is_replaced(self, tmp_path: Path) -> None:
        """``os._exit`` in a batch: everything in it is lost, nothing else; the successor has the same number."""
        if not self.survives_process_death:
            return
        with self.running(tmp_path, troubled) as harness:
            harness.executor.submit(0, [start(0, 1), start(1, 1, trouble="exit"), start(2, 1)])
            lost = harness.collect(3)
            assert {(event.trial, type(event)) for event in lost} == {(0, Lost), (1, Lost), (2, Lost)}
            assert all(isinstance(event, Lost) and event.cause is LossCause.WORKER for event in lost)
            harness.until_available(0)
            assert isinstance(harness.one(start(0, 1, attempt=2)), Reported)

    def test_closing_twice_is_closing(self, tmp_path: Path) -> None:
        """Also with work in flight."""
        with self.running(tmp_path, chain) as harness:
            harness.executor.submit(0, [start(0, 1)])
            harness.executor.close()
            harness.executor.close()


class Harness:
    """A started executor and the few questions a test asks it."""

    def __init__(self, executor: Executor, workers: int) -> None:
        self.executor = executor
        self.workers = workers
        self._unavailable: set[int] = set()

    def batches(self, jobs: int) -> list[Batch]:
        """Wait until so many jobs have come back."""
        found: list[Batch] = []
        while sum(len(batch.returned) for batch in found) < jobs:
            found += self._wait()
        return [batch for batch in found if batch.returned]

    def collect(self, jobs: int) -> list[Event]:
        """Return the events of the next so many jobs."""
        return [returned.event for batch in self.batches(jobs) for returned in batch.returned]

    def returned(self, job: Job) -> Returned:
        """Run one job."""
        self.executor.submit(0, [job])
        return self.batches(1)[0].returned[0]

    def one(self, job: Job) -> Event:
        """Run one job and return its event."""
        return self.returned(job).event

    def until_available(self, worker: int) -> None:
        """Wait until a dead worker's successor is ready."""
        while worker in self._unavailable:
            self._wait()

    def _wait(self) -> Sequence[Batch]:
        batches = self.executor.wait(60)
        if not batches:
            msg = "the executor gave nothing back within a minute"
            raise AssertionError(msg)
        for batch in batches:
            (self._unavailable.discard if batch.available else self._unavailable.add)(batch.worker)
        return batches


def start(trial: int, units: int, *, attempt: int = 1, **config: Any) -> Start:
    """Return a job that trains a new trial for so many units."""
    return Start(trial, {"x": 0.5, **config}, Segment(0, 0, 0, units), attempt)


def resume(event: Event, stop: int, *, attempt: int = 1) -> Resume:
    """Return the job that continues what was reported."""
    if not isinstance(event, Reported):
        msg = f"there is nothing to resume: {event}"
        raise TypeError(msg)
    segment = Segment(0, 1, event.resource, stop)
    return Resume(event.trial, {"x": 0.5}, segment, event.checkpoint, attempt)


def load_numbers() -> list[float]:
    """Load the data of ``uses_data``."""
    return [1.0, 2.0, 3.0]


def uses_data(ctx: Any) -> None:
    """Report the sum of the data."""
    total: dict[str, float] = {}
    for _ in ctx.steps(total=total):
        ctx.report(loss=sum(ctx.data))
