"""What the search remembers of a trial, and of the best one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hyperband.messages import Checkpoint, Config, Segment, checkpoint_from_json, checkpoint_to_json, segment_to_json


class Status(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"  #: a segment is leased out
    WAITING = "waiting"  #: its attempt was lost; the segment will be tried again
    PAUSED = "paused"  #: at a rung, undecided or promoted and not yet continued
    STOPPED = "stopped"  #: cut at a rung
    COMPLETED = "completed"  #: trained to the top rung
    FAILED = "failed"  #: its segment failed or its value was not finite


#: No event changes a trial in one of these.
TERMINAL: Final = frozenset({Status.STOPPED, Status.COMPLETED, Status.FAILED})


@dataclass(slots=True)
class Trial:
    """What the search remembers of a trial. Config and checkpoint are dropped when it ends."""

    id: int
    config: Config | None
    segment: Segment
    status: Status = Status.RUNNING
    attempt: int = 1
    losses: int = 0
    checkpoint: Checkpoint | None = None

    def to_json(self) -> list[Any]:
        """Return the trial as a plain JSON row."""
        segment, checkpoint = segment_to_json(self.segment), checkpoint_to_json(self.checkpoint)
        return [self.id, self.config, segment, self.status.value, self.attempt, self.losses, checkpoint]

    @classmethod
    def from_json(cls, row: list[Any]) -> "Trial":
        """Inverse of ``to_json``."""
        trial, config, segment, status, attempt, losses, checkpoint = row
        checkpoint = checkpoint_from_json(checkpoint)
        return cls(trial, config, Segment(*segment), Status(status), attempt, losses, checkpoint)


@dataclass(frozen=True, slots=True)
class Best:
    """The incumbent: highest resource first, then value, then lower trial id."""

    trial: int
    resource: int
    value: float  #: in the user's own direction
    checkpoint: Checkpoint | None
    config: Config
