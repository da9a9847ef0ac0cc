"""Samplers by name, for arguments, the command line and the journal."""

from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Final

from hyperband.errors import ConfigurationError, UnknownNameError, suggest
from hyperband.messages import Json
from hyperband.samplers.base import Sampler
from hyperband.samplers.grid import GridSampler
from hyperband.samplers.random import RandomSampler

#: Every sampler of this package by its name.
SAMPLERS: Final[Mapping[str, Callable[..., Sampler]]] = MappingProxyType(
    {RandomSampler.name: RandomSampler, GridSampler.name: GridSampler}
)


def resolve_sampler(sampler: str | Sampler) -> Sampler:
    """Return the sampler that an argument ``sampler`` stands for.

    Args:
        sampler: A name ("random", "grid"), or a sampler.

    Raises:
        UnknownNameError: There is no sampler of this name.
        ConfigurationError: It is neither a name nor a sampler.
    """
    return _named(sampler)() if isinstance(sampler, str) else _checked(sampler)


def sampler_to_json(sampler: Sampler) -> Json:
    """Return name and arguments of a sampler as a plain JSON object.

    A sampler that is no dataclass is recorded by its name alone.
    """
    arguments: dict[str, Any] = {}
    for field in _fields(sampler):
        value = getattr(sampler, field.name)
        arguments[field.name] = dict(value) if isinstance(value, Mapping) else value
    return {"name": sampler.name, "arguments": arguments}


def sampler_from_json(body: Json) -> Sampler:
    """Inverse of ``sampler_to_json`` for the samplers of this package.

    Raises:
        UnknownNameError: The sampler is not from this package; it has to be given again.
        ConfigurationError: The arguments are not those of this sampler.
    """
    make = _named(body["name"])
    try:
        return make(**body["arguments"])
    except TypeError as error:
        message = f"the sampler {body['name']!r} does not take the arguments {body['arguments']!r}: {error}"
        raise ConfigurationError(message) from error


def _named(name: str) -> Callable[..., Sampler]:
    if name not in SAMPLERS:
        message = f"`sampler` is {name!r}, which is not known.{suggest(name, SAMPLERS)} Pass your own as an object."
        raise UnknownNameError(message)
    return SAMPLERS[name]


def _checked(sampler: object) -> Sampler:
    if isinstance(sampler, type):
        message = f"`sampler` is the class {sampler.__name__}, must be a name or a sampler; write {sampler.__name__}()"
        raise ConfigurationError(message)
    if not isinstance(sampler, Sampler):
        names = ", ".join(map(repr, SAMPLERS))
        parts = "`name`, `adaptive`, `size`, `propose`"
        message = f"`sampler` is {sampler!r}, must be one of {names}, or an object with {parts}"
        raise ConfigurationError(message)
    return sampler


def _fields(sampler: object) -> tuple[Field[Any], ...]:
    return fields(sampler) if is_dataclass(sampler) else ()
