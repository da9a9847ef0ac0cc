"""Replay: fold a journal into a fresh search, and insist that it decides again what it decided then.

The journal holds inputs (what was leased out, what came back) and the decisions that followed. Feeding the inputs to
a search built from the header must produce the decisions word for word; that is what makes a resumed experiment the
same experiment. A difference means that code, space or journal have changed, and is never papered over.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hyperband.errors import HyperbandError, ReplayError
from hyperband.messages import Action, Checkpoint, Event, Json, Release, Reported, Resume, Start, from_json, to_json
from hyperband.search import Search

_JOBS = frozenset({"start", "resume"})
_EVENTS = frozenset({"committed", "failed", "lost"})
_DECISIONS = frozenset({"promote", "stop", "release", "finish"})


@dataclass(slots=True)
class Replayed:
    """What a replay leaves behind besides the search itself."""

    undecided: deque[Action] = field(default_factory=deque)  #: decisions the crash kept out of the journal
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)  #: committed and not released, by name
    records: int = 0


def job_record(job: Start | Resume) -> Json:
    """Return what the journal says of a job; a resume repeats neither the config nor the digest of its state."""
    body = to_json(job)
    if isinstance(job, Resume):
        del body["config"]
        body["checkpoint"] = job.checkpoint.name if job.checkpoint else None
    return body


def replay(search: Search, records: Iterable[Json]) -> Replayed:
    """Feed a journal to a fresh search.

    Args:
        search: Built from the journal's header; nothing asked or told yet.
        records: The journal from its first line.

    Returns:
        What is left to do: decisions that were computed but not written, and the checkpoints that must exist.

    Raises:
        ReplayError: A decision or a job comes out differently; the message names the line.
    """
    result = Replayed()
    for record in records:
        result.records += 1
        kind = record["type"]
        if kind in _JOBS:
            _replay_job(search, record, result)
        elif kind in _EVENTS:
            _replay_event(search, record, result)
        elif kind in _DECISIONS:
            _replay_decision(record, result)
    return result


def _replay_job(search: Search, record: Json, result: Replayed) -> None:
    if result.undecided:
        _differs(record, to_json(result.undecided[0]))
    job = search.ask()
    expected = None if job is None else job_record(job)
    if expected is None or not _same(expected, record):
        _differs(record, expected)


def _replay_event(search: Search, record: Json, result: Replayed) -> None:
    if result.undecided:
        _differs(record, to_json(result.undecided[0]))
    try:
        event: Event = from_json(record)  # type: ignore[assignment]  # the kind says that it is one
        result.undecided.extend(search.tell(event))
    except (HyperbandError, KeyError, TypeError) as error:
        msg = f"journal line {record.get('seq')}: {record} cannot be replayed: {error}"
        raise ReplayError(msg) from error
    if isinstance(event, Reported) and event.checkpoint is not None:
        result.checkpoints[event.checkpoint.name] = event.checkpoint


def _replay_decision(record: Json, result: Replayed) -> None:
    expected = result.undecided.popleft() if result.undecided else None
    if expected is None or not _same(to_json(expected), record):
        _differs(record, None if expected is None else to_json(expected))
    if isinstance(expected, Release):
        result.checkpoints.pop(expected.checkpoint.name, None)


def _same(expected: Json, record: Json) -> bool:
    return all(key in record and record[key] == value for key, value in expected.items())


def _differs(record: Json, expected: Json | None) -> None:
    shown = {key: value for key, value in record.items() if key not in {"crc", "info"}}
    msg = (
        f"journal line {record.get('seq')} says {shown}, but replaying the lines before it gives {expected}. "
        "The journal was written by other code or another space; resume it with the version that wrote it"
    )
    raise ReplayError(msg)
