"""A bad trial is its own problem: on a real Ray, in any rung, whatever goes wrong."""

from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.results import Result
from hyperband.testing.outcomes import outcome_of
from hyperband.testing.trainables import troubled

PLAN = hb.SuccessiveHalving(max_resource=9, eta=3)


def run(storage: Path, trainable: object, **more: Any) -> Result:
    """Successive halving over nine configs."""
    options: dict[str, Any] = {"executor": "inline", "progress": "off", "handle_signals": False, **more}
    return hb.run(
        trainable, {"x": hb.uniform(0, 1)}, metric="loss", mode="min", scheduler=PLAN, storage=storage, **options
    )


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("rung", [0, 1])
@pytest.mark.parametrize("trouble", ["raise", "system_exit", "exit", "nan", "missing", "text", "lock"])
def test_a_bad_trial_ranks_last_is_shown_and_nothing_else_changes(trouble: str, rung: int, storage: Path) -> None:
    """The victim would have been cut at this rung anyway, so every other decision must be the very same."""
    calm = outcome_of(run(storage, troubled, name="calm").path)
    victim = next(d[1] for d in sorted(calm.decisions, key=repr) if d[0] == "stop" and d[3] == rung and d[7] == "rank")
    x, at = calm.configs[victim]["x"], PLAN.plan().brackets[0].rungs[rung].resource

    def unlucky(config: dict[str, Any], state: int | None, resource: int) -> tuple[dict[str, float], Any]:
        bad = {"trouble": trouble, "at": at} if config["x"] == x else {}
        return troubled({**config, **bad}, state, resource)

    result = run(storage, unlucky, name="unlucky", executor="ray", max_concurrent=2)
    outcome = outcome_of(result.path)
    assert outcome.winner == calm.winner
    assert outcome.configs == calm.configs
    verdict = next(d for d in outcome.decisions if d[0] == "stop" and d[1] == victim)
    assert verdict[3] == rung
    assert verdict[4] == verdict[5]  # rank is the last one
    assert verdict[7] == "failed"
    segments = {key: metrics for key, metrics in calm.committed.items() if not (key[0] == victim and key[2] == rung)}
    assert {key: outcome.committed[key] for key in segments} == segments
    promoted = {(d[1], d[3]) for d in calm.decisions if d[0] == "promote"}
    assert {(d[1], d[3]) for d in outcome.decisions if d[0] == "promote"} == promoted
    trial = result.trials[victim]
    assert trial.status == "failed"
    words = {
        "raise": "ValueError",
        "system_exit": "SystemExit",
        "exit": "lost 3 times",
        "nan": "NaN",
        "missing": "`lost`",
        "text": "str",
        "lock": "lock",
    }[trouble]
    assert words in str(result.why(victim))


def test_when_all_fail_the_first_error_is_the_message(storage: Path) -> None:
    """The run ends, and asking for the best one says why there is none."""

    def broken(config: dict[str, Any], state: Any, resource: int) -> Any:
        msg = "no such file: data.csv"
        raise FileNotFoundError(msg)

    result = run(storage, broken)
    assert {trial.status for trial in result.trials} == {"failed"}
    with pytest.raises(hb.HyperbandError, match=r"no such file: data\.csv"):
        _ = result.best


def test_a_wrong_metric_name_is_told_with_the_names_there_are(storage: Path) -> None:
    """The commonest mistake."""
    result = hb.run(
        troubled,
        {"x": hb.uniform(0, 1)},
        metric="acuracy",
        mode="max",
        scheduler=PLAN,
        storage=storage,
        executor="inline",
        progress="off",
    )
    with pytest.raises(hb.HyperbandError, match="`loss`"):
        _ = result.best
