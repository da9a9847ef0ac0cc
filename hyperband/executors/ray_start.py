"""How a private Ray is started: quietly, on loopback, with files that only the user can read, and not half-way."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator

from ray._private import ray_constants


@contextlib.contextmanager
def no_lecture() -> Iterator[None]:
    """Keep Ray from announcing that token authentication is on; it always is for a local start, and should be."""
    logger = logging.getLogger("ray._private.authentication.authentication_token_setup")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def loopback_only() -> Iterator[None]:
    """Let Ray bind to 127.0.0.1 and nothing else, as it does by itself on macOS and Windows but not on Linux."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while Ray starts: interrupted half-way, it crashes the process; raise it right afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        raise KeyboardInterrupt


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Let what Ray writes while it starts, its token above all, be readable by this user alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def restore_environment(before: dict[str, str | None]) -> None:
    """Take back the variables that Ray sets in the driver and leaves behind."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


#: Variables that ``ray.init`` sets in the driver; the first would send a later ``breakpoint()`` to Ray.
RAY_SETS = (
    "PYTHONBREAKPOINT",
    "RAY_AUTH_MODE",
    "RAY_CLIENT_MODE",
    "RAY_USAGE_STATS_ENABLED",
    "RAY_gcs_rpc_server_reconnect_timeout_s",
)
