"""`why` in words, checked against the numbers."""

from hyperband.results import Result


def test_a_promotion_is_explained_by_rank_places_and_cutoff(small_run: Result) -> None:
    """The sentence has the rank, how many go up and the cut-off, and they are those of the rung."""
    best = small_run.best.trial
    story = small_run.why(best)
    first = story.trial.decisions[0]
    row = next(row for row in small_run.rungs if (row.bracket, row.rung) == (first.bracket, first.rung))
    assert first.places == row.promoted
    if first.promoted:
        assert f"rank {first.rank} of {first.of}" in str(story)
        assert first.rank is not None
        assert first.rank <= first.places
    assert "completed, this is the top rung" in str(story)


def test_the_verdict_follows_from_the_ranks(small_run: Result) -> None:
    """Whoever was promoted has a rank within the places, whoever was cut by rank has not."""
    seen = set()
    for trial in small_run.trials:
        for decision in trial.decisions:
            seen.add((decision.promoted, decision.reason))
            if decision.reason in (None, "rank"):
                assert decision.rank is not None
                assert decision.promoted == (decision.rank <= decision.places)
                assert decision.value is not None
                assert decision.cutoff is not None
                assert (decision.value <= decision.cutoff) >= decision.promoted  # mode is min
    assert seen == {(True, None), (False, "rank"), (False, "completed"), (False, "failed")}


def test_each_trained_stretch_is_named(small_run: Result) -> None:
    """The stretches of a trial join: each begins where the one before it ended."""
    risen = max(small_run.trials, key=lambda trial: len(trial.decisions))
    segments = small_run.why(risen.id).to_json()["segments"]
    assert len(segments) == len(risen.decisions) > 1
    assert [segment["start"] for segment in segments] == [0, *(segment["stop"] for segment in segments[:-1])]
    text = str(small_run.why(risen.id))
    for segment in segments:
        assert f"epoch {segment['stop']}:" in text or f"to {segment['stop']}:" in text


def test_an_explanation_does_not_change_later(small_run: Result) -> None:
    """It is a copy: what the view learns afterwards is not in it."""
    story = small_run.why(0)
    before = story.to_json()
    small_run.view.trials[0].attempts[0].message = "later"
    assert story.to_json() == before
