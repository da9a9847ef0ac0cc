"""Laws of the pure machine: what holds for any scheduler, any order of results, any failure."""

import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.errors import ConfigurationError, MetricError, UserError
from hyperband.messages import (
    Action,
    Checkpoint,
    Event,
    Failed,
    FailureKind,
    Finish,
    Job,
    LossCause,
    Lost,
    Promote,
    Release,
    Reported,
    Stop,
    StopReason,
    from_json,
    to_json,
)
from hyperband.schedulers import FIFO, Hyperband, Scheduler, SuccessiveHalving
from hyperband.search import TERMINAL, Search, Status, core
from hyperband.space import uniform

SPACE = {"x": uniform(0, 1)}


def loss_of(config: dict[str, float], resource: int) -> float:
    """A curve whose ranking changes with the resource."""
    return (config["x"] - 0.3) ** 2 + config["x"] / resource


def new_search(scheduler: Scheduler, mode: str = "min", **more: object) -> Search:
    """A search over one parameter."""
    return Search(SPACE, scheduler, metric="loss", mode=mode, **more)


def reported(job: Job, value: float) -> Reported:
    """The event of a segment that went well."""
    checkpoint = Checkpoint(job.trial, job.segment.stop, job.attempt, f"{job.trial:032x}{job.segment.stop:032x}", 8)
    return Reported(job.trial, job.segment, job.attempt, {"loss": value}, checkpoint, job.segment.stop)


def drive(
    search: Search,
    seed: int,
    workers: int = 1,
    outcome: Callable[[Job, random.Random], Event] | None = None,
) -> list[Action]:
    """Run a search to its end with so many workers that finish in random order; check the laws after each event."""
    rng = random.Random(seed)
    running: list[Job] = []
    actions: list[Action] = []
    while not search.finished:
        while len(running) < workers and (job := search.ask()) is not None:
            running.append(job)
            actions.append(job)
        assert running, "nothing in flight and not finished"
        job = running.pop(rng.randrange(len(running)))
        event = outcome(job, rng) if outcome else reported(job, loss_of(job.config, job.segment.stop))
        actions += search.tell(event)
        search.check_invariants()
    assert search.ask() is None
    return actions


def decisions(actions: list[Action]) -> set[Promote | Stop]:
    """Rank decisions, whatever their order."""
    return {action for action in actions if isinstance(action, Promote | Stop)}


SCHEDULERS = [Hyperband(27, 3), Hyperband(16, 2, sizing="ceil"), SuccessiveHalving(9, 3, n_configs=14), FIFO(4, 6)]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=repr)
def test_what_ran_is_what_was_planned(scheduler: Scheduler) -> None:
    """Every rung of every bracket trains exactly its planned trials from the rung below to its resource."""
    search = new_search(scheduler)
    jobs = [action for action in drive(search, 1, workers=3) if hasattr(action, "segment")]
    for index, bracket in enumerate(search.plan.brackets):
        below = 0
        for rung_index, rung in enumerate(bracket.rungs):
            here = [j.segment for j in jobs if (j.segment.bracket, j.segment.rung) == (index, rung_index)]
            assert len(here) == rung.n
            assert {(s.start, s.stop) for s in here} == {(below, rung.resource)}
            below = rung.resource
    assert sum(job.segment.units for job in jobs) == search.plan.units


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=repr)
@given(seed=st.integers(0, 2**32), workers=st.integers(1, 40))
@settings(derandomize=True, max_examples=25)
def test_order_and_number_of_workers_change_no_decision(scheduler: Scheduler, seed: int, workers: int) -> None:
    """Synchronous brackets with a non-adaptive sampler: the same decisions and the same winner."""
    reference, other = new_search(scheduler), new_search(scheduler)
    expected = decisions(drive(reference, 0))
    assert decisions(drive(other, seed, workers)) == expected
    assert other.best == reference.best


