"""The search space: a definition that was checked once and then never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyperband.errors import SpaceError
from hyperband.messages import Config, Json
from hyperband.space import walk
from hyperband.space.check import problems
from hyperband.space.codec import definition_from_json, node_to_json
from hyperband.space.difference import difference
from hyperband.space.grid import Grid
from hyperband.space.tree import Choice, Parameter, Record, record, short


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Space:
    """A set of configs, with a probability for each.

    Immutable and hashable. Two spaces are equal if the same seed gives the same configs: order of keys included.
    """

    root: Record  #: the definition as a tree
    parameters: tuple[Parameter, ...] = field(compare=False)  #: every hyperparameter, in the order of the definition

    def __init__(self, definition: "Mapping[str, Any] | Space") -> None:
        """Check and freeze a definition.

        Args:
            definition: A dict from names to hyperparameters, constants, or dicts and lists of them; or a space.

        Raises:
            SpaceError: A part of it is not legal (the message names its path), or there is nothing to search.
        """
        root = _root(definition)
        parameters = tuple(walk.parameters(root))
        if not parameters:
            message = (
                f"the space {short(root)} has nothing to search, must have at least one hyperparameter "
                "(a plain list or number is a constant; write hb.choice([...]) to search over a list)"
                "; add one, for example {'lr': loguniform(1e-5, 1e-1)}"
            )
            raise SpaceError(message)
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "parameters", parameters)

    def sample(self, rng: np.random.Generator) -> Config:
        """Return one random config.

        Args:
            rng: Source of randomness; gives exactly ``len(parameters)`` doubles, whatever is active.

        Returns:
            A new dict of plain JSON values, without the inactive hyperparameters.
        """
        config: Config = walk.draw(self.root, iter(rng.random(len(self.parameters)).tolist()))
        return config

    def from_units(self, units: Sequence[float]) -> Config:
        """Return the config at a point of the unit cube.

        Args:
            units: A number in [0, 1) for each of ``parameters``, in their order, for inactive ones too.

        Returns:
            A new dict of plain JSON values, without the inactive hyperparameters.

        Raises:
            SpaceError: There are more or fewer numbers than hyperparameters, or one is outside [0, 1).
        """
        numbers = [float(unit) for unit in units]
        if len(numbers) != len(self.parameters):
            message = (
                f"`units` has {len(numbers)} numbers, must have {len(self.parameters)}, one for each hyperparameter"
            )
            raise SpaceError(message)
        for parameter, unit in zip(self.parameters, numbers, strict=True):
            if not 0 <= unit < 1:
                message = f"the unit of {parameter.path} is {unit}, must be in [0, 1)"
                raise SpaceError(message)
        config: Config = walk.draw(self.root, iter(numbers))
        return config

    def size(self) -> int | None:
        """Return how many different configs there are, None for infinitely many.

        Options of a choice that overlap, as in ``choice([0, randint(5)])``, count one by one: there it is an upper
        bound.
        """
        return walk.size(self.root)

    def grid(self, points: int | Mapping[str, int]) -> Grid:
        """Return the full factorial over the active hyperparameters.

        Args:
            points: How many evenly spaced values (in unit space, both ends included) a numeric hyperparameter has:
                one number >= 1 for all, or a dict from paths to numbers; those left out have 5. A single point is
                the middle. A choice has all its options, an integer never more values than there are.

        Returns:
            Something to index and to iterate; see ``Grid`` for the order.

        Raises:
            ConfigurationError: A number of points is not an integer >= 1.
            SpaceError: ``points`` names an unknown path, or a choice.
        """
        return Grid.of(self.root, self.parameters, points)

    def validate(self, config: object) -> None:
        """Check that ``config`` is one of this space.

        Args:
            config: Usually a dict. Ints are fine where floats are expected, and the upper end of a float range is
                legal although it is never drawn.

        Raises:
            SpaceError: It is not; the message lists every problem with path, value and legal range.
        """
        found = problems(self.root, config)
        if found:
            message = f"not a config of the space: {'; '.join(found)}"
            raise SpaceError(message)

    def difference(self, other: "Space") -> list[str]:
        """Return what leads from this space to ``other``, as lines for people; empty exactly if they are equal."""
        return difference(self.root, other.root)

    def to_json(self) -> Json:
        """Return the definition as a plain JSON object."""
        body: Json = node_to_json(self.root)
        return body

    @classmethod
    def from_json(cls, body: Json) -> "Space":
        """Inverse of ``to_json``.

        Raises:
            SpaceError: ``body`` does not come from ``to_json``.
        """
        return cls(definition_from_json(body))

    def __repr__(self) -> str:
        """Return the call that makes this space."""
        return f"Space({self.root!r})"


def _root(definition: object) -> Record:
    if isinstance(definition, Space):
        return definition.root
    if isinstance(definition, Mapping):
        return record(definition, "")
    hint = "; give the choice a name: {'kind': choice({...})}" if isinstance(definition, Choice) else ""
    message = f"the space is {short(definition)}, must be a dict from names to hyperparameters{hint}"
    raise SpaceError(message)
