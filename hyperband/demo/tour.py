"""The demo as a script of a user would be: Hyperband over the digits network, and the winner on images nobody saw.

``hyperband demo`` prints around it; everything about the search itself is here.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hyperband import api
from hyperband.manager import Callback
from hyperband.results import Result
from hyperband.schedulers import Hyperband

#: Units of resource are epochs; 27 are enough for the best configs to stop improving.
MAX_RESOURCE: Final = 27
ETA: Final = 3
UNIT: Final = "epoch"
TRAINABLE: Final = "hyperband.demo.digits:train"
WHAT: Final = (
    "Hyperband tunes a small convolutional network on images of handwritten digits:\n"
    "learning rate, batch size, dropout and the spread of the initial weights,\n"
    "on Ray, with every core of this machine."
)


def scheduler() -> Hyperband:
    """Return the demo's scheduler: all brackets of R = 27, eta = 3."""
    return Hyperband(max_resource=MAX_RESOURCE, eta=ETA)


def run(
    *,
    storage: str | os.PathLike[str] = "runs",
    name: str | None = None,
    seed: int = 0,
    max_concurrent: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Run the demo's search; see ``hyperband.run`` for arguments and errors.

    Args:
        storage: Directory of experiments.
        name: Name below it; by default the first free one of demo, demo-2, demo-3 ...
        seed: Decides which configs are tried.
        max_concurrent: Most trials at a time.
        callbacks: Observers.
    """
    from hyperband.demo import digits  # noqa: PLC0415 - imports torch; `hyperband --help` must not

    return api.run(
        digits.train,
        digits.space(),
        metric="accuracy",
        mode="max",
        scheduler=scheduler(),
        data=digits.load_digits_splits,
        max_concurrent=max_concurrent,
        storage=storage,
        name=free_name(Path(storage)) if name is None else name,
        seed=seed,
        callbacks=callbacks,
        unit=UNIT,
        progress="off",
    )


def free_name(storage: Path) -> str:
    """Return the first of demo, demo-2, demo-3 ... that is not there yet."""
    number = 1
    while (storage / (name := "demo" if number == 1 else f"demo-{number}")).exists():
        number += 1
    return name


def is_demo(result: Result) -> bool:
    """Tell whether an experiment is one of the demo's, so that its winner can be tested on the demo's images."""
    return bool(result.view.header.get("trainable", {}).get("name") == TRAINABLE)


def test_accuracy(result: Result) -> float:
    """Return the winner's accuracy on the test split: its weights, read from its checkpoint into a new network."""
    from hyperband.demo import digits  # noqa: PLC0415 - imports torch

    model, _ = digits.build(**result.best.config)
    result.best.load("model", into=model)
    return digits.test_accuracy(model, digits.load_digits_splits())


def test_sentence(accuracy: float) -> str:
    """Return the test accuracy in words."""
    return f"{accuracy:.4f}, measured with the model re-loaded from its checkpoint"
