"""The law of the house: who may import whom, where Ray may live, and who may unpickle.

The tables below are the law; CONTRIBUTING explains it. A new room (a module or package directly below
``hyperband/``) has to be entered in ``LAYERS`` before it can be imported by anybody.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).resolve().parents[1] / "hyperband"

#: Room -> layer. A module imports only from its own room or from a lower layer.
LAYERS = {
    room: layer
    for layer, rooms in {
        0: "errors messages clock _version",
        1: "space planning",
        2: "samplers schedulers",
        3: "search",
        4: "trainable checkpoints journal randomness torch",
        5: "executors",
        6: "manager",
        7: "check results progress plots report export",
        8: "__init__ __main__ api cli dashboard integrations testing demo",
    }.items()
    for room in rooms.split()
}

#: Imports between rooms of one layer that are allowed all the same, each with its reason.
NEIGHBOURS = {
    ("__init__", "api"): "the package's face shows what the api offers",
    ("cli", "api"): "a command is a call of the api",
    ("cli", "demo"): "`hyperband demo` runs it",
    ("__main__", "cli"): "`python -m hyperband` is the command",
    ("demo", "api"): "the demo is what a user's script would be",
    ("progress", "results"): "progress is a result that still changes",
}

LAST_PURE_LAYER = 3
IMPURE = frozenset(
    {
        "ray",
        "torch",
        "cloudpickle",
        "os",
        "io",
        "pathlib",
        "time",
        "datetime",
        "random",
        "threading",
        "socket",
        "logging",
    }
)

#: Where pickled bytes may become objects: a worker's process, or a load that the user asked for.
MAY_UNPICKLE = frozenset({"checkpoints/codec.py", "executors/runner.py"})
UNPICKLERS = {
    "pickle": frozenset({"load", "loads", "Unpickler"}),
    "cloudpickle": frozenset({"load", "loads", "Unpickler"}),
    "torch": frozenset({"load"}),
}

MAX_LINES = 400


@dataclass(frozen=True)
class Import:
    """One imported name: ``module`` (absolute), and the name taken from it if there is one."""

    line: int
    module: str
    name: str | None

    @property
    def top(self) -> str:
        """First part of the module's path."""
        return self.module.partition(".")[0]

    @property
    def room(self) -> str:
        """Which room of this package is meant, for imports of this package."""
        parts = self.module.split(".")
        if len(parts) > 1:
            return parts[1]
        # `from hyperband import plan` means the room, `from hyperband import run` a name of __init__.
        return self.name if self.name in LAYERS else "__init__"


def modules(root: Path) -> list[Path]:
    """Every Python file below the package, in a fixed order."""
    return sorted(root.rglob("*.py"))


def imports(tree: ast.Module, path: Path, root: Path) -> Iterator[Import]:
    """Every import of a module, also inside functions and under TYPE_CHECKING."""
    package = ("hyperband", *path.relative_to(root).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, node.module) if node.module else above)
            for alias in node.names:
                yield Import(node.lineno, module, alias.name)


def room_of(path: Path, root: Path) -> str:
    """The room a file is in: the first part of its path below the package."""
    first = path.relative_to(root).parts[0]
    return first.removesuffix(".py")


def layer_violations(root: Path) -> list[str]:
    """Imports that look up, sideways, or at a room that is in no layer; files in no layer."""
    found = []
    for path in modules(root):
        room, name = room_of(path, root), path.relative_to(root).as_posix()
        if room not in LAYERS:
            found.append(f"{name}: `{room}` is in no layer; enter it in LAYERS of {Path(__file__).name}")
            continue
        for item in imports(ast.parse(path.read_text()), path, root):
            if item.top != "hyperband" or item.room == room or (room, item.room) in NEIGHBOURS:
                continue
            if item.room not in LAYERS:
                found.append(f"{name}:{item.line}: imports `{item.room}`, which is in no layer")
            elif LAYERS[item.room] >= LAYERS[room]:
                found.append(
                    f"{name}:{item.line}: layer {LAYERS[room]} imports `{item.room}` of layer {LAYERS[item.room]}; "
                    f"only lower layers are allowed"
                )
    return found


def purity_violations(root: Path) -> list[str]:
    """Imports below the purity line of anything that touches the world."""
    return [
        f"{path.relative_to(root).as_posix()}:{item.line}: imports `{item.module}` below the purity line"
        for path in modules(root)
        if LAYERS.get(room_of(path, root), LAST_PURE_LAYER + 1) <= LAST_PURE_LAYER
        for item in imports(ast.parse(path.read_text()), path, root)
        if item.top in IMPURE
    ]


