"""Which experiment a word on the command line means."""

from pathlib import Path
from typing import Final

from hyperband.errors import ExperimentNotFoundError, suggest
from hyperband.manager import Experiment

#: Where experiments are if nothing else is said.
STORAGE: Final = Path("runs")


def find_experiment(path: Path) -> Path:
    """Return the directory of an experiment, given its path or just its name below ``runs``.

    Raises:
        ExperimentNotFoundError: There is none; the message suggests a near name.
    """
    candidates = [path] if path.is_absolute() or len(path.parts) > 1 else [path, STORAGE / path]
    for candidate in candidates:
        if Experiment(candidate).exists():
            return candidate
    where = candidates[-1].parent
    names = experiments_in(where)
    hint = suggest(path.name, names) if names else f" `{where}` holds no experiments."
    msg = f"there is no experiment at {' or '.join(f'`{candidate}`' for candidate in candidates)}.{hint}"
    raise ExperimentNotFoundError(msg)


def experiments_in(storage: Path) -> list[str]:
    """Return the names of the experiments directly below a directory, sorted; none if it does not exist."""
    if not storage.is_dir():
        return []
    return sorted(entry.name for entry in storage.iterdir() if Experiment(entry).exists())
