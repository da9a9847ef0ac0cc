"""Journals of searches in which anything may happen, and of small real runs."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hyperband as hb
from hyperband.clock import VirtualClock
from hyperband.journal import Journal
from hyperband.manager import Code, Experiment, job_record, make_header
from hyperband.messages import Checkpoint, Failed, FailureKind, Job, LossCause, Lost, Reported, to_json
from hyperband.results import Result
from hyperband.search import Search

Record = dict[str, Any]


def search_of(max_resource: int, seed: int) -> Search:
    """A search over one number."""
    space = {"x": hb.uniform(0, 1)}
    return Search(space, hb.Hyperband(max_resource), metric="loss", mode=("min", "max")[seed % 2], seed=seed)


def header_of(search: Search, name: str = "played") -> Record:
    """The record that begins an experiment."""
    header = make_header(
        search, Code(b"", None, {"name": "m:f", "source": None, "digest": ""}), name, "epoch", {"cpu": 1.0}
    )
    return {**header, "data": None, "executor": "inline", "durability": "none", "created": 0.0}


def outcome(job: Job, rng: random.Random) -> Reported | Failed | Lost:
    """Whatever may become of a segment."""
    kind = rng.choices(["value", "nan", "raise", "lost", "driver", "done"], [12, 1, 1, 2, 1, 1])[0]
    if kind == "raise":
        return Failed(job.trial, job.segment, job.attempt, FailureKind.EXCEPTION, "ValueError: no")
    if kind in ("lost", "driver"):
        cause = LossCause.WORKER if kind == "lost" else LossCause.DRIVER
        return Lost(job.trial, job.segment, job.attempt, cause, "gone")
    value = math.nan if kind == "nan" else round(rng.random(), 2)  # rounded: ties happen
    stop = rng.randint(job.segment.start + 1, job.segment.stop) if kind == "done" else job.segment.stop
    checkpoint = Checkpoint(job.trial, stop, job.attempt, "0" * 64, 10)
    return Reported(
        job.trial,
        job.segment,
        job.attempt,
        {"loss": value},
        checkpoint,
        stop,
        kind == "done" and stop < job.segment.stop,
    )


def records_of(search: Search, rng: random.Random, workers: int) -> list[Record]:
    """Play a search to its end with random outcomes in random order; return what its journal would hold."""
    records = [{"type": "epoch", "epoch": 1, "format": 1, "pid": 1, "host": "h", "wall": 0.0}, header_of(search)]
    running: list[Job] = []
    while not search.finished:
        while len(running) < workers and (job := search.ask()) is not None:
            running.append(job)
            records.append({**job_record(job), "wall": float(len(records))})
        event = outcome(running.pop(rng.randrange(len(running))), rng)
        info = {"seconds": 0.5, "worker": 0}
        records.append({**to_json(event), "info": info, "wall": float(len(records))})
        records += [to_json(action) for action in search.tell(event)]
    return records


@pytest.fixture
def write_journal(storage: Path) -> Callable[[list[Record]], Path]:
    """Write records as the journal of an experiment and return its directory."""

    def write(records: list[Record], name: str = "played") -> Path:
        experiment = Experiment(storage / name)
        with Journal.create(experiment.journal, VirtualClock(), durability="none") as journal:
            for record in records:
                if record["type"] != "epoch":
                    journal.append(record)
        return experiment.path

    return write


def train(config: dict[str, Any], state: Any, resource: int) -> tuple[dict[str, float], Any]:
    """A pure function: the loss falls with the resource; some configs fail in one way or another."""
    if config["x"] > 0.9:
        message = "\x1b[2J\x1b]0;owned\x07boom <b>&"
        raise ValueError(message)
    steps = (state or {"steps": 0})["steps"] + resource
    loss = math.nan if config["x"] > 0.8 else config["x"] + 1 / steps
    return {"loss": loss, "steps": float(steps)}, {"steps": steps}


@pytest.fixture
def small_run(storage: Path) -> Result:
    """A finished run of nine epochs in which some trials failed."""
    return hb.run(
        train,
        {"x": hb.uniform(0, 1), "kind": hb.choice({"a": {"depth": hb.randint(1, 4)}, "b": {}})},
        metric="loss",
        mode="min",
        scheduler=hb.Hyperband(9),
        executor="inline",
        storage=storage,
        name="small",
        unit="epoch",
        durability="none",
        progress="off",
    )


@pytest.fixture
def play() -> Callable[..., list[Record]]:
    """A function ``(seed, max_resource, workers) -> records`` that plays a random search."""

    def played(seed: int, max_resource: int = 9, workers: int = 3) -> list[Record]:
        return records_of(search_of(max_resource, seed), random.Random(seed), workers)

    return played


@pytest.fixture
def replay_prefix() -> Callable[[list[Record]], Search]:
    """A function that replays records through a fresh search: the oracle of the view."""
    from hyperband.manager import replay, search_from_header

    def replayed(records: list[Record]) -> Search:
        search = search_from_header(records[1])
        replay(search, records)
        return search

    return replayed
