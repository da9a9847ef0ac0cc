"""Search spaces: what a hyperparameter may be, nesting, drawing, checking, JSON.

``tree`` reads a definition into an immutable tree, ``walk``, ``grid``, ``check``, ``codec`` and ``difference`` are
functions over that tree, ``space`` puts them behind one class. A new kind of hyperparameter is a class in ``domains``.
"""

from hyperband.space.domains import Domain, loguniform, randint, uniform
from hyperband.space.grid import DEFAULT_POINTS, Grid, check_points
from hyperband.space.space import Space
from hyperband.space.tree import Choice, Parameter, choice

__all__ = [
    "DEFAULT_POINTS",
    "Choice",
    "Domain",
    "Grid",
    "Parameter",
    "Space",
    "check_points",
    "choice",
    "loguniform",
    "randint",
    "uniform",
]
