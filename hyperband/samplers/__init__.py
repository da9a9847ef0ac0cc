"""Samplers: who proposes the next config. They know spaces and nothing of schedulers."""

from hyperband.samplers.base import History, Observation, Sampler
from hyperband.samplers.grid import GridSampler
from hyperband.samplers.names import resolve_sampler, sampler_from_json, sampler_to_json
from hyperband.samplers.random import RandomSampler
from hyperband.samplers.streams import config_rng, trial_seed

__all__ = [
    "GridSampler",
    "History",
    "Observation",
    "RandomSampler",
    "Sampler",
    "config_rng",
    "resolve_sampler",
    "sampler_from_json",
    "sampler_to_json",
    "trial_seed",
]