def ray_violations(root: Path) -> list[str]:
    """Imports of Ray outside ``executors/ray*``."""
    return [
        f"{name}:{item.line}: imports `{item.module}`; only executors/ray*.py may"
        for path in modules(root)
        if not (name := path.relative_to(root).as_posix()).startswith("executors/ray")
        for item in imports(ast.parse(path.read_text()), path, root)
        if item.top == "ray"
    ]


def unpickling_violations(root: Path) -> list[str]:
    """Uses of an unpickler outside the two files that may: as an attribute, or imported by name."""
    found = []
    for path in modules(root):
        name = path.relative_to(root).as_posix()
        if name in MAY_UNPICKLE:
            continue
        tree = ast.parse(path.read_text())
        names = {}  # local name -> module, so that `import torch as t; t.load(...)` is seen too
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found += [
                    f"{name}:{node.lineno}: imports `{node.module}.{alias.name}`"
                    for alias in node.names
                    if alias.name in UNPICKLERS.get(node.module or "", ())
                ]
        found += [
            f"{name}:{node.lineno}: uses `{names[node.value.id]}.{node.attr}`"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in UNPICKLERS.get(names.get(node.value.id, ""), ())
        ]
    return found


def shape_violations(root: Path) -> list[str]:
    """Files that are too long to read in one go, and drawers for everything."""
    found = []
    for path in modules(root):
        name, lines = path.relative_to(root).as_posix(), len(path.read_text().splitlines())
        if lines > MAX_LINES:
            found.append(f"{name}: {lines} lines, at most {MAX_LINES}; cut it by responsibility")
        if path.stem in {"utils", "util", "helpers", "common", "misc"}:
            found.append(f"{name}: a name that says nothing; put its functions where they belong")
    return found


Law: TypeAlias = Callable[[Path], list[str]]

LAWS: list[Law] = [layer_violations, purity_violations, ray_violations, unpickling_violations, shape_violations]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_house_keeps_its_law(law: Law) -> None:
    """No module of the package breaks one of the laws."""
    assert modules(ROOT), f"no modules found below {ROOT}"
    assert law(ROOT) == []


@pytest.mark.parametrize(
    ("law", "file", "source"),
    [
        (layer_violations, "planning.py", "import hyperband.search"),
        (layer_violations, "planning.py", "from hyperband.space import choice"),
        (layer_violations, "planning.py", "from hyperband import search"),
        (layer_violations, "planning.py", "from . import search"),
        (layer_violations, "samplers/grid.py", "from ..schedulers.base import Scheduler"),
        (layer_violations, "manager/loop.py", "import hyperband as hb"),
        (layer_violations, "manager/loop.py", "from hyperband import run"),
        (layer_violations, "search.py", "def f():\n    from hyperband.manager import Manager"),
        (
            layer_violations,
            "space/tree.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hyperband.search import Search",
        ),
        (layer_violations, "manager/loop.py", "import hyperband.attic"),
        (layer_violations, "attic.py", ""),
        (purity_violations, "search.py", "import os.path"),
        (purity_violations, "space/tree.py", "from torch.nn import Module"),
        (purity_violations, "schedulers/base.py", "def f():\n    import random"),
        (ray_violations, "manager/loop.py", "import ray"),
        (ray_violations, "executors/inline.py", "from ray.exceptions import RayActorError"),
        (unpickling_violations, "results/load.py", "import cloudpickle\ncloudpickle.loads(b'')"),
        (unpickling_violations, "results/load.py", "import torch as t\nt.load('x')"),
        (unpickling_violations, "results/load.py", "from pickle import loads"),
        (shape_violations, "results/utils.py", ""),
        (shape_violations, "results/load.py", "x = 1\n" * (MAX_LINES + 1)),
    ],
)
def test_a_seeded_violation_is_found(law: Law, file: str, source: str, tmp_path: Path) -> None:
    """Each law sees each way of breaking it, and only the law that is broken complains."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert len(law(tmp_path)) == 1
    assert [other.__name__ for other in LAWS if other is not law and other(tmp_path)] == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("search.py", "from hyperband.schedulers.base import Scheduler\nimport hyperband.planning\nimport numpy"),
        ("schedulers/hyperband.py", "from hyperband.schedulers.base import Scheduler\nfrom .base import Rule"),
        ("executors/ray.py", "import ray\nimport hyperband.messages"),
        ("executors/ray/pool.py", "import ray"),
        ("checkpoints/codec.py", "import cloudpickle\ncloudpickle.loads(b'')"),
        ("results/load.py", "import json\njson.load(None)"),
        ("cli/main.py", "from hyperband.api import run\nfrom hyperband import demo"),
        ("planning.py", "x = 1\n" * MAX_LINES),
    ],
)
def test_what_the_law_allows_is_not_reported(file: str, source: str, tmp_path: Path) -> None:
    """The checker is quiet about legal modules, so that nobody learns to ignore it."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert [violation for law in LAWS for violation in law(tmp_path)] == []
