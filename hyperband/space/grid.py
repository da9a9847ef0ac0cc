"""The full factorial over a space, addressed by index and never written out."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from hyperband.errors import ConfigurationError, SpaceError, suggest
from hyperband.messages import Config
from hyperband.space.domains import Domain
from hyperband.space.tree import Choice, Constant, Listing, Node, Parameter, Record, join

#: Points of a hyperparameter that a mapping of points leaves out.
DEFAULT_POINTS = 5


def check_points(points: object) -> None:
    """Check an argument ``points``, as far as this is possible without a space.

    Raises:
        ConfigurationError: It is neither an integer >= 1 nor a dict from paths to such integers.
    """
    counts: dict[Any, Any] = dict(points) if isinstance(points, Mapping) else {None: points}
    for path, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            where = "`points`" if path is None else f"`points[{path!r}]`"
            message = f"{where} is {count!r}, must be an integer >= 1: the number of values of each hyperparameter"
            raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of evenly spaced values, each active combination once.

    The order is that of nested loops over the definition: the last hyperparameter changes fastest, and all configs
    of one option of a choice come before those of the next option. Indexing costs the same everywhere.
    """

    root: Record
    points: int | Mapping[str, int]

    @staticmethod
    def of(root: Record, parameters: tuple[Parameter, ...], points: int | Mapping[str, int]) -> "Grid":
        """Return the grid over ``root``, after a check of ``points``.

        Raises:
            ConfigurationError: ``points`` is not an integer >= 1 or a dict of such integers.
            SpaceError: ``points`` names a path that is not in the space, or a choice.
        """
        check_points(points)
        if isinstance(points, Mapping):
            numeric = {parameter.path for parameter in parameters if isinstance(parameter.domain, Domain)}
            choices = {parameter.path for parameter in parameters if isinstance(parameter.domain, Choice)}
            for path in points:
                if path in choices - numeric:
                    message = f"`points` names {path!r}, a choice; a grid has all its options: leave it out"
                    raise SpaceError(message)
                if path not in numeric:
                    hint = suggest(str(path), numeric) if numeric else ""
                    message = f"`points` names {path!r}, which is no hyperparameter of the space.{hint}"
                    raise SpaceError(message)
            points = dict(points)
        return Grid(root, points)

    @property
    def size(self) -> int:
        """How many configs there are; may be larger than ``len`` can tell."""
        return self._count(self.root, "")

    def __len__(self) -> int:
        """Return ``size``, if it is at most ``sys.maxsize``."""
        return self.size

    def __getitem__(self, index: int) -> Config:
        """Return config ``index`` of 0..size-1, made of new objects."""
        size = self.size
        if not 0 <= index < size:
            message = f"grid index {index} is out of range, must be 0 to {size - 1}"
            raise IndexError(message)
        config: Config = self._at(self.root, "", index)
        return config

    def __iter__(self) -> Iterator[Config]:
        """Yield all configs in order, one at a time."""
        return (self._at(self.root, "", index) for index in range(self.size))

    def _steps(self, domain: Domain, path: str) -> int:
        points = self.points
        return domain.grid_size(points if isinstance(points, int) else points.get(path, DEFAULT_POINTS))

    def _count(self, node: Node, path: str) -> int:
        match node:
            case Constant():
                return 1
            case Domain():
                return self._steps(node, path)
            case Listing():
                return math.prod(self._count(item, f"{path}[{i}]") for i, item in enumerate(node.items))
            case Record():
                return math.prod(self._count(child, join(path, name)) for name, child in node.entries)
            case Choice():
                return sum(self._count(option, path) for option in node.options)
            case _:
                assert_never(node)

    def _at(self, node: Node, path: str, index: int) -> Any:
        match node:
            case Constant():
                return node.value
            case Domain():
                return node.grid_value(index, self._steps(node, path))
            case Listing():
                return self._list_at(node, path, index)
            case Record():
                return self._record_at(node, path, index)
            case Choice():
                option, rest = self._option_at(node, path, index)
                return self._at(node.options[option], path, rest)
            case _:
                assert_never(node)

    def _list_at(self, node: Listing, path: str, index: int) -> list[Any]:
        values = []
        for i, item in reversed(list(enumerate(node.items))):  # the last digit of the index changes fastest
            here = f"{path}[{i}]"
            index, digit = divmod(index, self._count(item, here))
            values.append(self._at(item, here, digit))
        return values[::-1]

    def _record_at(self, node: Record, path: str, index: int) -> dict[str, Any]:
        digits = []
        for name, child in reversed(node.entries):
            index, digit = divmod(index, self._count(child, join(path, name)))
            digits.append(digit)
        values: dict[str, Any] = {}
        for (name, child), digit in zip(node.entries, reversed(digits), strict=True):
            here = join(path, name)
            if isinstance(child, Choice) and child.names is not None:
                option, rest = self._option_at(child, here, digit)
                values[name] = child.names[option]
                values.update(self._at(child.options[option], here, rest))
            else:
                values[name] = self._at(child, here, digit)
        return values

    def _option_at(self, node: Choice, path: str, index: int) -> tuple[int, int]:
        """Return which option holds ``index``, and the index inside it."""
        for option, child in enumerate(node.options):
            count = self._count(child, path)
            if index < count:
                return option, index
            index -= count
        message = f"grid index is {index} beyond the last option of {path}"
        raise IndexError(message)
