"""Where a trainable comes from: found by name, and recognised again at a resume."""

import hashlib
import importlib
import inspect
import sys
from pathlib import Path

from hyperband.errors import TrainableError, suggest


def describe(trainable: object) -> dict[str, str | None]:
    """Return what the journal's header says of a trainable.

    Args:
        trainable: A function or class.

    Returns:
        ``name`` (``module:qualname``) and ``source``, a digest of its source text (None if it has none).
    """
    name = f"{getattr(trainable, '__module__', '?')}:{getattr(trainable, '__qualname__', type(trainable).__name__)}"
    try:
        text = inspect.getsource(trainable)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return {"name": name, "source": None}
    return {"name": name, "source": hashlib.sha256(text.encode()).hexdigest()[:16]}


def locate(address: str) -> object:
    """Return the object that ``module:name`` or ``path/to/file.py:name`` names; the command line's way in.

    The working directory is searched first, as ``python -m`` does.

    Raises:
        TrainableError: There is no such module or name; the message says which and suggests a near one.
    """
    module_name, _, attribute = address.partition(":")
    if not module_name or not attribute:
        msg = f"{address!r} is not of the form module:function, e.g. train:train or examples/cnn.py:train"
        raise TrainableError(msg)
    folder = Path.cwd()
    if module_name.endswith(".py"):
        file = Path(module_name).resolve()
        folder, module_name = file.parent, file.stem
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or module_name.split(".")[0] != error.name.split(".")[0]:
            raise  # the module is there, but something that it imports is not
        msg = f"there is no module {module_name!r} in {folder} or on the import path"
        raise TrainableError(msg) from error
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in vars(module) if not name.startswith("_")]
            msg = f"{module_name} has no {attribute!r}.{suggest(attribute, public)}"
            raise TrainableError(msg)
        found = getattr(found, part)
    return found
