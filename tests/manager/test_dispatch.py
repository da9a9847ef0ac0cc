"""Laws of the dispatcher: no idle worker beside work, short segments together, warm workers first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.manager.dispatch import BATCH_JOBS, BATCH_SECONDS, DEPTH, Dispatcher
from hyperband.messages import Segment, Start


def job(trial: int, units: int = 1, attempt: int = 1) -> Start:
    """A job of so many units."""
    return Start(trial, {}, Segment(0, 0, 0, units), attempt)


def ask_for(dispatcher: Dispatcher, workers: int) -> int:
    """How many one-unit jobs the loop would ask for."""
    count = 0
    while not dispatcher.enough(count, count, workers):
        count += 1
    return count


def test_before_anything_is_known_every_worker_gets_one_job() -> None:
    """A first segment may take hours."""
    dispatcher = Dispatcher(4)
    assert dispatcher.open_workers() == [0, 1, 2, 3]
    assert ask_for(dispatcher, 4) == 4


def test_long_segments_travel_alone_and_wait_nowhere() -> None:
    """A segment of a second is never queued behind another one."""
    dispatcher = Dispatcher(2)
    dispatcher.trained(1, 1.0)
    assert ask_for(dispatcher, 2) == 2
    dispatcher.assign([job(0), job(1)], [0, 1])
    assert dispatcher.open_workers() == []


def test_short_segments_travel_together_up_to_the_limit() -> None:
    """As many as fill the target time, never more than the limit; a second batch may wait at each worker."""
    dispatcher = Dispatcher(2)
    dispatcher.trained(1, BATCH_SECONDS / 10)
    assert ask_for(dispatcher, 2) == 20
    dispatcher = Dispatcher(2)
    dispatcher.trained(1, 1e-9)
    assert ask_for(dispatcher, 2) == 2 * BATCH_JOBS
    for _ in range(DEPTH):
        assert dispatcher.open_workers()
        dispatcher.assign([job(0), job(1)], dispatcher.open_workers())
    assert dispatcher.open_workers() == []


@given(
    jobs=st.integers(0, 60),
    workers=st.integers(1, 9),
    homes=st.lists(st.integers(0, 8), min_size=60, max_size=60),
)
@settings(derandomize=True)
def test_jobs_are_dealt_evenly_and_none_is_lost(jobs: int, workers: int, homes: list[int]) -> None:
    """Whoever trained them before: shares differ by one at the most, no worker idles while another has two."""
    dispatcher = Dispatcher(workers)
    for trial in range(jobs):
        worker = homes[trial] % workers
        dispatcher.assign([job(trial)], [worker])
        dispatcher.came_back(worker, available=True)
    batches = dispatcher.assign([job(trial) for trial in range(jobs)], range(workers))
    sizes = [len(batch) for _, batch in batches]
    assert sorted(j.trial for _, batch in batches for j in batch) == list(range(jobs))
    assert not sizes or max(sizes) <= -(-jobs // workers)
    assert len(batches) == min(jobs, workers)


def test_a_promoted_trial_goes_to_the_worker_that_trained_it() -> None:
    """Warm continuation."""
    dispatcher = Dispatcher(3)
    first = dict(dispatcher.assign([job(0), job(1), job(2)], [0, 1, 2]))
    for worker in range(3):
        dispatcher.came_back(worker, available=True)
    second = dispatcher.assign([job(2), job(0), job(1)], [0, 1, 2])
    assert {worker: [j.trial for j in batch] for worker, batch in second} == {
        worker: [j.trial for j in batch] for worker, batch in first.items()
    }


def test_a_retried_segment_travels_alone_to_an_idle_worker() -> None:
    """If it kills its worker again, no other segment is hit; meanwhile nothing is queued behind it."""
    dispatcher = Dispatcher(2)
    dispatcher.trained(1, 1e-6)
    dispatcher.assign([job(5), job(6)], [0, 1])
    batches = dispatcher.assign([job(0, attempt=2)], dispatcher.open_workers())
    assert batches == []  # both are busy
    assert dispatcher.lonely == 1
    assert dispatcher.open_workers() == []
    dispatcher.came_back(1, available=True)
    assert dispatcher.assign([], dispatcher.open_workers()) == [(1, [job(0, attempt=2)])]
    dispatcher.came_back(0, available=True)
    assert dispatcher.open_workers() == [0]


def test_a_dead_worker_gets_nothing_until_its_successor_is_ready() -> None:
    """All its batches are off the books at once."""
    dispatcher = Dispatcher(2)
    dispatcher.assign([job(0), job(1)], [0, 1])
    dispatcher.came_back(0, available=False)
    assert dispatcher.recovering
    assert dispatcher.in_flight == 1
    assert dispatcher.open_workers() == []
    dispatcher.came_back(0, available=True)
    assert dispatcher.open_workers() == [0]
    assert not dispatcher.recovering


@pytest.mark.parametrize("seconds", [0.001, 0.1, 10.0])
def test_the_running_mean_follows_the_newest_measurements(seconds: float) -> None:
    """A change of speed is noticed within a few results."""
    dispatcher = Dispatcher(1)
    for _ in range(40):
        dispatcher.trained(2, 2 * seconds)
    assert (ask_for(dispatcher, 1) == 1) == (seconds >= BATCH_SECONDS)
