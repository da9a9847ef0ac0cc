"""What `import hyperband` costs, measured in fresh interpreters."""

import json
import subprocess
import sys

LIMIT = 0.3  # seconds
HEAVY = ("ray", "torch", "pandas")

PROBE = f"""
import json, sys, time
start = time.perf_counter()
import hyperband
seconds = time.perf_counter() - start
print(json.dumps([seconds, [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def probe() -> tuple[float, list[str]]:
    """Import the package in a new process; return the seconds it took and the heavy modules it pulled in."""
    done = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    seconds, heavy = json.loads(done.stdout)
    return seconds, heavy


def test_importing_the_package_is_quick_and_pulls_in_nothing_heavy() -> None:
    """The best of three takes under 0.3 s, and neither ray nor torch nor pandas is loaded."""
    runs = [probe() for _ in range(3)]
    assert [heavy for _, heavy in runs] == [[], [], []]
    assert min(seconds for seconds, _ in runs) < LIMIT
