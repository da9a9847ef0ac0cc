"""Layer 8: the command line. ``hyperband --help`` imports neither Ray nor torch."""

from hyperband.cli.main import main

__all__ = ["main"]
