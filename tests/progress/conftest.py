"""Records of a small run, as an observer sees them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import hyperband as hb

Record = dict[str, Any]


class Collector(hb.Callback):
    """Keeps everything."""

    def __init__(self) -> None:
        self.header: Record = {}
        self.records: list[Record] = []

    def on_start(self, header: Record) -> None:
        """Keep the header."""
        self.header = header

    def on_record(self, record: Record) -> None:
        """Keep the record."""
        self.records.append(record)


def curve(config: dict[str, Any], resource: int) -> dict[str, float]:
    """Some configs raise, some are not finite, the rest learn."""
    if config["x"] > 0.9:
        message = f"\x1b[2Jno {config['x']}"
        raise ValueError(message)
    return {"accuracy": float("nan") if config["x"] > 0.8 else (1 - config["x"]) * (1 - 1 / (1 + resource))}


@pytest.fixture
def collect(storage: Path) -> Callable[..., Collector]:
    """A function that runs a scheduler over a curve and keeps what an observer sees."""

    def run(scheduler: Any, curve: Any) -> Collector:
        collector = Collector()
        hb.run(
            lambda ctx: None,
            {"x": hb.uniform(0, 1)},
            metric="accuracy",
            mode="max",
            scheduler=scheduler,
            executor=hb.Simulated(3, curve=curve),
            storage=storage,
            name="watched",
            unit="epoch",
            callbacks=[collector],
            durability="none",
            progress="off",
        )
        return collector

    return run


@pytest.fixture
def collected(collect: Callable[..., Collector]) -> Collector:
    """Header and records of a run of 27 epochs in which some trials fail."""
    return collect(hb.Hyperband(27), curve)


@pytest.fixture(params=[80, 120])
def console(request: pytest.FixtureRequest) -> Console:
    """A terminal of a usual width, written into memory."""
    return Console(file=io.StringIO(), force_terminal=True, width=request.param, height=40, color_system="truecolor")
