"""The closed vocabulary between search, manager and journal: frozen, slotted, JSON-able values.

Two directions and nothing else crosses the border of the pure core:

* **Actions** come out of the search: ``Start`` and ``Resume`` (train a segment), ``Promote`` and ``Stop`` (rank
  decisions, recorded so that ``why`` can explain them), ``Release`` (a checkpoint that nothing can need any more)
  and ``Finish``.
* **Events** go in: ``Reported``, ``Failed``, ``Lost``.

``to_json`` and ``from_json`` are exact inverses; the journal stores nothing but their output.
Numbers that strict JSON cannot hold (NaN, infinities) travel as the strings "NaN", "Infinity", "-Infinity".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

Config: TypeAlias = dict[str, Any]
Json: TypeAlias = dict[str, Any]
Metrics: TypeAlias = Mapping[str, float]


class FailureKind(StrEnum):
    """Why a segment failed for good."""

    EXCEPTION = "exception"  #: the user's code raised
    METRIC = "metric"  #: the metric was missing or not a number
    STATE = "state"  #: the state could not be saved or restored
    KILLED = "killed"  #: the worker died under this segment more often than the retry budget allows


class LossCause(StrEnum):
    """What took a running segment away. No cause is the trial's fault until it repeats."""

    WORKER = "worker"  #: the worker process died; counts against the retry budget of the segment
    DRIVER = "driver"  #: the driver itself ended; never counts
    CHECKPOINT = "checkpoint"  #: the checkpoint to resume from is damaged; counts
    STORAGE = "storage"  #: the checkpoint could not be written (disk full, read-only ...); never counts


class StopReason(StrEnum):
    """Why a trial trains no further."""

    RANK = "rank"  #: not among the promoted of its rung
    COMPLETED = "completed"  #: trained to the top rung of its bracket
    FAILED = "failed"  #: its segment failed, or its value was not finite


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of training: resource ``start`` (exclusive) to ``stop`` (inclusive), ending at a rung."""

    bracket: int  #: index of the bracket in the plan, from 0
    rung: int  #: index of the rung in the bracket, from 0
    start: int  #: resource units already trained
    stop: int  #: resource units trained when the segment ends

    @property
    def units(self) -> int:
        """Resource units this segment trains."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A handle to the durable state of a trial; the bytes it names are immutable."""

    trial: int
    resource: int
    attempt: int
    digest: str  #: SHA-256 of the manifest, 64 hex digits
    size: int  #: bytes of all payloads
    pack: str = ""  #: file that it shares with others, "" if it has one of its own
    offset: int = 0  #: where it begins in the pack, in bytes
    length: int = 0  #: bytes it takes in the pack

    @property
    def name(self) -> str:
        """Its logical name, unique in the experiment: ``<trial>/<resource>-<attempt>``."""
        return f"{self.trial}/{self.resource}-{self.attempt}"


# --- actions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Train a new trial from nothing."""

    trial: int
    config: Config
    segment: Segment
    attempt: int = 1

    @property
    def checkpoint(self) -> None:
        """A new trial has none."""
        return


@dataclass(frozen=True, slots=True)
class Resume:
    """Continue a trial from a committed checkpoint (None only where the caller of ask and tell keeps the state)."""

    trial: int
    config: Config
    segment: Segment
    checkpoint: Checkpoint | None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Promote:
    """Rank decision: this trial may train on to the next rung."""

    trial: int
    bracket: int
    rung: int
    rank: int  #: 1 is best
    of: int  #: how many results the rank was taken among
    cutoff: float | None  #: value of the last promoted trial, in the user's own direction


@dataclass(frozen=True, slots=True)
class Stop:
    """This trial ends for good."""

    trial: int
    bracket: int
    rung: int
    reason: StopReason
    rank: int | None = None
    of: int | None = None
    cutoff: float | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing can need this checkpoint any more; it may be deleted once this action is durable."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Finish:
    """The search is over: every rung is decided and nothing is in flight."""


