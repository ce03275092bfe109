"""Which user the server runs as, and what that user reaches."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from spectra.engines import account
from spectra.engines.account import Account, first_unreachable, server_account
from spectra.engines.binaries import installed_tree, run
from spectra.engines.layout import Layout
from spectra.engines.processes import alive
from spectra.errors import SetupError
from tests.engines.conftest import Holder, ServerFactory, root_only

pytestmark = pytest.mark.engine


@root_only
def test_another_user_is_refused(make_server: ServerFactory, folder: Path) -> None:
    """Even through open folders, another user of this machine is not the role."""
    make_server().start()
    sockets = Layout.of(folder).sockets
    for path in (folder, sockets, sockets / ".s.PGSQL.5432"):
        path.chmod(0o777)
    nobody = pwd.getpwnam("nobody")
    account = Account("nobody", nobody.pw_uid, nobody.pw_gid, switch=True)
    psql = [str(installed_tree() / "bin" / "psql"), "-h", str(sockets), "-U", "spectra", "spectra", "-c", "SELECT 1"]
    done = run(psql, account, timeout_s=20)
    assert done.returncode != 0
    assert "Peer authentication failed" in done.stdout


@root_only
def test_a_closed_parent_is_named(make_server: ServerFactory, folder: Path) -> None:
    """A data folder below one that the server's user may not enter: named, with the way out."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    folder.chmod(0o711)
    with pytest.raises(SetupError, match=rf"may not enter {closed},.*SPECTRA_DATA_DIR"):
        make_server(closed / "data").start()


@root_only
def test_an_ordinary_user_runs_it_as_themselves(folder: Path, hold: Callable[..., Holder]) -> None:
    """Without root the server runs as the user who started it, and that user is the role."""
    nobody = pwd.getpwnam("nobody").pw_uid
    holder = hold(str(folder), str(nobody))
    assert "('spectra'," in holder.lines[-1]
    assert Path(f"/proc/{holder.postmaster}").stat().st_uid == nobody
    assert (folder / "postgres").stat().st_uid == nobody
    assert holder.process.stdin is not None
    holder.process.stdin.close()
    assert holder.process.wait(30) == 0
    assert not alive(holder.postmaster)


@root_only
def test_a_user_without_a_name_is_told(folder: Path, hold: Callable[..., Holder]) -> None:
    """A container's bare user id cannot run PostgreSQL: said before anything is made."""
    holder = hold(str(folder), "54321")
    assert "User id 54321 has no name" in holder.lines[0]
    assert not (folder / "postgres").exists()


@root_only
def test_an_ordinary_user_without_write_access(folder: Path, hold: Callable[..., Holder]) -> None:
    """A folder that cannot be written: the system's reason is passed on."""
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    folder.chmod(0o711)
    locked.chmod(0o500)
    holder = hold(str(locked), str(pwd.getpwnam("nobody").pw_uid))
    assert "could not start" in holder.lines[0]
    assert "Permission denied" in holder.lines[0]


@root_only
@pytest.mark.parametrize(
    ("name", "message"),
    [("No Such: Name", "could not be made.*SPECTRA_DATABASE__URL"), ("root", "another name of root")],
)
def test_a_system_user_that_cannot_be(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """Where the system user cannot be made, or is root after all, the ways out are named."""
    monkeypatch.setattr(account, "SERVICE_USER", name)
    with pytest.raises(SetupError, match=message):
        server_account()


@root_only
def test_the_system_user_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the system user gets one, unprivileged and without a shell, and keeps it."""
    name = f"spectra-t{os.getpid()}"
    monkeypatch.setattr(account, "SERVICE_USER", name)
    try:
        made = server_account()
        assert (made.name, made.switch) == (name, True)
        assert made.uid != 0
        assert pwd.getpwnam(name).pw_shell.endswith("nologin")
        assert server_account() == made
    finally:
        run(["/usr/sbin/userdel", name], Account("root", 0, 0), timeout_s=30)


@root_only
def test_no_tool_to_make_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without useradd is told so."""
    monkeypatch.setattr(account, "SERVICE_USER", "spectra-never")

    def nothing(_tool: str, path: str = "") -> None:
        assert path

    monkeypatch.setattr("shutil.which", nothing)
    with pytest.raises(SetupError, match="no useradd"):
        server_account()


def test_reach_is_judged_by_the_right_bits(tmp_path: Path) -> None:
    """Owner, group and others: the class a user falls in decides, even where a wider one would allow."""
    mine = Account("me", os.geteuid(), os.getegid())
    stranger = Account("stranger", 4_000_000, 4_000_000)
    fellow = Account("fellow", 4_000_000, os.getegid())
    place = tmp_path / "place"
    place.mkdir()
    tops = [top for top in place.parents if first_unreachable(top, stranger)]
    for mode, who, inside in [(0o700, mine, True), (0o077, mine, False), (0o070, fellow, True), (0o707, fellow, False)]:
        place.chmod(mode)
        if who is mine or not tops:
            assert (first_unreachable(place, who) is None) == inside
    place.chmod(0o700)
    assert first_unreachable(place, stranger) in (place, *tops)
