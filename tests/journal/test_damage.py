"""What a journal does when its bytes are not those that were written: every byte, every cut, every shuffle."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperband.clock import VirtualClock
from hyperband.errors import FormatVersionError, JournalDamagedError
from hyperband.journal import Journal, read_records
from hyperband.journal.record import encode_line

Files = dict[str, bytes]
SPECIAL = (0x00, 0x0A, 0x0D, 0x20, 0x22, 0x2C, 0x30, 0x7B, 0x7D, 0xFF)


def names(directory: Path) -> list[Path]:
    """The epoch files, oldest first."""
    return sorted(directory.glob("*.jsonl"))


def content(directory: Path) -> Files:
    """Everything in the directory except the lock."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def is_prefix(records: list[dict[str, object]], whole: list[dict[str, object]]) -> bool:
    """Whether a reader was shown the beginning of what was written, and nothing else."""
    return records == whole[: len(records)]


@pytest.fixture
def scratch(two_epochs: Path, tmp_path: Path) -> Iterator[Callable[[Files], Path]]:
    """Write changed files into a directory of their own, again and again."""
    target = tmp_path / "damaged" / "journal"

    def write(files: Files) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name, data in files.items():
            (target / name).write_bytes(data)
        return target

    yield write
    shutil.rmtree(target, ignore_errors=True)


def test_every_edit_of_one_byte_is_refused_or_is_the_last_newline(
    two_epochs: Path, scratch: Callable[[Files], Path]
) -> None:
    """For every byte of every file and ten other values of it (plus its neighbours) the reader refuses.

    The one exception is the very last newline: without it the last line is torn, which costs that record only.
    """
    good = content(two_epochs)
    whole = list(read_records(two_epochs))
    target = scratch(good)
    last = max(good)
    for name, data in good.items():
        path = target / name
        for position, byte in enumerate(data):
            for value in {*SPECIAL, byte ^ 1, byte ^ 0x20, byte ^ 0x80} - {byte}:
                path.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
                if (name, position) == (last, len(data) - 1):
                    assert list(read_records(target)) == whole[:-1]
                else:
                    with pytest.raises(JournalDamagedError):
                        list(read_records(target))
        path.write_bytes(data)


def test_damage_is_located_and_nothing_is_changed(
    two_epochs: Path, scratch: Callable[[Files], Path], clock: VirtualClock
) -> None:
    """The message has file, line and byte offset; a writer leaves the files alone and takes no epoch."""
    good = content(two_epochs)
    lines = good["000002.jsonl"].splitlines(keepends=True)
    bad = dict(good)
    bad["000002.jsonl"] = lines[0] + lines[1].replace(b"0.5", b"0.6") + lines[2]
    target = scratch(bad)
    where = rf"000002\.jsonl` is damaged at line 2 \(byte {len(lines[0])}\).*Nothing was changed"
    with pytest.raises(JournalDamagedError, match=where):
        Journal.open(target, clock)
    assert content(target) == bad


def test_cut_at_every_byte_the_last_file_reads_as_a_prefix_and_is_repaired(
    two_epochs: Path, scratch: Callable[[Files], Path], clock: VirtualClock
) -> None:
    """A torn tail costs one record: readers pass over it, a writer keeps it aside, and the journal goes on."""
    good = content(two_epochs)
    whole = list(read_records(two_epochs))
    data = good["000002.jsonl"]
    for length in range(len(data)):
        target = scratch(good | {"000002.jsonl": data[:length]})
        kept = 3 + data[:length].count(b"\n")
        tail = data[:length].rpartition(b"\n")[2]
        assert list(read_records(target)) == whole[:kept]
        assert content(target)["000002.jsonl"] == data[:length]
        with Journal.open(target, clock, durability="none") as journal:
            assert (journal.repaired is not None) == bool(tail)
            assert list(journal.records()) == whole[:kept]
            assert journal.append({"type": "more"}) == kept + 2
        assert content(target).get("000002.jsonl.torn-1", b"") == tail
        assert [record["seq"] for record in read_records(target)] == list(range(1, kept + 3))


def test_cut_at_every_byte_an_earlier_file_is_damage(two_epochs: Path, scratch: Callable[[Files], Path]) -> None:
    """Only the last file can have a torn tail."""
    good = content(two_epochs)
    data = good["000001.jsonl"]
    for length in range(len(data)):
        target = scratch(good | {"000001.jsonl": data[:length]})
        with pytest.raises(JournalDamagedError):
            list(read_records(target))


