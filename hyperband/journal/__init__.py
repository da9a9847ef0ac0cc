"""The append-only log of everything that was decided and everything that came back.

A directory of files ``000001.jsonl``, ``000002.jsonl`` ...: one per driver that opened the experiment (its *epoch*).
Each line is one JSON object that carries a consecutive number and a CRC chained to the line before, across files.
One process writes (``Journal``), any number reads at any time (``JournalReader``, ``read_records``).
"""

from hyperband.journal.reader import JournalReader, read_records
from hyperband.journal.writer import Journal

__all__ = ["Journal", "JournalReader", "read_records"]
