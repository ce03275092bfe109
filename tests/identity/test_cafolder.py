"""The CA's folder: for its owner only, whole after any interruption, and by one process at a time."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.errors import SetupError
from spectra.identity import cafolder, x509
from spectra.identity.ca import Authority

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FILES = {
    "root.key",
    "root.crt",
    "intermediate.key",
    "intermediate.crt",
    "provisioner.json",
    "roots.pem",
    "cross.pem",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a CA that was rotated once."""
    Authority.create(tmp_path / "ca", "mesh-a", NOW).rotate(NOW)
    return tmp_path / "ca"


def test_every_file_is_for_its_owner_only(folder: Path) -> None:
    """Keys and certificates alike, and the folder is closed as well."""
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert found == dict.fromkeys(FILES | {".lock"}, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_was_written_is_read(folder: Path) -> None:
    """Keys, both roots and the cross-certificate."""
    found = cafolder.read(folder)
    assert len(found.roots) == 2
    assert len(found.crosses) == 1
    assert x509.spki(found.root_key) == x509.spki(found.roots[0])
    assert x509.spki(found.intermediate_key) == x509.spki(found.intermediate)


def test_an_existing_ca_is_kept(folder: Path) -> None:
    """Creating another in its place is refused: its nodes would be lost."""
    with pytest.raises(SetupError):
        cafolder.create(folder, cafolder.read(folder))
    (folder / "roots.pem").unlink()
    with pytest.raises(SetupError):
        cafolder.create(folder, _other(folder))


def _other(folder: Path) -> cafolder.Material:
    other = folder.parent / "other"
    Authority.create(other, "mesh-b", NOW)
    return cafolder.read(other)


def test_nothing_there(tmp_path: Path) -> None:
    """It is said, and looking makes no folder."""
    assert cafolder.read_or_none(tmp_path / "ca") is None
    with pytest.raises(SetupError):
        cafolder.read(tmp_path / "ca")
    assert not (tmp_path / "ca").exists()


def copy(folder: Path, to: Path) -> Path:
    """The files of a folder beside it."""
    shutil.copytree(folder, to)
    to.chmod(0o700)
    return to


def test_a_writer_that_was_killed_before_it_was_done_changes_nothing(folder: Path) -> None:
    """Half of the new files in `next/`: the old CA goes on, and the next change clears it away."""
    before = cafolder.read(folder)
    half = folder / "next"
    half.mkdir()
    (half / "root.key").write_bytes(b"half a k")
    assert cafolder.read(folder).roots == before.roots
    after = Authority.load(folder).retire(NOW)
    assert cafolder.read(folder).roots == after.roots
    assert not half.exists()


@pytest.mark.parametrize("moved", range(len(FILES) + 1))
def test_a_writer_that_was_killed_while_moving_files_is_finished_by_the_next(
    moved: int, tmp_path: Path, folder: Path
) -> None:
    """Whichever files were in place already: the new CA counts from the moment all of it was on disk."""
    old = copy(folder, tmp_path / "old")
    after = Authority.load(folder).retire(NOW)
    ready = old / "ready"
    ready.mkdir()
    for number, name in enumerate(sorted(FILES)):
        shutil.copy(folder / name, old / name if number < moved else ready / name)
    found = cafolder.read(old)
    assert (found.roots, found.intermediate, found.crosses) == (after.roots, after.intermediate, ())
    assert not ready.exists()


KILLED = """
import os, shutil, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from spectra.identity.ca import Authority

def rotate(folder, calls):
    left = calls
    for name in ("open", "rename", "replace", "link", "fsync", "unlink", "rmdir", "mkdir"):
        def counted(*args, _real=getattr(os, name), **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return _real(*args, **kwargs)
        setattr(os, name, counted)
    Authority.load(folder).rotate(datetime(2026, 11, 22, tzinfo=UTC))

os.fsync = lambda fd: None  # SIGKILL loses no page of the kernel's; the call itself still counts as a moment
start, calls, seen = Path(sys.argv[1]), 0, []
while True:
    calls += 1
    folder = start.with_name(f"ca{calls}")
    shutil.copytree(start, folder)
    child = os.fork()
    if child == 0:
        rotate(folder, calls)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = Authority.load(folder)
    found.rotate(datetime(2026, 11, 23, tzinfo=UTC))  # and it goes on from there
    seen.append(len(found.roots))
    if code != -signal.SIGKILL:
        break
print(code, calls, sorted(set(seen)), seen == sorted(seen))
"""


@pytest.mark.fault
def test_killed_at_any_moment_it_is_the_old_ca_or_the_new_one(tmp_path: Path) -> None:
    """A process that rotates is ended with SIGKILL at each of its system calls in turn, until it gets through.

    At first it is always the old CA that is found afterwards, from one call on always the new one.
    """
    Authority.create(tmp_path / "start", "mesh-a", NOW)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "start")]
    done = subprocess.run(command, timeout=120, check=True, capture_output=True, text=True)
    code, calls, seen = done.stdout.split(maxsplit=2)
    assert (code, seen.strip()) == ("0", "[1, 2] True")
    assert int(calls) > 50


def test_two_processes_do_not_overwrite_each_other(folder: Path) -> None:
    """Who loaded before the other's change is told to load again."""
    first, second = Authority.load(folder), Authority.load(folder)
    kept = first.retire(NOW)
    for change in (second.rotate, second.renew_intermediate, second.retire):
        with pytest.raises(SetupError):
            change(NOW)
    assert cafolder.read(folder).roots == kept.roots


def _swap(name: str) -> Callable[[Path, Path], object]:
    """Puts another CA's file in the place of this one's."""
    return lambda folder, other: shutil.copy(other / name, folder / name)


def _put(name: str, data: bytes) -> Callable[[Path, Path], object]:
    return lambda folder, _: (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [*(_swap(name) for name in sorted(FILES - {"provisioner.json"})), *(_put(name, b"x") for name in sorted(FILES))],
    ids=[*(f"another {name}" for name in sorted(FILES - {"provisioner.json"})), *(f"bad {n}" for n in sorted(FILES))],
)
def test_parts_that_do_not_belong_together(
    damage: Callable[[Path, Path], object], tmp_path: Path, folder: Path
) -> None:
    """It is noticed when it is read, not by the first node that is refused."""
    other = tmp_path / "other"
    Authority.create(other, "mesh-a", NOW).rotate(NOW)
    damage(folder, other)
    with pytest.raises(SetupError, match="CA in"):
        cafolder.read(folder)


def test_a_cross_certificate_less(folder: Path) -> None:
    """Two roots without the bridge between them would lock half of the nodes out."""
    (folder / "cross.pem").write_bytes(b"")
    with pytest.raises(SetupError):
        cafolder.read(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_open_to_others_or_absent(name: str, folder: Path) -> None:
    """It is told which, and how to mend it."""
    (folder / name).chmod(0o644)
    with pytest.raises(SetupError, match=name):
        cafolder.read(folder)
    (folder / name).unlink()
    with pytest.raises(SetupError, match=name):
        cafolder.read(folder)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "ca").write_text("")
    with pytest.raises(SetupError):
        Authority.create(tmp_path / "ca", "mesh-a", NOW)
