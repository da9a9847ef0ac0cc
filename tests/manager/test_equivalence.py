"""One experiment is one result: on any executor, with any number of workers, after any crash."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import hyperband as hb
from hyperband.checkpoints import CheckpointStore
from hyperband.errors import DamagedError, ReplayError
from hyperband.journal import read_records
from hyperband.journal.record import encode_line
from hyperband.manager import Experiment, replay, search_from_header
from hyperband.messages import Checkpoint
from hyperband.testing.outcomes import Outcome, outcome_of
from hyperband.testing.trainables import NoisyObject, chain, noisy_loop

SPACE = {"x": hb.uniform(0, 1), "kind": hb.choice({"a": {}, "b": {"y": hb.randint(5)}})}


def run(storage: Path, name: str, trainable: object = chain, max_resource: int = 9, **more: object) -> Outcome:
    """Run synchronous Hyperband and return what must be invariant."""
    options = {"executor": "inline", "durability": "none", "progress": "off", "handle_signals": False, **more}
    result = hb.run(
        trainable,
        SPACE,
        metric="loss",
        mode="min",
        scheduler=hb.Hyperband(max_resource, 3),
        storage=storage,
        name=name,
        seed=11,
        **options,
    )
    return outcome_of(result.path)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("trainable", [chain, noisy_loop, NoisyObject], ids=["function", "loop", "class"])
def test_inline_simulated_and_ray_with_1_2_and_4_workers_are_one_experiment(trainable: object, storage: Path) -> None:
    """Same configs, same rung tables, same states to the byte, same winner."""
    inline = run(storage, "inline", trainable, 27)
    assert inline.winner is not None
    assert len(inline.configs) == 49
    for workers in (1, 7):
        executor = hb.Simulated(workers, cost=lambda job: 1 + (job.trial * 7919) % 13)
        simulated = run(storage, f"simulated-{workers}", trainable, 27, executor=executor)
        assert (simulated, simulated.digests) == (inline, inline.digests)
    ray = [run(storage, f"ray-{n}", trainable, 27, executor="ray", max_concurrent=n) for n in (1, 2, 4)]
    assert ray == [inline] * 3
    # Whether torch is imported differs between this process and the workers, and its random state is saved if it is.
    assert ray[0].digests == ray[1].digests == ray[2].digests


def copy_until(source: Path, target: Path, records: int) -> None:
    """Make the experiment that a crash after so many records would have left: journal cut, checkpoints as they were."""
    lines = (source / "journal" / "000001.jsonl").read_bytes().splitlines(keepends=True)
    target.mkdir(parents=True)
    (target / "journal").mkdir()
    (target / "journal" / "000001.jsonl").write_bytes(b"".join(lines[:records]))
    shutil.copytree(source / "kept", target / "checkpoints")
    shutil.copy(source / "trainable.pkl", target)


@contextmanager
def keeping(kept: Path) -> Iterator[None]:
    """Also keep a copy of every checkpoint that is deleted, as a crash before the deletion would."""
    delete = CheckpointStore.delete

    def keep_and_delete(store: CheckpointStore, checkpoint: Checkpoint) -> None:
        kept.mkdir(exist_ok=True)
        shutil.copy(store.root / store.file_of(checkpoint), kept)
        delete(store, checkpoint)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointStore, "delete", keep_and_delete)
        yield
    shutil.copytree(kept.parent / "checkpoints", kept, dirs_exist_ok=True)


@pytest.fixture
def recorded(storage: Path) -> tuple[Path, Outcome]:
    """An undisturbed run of 17 trials that also kept every checkpoint, in the directory ``kept``."""
    with keeping(storage / "whole" / "kept"):
        outcome = run(storage, "whole")
    return storage / "whole", outcome


def test_a_crash_after_any_record_changes_nothing(recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    """Cut the journal after each record, resume: same winner, rungs, states and commits as undisturbed."""
    source, undisturbed = recorded
    total = len((source / "journal" / "000001.jsonl").read_bytes().splitlines())
    assert total > 80
    for records in range(2, total):
        target = tmp_path / "cut" / str(records)
        copy_until(source, target, records)
        result = hb.resume(target, executor="inline", progress="off", handle_signals=False)
        assert outcome_of(result.path) == undisturbed, f"after {records} records"


def test_a_second_crash_during_recovery_changes_nothing(recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    """Cut, resume, cut the second journal file somewhere, resume again."""
    source, undisturbed = recorded
    for first in (20, 45, 70):
        whole = tmp_path / f"{first}-whole"
        copy_until(source, whole, first)
        with keeping(whole / "kept"):
            hb.resume(whole, executor="inline", progress="off", handle_signals=False)
        lines = (whole / "journal" / "000002.jsonl").read_bytes().splitlines(keepends=True)
        for second in range(0, len(lines), 9):
            target = tmp_path / f"{first}-{second}"
            copy_until(whole, target, first)
            (target / "journal" / "000002.jsonl").write_bytes(b"".join(lines[:second]))
            hb.resume(target, executor="inline", progress="off", handle_signals=False)
            assert outcome_of(target) == undisturbed, f"cut at {first} and {second}"


def test_a_crash_before_the_header_leaves_nothing_in_the_way(recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    """Nothing was decided yet: the same call simply begins again."""
    source, undisturbed = recorded
    target = tmp_path / "early" / "again"
    copy_until(source, target, 1)
    shutil.rmtree(target / "checkpoints")
    assert run(tmp_path / "early", "again") == undisturbed


def test_a_moved_experiment_resumes(recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    """No absolute path is in it."""
    source, undisturbed = recorded
    copy_until(source, tmp_path / "here", 40)
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "here", tmp_path / "elsewhere" / "there")
    hb.resume(tmp_path / "elsewhere" / "there", progress="off", handle_signals=False)
    assert outcome_of(tmp_path / "elsewhere" / "there") == undisturbed


def test_every_journal_replays_to_the_state_it_died_in(recorded: tuple[Path, Outcome]) -> None:
    """Live state is the fold of the journal, for each prefix of it."""
    source, _ = recorded
    experiment = Experiment(source)
    records = list(read_records(experiment.journal))
    for length in range(2, len(records) + 1):
        search = search_from_header(experiment.header())
        replay(search, records[:length])
        search.check_invariants()
    assert search.finished


def rewrite(source: Path, target: Path, change: object) -> None:
    """Copy a journal with changed records and correct checksums, as somebody who edits with care would."""
    target.mkdir(parents=True)
    crc = 0
    with (target / "000001.jsonl").open("wb") as file:
        for seq, record in enumerate(read_records(source), start=1):
            body = {key: value for key, value in record.items() if key not in {"seq", "crc"}}
            change(body)  # type: ignore[operator]
            line, crc = encode_line(body, seq, crc)
            file.write(line)


@pytest.mark.parametrize("kind", ["promote", "stop", "start", "resume", "release", "committed"])
def test_a_changed_decision_is_refused_with_its_line(kind: str, recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    """Even with a correct checksum: what does not come out again is not believed."""
    source, _ = recorded
    seen = []

    def change(body: dict[str, object]) -> None:
        if body["type"] == kind and not seen:
            seen.append(body)
            if kind == "release":
                body["checkpoint"] = [0, 1, 9, "00", 1]
            elif kind == "committed":
                body["metrics"] = {"loss": -1000.0}
                body["trial"] = 3
            else:
                body["trial"] = 12

    rewrite(source / "journal", tmp_path / "journal", change)
    experiment = Experiment(tmp_path)
    with pytest.raises(ReplayError, match=r"journal line \d+"):
        replay(search_from_header(experiment.header()), read_records(experiment.journal))


def test_a_journal_edited_by_one_byte_is_refused(recorded: tuple[Path, Outcome], tmp_path: Path) -> None:
    """Each byte of a line in the middle, and one byte of every other line."""
    source, _ = recorded
    content = (source / "journal" / "000001.jsonl").read_bytes()
    starts = [0, *[i + 1 for i, byte in enumerate(content) if byte == ord("\n")][:-1]]
    middle = starts[30]
    places = [*range(middle, starts[31]), *(start + 25 for start in starts[:-1])]
    for place in places:
        target = tmp_path / str(place)
        copy_until(source, target, 10_000)
        edited = bytearray(content)
        edited[place] ^= 1
        (target / "journal" / "000001.jsonl").write_bytes(edited)
        with pytest.raises(DamagedError):
            hb.resume(target, progress="off", handle_signals=False)
        assert (target / "journal" / "000001.jsonl").read_bytes() == bytes(edited)
        shutil.rmtree(target)


def test_a_finished_experiment_is_only_read(recorded: tuple[Path, Outcome]) -> None:
    """Resuming it writes nothing."""
    source, undisturbed = recorded
    before = sorted((p, p.stat().st_mtime_ns) for p in source.rglob("*") if p.is_file())
    result = hb.resume(source, progress="off")
    assert sorted((p, p.stat().st_mtime_ns) for p in source.rglob("*") if p.is_file()) == before
    assert undisturbed.winner is not None
    assert result.best.trial == undisturbed.winner[0]


def test_a_journal_file_is_json_lines(recorded: tuple[Path, Outcome]) -> None:
    """Anybody can read it without this package."""
    source, _ = recorded
    lines = (source / "journal" / "000001.jsonl").read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