# --- events ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reported:
    """A segment was trained and its checkpoint is durable."""

    trial: int
    segment: Segment
    attempt: int
    metrics: Metrics
    checkpoint: Checkpoint | None
    resource: int  #: units trained in all; equals ``segment.stop`` unless ``done``
    done: bool = False  #: the trainable ended by itself; it cannot train any further


@dataclass(frozen=True, slots=True)
class Failed:
    """A segment failed through the trial's own fault; it will not be retried."""

    trial: int
    segment: Segment
    attempt: int
    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A segment's attempt vanished through nobody's fault; it may be retried."""

    trial: int
    segment: Segment
    attempt: int
    cause: LossCause
    message: str = ""


Job: TypeAlias = Start | Resume
Decision: TypeAlias = Promote | Stop | Release | Finish
Action: TypeAlias = Job | Decision
Event: TypeAlias = Reported | Failed | Lost

#: JSON tag of each message; the word the journal and its readers use.
TAGS: Final[dict[type, str]] = {
    Start: "start",
    Resume: "resume",
    Promote: "promote",
    Stop: "stop",
    Release: "release",
    Finish: "finish",
    Reported: "committed",
    Failed: "failed",
    Lost: "lost",
}


# --- JSON ------------------------------------------------------------------------------------

_NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number_to_json(value: float) -> float | str:
    """Return ``value``, or its name if strict JSON cannot hold it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def number_from_json(value: float | str) -> float:
    """Inverse of ``number_to_json``."""
    return _NON_FINITE[value] if isinstance(value, str) else value


def segment_to_json(segment: Segment) -> list[int]:
    """A segment as ``[bracket, rung, start, stop]``: it stands on most journal lines, so it is short."""
    return [segment.bracket, segment.rung, segment.start, segment.stop]


def checkpoint_to_json(checkpoint: Checkpoint | None) -> list[Any] | None:
    """A checkpoint as ``[trial, resource, attempt, digest, size]``, and ``pack, offset, length`` if it is in one."""
    if checkpoint is None:
        return None
    row = [checkpoint.trial, checkpoint.resource, checkpoint.attempt, checkpoint.digest, checkpoint.size]
    return [*row, checkpoint.pack, checkpoint.offset, checkpoint.length] if checkpoint.pack else row


def checkpoint_from_json(value: list[Any] | None) -> Checkpoint | None:
    """Inverse of ``checkpoint_to_json``."""
    return None if value is None else Checkpoint(*value)


def to_json(message: Action | Event) -> Json:
    """Return the message as a plain JSON object whose ``type`` names it."""
    body: Json = {"type": TAGS[type(message)]}
    for name in message.__slots__:
        value = getattr(message, name)
        if isinstance(value, Segment):
            value = segment_to_json(value)
        elif isinstance(value, Checkpoint):
            value = checkpoint_to_json(value)
        elif name == "metrics":
            value = {key: number_to_json(number) for key, number in value.items()}
        elif isinstance(value, float):
            value = number_to_json(value)
        elif isinstance(value, StrEnum):
            value = value.value
        body[name] = value
    return body


_CLASSES: Final = {tag: cls for cls, tag in TAGS.items()}
_ENUMS: Final[dict[tuple[str, str], type[StrEnum]]] = {
    ("stop", "reason"): StopReason,
    ("failed", "kind"): FailureKind,
    ("lost", "cause"): LossCause,
}


def from_json(body: Json) -> Action | Event:
    """Inverse of ``to_json``; keys that are not fields of the message are ignored.

    Raises:
        KeyError: ``type`` names no message, or a field is missing.
    """
    tag = body["type"]
    cls = _CLASSES[tag]
    fields: Json = {}
    for name in cls.__slots__:  # type: ignore[attr-defined]
        value = body[name]
        if name == "segment":
            value = Segment(*value)
        elif name == "checkpoint":
            value = checkpoint_from_json(value)
        elif name == "metrics":
            value = {key: number_from_json(number) for key, number in value.items()}
        elif name == "cutoff" and value is not None:
            value = number_from_json(value)
        elif (tag, name) in _ENUMS:
            value = _ENUMS[tag, name](value)
        fields[name] = value
    message: Action | Event = cls(**fields)
    return message
