"""The spool: order, bounds, and what is left of it after a machine lost its power."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect import spool as spools
from spectra.collect.spool import HEAD_BYTES, Damaged, Spool, write
from spectra.errors import SetupError

MIB = 2**20


def lease(number: int) -> str:
    """The id of a lease."""
    return f"{number:032x}"


def put(spool: Spool, number: int, data: bytes = b"{}") -> None:
    """Keep a result."""
    write(spool.draft(lease(number)), data)
    spool.put(lease(number))


def drained(spool: Spool) -> list[tuple[str, bytes]]:
    """Everything that waits, in order, taken out; what is damaged is set aside."""
    found: list[tuple[str, bytes]] = []
    while entry := spool.first():
        try:
            with spool.open(entry) as file:
                found.append((entry.lease, file.read()))
        except Damaged as error:
            spool.refuse(entry, str(error))
        else:
            spool.sent(entry)
    return found


def test_first_in_first_out(tmp_path: Path) -> None:
    """Whatever the leases are called, and over restarts."""
    spool = Spool(tmp_path / "spool", MIB)
    for number in (9, 2):
        put(spool, number, b"%d" % number)
    spool = Spool(tmp_path / "spool", MIB)
    put(spool, 5, b"5")
    assert spool.leases(10) == (lease(9), lease(2), lease(5))
    assert spool.leases(2) == (lease(2), lease(5))
    assert (len(spool), spool.bytes) == (3, 3 * (HEAD_BYTES + 1))
    assert spool.holds(lease(2))
    assert drained(spool) == [(lease(9), b"9"), (lease(2), b"2"), (lease(5), b"5")]
    assert (len(spool), spool.bytes, spool.holds(lease(2))) == (0, 0, False)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["refused"]


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    """What was found is nobody else's to read."""
    spool = Spool(tmp_path / "spool", MIB)
    put(spool, 1)
    (path,) = (tmp_path / "spool").glob("*.bundle")
    assert path.name == f"000000000001-{lease(1)}.bundle"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_how_much_room_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In results of a size, bounded by their number too."""
    spool = Spool(tmp_path / "spool", 10_000)
    assert spool.room(1000) == 10
    put(spool, 1, bytes(3000 - HEAD_BYTES))
    assert (spool.room(1000), spool.room(7001)) == (7, 0)
    put(spool, 2, bytes(20_000))  # what was reserved too low is kept all the same
    assert spool.room(1) == 0
    monkeypatch.setattr(spools, "MAX_ENTRIES", 3)
    assert Spool(tmp_path / "spool", MIB).room(1) == 1


def test_refused_ones_are_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason; the newest only, by number and by size."""
    monkeypatch.setattr(spools, "MAX_REFUSED", 3)
    spool = Spool(tmp_path / "spool", 4000)
    for number in range(5):
        put(spool, number)
        entry = spool.first()
        assert entry is not None
        spool.refuse(entry, f"reason {number}")
    refused = tmp_path / "spool" / "refused"
    assert spool.refused == 3
    assert sorted(path.name[13:45] for path in refused.glob("*.bundle")) == [lease(2), lease(3), lease(4)]
    assert [path.read_text() for path in sorted(refused.glob("*.txt"))] == ["reason 2\n", "reason 3\n", "reason 4\n"]
    spool = Spool(tmp_path / "spool", 4000)
    put(spool, 6, bytes(2000))
    entry = spool.first()
    assert entry is not None
    assert entry.number == 6  # numbers go on: the newest is told by them
    spool.refuse(entry, "large")
    assert [path.name[13:45] for path in refused.glob("*.bundle")] == [lease(6)]


@given(st.data())
def test_a_torn_file_harms_no_other(data: st.DataObject) -> None:
    """Cut or changed at any byte, it is set aside; what is before and after it is brought, in order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "spool"
        spool = Spool(folder, MIB)
        contents = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
        for number, content in enumerate(contents):
            put(spool, number, content)
        torn = data.draw(st.integers(0, len(contents) - 1))
        path = sorted(folder.glob("*.bundle"))[torn]
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        cut = data.draw(st.booleans())
        path.write_bytes(whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        spool = Spool(folder, MIB)
        expected = [(lease(n), content) for n, content in enumerate(contents) if n != torn]
        assert drained(spool) == expected
        assert spool.refused == 1


@given(st.integers(0, HEAD_BYTES + 20))
def test_a_draft_is_nothing(size: int) -> None:
    """A machine that lost its power while it wrote has not promised anything yet."""
    with tempfile.TemporaryDirectory() as name:
        spool = Spool(Path(name), MIB)
        draft = spool.draft(lease(1))
        write(draft, bytes(20))
        os.truncate(draft, size)
        put(spool, 2)
        spool = Spool(Path(name), MIB)
        assert not draft.exists()
        assert drained(spool) == [(lease(2), b"{}")]


WRITER = """
import sys
from pathlib import Path
from spectra.collect.spool import Spool, write
spool = Spool(Path(sys.argv[1]), 2**30)
for number in range(10**6):
    lease = f'{number:032x}'
    write(spool.draft(lease), lease.encode() * 500)
    spool.put(lease)
    print(number, flush=True)
"""


def test_a_killed_writer_keeps_its_word(tmp_path: Path) -> None:
    """Whatever it said it had kept is there, whole and in order, and at most one more."""
    for after in (1, 7, 30):
        folder = tmp_path / f"spool-{after}"
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(after)]
            writer.send_signal(signal.SIGKILL)
            said += [int(line) for line in writer.stdout if line.strip()]
        spool = Spool(folder, 2**30)
        found = drained(spool)
        assert [one for one, _ in found] == [lease(number) for number in range(len(found))]
        assert all(content == one.encode() * 500 for one, content in found)
        assert len(found) - len(said) in {0, 1}
        assert spool.refused == 0


def test_what_is_no_result_stays(tmp_path: Path) -> None:
    """A file that somebody put there is left alone, a folder of a result's name too."""
    folder = tmp_path / "spool"
    Spool(folder, MIB)
    (folder / "notes.txt").write_text("mine")
    (folder / f"000000000001-{lease(1)}.bundle").mkdir()
    assert Spool(folder, MIB).first() is None
    assert (folder / "notes.txt").exists()


def test_a_result_that_is_gone(tmp_path: Path) -> None:
    """Somebody removed it: it is not brought, and harms nothing."""
    spool = Spool(tmp_path, MIB)
    put(spool, 1)
    entry = spool.first()
    assert entry is not None
    (tmp_path / entry.name).unlink()
    with contextlib.suppress(FileNotFoundError), spool.open(entry):
        pytest.fail("it was opened")
    spool.refuse(entry, "gone")
    assert (len(spool), spool.refused) == (0, 0)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file in its place is a clear error."""
    (tmp_path / "spool").write_text("")
    with pytest.raises(SetupError, match="cannot use the spool"):
        Spool(tmp_path / "spool", MIB)
