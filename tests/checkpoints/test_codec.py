"""Laws of objects to bytes and back."""

import collections
import functools
import pickle
import random
import sys
import threading
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.checkpoints import Encoded, codec, decode, encode
from hyperband.errors import FormatVersionError, StateError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=15,
)
DTYPES = [
    np.bool_,
    np.int8,
    np.uint16,
    np.int64,
    np.float16,
    np.float32,
    np.float64,
    np.complex64,
    "datetime64[s]",
    "S3",
    "U2",
]


def roundtrip(obj: Any) -> Any:
    """Through bytes and back."""
    return decode(encode("state", obj))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(PLAIN)
def test_plain_data_comes_back_equal_and_of_the_same_types(obj: Any) -> None:
    """Numbers, text, bytes and containers of them, nested at will."""
    again = roundtrip(obj)
    assert again == obj
    assert repr(again) == repr(obj)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(PLAIN)
def test_plain_data_with_a_tensor_in_it_comes_back_too(obj: Any) -> None:
    """Whichever codec the tensor leads to."""
    again, tensor = roundtrip((obj, torch.tensor([1.5, -0.0])))
    assert again == obj
    assert repr(again) == repr(obj)
    assert torch.equal(tensor, torch.tensor([1.5, -0.0]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_bit_for_bit(dtype: Any, order: Any) -> None:
    """Dtype, shape, memory order and every bit, NaN payloads included."""
    bits = np.random.default_rng(3).integers(0, 2, 8 * 12 * np.dtype(dtype).itemsize, dtype=np.uint8)
    array = np.packbits(bits).view(np.uint8)[: 12 * np.dtype(dtype).itemsize]
    if dtype == "U2":
        array = array & np.array([0x7F, 0, 0, 0] * 24, dtype=np.uint8)
    shaped = np.asarray(array.view(dtype).reshape(3, 4), order=order)
    again = roundtrip({"a": shaped})["a"]
    assert again.dtype == shaped.dtype
    assert again.flags.f_contiguous == shaped.flags.f_contiguous
    assert again.tobytes() == shaped.tobytes()


TENSORS = {
    "bf16": torch.tensor([1.0, 3.14159, float("nan")], dtype=torch.bfloat16),
    "half": torch.tensor([[1.0], [2.0]], dtype=torch.float16),
    "bool": torch.tensor([True, False]),
    "complex": torch.tensor([1 + 2j]),
    "uint8": torch.arange(5, dtype=torch.uint8),
    "scalar": torch.tensor(3),
    "empty": torch.empty(0, 3),
    "strided": torch.arange(12.0).reshape(3, 4).t()[1:, ::2],
    "expanded": torch.tensor([2.0]).expand(4),
    "gradient": torch.tensor([1.0], requires_grad=True),
    "parameter": torch.nn.Parameter(torch.tensor([1.0])),
    "frozen": torch.nn.Parameter(torch.tensor([1]), requires_grad=False),
    "sparse": torch.eye(3).to_sparse(),
    "conjugate": torch.tensor([1 + 2j]).conj(),
    "meta": torch.empty(3, device="meta"),
}


@pytest.mark.parametrize("wrap", [lambda t: {"t": t}, lambda t: {"t": t, "other": {1}}], ids=["torch", "pickle"])
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_keep_type_dtype_shape_and_gradient_flag(name: str, wrap: Any) -> None:
    """By either codec."""
    tensor = TENSORS[name]
    again = roundtrip(wrap(tensor))["t"]
    assert type(again) is type(tensor)
    assert (again.dtype, again.shape, again.requires_grad) == (tensor.dtype, tensor.shape, tensor.requires_grad)
    if name != "meta":
        assert torch.equal(torch.nan_to_num(again.to_dense()), torch.nan_to_num(tensor.to_dense()))
    if name == "strided":
        assert again.stride() == tensor.stride()


@pytest.mark.parametrize("extra", [None, {1}], ids=["torch", "pickle"])
def test_sharing_within_an_entry_survives(extra: Any) -> None:
    """The same list stays the same list, two views stay views of one memory, tied weights stay tied."""
    base = torch.arange(6.0)
    weight = torch.nn.Parameter(torch.ones(2))
    shared = [1]
    again = roundtrip(
        {"extra": extra, "a": shared, "b": shared, "base": base, "view": base[2:4], "w": weight, "v": weight}
    )
    assert again["a"] is again["b"]
    again["base"][2] = 77.0
    assert again["view"][0] == 77.0
    assert again["w"] is again["v"]


def test_a_state_dict_is_read_without_running_code() -> None:
    """What torch can read with weights_only is written by torch; everything else is named pickle."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state = model.state_dict()
    encoded = encode("model", state)
    assert encoded.codec == "torch"
    again = decode(encoded)
    assert type(again) is OrderedDict
    assert list(again) == list(state)
    assert again._metadata == state._metadata  # type: ignore[attr-defined]
    assert encode("x", {"a": 1}).codec == "pickle"
    assert encode("x", {"a": torch.zeros(1), "f": len}).codec == "pickle"
    assert encode("x", {"a": np.zeros(1), "b": torch.zeros(1)}).codec == "pickle"


def test_encoding_copies() -> None:
    """Training on after the encode does not change what was encoded."""
    array, tensor, model = np.zeros(3), torch.zeros(3), torch.nn.Linear(1, 1)
    encoded = [encode("x", obj) for obj in (array, {"t": tensor}, {"t": tensor, "s": {1}}, model.state_dict())]
    before = model.weight.item()
    array += 1
    tensor += 1
    with torch.no_grad():
        model.weight += 1
    assert not decode(encoded[0]).any()
    assert not decode(encoded[1])["t"].any()
    assert not decode(encoded[2])["t"].any()
    assert decode(encoded[3])["weight"].item() == before


def test_modules_functions_and_local_classes_travel() -> None:
    """Cloudpickle's reach: closures, lambdas, classes that exist only here."""

    class Local:
        def __init__(self) -> None:
            self.net = torch.nn.Linear(2, 1)
            self.net.weight.tag = "mine"  # type: ignore[assignment]

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x) * factor

    factor = 3.0
    local = Local()
    again = roundtrip({"local": local, "twice": lambda x: 2 * x})
    x = torch.ones(1, 2)
    assert torch.equal(again["local"](x), local(x))
    assert again["local"].net.weight.tag == "mine"
    assert again["twice"](4) == 8


def test_cycles_and_deep_lists_survive() -> None:
    """Structures that refer to themselves, with and without tensors."""
    cyclic: dict[str, Any] = {"t": torch.zeros(1)}
    cyclic["self"] = cyclic
    again = roundtrip(cyclic)
    assert again["self"] is again
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert roundtrip(deep) == deep


class Number(float):
    """A number of a class of our own."""


PLAIN_ARRAYS: list[Any] = [
    {"w": np.zeros(3), "loss": np.float64(0.5), "steps": [np.int64(3), np.float32(1), np.bool_(True)]},
    ({1, "a"}, frozenset({2}), b"x", bytearray(b"y"), 1 + 2j, {"k": {(1, 2): [None]}}),
    [np.array(["a", "bc"]), np.zeros((2, 3), order="F"), np.zeros(4)[::2], np.array(3), np.zeros(0)],
]
NOT_PLAIN: list[Any] = [
    Number(1),
    [np.array([Number(1)], dtype=object)],
    {"f": len},
    {"c": Number},
    np.zeros(2, dtype=[("a", int), ("b", float)]),
    np.zeros(2).view(np.recarray),
    np.ma.masked_array([1, 2], [True, False]),
    OrderedDict(a=1),
    list(range(1000)),
    collections.Counter("aab"),
]


@pytest.mark.parametrize("obj", PLAIN_ARRAYS + NOT_PLAIN, ids=repr)
def test_small_plain_data_is_written_as_ever_only_faster(obj: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same codec, same bytes, same versions as through the general pickler; and only plain data goes that way."""
    quick = encode("x", obj)
    monkeypatch.setattr(codec, "_plain_libraries", lambda _: None)
    general = encode("x", obj)
    assert quick == general
    if not any(obj is other for other in NOT_PLAIN):
        assert quick.written_by == general.written_by
    assert repr(decode(quick)) == repr(obj)


@pytest.mark.parametrize("obj", NOT_PLAIN, ids=repr)
def test_what_is_not_small_and_plain_goes_through_the_general_pickler(obj: Any) -> None:
    """Subclasses, functions, classes and arrays of objects may need more than the standard one."""
    assert codec._plain_libraries(obj) is None


def test_versions_of_what_is_inside_are_recorded() -> None:
    """Python always; libraries if their objects are in it."""
    assert [name for name, _ in encode("x", {"a": 1}).written_by] == ["python"]
    assert ("numpy", np.__version__) in encode("x", np.zeros(1)).written_by
    assert ("torch", str(torch.__version__)) in encode("x", torch.zeros(1)).written_by
    assert ("torch", str(torch.__version__)) in encode("x", {"m": torch.nn.Linear(1, 1)}).written_by


# --- what cannot be saved --------------------------------------------------------------------


class Optimizer:
    """An object with a part that cannot be saved."""

    def __init__(self, lock: Any) -> None:
        self.rate = 0.1
        self.lock = lock


class Slotted:
    """The same with slots."""

    __slots__ = ("lock", "rate")

    def __init__(self, lock: Any) -> None:
        self.rate = 0.1
        self.lock = lock


def closure_over(lock: Any) -> Any:
    """A function that carries ``lock``."""
    return lambda: lock


LOCK = threading.Lock()
UNSAVABLE = {
    "state.lock": types.SimpleNamespace(lock=LOCK),
    "state.optimizer.lock": types.SimpleNamespace(optimizer=Optimizer(LOCK), fine=Optimizer(3)),
    'state["a"][1].lock': {"a": [1, Slotted(LOCK)], "b": LOCK},
    "state['two words'][0]": {"two words": (LOCK,)},
    "state[3][0]": collections.deque([1, 2, 3, [LOCK]]),
    "state.<element>": {1, "a", LOCK},
    "state.<closure>.lock": closure_over(LOCK),
    "state.args[1]": functools.partial(max, 1, LOCK),
    'state["m"].__self__.lock': {"m": types.MethodType(lambda self: 1, Optimizer(LOCK))},
}


@pytest.mark.parametrize("path", UNSAVABLE)
def test_the_part_that_cannot_be_saved_is_named(path: str) -> None:
    """By its path from the name of the entry, with its type and what to do."""
    with pytest.raises(StateError) as caught:
        encode("state", UNSAVABLE[path])
    assert str(caught.value).startswith(f"`{path}` is a `_thread.lock`, which cannot be saved (TypeError: ")
    assert "define `__getstate__`" in str(caught.value)


def test_generators_files_and_sockets_are_named_too(tmp_path: Path) -> None:
    """The usual things that people leave in a state."""
    with (
        (tmp_path / "f").open("wb") as file,
        pytest.raises(StateError, match=r"`state\[0\]` is a `_io.BufferedWriter`"),
    ):
        encode("state", [file])
    with pytest.raises(StateError, match=r'`state\["batches"\]` is a `generator`'):
        encode("state", {"batches": (i for i in range(3))})


def test_an_error_of_the_users_own_code_is_reported_at_its_object() -> None:
    """A __getstate__ that raises names the object and keeps the words."""
    words = "not now"

    class Broken:
        def __getstate__(self) -> Any:
            raise ValueError(words)

    with pytest.raises(StateError, match=r"`state\.part` is a `.*Broken`.*ValueError: not now"):
        encode("state", types.SimpleNamespace(part=Broken()))


def test_nesting_without_end_is_an_error_and_no_crash() -> None:
    """A structure deeper than pickle can go."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(StateError, match="cannot be saved"):
        encode("state", deep)
    while deep:
        deep = deep.pop()


def test_a_class_that_has_moved_is_named_with_codec_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader learns which class, which codec and which versions wrote it."""
    module = types.ModuleType("my_models")
    exec("class Net:\n    pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "my_models", module)
    encoded = encode("model", {"net": module.Net(), "n": np.zeros(1)})
    del module.Net
    with pytest.raises(StateError) as caught:
        decode(encoded, "model")
    for part in ("`model`", "`my_models.Net`", "codec `pickle`", "numpy " + np.__version__, "python 3."):
        assert part in str(caught.value)
    monkeypatch.delitem(sys.modules, "my_models")
    with pytest.raises(StateError, match=r"`my_models\.Net` is needed and cannot be imported"):
        decode(encoded, "model")


def test_the_torch_codec_never_falls_back_to_running_code() -> None:
    """Bytes that need code are refused although they would load with weights_only=False."""
    import io

    buffer = io.BytesIO()
    torch.save({"x": random.Random(3)}, buffer)
    with pytest.raises(StateError, match="codec `torch`"):
        decode(Encoded("torch", buffer.getvalue()))


def test_an_unknown_codec_is_refused() -> None:
    """It was written by a later version."""
    with pytest.raises(FormatVersionError, match="zip"):
        decode(Encoded("zip", b""))


def test_encoded_bytes_can_be_sent_to_another_process() -> None:
    """They are plain values."""
    encoded = encode("x", {"a": np.zeros(3)})
    assert pickle.loads(pickle.dumps(encoded)) == encoded
