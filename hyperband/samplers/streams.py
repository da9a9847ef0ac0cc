"""Random streams keyed by what they are for, never by the order of calls.

Every number drawn anywhere follows from (seed, purpose, index). A run with one worker, with 64, and the resumed run
after a crash therefore see the same configs and the same training seeds.
"""

from typing import Final

import numpy as np

from hyperband.errors import ConfigurationError

# Purposes are part of the promise "same seed, same configs": numbers are never changed and never used again.
_CONFIG: Final = 1
_TRIAL: Final = 2


def config_rng(seed: int, index: int) -> np.random.Generator:
    """Return the generator that proposes config ``index``.

    Args:
        seed: Seed of the experiment, >= 0.
        index: Number of the config in the experiment, >= 0.

    Raises:
        ConfigurationError: A number is not an integer >= 0.
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, _CONFIG, index)))


def trial_seed(seed: int, trial: int) -> int:
    """Return the seed that trial ``trial`` trains with, 0 to 2**63 - 1.

    Args:
        seed: Seed of the experiment, >= 0.
        trial: Number of the trial, >= 0.

    Raises:
        ConfigurationError: A number is not an integer >= 0.
    """
    # 63 bits, because that is what a signed 64-bit integer (and so every library) takes.
    return int(_sequence(seed, _TRIAL, trial).generate_state(1, np.uint64)[0]) >> 1


def _sequence(seed: int, purpose: int, index: int) -> np.random.SeedSequence:
    key = (purpose, _checked("index", index))
    return np.random.SeedSequence(entropy=_checked("seed", seed), spawn_key=key)


def _checked(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        message = f"`{name}` is {value!r}, must be an integer >= 0"
        raise ConfigurationError(message)
    return int(value)