@given(seed=st.integers(0, 2**32))
@settings(derandomize=True, max_examples=25)
def test_a_worker_is_idle_only_when_nothing_can_be_trained(seed: int) -> None:
    """Work conserving: while the first bracket waits for its last trial, the next ones are served."""
    search = new_search(Hyperband(27, 3))
    seen = set()
    workers = 20
    running: list[Job] = []
    rng = random.Random(seed)
    started = 0
    while not search.finished:
        while len(running) < workers and (job := search.ask()) is not None:
            running.append(job)
            seen.add(job.segment.bracket)
            started += job.segment.start == 0
        if started < search.plan.trials:
            assert len(running) == workers
        job = running.pop(rng.randrange(len(running)))
        search.tell(reported(job, loss_of(job.config, job.segment.stop)))
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=repr)
def test_promoted_are_the_best_of_their_rung_by_brute_force(scheduler: Scheduler) -> None:
    """Algorithm 1, line 8: the top n_(i+1) of each rung go up, everybody else stops."""
    search = new_search(scheduler)
    actions = drive(search, 5, workers=4)
    jobs = {(a.trial, a.segment.rung): a for a in actions if hasattr(a, "segment")}
    for index, bracket in enumerate(search.plan.brackets):
        for k, rung in enumerate(bracket.rungs[:-1]):
            here = [job for (_, r), job in jobs.items() if r == k and job.segment.bracket == index]
            ranking = sorted(here, key=lambda job: (loss_of(job.config, rung.resource), job.trial))
            best = {job.trial for job in ranking[: bracket.rungs[k + 1].n]}
            promoted = {a.trial for a in actions if isinstance(a, Promote) and (a.bracket, a.rung) == (index, k)}
            assert promoted == best


def test_min_of_a_metric_is_max_of_its_negative() -> None:
    """The direction is applied once, at the border; cut-offs come back in the user's own direction."""
    smaller, larger = new_search(Hyperband(27, 3)), new_search(Hyperband(27, 3), mode="max")
    down = drive(smaller, 3)
    up = drive(larger, 3, outcome=lambda job, _: reported(job, -loss_of(job.config, job.segment.stop)))
    assert [a.trial for a in down if isinstance(a, Promote)] == [a.trial for a in up if isinstance(a, Promote)]
    assert [a.cutoff for a in down if isinstance(a, Promote)] == [-a.cutoff for a in up if isinstance(a, Promote)]
    assert smaller.best is not None
    assert larger.best is not None
    assert (smaller.best.trial, smaller.best.value) == (larger.best.trial, -larger.best.value)


def test_a_monotone_transform_of_the_metric_changes_no_decision() -> None:
    """Only ranks count."""
    plain, bent = new_search(Hyperband(27, 3)), new_search(Hyperband(27, 3))
    first = drive(plain, 3)
    second = drive(bent, 3, outcome=lambda job, _: reported(job, math.exp(9 * loss_of(job.config, job.segment.stop))))
    assert [a.trial for a in first if isinstance(a, Promote)] == [a.trial for a in second if isinstance(a, Promote)]


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "exception"])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("rung", [0, 1, 2, 3])
def test_a_bad_trial_in_any_rung_ranks_last_and_changes_nothing_else(bad: str, mode: str, rung: int) -> None:
    """Diverged or failed: never promoted, and every other decision of the rung is that of the other trials alone."""
    clean = drive(new_search(SuccessiveHalving(27, 3), mode), 0)
    victims = [a.trial for a in clean if hasattr(a, "segment") and a.segment.rung == rung]
    victim = victims[0]

    def outcome(job: Job, _: random.Random) -> Event:
        if job.trial == victim and job.segment.rung == rung:
            if bad == "exception":
                return Failed(job.trial, job.segment, job.attempt, FailureKind.EXCEPTION, "ValueError")
            return reported(job, float(bad))
        return reported(job, loss_of(job.config, job.segment.stop))

    search = new_search(SuccessiveHalving(27, 3), mode)
    actions = drive(search, 0, workers=2, outcome=outcome)
    verdict = next(a for a in actions if isinstance(a, Stop) and a.trial == victim)
    assert verdict.reason is StopReason.FAILED
    assert verdict.rank == verdict.of
    assert search.trials[victim].status is Status.FAILED
    at = [a.trial for a in actions if isinstance(a, Promote) and a.rung == rung]
    clean_ranking = sorted(
        (a for a in clean if isinstance(a, Promote | Stop) and a.rung == rung and a.trial != victim),
        key=lambda a: a.rank or 0,
    )
    assert at == [a.trial for a in clean_ranking][: len(at)]
    if rung < 2:  # above, one place and one trial fewer is nobody
        assert len(at) == search.plan.brackets[0].rungs[rung + 1].n


def test_a_rung_without_a_finite_value_ends_its_bracket_and_not_the_search() -> None:
    """Nothing to promote: the bracket is over, the others go on, the search finishes."""
    search = new_search(Hyperband(9, 3))
    drive(
        search,
        0,
        outcome=lambda job, _: reported(job, math.nan if job.segment.bracket == 0 else loss_of(job.config, 1)),
    )
    assert search.finished
    assert search.best is not None
    assert search.best.trial >= 9