def test_a_torn_line_before_an_empty_file_is_damage(two_epochs: Path, scratch: Callable[[Files], Path]) -> None:
    """A driver cuts the tail before it creates its file, so this cannot come from a crash."""
    good = content(two_epochs)
    target = scratch(good | {"000002.jsonl": good["000002.jsonl"][:-1], "000003.jsonl": b""})
    with pytest.raises(JournalDamagedError, match="newline is missing"):
        list(read_records(target))


@pytest.mark.parametrize("zeros", [1, 17, 4096])
@pytest.mark.parametrize("torn", [0, 30])
def test_a_tail_of_zeros_is_torn(
    two_epochs: Path, scratch: Callable[[Files], Path], clock: VirtualClock, zeros: int, torn: int
) -> None:
    """What a power cut leaves behind where data never reached the disk."""
    good = content(two_epochs)
    data = good["000002.jsonl"]
    line = data[: data.index(b"\n") + 1]
    target = scratch(good | {"000002.jsonl": data + line[:torn] + bytes(zeros)})
    assert len(list(read_records(target))) == 6
    with Journal.open(target, clock, durability="none") as journal:
        assert journal.repaired is not None
        assert f"{torn + zeros} bytes after byte {len(data)}" in journal.repaired
    assert content(target)["000002.jsonl"] == data
    assert content(target)["000002.jsonl.torn-1"] == line[:torn] + bytes(zeros)


def test_zeros_with_a_newline_after_them_are_damage(two_epochs: Path, scratch: Callable[[Files], Path]) -> None:
    """Something complete follows, so this is no tail."""
    good = content(two_epochs)
    target = scratch(good | {"000002.jsonl": good["000002.jsonl"] + bytes(64) + b"\n"})
    with pytest.raises(JournalDamagedError):
        list(read_records(target))


def test_torn_tails_are_never_overwritten(
    two_epochs: Path, scratch: Callable[[Files], Path], clock: VirtualClock
) -> None:
    """A side file that is there already keeps its content."""
    good = content(two_epochs)
    taken = {"000002.jsonl": good["000002.jsonl"] + b"{", "000002.jsonl.torn-1": b"older"}
    target = scratch(good | taken)
    Journal.open(target, clock, durability="none").close()
    assert content(target)["000002.jsonl.torn-1"] == b"older"
    assert content(target)["000002.jsonl.torn-2"] == b"{"


def test_swapped_dropped_and_doubled_lines_are_damage(two_epochs: Path, scratch: Callable[[Files], Path]) -> None:
    """Every line has one place. Only dropping from the very end gives a legal, shorter journal."""
    good = content(two_epochs)
    for name, data in good.items():
        lines = data.splitlines(keepends=True)
        shuffled = [[*lines[:i], *lines[i + 1 :]] for i in range(len(lines) - (name == max(good)))]
        shuffled += [[*lines[:i], lines[j], *lines[i:]] for i in range(len(lines) + 1) for j in range(len(lines))]
        for i in range(len(lines)):
            for j in range(i):
                swapped = list(lines)
                swapped[i], swapped[j] = swapped[j], swapped[i]
                shuffled.append(swapped)
        for changed in shuffled:
            target = scratch(good | {name: b"".join(changed)})
            with pytest.raises(JournalDamagedError):
                list(read_records(target))


def test_missing_swapped_and_doubled_files_are_damage(two_epochs: Path, scratch: Callable[[Files], Path]) -> None:
    """The chain runs across files."""
    first, second = (content(two_epochs)[name] for name in ("000001.jsonl", "000002.jsonl"))
    for files in (
        {"000002.jsonl": second},
        {"000001.jsonl": second},
        {"000001.jsonl": second, "000002.jsonl": first},
        {"000001.jsonl": first, "000002.jsonl": first},
        {"000001.jsonl": first, "000002.jsonl": second, "000003.jsonl": second},
        {"000001.jsonl": first, "000002.jsonl": second, "999999999.jsonl": b""},
    ):
        with pytest.raises(JournalDamagedError):
            list(read_records(scratch(files)))


