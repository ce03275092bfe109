"""PGDATA: made once, whole or not at all, and checked before every start."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from spectra.engines import pgconfig
from spectra.engines.account import Account
from spectra.engines.binaries import Engine, run
from spectra.engines.files import write_private
from spectra.engines.layout import Layout
from spectra.errors import SetupError

# One statement a line, run as superuser without a server: nothing else may ever be superuser.
_BOOTSTRAP = resources.files("spectra.engines").joinpath("bootstrap.sql").read_text("ascii")
_REFRESH = resources.files("spectra.engines").joinpath("refresh.sql").read_text("ascii")
_TEMPORARY = ".postgres-"
_SUPERUSER = "postgres"
_RELEASE_FILE = "spectra.release"
_INIT_TIMEOUT_S = 300.0
_OUTPUT_LINES = 8
# PostgreSQL's own C.UTF-8: order and case do not depend on the machine's libc.
LETTERS = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_INITDB_OPTIONS = (
    f"--username={_SUPERUSER}",
    # Replaced by our own pg_hba.conf before the first start; never "trust", not even until then.
    "--auth-local=peer",
    "--auth-host=reject",
    *LETTERS,
    "--no-instructions",
)
_SINGLE_USER = ("--single", "-c", "exit_on_error=on", "-c", "log_checkpoints=off")


def check_cluster(layout: Layout, engine: Engine, account: Account) -> bool:
    """Whether PGDATA exists; `SetupError` where it cannot be served by `engine` and `account`."""
    cluster = layout.cluster
    if not cluster.exists():
        return False
    status = cluster.lstat()
    if status.st_uid != account.uid:
        raise SetupError(
            f"{cluster} belongs to user id {status.st_uid}, but PostgreSQL would run as {account.name}.",
            hint="Start Spectra as the user who made it, or choose another folder with SPECTRA_DATA_DIR.",
        )
    try:
        version = (cluster / "PG_VERSION").read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError) as error:
        raise SetupError(
            f"{cluster} is not a PostgreSQL data folder.",
            hint="Move it away, or choose another folder with SPECTRA_DATA_DIR.",
        ) from error
    if version != engine.major:
        raise SetupError(
            f"{cluster} was written by PostgreSQL {version}, and this is PostgreSQL {engine.version}.",
            hint=f"Dump it with version {version} and restore it into a new folder, or install that version's Spectra.",
        )
    return True


def create_cluster(layout: Layout, engine: Engine, account: Account) -> None:
    """Make PGDATA with the role, database and extension of Spectra, under its final name only when complete."""
    for leftover in layout.data_dir.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=layout.data_dir))
    try:
        account.give(fresh)
        shared = f"dynamic_shared_memory_type={pgconfig.shared_memory_type()}"
        command = [engine.path("initdb"), *_INITDB_OPTIONS, "--set", shared, f"--pgdata={fresh}"]
        _checked(command, account, f"PostgreSQL could not make its data folder in {layout.data_dir}")
        main = fresh / "postgresql.conf"
        write_private(main, f"{main.read_text('utf-8')}\ninclude '{pgconfig.INCLUDED}'\n", account)
        write_private(fresh / pgconfig.INCLUDED, "", account)  # `configure` fills it
        _single_user(engine, account, fresh, "template1", _BOOTSTRAP)
        write_private(fresh / _RELEASE_FILE, engine.release, account)
        fresh.rename(layout.cluster)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def refresh_cluster(layout: Layout, engine: Engine, account: Account) -> None:
    """After an upgrade of the wheel, bring the extension of an existing PGDATA up to the library's version."""
    stamp = layout.cluster / _RELEASE_FILE
    if stamp.is_file() and stamp.read_text("utf-8").strip() == engine.release:
        return
    for database in ("template1", pgconfig.DATABASE):
        _single_user(engine, account, layout.cluster, database, _REFRESH)
    write_private(stamp, engine.release, account)


def _single_user(engine: Engine, account: Account, cluster: Path, database: str, statements: str) -> None:
    """Run statements, one a line, as superuser without a server, so that no superuser can ever log in to one."""
    command = [engine.path("postgres"), *_SINGLE_USER, "-D", str(cluster), database]
    _checked(command, account, "PostgreSQL could not set up its database", stdin=statements)


def _checked(command: list[str], account: Account, what: str, *, stdin: str = "") -> None:
    try:
        done = run(command, account, stdin=stdin, timeout_s=_INIT_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{what}: no end after {_INIT_TIMEOUT_S:.0f} s.") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-_OUTPUT_LINES:])
        raise SetupError(f"{what}:\n{last}")


def configure(layout: Layout, account: Account, os_user: str, included: str) -> None:
    """Write this release's configuration over the last one's."""
    cluster = layout.cluster
    write_private(cluster / pgconfig.INCLUDED, included, account)
    write_private(cluster / "pg_hba.conf", pgconfig.host_based_authentication(), account)
    write_private(cluster / "pg_ident.conf", pgconfig.identity_map(os_user), account)
