"""The fold of a journal against the search that wrote it."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperband.results import ExperimentView
from hyperband.search import Search, Status

Records = list[dict[str, Any]]
Play = Callable[..., Records]

#: The fixtures are functions without state, so that examples may share them.
RELAXED = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def folded(records: Records, *, detail: bool = True) -> ExperimentView:
    """A view of records."""
    view = ExperimentView(detail=detail)
    for record in records:
        view.apply(record)
    return view


@RELAXED
@given(seed=st.integers(0, 10_000), workers=st.integers(1, 5))
def test_the_view_agrees_with_the_search_at_every_point(
    seed: int, workers: int, play: Play, replay_prefix: Callable[[Records], Search]
) -> None:
    """Whatever happens, trials' status, segments in flight and the best trial are those of a replayed search."""
    records = play(seed, 4, workers)
    view = folded(records[:2])
    for end in range(3, len(records) + 1):
        view.apply(records[end - 1])
        complete = end == len(records) or records[end]["type"] not in ("promote", "stop", "release", "finish")
        if not complete:  # a search decides all at once, its journal line by line
            continue
        search = replay_prefix(records[:end])
        assert view.running == search.in_flight
        assert view.started == len(search.trials)
        assert (view.best and (view.best.trial, view.best.resource, view.best.value)) == (
            search.best and (search.best.trial, search.best.resource, search.best.value)
        )
        for trial in search.trials.values():
            seen = view.trials[trial.id].status
            # A trial that failed is shown as failed at once; the search keeps it until its rung is ranked.
            assert seen == trial.status or (seen == Status.FAILED and trial.status == Status.PAUSED)
    assert view.finished


@RELAXED
@given(seed=st.integers(0, 10_000), workers=st.integers(1, 5))
def test_every_rung_adds_up(seed: int, workers: int, play: Play) -> None:
    """At each point a rung's trials are waiting, running, done, failed or carried; at the end each has a verdict."""
    records = play(seed, 9, workers)
    view = folded(records[:2])
    for record in records[2:]:
        view.apply(record)
        for rung in view.rungs.values():
            assert min(rung.waiting, rung.running, rung.done, rung.failed, rung.carried) >= 0
            assert rung.entered <= rung.planned
    for rung in view.rungs.values():
        assert rung.done + rung.failed + rung.carried == rung.entered
        assert rung.decided == rung.entered
    assert sum(trial.status == Status.FAILED for trial in view.trials.values()) == view.raised + view.not_finite


@RELAXED
@given(seed=st.integers(0, 10_000))
def test_the_lean_view_counts_the_same(seed: int, play: Play) -> None:
    """Forgetting trials that have ended changes no number, and leaves none behind."""
    records = play(seed, 9)
    full, lean = folded(records), folded(records, detail=False)
    assert lean.trials == {}
    assert lean.rungs == full.rungs
    assert lean.best == full.best
    for name in ("units", "units_dispatched", "units_without_resume", "losses", "raised", "not_finite", "seconds"):
        assert getattr(lean, name) == getattr(full, name)


def test_units_are_those_that_were_trained(play: Play) -> None:
    """The sums over committed segments equal those computed from the records themselves."""
    records = play(3, 27)
    view = folded(records)
    committed = [record for record in records if record["type"] == "committed"]
    jobs = [record for record in records if record["type"] in ("start", "resume")]
    assert view.units == sum(record["resource"] - record["segment"][2] for record in committed)
    assert view.units_without_resume == sum(record["resource"] for record in committed)
    assert view.units_dispatched == sum(record["segment"][3] - record["segment"][2] for record in jobs)
    assert view.units < view.units_without_resume
    assert view.seconds == pytest.approx(0.5 * sum(r["type"] in ("committed", "failed", "lost") for r in records))


def test_unknown_records_and_a_second_header_change_nothing(play: Play) -> None:
    """A later version may write more, and a resumed run shows its header twice."""
    records = play(5)
    extended = []
    for record in records:
        extended += [record, {"type": "weather", "wall": record.get("wall", 0.0)}]
    extended.insert(10, records[1])
    assert folded(extended).rungs == folded(records).rungs
    assert folded(extended).best == folded(records).best


def test_nothing_is_taken_before_the_header(play: Play) -> None:
    """A journal whose driver died at once is an empty view, not an error."""
    view = folded(play(1)[:1])
    assert view.plan is None
    assert view.header == {}


def test_an_interruption_ends_when_somebody_goes_on(play: Play) -> None:
    """The signal is shown until a driver starts something again."""
    records = play(2)
    view = folded(records[:2])
    view.apply({"type": "interrupted", "signal": "SIGINT"})
    assert view.interrupted == "SIGINT"
    for record in records[2:]:
        view.apply(record)
    assert view.interrupted is None


def test_only_finite_values_become_the_best(play: Play) -> None:
    """NaN and infinities never win, in either direction, and the value is a float that JSON can hold."""
    for seed in range(20):
        view = folded(play(seed))
        if view.best is not None:
            assert math.isfinite(view.best.value)
            json.dumps(view.best.value, allow_nan=False)
