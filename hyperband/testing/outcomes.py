"""What two runs must have in common to be the same experiment, and what one journal must satisfy alone."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperband.checkpoints import CheckpointStore
from hyperband.journal import read_records
from hyperband.manager import Experiment, Replayed, replay, search_from_header
from hyperband.messages import checkpoint_from_json


@dataclass(frozen=True)
class Outcome:
    """Everything that may not depend on workers, order, crashes or executors."""

    configs: dict[int, Any]
    committed: dict[tuple[int, ...], Any]  #: (trial, bracket, rung, start, stop) -> metrics
    decisions: frozenset[tuple[Any, ...]]  #: (kind, trial, bracket, rung, rank, of, cutoff, reason)
    winner: tuple[int, int, float] | None
    #: (trial, resource) -> digest of the state; a repeated attempt has another one, so it is compared on its own
    digests: dict[tuple[int, int], str] = field(compare=False)


def outcome_of(path: Path | str) -> Outcome:
    """Read a finished experiment and check what must hold in any journal.

    Raises:
        AssertionError: A segment was committed twice, or the journal does not replay.
    """
    experiment = Experiment(Path(path))
    records = list(read_records(experiment.journal))
    commits = Counter((r["trial"], *r["segment"]) for r in records if r["type"] == "committed")
    repeated = [key for key, count in commits.items() if count > 1]
    if repeated:
        msg = f"committed more than once: {repeated}"
        raise AssertionError(msg)
    search = search_from_header(experiment.header())
    replayed = replay(search, records)
    search.check_invariants()
    _check_disk(experiment, replayed)
    best = search.best
    return Outcome(
        configs={r["trial"]: r["config"] for r in records if r["type"] == "start"},
        committed={(r["trial"], *r["segment"]): r["metrics"] for r in records if r["type"] == "committed"},
        decisions=frozenset(
            (r["type"], r["trial"], r["bracket"], r["rung"], r["rank"], r["of"], r["cutoff"], r.get("reason"))
            for r in records
            if r["type"] in {"promote", "stop"}
        ),
        winner=None if best is None else (best.trial, best.resource, best.value),
        digests={
            (checkpoint.trial, checkpoint.resource): checkpoint.digest
            for checkpoint in (checkpoint_from_json(r["checkpoint"]) for r in records if r["type"] == "committed")
            if checkpoint
        },
    )


def _check_disk(experiment: Experiment, replayed: Replayed) -> None:
    """What the journal holds is on the disk and intact, and nothing else is."""
    store = CheckpointStore(experiment.checkpoints)
    on_disk = store.list_files()
    held = {name: checkpoint for name, checkpoint in replayed.checkpoints.items() if checkpoint.size}
    expected = {store.file_of(checkpoint) for checkpoint in held.values()}
    if on_disk != expected:
        msg = f"checkpoints on disk {sorted(on_disk)}, in the journal {sorted(expected)}"
        raise AssertionError(msg)
    for checkpoint in held.values():
        store.load(checkpoint)
