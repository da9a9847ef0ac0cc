"""A local Ray is private, and leaves nothing behind: sockets, files, variables, processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]

SCRIPT = '''
import json, os, stat, sys
from pathlib import Path
import hyperband as hb
from hyperband.testing.trainables import chain

def descendants(pid):
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
        except OSError:
            pass
    found, queue = [pid], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found

def listening():
    """Addresses on which a process of ours listens."""
    inodes = set()
    for pid in descendants(os.getpid()):
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return sorted(found)

seen = {}

class Look(hb.Callback):
    def on_record(self, record):
        if record["type"] == "committed" and not seen:
            seen["listening"] = listening()
            mine = f"_{os.getpid()}"
            temporary = [p for p in Path("/tmp").glob("hb-*") if any(mine in s.name for s in p.glob("r/session_*"))]
            seen["temporary"] = [[str(p), stat.S_IMODE(p.stat().st_mode)] for p in temporary]
            token = Path.home() / ".ray" / "auth_token"
            seen["token_mode"] = stat.S_IMODE(token.stat().st_mode) if token.exists() else None
            seen["auth"] = os.environ.get("RAY_AUTH_MODE")

before = dict(os.environ)
result = hb.run(chain, {"x": hb.uniform(0, 1)}, metric="loss", mode="min", max_resource=9, storage=sys.argv[1],
                callbacks=[Look()], progress="off", max_concurrent=2)
again = hb.run(chain, {"x": hb.uniform(0, 1)}, metric="loss", mode="min", max_resource=3, storage=sys.argv[1],
               progress="off", max_concurrent=1)
seen["left"] = descendants(os.getpid())[1:]
seen["changed"] = sorted(k for k in {**before, **os.environ} if before.get(k) != os.environ.get(k))
seen["gone"] = not any(Path(p).exists() for p, _ in seen["temporary"])
seen["status"] = [result.status, again.status]
print(json.dumps(seen))
'''


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a run on a fresh local Ray looked like from inside, and what was left of it."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home / "runs")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_it_listens_on_loopback_alone(seen: dict[str, object]) -> None:
    """127.0.0.1 is 0100007F in the kernel's table; ::1 its IPv6 sibling; ::ffff:127.0.0.1 the mapped form."""
    assert seen["listening"]
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    assert set(seen["listening"]) <= loopback  # type: ignore[call-overload]


def test_it_asks_for_a_token_that_only_the_user_can_read(seen: dict[str, object]) -> None:
    """Whoever reaches the ports of a Ray cluster can run code on it."""
    assert seen["auth"] == "token"
    assert seen["token_mode"] == 0o600


def test_its_directory_is_closed_to_others_and_goes_with_it(seen: dict[str, object]) -> None:
    """Mode 0700 while it lives; removed afterwards."""
    assert [mode for _, mode in seen["temporary"]] == [0o700]  # type: ignore[attr-defined]
    assert seen["gone"]


def test_it_leaves_no_process_and_no_variable_behind_and_starts_again(seen: dict[str, object]) -> None:
    """Two runs in one process, one after another; but for what importing Ray sets, the variables are as before."""
    assert seen["status"] == ["finished", "finished"]
    assert seen["left"] == []
    assert set(seen["changed"]) <= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "RAY_CLIENT_MODE"}  # type: ignore[call-overload]


def test_a_ray_that_was_there_before_is_used_and_left_running(ray_cluster: None, tmp_path: Path) -> None:
    """Attaching is not owning."""
    import ray

    import hyperband as hb
    from hyperband.testing.trainables import chain

    nodes = [node["NodeID"] for node in ray.nodes()]
    options: dict[str, object] = {"metric": "loss", "mode": "min", "max_resource": 3, "progress": "off"}
    hb.run(chain, {"x": hb.uniform(0, 1)}, storage=tmp_path, **options)  # type: ignore[arg-type]
    assert ray.is_initialized()
    assert [node["NodeID"] for node in ray.nodes()] == nodes
