"""Layer 6: the bracket manager. It alone knows both sides, the pure search and the executor."""

from hyperband.manager.callbacks import Callback, Observers
from hyperband.manager.experiment import Experiment, check_name, differences, digest_of, search_from_header, with_unit
from hyperband.manager.launch import Code, Settings, begin, make_header, stored_code, take_up
from hyperband.manager.loop import Manager, Ports
from hyperband.manager.replay import Replayed, job_record, replay

__all__ = [
    "Callback",
    "Code",
    "Experiment",
    "Manager",
    "Observers",
    "Ports",
    "Replayed",
    "Settings",
    "begin",
    "check_name",
    "differences",
    "digest_of",
    "job_record",
    "make_header",
    "replay",
    "search_from_header",
    "stored_code",
    "take_up",
    "with_unit",
]