def test_all_trials_failing_still_finishes() -> None:
    """Liveness when everything is lost."""
    search = new_search(Hyperband(9, 3))
    drive(search, 0, outcome=lambda j, _: Failed(j.trial, j.segment, j.attempt, FailureKind.EXCEPTION, "no"))
    assert search.best is None
    assert all(trial.status in TERMINAL for trial in search.trials.values())


@given(seed=st.integers(0, 2**32), workers=st.integers(1, 9), rate=st.floats(0, 0.3))
@settings(derandomize=True, max_examples=40)
def test_lost_attempts_are_retried_and_change_no_decision(seed: int, workers: int, rate: float) -> None:
    """Losses by a dead driver never count, and the result is that of a run without them."""

    def outcome(job: Job, rng: random.Random) -> Event:
        if rng.random() < rate:
            return Lost(job.trial, job.segment, job.attempt, LossCause.DRIVER)
        return reported(job, loss_of(job.config, job.segment.stop))

    search, calm = new_search(Hyperband(27, 3)), new_search(Hyperband(27, 3))
    actions = drive(search, seed, workers, outcome)
    assert decisions(actions) == decisions(drive(calm, 0))
    attempts: dict[tuple[int, int], list[int]] = {}
    for action in actions:
        if hasattr(action, "segment"):
            attempts.setdefault((action.trial, action.segment.rung), []).append(action.attempt)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in attempts.values())


def test_three_dead_workers_under_one_segment_give_the_trial_up() -> None:
    """Quarantine: the third loss is a failure, and the rung closes."""
    search = new_search(SuccessiveHalving(3, 3))

    def outcome(job: Job, _: random.Random) -> Event:
        if job.trial == 1:
            return Lost(job.trial, job.segment, job.attempt, LossCause.WORKER, "exit code 1")
        return reported(job, loss_of(job.config, job.segment.stop))

    actions = drive(search, 0, outcome=outcome)
    assert [a.attempt for a in actions if hasattr(a, "segment") and a.trial == 1] == [1, 2, 3]
    assert search.trials[1].status is Status.FAILED


def test_an_event_that_holds_no_lease_changes_nothing() -> None:
    """Late, repeated, foreign: refused before anything is touched."""
    search = new_search(Hyperband(9, 3))
    job, other = search.ask(), search.ask()
    assert job is not None
    assert other is not None
    search.tell(Lost(job.trial, job.segment, 1, LossCause.WORKER))
    retry = search.ask()
    assert retry is not None
    assert (retry.trial, retry.attempt) == (job.trial, 2)
    before = json.dumps(search.snapshot())
    for event in (reported(job, 0.1), Failed(99, job.segment, 1, FailureKind.EXCEPTION, ""), reported(retry, 0.1)):
        if event.trial == retry.trial and event.attempt == 2:
            search.tell(event)
            before = json.dumps(search.snapshot())
        assert not search.is_current(event)
        with pytest.raises(UserError, match="not in flight"):
            search.tell(event)
        assert json.dumps(search.snapshot()) == before


@pytest.mark.parametrize("value", [{"accuracy": 0.1}, {"loss": "0.1"}, {"loss": True}, {"loss": None}, {}])
def test_a_metric_that_is_no_number_changes_nothing(value: dict[str, object]) -> None:
    """The error names the metric and the keys seen; the job can be told again."""
    search = new_search(Hyperband(9, 3))
    job = search.ask()
    assert job is not None
    before = json.dumps(search.snapshot())
    with pytest.raises(MetricError, match="loss"):
        search.tell(job, value)  # type: ignore[arg-type]
    assert json.dumps(search.snapshot()) == before
    search.tell(job, 0.5)


@given(seed=st.integers(0, 2**32), cut=st.integers(0, 120))
@settings(derandomize=True, max_examples=40)
def test_a_restored_snapshot_goes_on_exactly_as_the_original(seed: int, cut: int) -> None:
    """Through JSON and back in the middle of a run: the same actions come out."""
    search = new_search(Hyperband(27, 3))
    rng = random.Random(seed)
    running: list[Job] = []

    def step(machine: Search, jobs: list[Job], pick: int) -> list[Action]:
        while len(jobs) < 5 and (job := machine.ask()) is not None:
            jobs.append(job)
        job = jobs.pop(pick % len(jobs))
        return machine.tell(reported(job, loss_of(job.config, job.segment.stop)))

    for _ in range(min(cut, search.plan.segments - 1)):
        step(search, running, rng.randrange(5))
    twin = new_search(Hyperband(27, 3))
    twin.restore(json.loads(json.dumps(search.snapshot())))
    twin.check_invariants()
    twin_running = list(running)
    while not search.finished:
        pick = rng.randrange(5)
        assert step(search, running, pick) == step(twin, twin_running, pick)
    assert twin.finished
    assert twin.best == search.best


