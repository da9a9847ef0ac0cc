"""One experiment on disk: a directory with a journal, checkpoints and the pickled trainable.

``runs/cifar/``
    ``journal/000001.jsonl`` ...  every decision and every result; the truth
    ``checkpoints/17-27-1.ckpt``  states that may still be needed
    ``trainable.pkl``             user code, unpickled by workers only; its digest is in the journal
    ``data.pkl``                  the data or the function that loads it, if there is any

Every name in it is relative, so the directory can be moved and copied.
"""

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hyperband.clock import Clock
from hyperband.errors import (
    ChangedExperimentError,
    CheckpointDamagedError,
    ConfigurationError,
    ExperimentExistsError,
    ExperimentNotFoundError,
    JournalDamagedError,
    StorageError,
)
from hyperband.journal import Journal, read_records
from hyperband.messages import Json
from hyperband.planning import Plan
from hyperband.samplers import Sampler, sampler_from_json
from hyperband.schedulers import scheduler_from_json
from hyperband.search import Search
from hyperband.space import Space

#: Version of everything in the directory. A reader refuses what is newer.
FORMAT: Final = 1
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Experiment:
    """The directory and its parts."""

    path: Path

    @property
    def journal(self) -> Path:
        """Directory of the journal."""
        return self.path / "journal"

    @property
    def checkpoints(self) -> Path:
        """Directory of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def trainable(self) -> Path:
        """The pickled trainable."""
        return self.path / "trainable.pkl"

    @property
    def data(self) -> Path:
        """The pickled data or data loader."""
        return self.path / "data.pkl"

    def exists(self) -> bool:
        """Return whether a journal has been begun here."""
        return (self.journal / "000001.jsonl").exists()

    def begun(self) -> bool:
        """Return whether a header has been written, so that it can be resumed."""
        return self.exists() and any(True for record in read_records(self.journal) if record["type"] == "experiment")

    def header(self) -> Json:
        """Return the record that says what the experiment is.

        Raises:
            ExperimentNotFoundError: There is no experiment here, or its driver died before it began.
        """
        self.require()
        for record in read_records(self.journal):
            if record["type"] == "experiment":
                return record
        msg = f"`{self.path}` was given up before it began: its journal has no header; delete it and run again"
        raise ExperimentNotFoundError(msg)

    def require(self) -> None:
        """Raise unless there is an experiment here.

        Raises:
            ExperimentNotFoundError: There is none; the message lists its neighbours.
        """
        if self.exists():
            return
        parent = self.path.parent
        near = sorted(p.name for p in parent.iterdir() if Experiment(p).exists()) if parent.is_dir() else []
        hint = f"; `{parent}` holds: {', '.join(near[:10])}" if near else ""
        msg = f"there is no experiment at `{self.path}`{hint}"
        raise ExperimentNotFoundError(msg)

    def read_pickle(self, file: Path, digest: str) -> bytes:
        """Return pickled bytes without unpickling them, if they are those the journal vouches for.

        Raises:
            CheckpointDamagedError: They are not.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            msg = f"`{file}` cannot be read ({error.strerror}); hand the trainable (and data) to hb.resume again"
            raise StorageError(msg) from error
        if digest_of(content) != digest:
            msg = f"`{file}` is not the file that the journal vouches for; nothing was loaded from it"
            raise CheckpointDamagedError(msg)
        return content


def check_name(name: object) -> str:
    """Return ``name`` if it can name an experiment.

    Raises:
        ConfigurationError: It cannot: it would be a path, be hidden, or be too long.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        msg = f"`name` is {name!r}, must be 1 to 100 letters, digits, '.', '_' or '-', and begin with a letter or digit"
        raise ConfigurationError(msg)
    return name


def create_directory(path: Path, clock: Clock) -> None:
    """Make the directory of a new experiment.

    Raises:
        ExperimentExistsError: There is something already; it is left untouched.
        StorageError: The storage is read-only or full; noticed here, before any training.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _given_up(path):
            _clear(Experiment(path), clock)
        else:
            path.mkdir(mode=0o700)
        Experiment(path).checkpoints.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:
        if not path.is_dir():
            msg = f"`{path}` exists and is not a directory; choose another name or storage"
            raise ExperimentExistsError(msg) from error
        msg = (
            f"the experiment `{path}` exists already and was left untouched; continue it with "
            f'hb.resume("{path}") (or `hyperband resume {path}`), or choose another name'
        )
        raise ExperimentExistsError(msg) from error
    except OSError as error:
        msg = f"`{path}` cannot be made: {error.strerror}; is the storage writable?"
        raise StorageError(msg) from error


