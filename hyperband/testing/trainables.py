"""Small trainables with known answers, for tests of everything that trains.

``chain`` is the one to use for continuity: its state is a hash of config and every single unit, so that a skipped, a
repeated or a swapped unit shows in the final value.
"""

import hashlib
import math
import os
import random
import threading
from typing import Any

import numpy as np

from hyperband.trainable import Context, Trainable


def chain(config: dict[str, Any], state: str | None, resource: int) -> tuple[dict[str, float], str]:
    """Shape 2: state = H(state, config, unit); the loss improves with resource, at a rate set by ``config["x"]``."""
    digest, trained = (state or "seed:0").split(":")
    count = int(trained)
    for _ in range(resource):
        count += 1
        digest = hashlib.sha256(f"{digest}|{config!r}|{count}".encode()).hexdigest()
    noise = int(digest[:8], 16) / 2**32
    loss = (config["x"] - 0.3) ** 2 + (0.5 + noise / 10) / math.sqrt(count)
    return {"loss": loss, "units": count}, f"{digest}:{count}"


def noisy_loop(ctx: Context) -> None:
    """Shape 1: a random walk that uses every global generator, a numpy generator and ``ctx.state``."""
    walk = {"position": 0.0}
    generator = np.random.default_rng(ctx.seed)
    for _ in ctx.steps(walk=walk, generator=generator):
        walk["position"] += random.random() + np.random.random() + generator.random()  # noqa: NPY002, S311 - on purpose
        ctx.state["units"] = ctx.state.get("units", 0) + 1
        ctx.report(loss=abs(ctx.config["x"] * ctx.resource - walk["position"]), units=ctx.state["units"])


class NoisyObject(Trainable):
    """Shape 3: the same with ``self.state``."""

    def setup(self, config: dict[str, Any], ctx: Context) -> None:
        """Begin at zero."""
        self.x = config["x"]
        self.walk = {"position": 0.0, "units": 0}
        self.state = {"walk": self.walk}
        del ctx

    def step(self) -> dict[str, float]:
        """Take one step."""
        self.walk["position"] += random.random() + np.random.random()  # noqa: NPY002, S311 - on purpose
        self.walk["units"] += 1
        return {"loss": abs(self.x - self.walk["position"]), "units": self.walk["units"]}


def troubled(config: dict[str, Any], state: int | None, resource: int) -> tuple[dict[str, float], Any]:
    """Shape 2 that gets into the trouble ``config["trouble"]`` names when it reaches ``config["at"]`` units."""
    count = (state or 0) + resource
    trouble = config.get("trouble") if count >= config.get("at", 1) else None
    metrics: dict[str, Any] = {"loss": config["x"] + 1 / count}
    if trouble == "raise":
        msg = f"x is {config['x']}"
        raise ValueError(msg)
    if trouble == "exit":
        os._exit(17)
    if trouble == "system_exit":
        raise SystemExit(3)
    if trouble == "nan":
        metrics["loss"] = math.nan
    if trouble == "missing":
        metrics = {"lost": 1.0}
    if trouble == "text":
        metrics["loss"] = "low"
    if trouble == "lock":
        return metrics, {"count": count, "deep": {"lock": threading.Lock()}}
    if trouble == "mutate":
        config["x"] = -99.0
    return metrics, count


def slow_chain(config: dict[str, Any], state: str | None, resource: int) -> tuple[dict[str, float], str]:
    """``chain``, with about 15 ms of work per unit, so that there is something to interrupt."""
    for _ in range(resource):
        hashlib.pbkdf2_hmac("sha256", b"work", b"salt", 25_000)
    return chain(config, state, resource)