def test_lines_of_another_journal_are_damage(
    two_epochs: Path, scratch: Callable[[Files], Path], tmp_path: Path, clock: VirtualClock
) -> None:
    """Same numbers, same shape, other experiment: the chain does not fit at any line."""
    other = tmp_path / "other" / "journal"
    for begin in (Journal.create, Journal.open):
        with begin(other, clock, durability="none") as journal:
            for number in range(2):
                journal.append({"type": "other", "number": number})
    ours, theirs = content(two_epochs), content(other)
    with pytest.raises(JournalDamagedError):
        list(read_records(scratch(ours | {"000002.jsonl": theirs["000002.jsonl"]})))
    mine, foreign = (files["000002.jsonl"].splitlines(keepends=True) for files in (ours, theirs))
    for position in range(3):
        for changed in (
            [*mine[:position], foreign[position], *mine[position + 1 :]],
            [*mine[:position], *foreign[position:]],
        ):
            with pytest.raises(JournalDamagedError):
                list(read_records(scratch(ours | {"000002.jsonl": b"".join(changed)})))


def test_a_file_must_begin_its_own_epoch(scratch: Callable[[Files], Path]) -> None:
    """Lines that chain correctly do not make a journal."""
    for first in ({"type": "any"}, {"type": "epoch", "epoch": 2, "format": 1}):
        line, _ = encode_line(first, 1, 0)
        with pytest.raises(JournalDamagedError, match="not the beginning of epoch 1"):
            list(read_records(scratch({"000001.jsonl": line})))


def test_a_newer_format_is_named(scratch: Callable[[Files], Path]) -> None:
    """The reader says what it can read instead of guessing."""
    line, _ = encode_line({"type": "epoch", "epoch": 1, "format": 2}, 1, 0)
    with pytest.raises(FormatVersionError, match="has format 2, this version reads 1"):
        list(read_records(scratch({"000001.jsonl": line})))


def test_an_endless_line_is_not_read_into_memory(
    two_epochs: Path, scratch: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line longer than any writer would write is damage, newline or not."""
    monkeypatch.setattr("hyperband.journal.reader.MAX_LINE", 4096)
    good = content(two_epochs)
    with pytest.raises(JournalDamagedError, match="more than 4096 bytes"):
        list(read_records(scratch(good | {"000002.jsonl": good["000002.jsonl"] + b"x" * 5000})))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(data=st.data())
def test_garbage_at_the_end_is_never_taken_for_records(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random bytes after a good journal: a reader sees the good records, or damage if there is a newline in them."""
    directory = tmp_path_factory.mktemp("garbage") / "journal"
    with Journal.create(directory, VirtualClock(), durability="none") as journal:
        journal.append({"type": "a"})
    whole = list(read_records(directory))
    garbage = data.draw(st.binary(min_size=1, max_size=60))
    with (directory / "000001.jsonl").open("ab") as file:
        file.write(garbage)
    try:
        assert list(read_records(directory)) == whole
        assert b"\n" not in garbage
    except JournalDamagedError:
        assert b"\n" in garbage


def test_side_files_and_foreign_files_are_not_read(two_epochs: Path) -> None:
    """Only names that a driver gives are epochs."""
    whole = list(read_records(two_epochs))
    for name in ("000002.jsonl.torn-1", "notes.jsonl", "3.jsonl", "0000003.jsonl", "000003.jsonl~"):
        (two_epochs / name).write_text("not a record\n")
    assert list(read_records(two_epochs)) == whole


def test_a_link_or_pipe_in_place_of_a_file_is_refused(two_epochs: Path, tmp_path: Path) -> None:
    """A hostile directory can neither lead the reader elsewhere nor make it wait."""
    import os

    secret = tmp_path / "secret"
    secret.write_bytes(b"")
    (two_epochs / "000003.jsonl").symlink_to(secret)
    with pytest.raises(OSError, match=r"000003\.jsonl"):
        list(read_records(two_epochs))
    (two_epochs / "000003.jsonl").unlink()
    os.mkfifo(two_epochs / "000003.jsonl")
    with pytest.raises(JournalDamagedError, match="not a regular file"):
        list(read_records(two_epochs))


def test_a_journal_is_readable_by_any_json_reader(two_epochs: Path) -> None:
    """Lines are strict JSON; the format is what the documentation says."""
    for path in names(two_epochs):
        for line in path.read_text("utf-8").splitlines():
            assert set(json.loads(line)) >= {"seq", "type", "crc"}
