"""What the engine costs: null segments per second, beside the bare ``ray.wait`` loop of the Ray tutorial.

Both train the same null trainable (state of 1 kB in, state of 1 kB out) on the same two Ray workers, in the same run,
alternating. The bare loop does nothing but ``ray.wait`` and the next call: no scheduler, no journal, no checkpoint, and
the states go through the driver. Ours does all that: Hyperband, a durable journal, a durable checkpoint per segment.

The second part runs the driver alone (simulated workers, a curve instead of training, journal on disk) at 100, 1,000
and 10,000 trials and prints the driver's time per event, which must not grow.

    python benchmarks/engine_overhead.py [--segments 4000] [--repeats 3]
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray

import hyperband as hb

STATE = bytes(1024)


def null(config: dict[str, Any], state: bytes | None, resource: int) -> tuple[dict[str, float], bytes]:  # noqa: ARG001
    """Train nothing: return a metric and a state of 1 kB."""
    return {"loss": config["x"]}, STATE


class Bare:
    """The actor of the bare loop."""

    def segment(self, config: dict[str, Any], state: bytes | None, resource: int) -> tuple[dict[str, float], bytes]:
        """Run one segment."""
        return null(config, state, resource)


def bare_loop(actors: list[Any], segments: int) -> float:
    """Return segments per second of a loop that keeps each actor busy with one call at a time."""
    began = time.perf_counter()
    running = {actor.segment.remote({"x": 0.5}, STATE, 1): actor for actor in actors}
    for done in range(segments):
        [ready], _ = ray.wait(list(running))
        actor = running.pop(ready)
        _, state = ray.get(ready)
        if done + len(running) + 1 < segments:
            running[actor.segment.remote({"x": 0.5}, state, 1)] = actor
    return segments / (time.perf_counter() - began)


class Stopwatch(hb.Callback):
    """Times a run from its first dispatch to its last decision, so that starting workers does not count."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.segments = 0

    def on_record(self, record: dict[str, Any]) -> None:
        """Note the time of the first job and of the last result."""
        if record["type"] in {"start", "resume"}:
            self.began = self.began or time.perf_counter()
        elif record["type"] == "committed":
            self.segments += 1
            self.ended = time.perf_counter()


def engine(directory: str, name: str, scheduler: Any, durability: str = "full", executor: Any = "ray") -> Stopwatch:
    """Run the null trainable under a scheduler and return its times."""
    watch = Stopwatch()
    hb.run(
        null,
        {"x": hb.uniform(0, 1)},
        metric="loss",
        mode="min",
        scheduler=scheduler,
        executor=executor,
        max_concurrent=2 if executor == "ray" else None,
        storage=directory,
        name=name,
        callbacks=[watch],
        durability=durability,
        progress="off",
    )
    return watch


def against_bare_loop(segments: int, repeats: int) -> dict[str, Any]:
    """Alternate both and return rates and their ratio."""
    rates: dict[str, list[float]] = {"bare": [], "full": [], "none": [], "hyperband": []}
    actors = [ray.remote(Bare).remote() for _ in range(2)]
    bare_loop(actors, 200)
    scheduler = hb.FIFO(max_resource=1, n_configs=segments)
    with tempfile.TemporaryDirectory() as directory:
        engine(directory, "warm-up", hb.FIFO(n_configs=200))
        for repeat in range(repeats):
            rates["bare"].append(bare_loop(actors, segments))
            for durability in ("full", "none"):
                watch = engine(directory, f"{durability}-{repeat}", scheduler, durability)
                rates[durability].append(watch.segments / (watch.ended - watch.began))
            watch = engine(directory, f"hyperband-{repeat}", hb.Hyperband(max_resource=729, eta=3))
            rates["hyperband"].append(watch.segments / (watch.ended - watch.began))
    return {
        key: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for key, values in rates.items()
    }


def driver_time() -> dict[int, float]:
    """Return microseconds of driver time per event at growing numbers of trials."""
    times = {}
    for trials in (100, 1000, 10_000):
        executor = hb.Simulated(2, curve=lambda config, _: {"loss": config["x"]}, cost=lambda _: 0.001)
        scheduler = hb.SuccessiveHalving(max_resource=27, eta=3, n_configs=trials)
        best = float("inf")
        for _ in range(3):
            with tempfile.TemporaryDirectory() as directory:
                watch = engine(directory, "driver", scheduler, executor=executor)
                best = min(best, (watch.ended - watch.began) / watch.segments)
        times[trials] = best * 1e6
    return times


def main() -> None:
    """Print both parts; with ``--json`` write them to a file too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    times = driver_time()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    rates = against_bare_loop(options.segments, options.repeats)
    ray.shutdown()

    print(f"{platform.platform()}, Python {platform.python_version()}, ray {version('ray')}, 2 workers")
    print(f"null segments per second, median of {options.repeats} alternating repeats (min..max), state 1 kB:")
    labels = {
        "bare": f"bare ray.wait loop, {options.segments} segments",
        "full": f"hyperband FIFO, {options.segments} segments, fsync",
        "none": f"hyperband FIFO, {options.segments} segments, no fsync",
        "hyperband": "hyperband Hyperband(729, 3), fsync",
    }
    for key, label in labels.items():
        rate = rates[key]
        ratio = rate["median"] / rates["bare"]["median"]
        print(f"  {label:48} {rate['median']:7.0f}  ({rate['min']:.0f}..{rate['max']:.0f})  ratio {ratio:.2f}")
    print("driver time per segment (ask + tell + journal with fsync), microseconds:")
    for trials, microseconds in times.items():
        print(f"  {trials:6} trials {microseconds:7.0f}")
    print(f"  ratio 10,000 : 100 trials = {times[10_000] / times[100]:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"rates": rates, "driver_microseconds": times}, indent=2))


if __name__ == "__main__":
    main()
