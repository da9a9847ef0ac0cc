"""Laws of the global random number generators."""

import pickle
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband import randomness
from hyperband.checkpoints import decode, encode
from hyperband.errors import ConfigurationError, StateError


@pytest.fixture(autouse=True)
def own_generators() -> Any:
    """Leave the generators of the test process alone."""
    with randomness.preserved():
        yield


def draw() -> tuple[Any, ...]:
    """Some numbers of every global generator."""
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(3).tolist(),  # noqa: NPY002
        np.random.randn(),  # noqa: NPY002
        torch.rand(3).tolist(),
        torch.randn(1).item(),
    )


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_the_same_seed_gives_the_same_numbers(seed: int) -> None:
    """In all libraries, wherever the generators were before."""
    randomness.seed_everything(seed)
    first = draw()
    draw()
    randomness.seed_everything(seed)
    assert draw() == first


def test_different_seeds_differ_in_every_library() -> None:
    """Also where only the upper half of a long seed differs."""
    for one, other in ((0, 1), (5, 5 + 2**32), (5 + 2**40, 5 + 2**41)):
        randomness.seed_everything(one)
        first = draw()
        randomness.seed_everything(other)
        assert all(a != b for a, b in zip(first, draw(), strict=True))


def test_a_short_seed_is_what_each_library_gets() -> None:
    """A user who seeds by hand gets the same numbers."""
    randomness.seed_everything(7)
    ours = draw()
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    assert draw() == ours


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True, np.int64(3)])
@pytest.mark.parametrize("function", [randomness.seed_everything, randomness.seed_torch_when_imported])
def test_what_is_no_seed_is_refused(function: Any, seed: Any) -> None:
    """With its value and the legal range, and before anything is seeded."""
    state = random.getstate()
    with pytest.raises(ConfigurationError, match=r"`seed` is .*must be an integer with 0 <= seed < 2\*\*64"):
        function(seed)
    assert random.getstate() == state


def test_a_captured_state_continues_where_it_was() -> None:
    """Also after a trip through bytes, and with half of a pair of normal numbers still pending."""
    randomness.seed_everything(3)
    draw()
    random.gauss(0, 1)
    saved = encode("rng", randomness.capture())
    expected = draw()
    draw()
    randomness.restore(decode(saved))
    assert draw() == expected


def test_another_generator_that_numpy_uses_is_captured_too() -> None:
    """Whoever puts one of another kind into numpy's place finds its stream continued."""
    numpy: Any = np.random  # its stubs do not know these two
    before = numpy.get_bit_generator()
    numpy.set_bit_generator(np.random.PCG64(3))
    try:
        saved = encode("rng", randomness.capture())
        expected = draw()
        randomness.restore(decode(saved))
        assert draw() == expected
    finally:
        numpy.set_bit_generator(before)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 1300))
def test_a_state_from_any_point_of_the_stream_continues_there(seed: int, drawn: int) -> None:
    """Just before, at and after the moments when a generator makes its next block of numbers."""
    randomness.seed_everything(seed)
    for _ in range(drawn):
        random.getrandbits(32)
    np.random.bytes(4 * drawn)  # noqa: NPY002
    saved = randomness.capture()
    python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
    randomness.seed_everything(0)
    randomness.restore(saved)
    assert random.getstate() == python
    assert repr(np.random.get_state(legacy=False)) == repr(numpy)  # noqa: NPY002
    assert pickle.dumps(randomness.capture()) == pickle.dumps(saved)


def test_capturing_moves_nothing_and_is_a_copy() -> None:
    """Looking at the generators does not change them, drawing does not change the picture."""
    randomness.seed_everything(3)
    state = randomness.capture()
    first = draw()
    randomness.restore(state)
    assert draw() == first
    randomness.restore(state)
    assert draw() == first


def test_a_state_is_plain_data() -> None:
    """Bytes, numbers and tuples: quickly written, and read where torch is not installed, by any pickle."""
    state = randomness.capture()
    encoded = encode("rng", state)
    assert pickle.loads(encoded.data) == state
    assert [library for library, _ in encoded.written_by] == ["python"]
    assert encoded.codec == "pickle"
    assert "torch" not in dict(encoded.written_by)
    assert set(decode(encoded)) == {"python", "numpy", "torch"}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"python": 3},
        None,
        {"python": random.getstate(), "numpy": ("MT19937",)},
        {**randomness.capture(), "numpy": ("MT19937",)},
        {**randomness.capture(), "numpy": ("MT19937", bytes(2495), 0, 0, 0.0)},
        {**randomness.capture(), "numpy": ("PCG64", bytes(2496), 0, 0, 0.0)},
        {**randomness.capture(), "python": (3, bytes(2499), None)},
        {**randomness.capture(), "torch": b"short"},
        {**randomness.capture(), "torch": None},
    ],
    ids=["empty", "number", "none", "unpacked", "numpy", "numpy key", "numpy kind", "python", "torch", "no torch"],
)
def test_what_is_no_state_is_refused(state: Any) -> None:
    """As a state that cannot be restored."""
    with pytest.raises(StateError, match="saved random state"):
        randomness.restore(state)


