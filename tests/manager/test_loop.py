"""Laws of the loop: write-ahead, commit once, retention, utilisation, liveness, interruption."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.checkpoints import CheckpointStore
from hyperband.errors import LivenessError, StorageError
from hyperband.executors import Batch, Inline, Returned
from hyperband.journal import Journal, read_records
from hyperband.messages import Job, LossCause, Lost
from hyperband.testing.outcomes import outcome_of
from hyperband.testing.trainables import chain

SPACE = {"x": hb.uniform(0, 1)}


def run(storage: Path, executor: Any = "inline", **more: Any) -> hb.Result:
    """Hyperband over 17 trials."""
    options: dict[str, Any] = {"metric": "loss", "mode": "min", "max_resource": 9, "progress": "off", **more}
    return hb.run(chain, SPACE, executor=executor, storage=storage, durability="none", **options)


class Repeating(Inline):
    """Gives every result twice, the second time late."""

    def __init__(self) -> None:
        super().__init__()
        self._late: tuple[Returned, ...] = ()

    def wait(self, timeout: float | None) -> list[Batch]:
        """Fresh results and old ones."""
        [batch] = super().wait(timeout)
        late, self._late = self._late, batch.returned
        return [Batch(batch.worker, batch.returned + late)]


def test_a_result_that_comes_twice_counts_once(storage: Path) -> None:
    """Commit once: the repetition is journaled as stale, and never costs the checkpoint that was committed."""
    calm = outcome_of(run(storage, name="calm").path)
    result = run(storage, Repeating(), name="repeating")
    assert outcome_of(result.path) == calm
    assert sum(record["type"] == "stale" for record in read_records(result.path / "journal")) > 10


class Losing(Inline):
    """Loses every third attempt of a kind."""

    def __init__(self, cause: LossCause) -> None:
        super().__init__()
        self._cause = cause
        self._count = 0

    def wait(self, timeout: float | None) -> list[Batch]:
        """Train, and pretend that some of it vanished."""
        return [Batch(batch.worker, tuple(map(self._maybe, batch.returned))) for batch in super().wait(timeout)]

    def _maybe(self, returned: Returned) -> Returned:
        self._count += 1
        event = returned.event
        if self._count % 3 or event.attempt > 1:
            return returned
        return Returned(Lost(event.trial, event.segment, event.attempt, self._cause, "gone"))


@pytest.mark.parametrize("cause", [LossCause.WORKER, LossCause.CHECKPOINT])
def test_what_is_lost_once_is_trained_again(cause: LossCause, storage: Path) -> None:
    """Same result; the orphaned checkpoints of lost attempts are gone at the next opening at the latest."""
    calm = outcome_of(run(storage, name="calm").path)
    result = run(storage, Losing(cause), name="losing")
    store = CheckpointStore(result.path / "checkpoints")
    store.remove_orphans([result.best.checkpoint])
    assert outcome_of(result.path) == calm


def test_a_full_disk_pauses_the_experiment_and_costs_nothing(storage: Path) -> None:
    """The run stops with a storage error; when there is room again, a resume gives the undisturbed result."""
    calm = outcome_of(run(storage, name="calm").path)
    with pytest.raises(StorageError, match="make room or fix the storage, then resume"):
        run(storage, Losing(LossCause.STORAGE), name="full")
    resumed = hb.resume(storage / "full", executor="inline", progress="off")
    assert outcome_of(resumed.path) == calm


def test_nothing_is_submitted_or_deleted_before_its_record_is_durable(
    storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durable before released, watched from outside: at each submission the file holds its record."""
    submitted, deleted = [], []

    def written(directory: Path) -> list[dict[str, Any]]:
        return list(read_records(directory / "journal"))

    class Watching(Inline):
        def submit(self, worker: int, jobs: Sequence[Job]) -> None:
            records = written(storage / "watched")
            for job in jobs:
                kind = "start" if job.segment.start == 0 else "resume"
                assert any(
                    r["type"] == kind
                    and (r["trial"], r["segment"][1], r["attempt"]) == (job.trial, job.segment.rung, 1)
                    for r in records
                )
                submitted.append(job)
            super().submit(worker, jobs)

    delete = CheckpointStore.delete

    def watched_delete(store: CheckpointStore, checkpoint: Any) -> None:
        names = [tuple(r["checkpoint"][:3]) for r in written(storage / "watched") if r["type"] == "release"]
        assert (checkpoint.trial, checkpoint.resource, checkpoint.attempt) in names
        deleted.append(checkpoint)
        delete(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "delete", watched_delete)
    result = run(storage, Watching(), name="watched")
    assert len(submitted) == result.plan.segments
    assert len(deleted) == result.plan.segments - 1


def test_one_write_and_one_sync_for_a_whole_turn(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group commit: far fewer commits than records."""
    commits, appends = [], []
    commit, append = Journal.commit, Journal.append
    monkeypatch.setattr(Journal, "commit", lambda journal: (commits.append(1), commit(journal))[1])
    monkeypatch.setattr(Journal, "append", lambda journal, record: (appends.append(1), append(journal, record))[1])
    executor = hb.Simulated(4, curve=lambda config, _: {"loss": config["x"]}, cost=lambda _: 0.001)
    run(storage, executor, max_resource=81)
    assert len(commits) < len(appends) / 3


def test_checkpoints_on_disk_never_exceed_the_plan(storage: Path) -> None:
    """Retention follows the scheduler: at most one state per trial that can still be promoted, and the best."""
    peak = []

    class Counting(Inline):
        def wait(self, timeout: float | None) -> list[Batch]:
            peak.append(len(CheckpointStore(storage / "counted" / "checkpoints").list_files()))
            return super().wait(timeout)

    result = run(storage, Counting(), name="counted", max_resource=27)
    assert max(peak) <= result.plan.peak_checkpoints
    assert len(CheckpointStore(result.path / "checkpoints").list_files()) == 1


def test_synchronous_hyperband_keeps_workers_busy(storage: Path) -> None:
    """Holes are filled from the next bracket; only the end of the last one leaves workers idle."""
    costs = {trial: 1 + (trial * 7919) % 13 / 4 for trial in range(200)}
    executor = hb.Simulated(
        4,
        curve=lambda config, r: {"loss": config["x"] / r},
        cost=lambda job: costs[job.trial] * job.segment.units,
    )
    spread: list[int] = []
    submit = executor.submit

    def counting_submit(worker: int, jobs: Sequence[Job]) -> None:
        spread.append(len(jobs))
        submit(worker, jobs)

    executor.submit = counting_submit  # type: ignore[method-assign]
    run(storage, executor, max_resource=81)
    assert max(spread) == 1  # long segments are never queued
    assert executor.busy / (4 * executor.now()) > 0.85


class Forgetful(Inline):
    """Swallows a batch, against its contract."""

    def wait(self, timeout: float | None) -> list[Batch]:
        """Lose one without a word."""
        return [Batch(batch.worker, ()) for batch in super().wait(timeout)]


def test_when_nothing_can_go_on_it_is_said_with_the_whole_story(storage: Path) -> None:
    """Liveness: never a silent hang."""
    with pytest.raises(LivenessError, match="nothing is in flight"):
        run(storage, Forgetful())


def test_workers_and_executor_stand_in_the_journal(storage: Path) -> None:
    """So that a reader can say how many there are."""
    result = run(storage)
    record = next(r for r in read_records(result.path / "journal") if r["type"] == "workers")
    assert (record["count"], record["executor"]) == (1, "inline")
