"""Pickling torch tensors so that they load on a machine without the device they came from.

Torch's own pickling of a CUDA tensor needs CUDA to load, and forgets that two views share their memory. Here every
storage is written once, from the CPU, and tensors refer to it. The names ``rebuild_storage``, ``rebuild_tensor`` and
``set_attributes`` stand in saved checkpoints: they are format, and stay.
"""

import pickle
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

#: What a pickle reducer returns.
Reduced: TypeAlias = tuple[Any, ...]


class StorageBytes:
    """The bytes of one torch storage, on the CPU; the pickler writes this object once and then refers to it."""

    __slots__ = ("_array",)

    def __init__(self, storage: "torch.UntypedStorage") -> None:
        import torch  # noqa: PLC0415 - only reached with tensors at hand

        flat = torch.empty(0, dtype=torch.uint8).set_(storage.cpu())  # type: ignore[no-untyped-call]
        self._array = flat.numpy()

    def __reduce__(self) -> Reduced:
        """Write the bytes without a copy of our own."""
        return rebuild_storage, (pickle.PickleBuffer(self._array),)  # type: ignore[arg-type]


def is_plain_tensor(tensor: "torch.Tensor") -> bool:
    """Tell whether a storage, an offset and strides are all there is to this tensor (attributes aside)."""
    import torch  # noqa: PLC0415

    return (
        type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or tensor.is_nested)
        and not tensor._backward_hooks  # noqa: SLF001 - torch has no public way to ask
    )


def reduce_tensor(tensor: "torch.Tensor", storages: dict[int, Any]) -> Reduced | None:
    """Return how to pickle ``tensor``, or None if torch's own way will do.

    Args:
        tensor: Any tensor.
        storages: The pickler's memory of the storages it wrote; they are kept alive there, so that no other storage
            can get the same address.
    """
    import torch  # noqa: PLC0415

    if not is_plain_tensor(tensor):
        if tensor.device.type in ("cpu", "meta"):
            return None
        moved = tensor.detach().cpu().requires_grad_(tensor.requires_grad)
        storages[id(moved)] = moved
        reduced: Reduced = moved.__reduce_ex__(pickle.HIGHEST_PROTOCOL)  # type: ignore[no-untyped-call]
        return reduced
    storage = tensor.untyped_storage()
    address = storage._cdata  # noqa: SLF001 - the identity of the memory; data_ptr is 0 for all empty ones
    if address not in storages:
        storages[address] = (StorageBytes(storage), storage)
    arguments = (
        storages[address][0],
        str(tensor.dtype).removeprefix("torch."),
        tensor.storage_offset(),
        tuple(tensor.size()),
        tensor.stride(),
        tensor.requires_grad,
        type(tensor) is torch.nn.Parameter,
    )
    if vars(tensor):
        return rebuild_tensor, arguments, dict(vars(tensor)), None, None, set_attributes
    return rebuild_tensor, arguments


def rebuild_storage(data: bytes | bytearray) -> "torch.UntypedStorage":
    """Inverse of ``StorageBytes``.

    The bytes are copied into memory that torch allocated, because results of some kernels depend on the alignment of
    their input, and continued training has to equal uninterrupted training bit for bit.
    """
    import torch  # noqa: PLC0415

    own = torch.empty(len(data), dtype=torch.uint8)
    if data:
        writable = data if isinstance(data, bytearray) else bytearray(data)  # torch warns of memory it may not write
        own.copy_(torch.frombuffer(writable, dtype=torch.uint8))
    return own.untyped_storage()


def rebuild_tensor(
    storage: "torch.UntypedStorage",
    dtype: str,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,  # noqa: FBT001 - positional in the pickle
    is_parameter: bool,  # noqa: FBT001
) -> "torch.Tensor":
    """Inverse of ``reduce_tensor`` for plain tensors."""
    import torch  # noqa: PLC0415

    tensor = torch.empty(0, dtype=getattr(torch, dtype)).set_(storage, offset, size, stride)
    if is_parameter:
        return torch.nn.Parameter(tensor, requires_grad)
    return tensor.requires_grad_(requires_grad)


def set_attributes(tensor: "torch.Tensor", attributes: dict[str, Any]) -> None:
    """Give the rebuilt tensor the attributes that the user hung on it."""
    vars(tensor).update(attributes)