def test_the_callers_numbers_are_preserved() -> None:
    """Whatever happens inside, also an exception, the caller's streams go on as if it had not been."""
    randomness.seed_everything(3)
    expected = draw()
    randomness.seed_everything(3)

    def disturb() -> None:
        with randomness.preserved():
            randomness.seed_everything(99)
            draw()
            raise LookupError

    with pytest.raises(LookupError):
        disturb()
    assert draw() == expected


# --- the import of torch, in processes of their own ------------------------------------------

BEFORE = "import torch\nimport hyperband.randomness as r\nr.seed_everything(11)\nprint(torch.rand(4).tolist())"


def numbers(code: str, *arguments: str) -> list[str]:
    """Lines that a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_torch_draws_the_same_numbers_whenever_it_is_imported() -> None:
    """Imported inside the user's function or before: same seed, same numbers; the latest seed wins; nothing is left."""
    late = """
import sys
import hyperband.randomness as r
assert "torch" not in sys.modules
finders = len(sys.meta_path)
r.seed_everything(11)
r.seed_torch_when_imported(5)
r.seed_torch_when_imported(11)
assert len(sys.meta_path) == finders + 1
import json.tool
import torch
print(torch.rand(4).tolist())
assert len(sys.meta_path) == finders
assert "randomness" not in repr(torch.__spec__.loader) + repr(torch.__loader__)
import inspect, torch.nn
assert inspect.getsource(torch)
r.seed_torch_when_imported(11)
assert len(sys.meta_path) == finders
print(torch.rand(4).tolist())
"""
    (before,) = numbers(BEFORE)
    assert numbers(late) == [before, before]


def test_a_seed_that_was_taken_back_does_not_matter() -> None:
    """Torch then seeds itself from the system; and so it does after a preserved block that imported it."""
    code = """
import sys
import hyperband.randomness as r
r.seed_torch_when_imported(5)
r.forget_torch_seed()
r.forget_torch_seed()
assert r._pending() is None
with r.preserved():
    r.seed_torch_when_imported(5)
assert r._pending() is None
r.seed_torch_when_imported(6)
with r.preserved():
    r.seed_torch_when_imported(5)
assert r._pending().seed == 6
r.forget_torch_seed()
assert "torch" not in sys.modules
with r.preserved():
    r.seed_torch_when_imported(5)
    import torch
    assert torch.initial_seed() == 5
print(torch.initial_seed())
with r.preserved():
    torch.manual_seed(5)
print(torch.initial_seed())
"""
    first, second = numbers(code), numbers(code)
    assert first != second
    assert first[0] == first[1] != "5"


def test_a_pending_seed_of_the_caller_holds_after_a_block_that_imported_torch() -> None:
    """The caller asked for it before, so it is what torch has afterwards."""
    code = """
import hyperband.randomness as r
r.seed_torch_when_imported(11)
with r.preserved():
    r.seed_torch_when_imported(5)
    import torch
    torch.rand(3)
print(torch.rand(4).tolist())
"""
    assert numbers(code) == numbers(BEFORE)


def test_a_state_with_torch_brings_torch_along() -> None:
    """A resume in a process that has not imported torch yet continues its stream all the same."""
    code = """
import pickle, sys
import hyperband.randomness as r
r.seed_torch_when_imported(5)
state = pickle.loads(bytes.fromhex(sys.argv[1]))
assert "torch" not in sys.modules
r.restore(state)
import torch
print(torch.rand(4).tolist())
"""
    randomness.seed_everything(8)
    torch.rand(5)
    state = pickle.dumps(randomness.capture())
    assert numbers(code, state.hex()) == [str(torch.rand(4).tolist())]


def test_an_import_that_fails_leaves_the_seed_waiting() -> None:
    """A broken torch raises its own error, as without us; a missing one is a ModuleNotFoundError."""
    code = """
import sys, os, tempfile
import hyperband.randomness as r
r.seed_torch_when_imported(5)
folder = tempfile.mkdtemp()
os.mkdir(folder + "/torch")
open(folder + "/torch/__init__.py", "w").write("raise RuntimeError('broken')")
sys.path.insert(0, folder)
try:
    import torch
except RuntimeError as error:
    print(error, r._pending().seed, "torch" in sys.modules)
sys.path[:] = []
sys.path_importer_cache.clear()
try:
    import torch
except ModuleNotFoundError as error:
    print(error)
"""
    assert numbers(code) == ["broken 5 False", "No module named 'torch'"]