def test_every_checkpoint_is_released_once_but_the_best_one() -> None:
    """Retention follows the scheduler: a state nobody can need is released at once, the winner's is kept."""
    search = new_search(Hyperband(27, 3))
    actions = drive(search, 4, workers=4)
    released = [a.checkpoint for a in actions if isinstance(a, Release)]
    made = {(a.trial, a.segment.stop) for a in actions if hasattr(a, "segment")}
    assert len(released) == len(set(released)) == len(made) - 1
    assert search.best is not None
    assert search.best.checkpoint not in released
    assert isinstance(actions[-1], Finish)


def test_a_release_never_names_a_state_that_is_resumed_later() -> None:
    """The order of the actions is the proof."""
    search = new_search(Hyperband(27, 3))
    gone = set()
    for action in drive(search, 9, workers=6):
        if isinstance(action, Release):
            gone.add(action.checkpoint)
        assert getattr(action, "checkpoint", None) not in gone or isinstance(action, Release)


def test_a_trial_that_ends_by_itself_rises_without_training() -> None:
    """It keeps its value at the rungs above; no segment is spent on it, and sizes stay as planned."""
    search = new_search(SuccessiveHalving(9, 3))
    jobs = []
    while (job := search.ask()) is not None:
        jobs.append(job)
        if len(jobs) == 9:
            break
    for job in jobs:
        search.tell(job, float(job.trial), done=job.trial == 0)
    rest = [search.ask(), search.ask()]
    assert [job.trial for job in rest if job] == [1, 2]
    assert search.ask() is None
    for job in rest:
        assert job is not None
        actions = search.tell(job, float(job.trial))
    completed = [a for a in actions if isinstance(a, Stop) and a.reason is StopReason.COMPLETED]
    assert [a.trial for a in completed] == [0]
    assert search.finished
    search.check_invariants()


def test_config_k_depends_on_seed_and_k_alone() -> None:
    """The same trial has the same config whatever was asked before."""
    first, second = new_search(FIFO(1, 20), seed=7), new_search(Hyperband(27, 3), seed=7)
    drive(first, 0)
    jobs = [a for a in drive(second, 3, workers=9) if hasattr(a, "segment") and a.segment.start == 0]
    again = new_search(FIFO(1, 20), seed=7)
    by_trial = {job.trial: job.config for job in jobs}
    for _ in range(20):
        job = again.ask()
        assert job is not None
        assert by_trial[job.trial] == job.config
        again.tell(job, 0.0)


def test_a_grid_smaller_than_the_plan_shrinks_it_and_ends() -> None:
    """A finite space never hangs: the plan is cut to its size before anything starts."""
    search = Search(SPACE, Hyperband(27, 3), "grid", metric="loss", mode="min")
    assert search.plan.trials == 5
    drive(search, 0, workers=3)
    assert len(search.trials) == 5


@pytest.mark.parametrize("message", ["start", "resume", "promote", "stop", "release", "finish"])
def test_every_action_survives_json(message: str) -> None:
    """The journal stores nothing but the JSON form of messages."""
    found = [a for a in drive(new_search(Hyperband(9, 3)), 0) if to_json(a)["type"] == message]
    assert found
    for action in found:
        assert from_json(json.loads(json.dumps(to_json(action), allow_nan=False))) == action


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "maximize"}, "write mode='max'"),
        ({"metric": ""}, "`metric` is ''"),
        ({"seed": -1}, "`seed` is -1"),
        ({"scheduler": "asha"}, "not known"),
        ({"scheduler": Hyperband}, "is the class Hyperband"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], words: str) -> None:
    """Before anything starts."""
    options = {"scheduler": Hyperband(9), "metric": "loss", "mode": "min", **arguments}
    with pytest.raises(ConfigurationError, match=words):
        Search(SPACE, options.pop("scheduler"), **options)  # type: ignore[arg-type]


def test_the_retry_budget_is_what_the_module_says() -> None:
    """Guards the number that documentation quotes."""
    assert core.MAX_LOSSES == 3
