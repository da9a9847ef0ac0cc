"""Durable states of trials: objects to bytes, and bytes to immutable, verified files.

``codec`` turns an object into ``Encoded`` bytes and back, ``stateful`` reads and writes the state of live objects
in place, and ``store`` commits named entries as one checkpoint, which nobody changes afterwards.
"""

from hyperband.checkpoints.codec import Encoded, decode, encode
from hyperband.checkpoints.stateful import capture, restore
from hyperband.checkpoints.store import PACK_BYTES, SMALL, CheckpointStore, Saved

__all__ = ["PACK_BYTES", "SMALL", "CheckpointStore", "Encoded", "Saved", "capture", "decode", "encode", "restore"]