def _given_up(path: Path) -> bool:
    """Return whether a driver died here, or was refused, before the first trial: then there is nothing to lose."""
    experiment = Experiment(path)
    ours = {experiment.journal.name, experiment.checkpoints.name, experiment.trainable.name, experiment.data.name}
    if not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    if not all(name in ours or name.startswith(".") for name in names):
        return False
    return not (experiment.exists() and any(True for r in read_records(experiment.journal) if r["type"] == "start"))


def _clear(experiment: Experiment, clock: Clock) -> None:
    """Remove the journal that a driver left without a trial, unless that driver is alive (``LockedError``)."""
    if experiment.begun():
        with Journal.open(experiment.journal, clock, durability="none"):
            shutil.rmtree(experiment.journal)


def write_pickle(file: Path, content: bytes) -> str:
    """Write bytes durably and whole, and return their digest."""
    temporary = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as handle:
            os.fchmod(handle.fileno(), 0o600)
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(file)
    except OSError as error:
        msg = f"`{file}` could not be written: {error.strerror}"
        raise StorageError(msg) from error
    return digest_of(content)


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def search_from_header(header: Json, sampler: Sampler | None = None) -> Search:
    """Return a fresh search as the header describes it.

    Raises:
        JournalDamagedError: The header is of a newer format.
        ChangedExperimentError: This version of the package would make another plan of it.
    """
    if header["format"] > FORMAT:
        msg = f"the experiment has format {header['format']}, this version reads up to {FORMAT}; use a newer version"
        raise JournalDamagedError(msg)
    search = Search(
        Space.from_json(header["space"]),
        scheduler_from_json(header["scheduler"]),
        sampler or sampler_from_json(header["sampler"]),
        metric=header["metric"],
        mode=header["mode"],
        seed=header["seed"],
        max_losses=header["max_losses"],
    )
    changes = Plan.from_json(header["plan"]).difference(with_unit(search.plan, header["unit"]))
    if changes:
        msg = "this version would make another plan:\n  " + "\n  ".join(changes)
        raise ChangedExperimentError(msg)
    return search


def with_unit(plan: Plan, unit: str) -> Plan:
    """Return the plan with the user's word for a unit of resource."""
    return Plan(plan.scheduler, plan.max_resource, plan.eta, plan.brackets, unit)


def differences(old: Json, new: Json) -> list[str]:
    """Return readable lines that say how a wanted experiment differs from a recorded one.

    Args:
        old: Header of the journal.
        new: Header that the arguments of the call would give.
    """
    lines = []
    lines += [f"space: {line}" for line in Space.from_json(old["space"]).difference(Space.from_json(new["space"]))]
    lines += [f"plan: {line}" for line in Plan.from_json(old["plan"]).difference(Plan.from_json(new["plan"]))]
    for key in ("metric", "mode", "seed", "sampler"):
        if old[key] != new[key]:
            lines.append(f"{key}: {old[key]!r} -> {new[key]!r}")
    before, after = (_data_mark(header.get("data")) for header in (old, new))
    if after not in ("none", before):
        lines.append(f"data: {before} -> {after}")
    for key in ("name", "source"):
        if old["trainable"][key] != new["trainable"][key]:
            shown = f"{old['trainable'][key]} -> {new['trainable'][key]}"
            lines.append(f"trainable's {'source text' if key == 'source' else 'name'}: {shown}")
    return lines


def _data_mark(data: Json | None) -> str:
    """Return what tells one piece of data from another: a loader's name and source, else a digest."""
    if data is None:
        return "none"
    if data.get("name"):
        return f"{data['name']} (source {data['source']})"
    return f"digest {str(data['digest'])[:12]}"
