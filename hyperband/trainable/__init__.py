"""Layer 4: the contract with user code. Three shapes of trainable, one context, no I/O."""

from hyperband.trainable.context import Context, StatePort, as_numbers
from hyperband.trainable.identity import describe, locate
from hyperband.trainable.shapes import Adapter, Trainable, adapt

__all__ = ["Adapter", "Context", "StatePort", "Trainable", "adapt", "as_numbers", "describe", "locate"]
