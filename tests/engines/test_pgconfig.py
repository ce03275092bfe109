"""The configuration files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from spectra.engines.pgconfig import identity_map, settings, shared_memory_type
from spectra.engines.postgres import PostgresServer
from spectra.errors import SetupError
from tests.engines.asking import value
from tests.engines.conftest import Holder, ServerFactory, root_only

pytestmark = pytest.mark.engine


@root_only
def test_a_container_with_little_shared_memory(folder: Path, hold: Callable[..., Holder]) -> None:
    """With a /dev/shm of 64 KiB the server starts, and shares memory through files instead."""
    script = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", script, "sh")
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    holder = hold(str(folder), before=before)
    assert "'mmap'" in holder.lines[-1]
    assert PostgresServer(folder).url == holder.url


def test_values_are_quoted(make_server: ServerFactory) -> None:
    """A value with quotes, backslashes and a comment sign arrives in the server as it was given."""
    odd = r"it's a \n 'x' # no comment"
    assert value(make_server(extra={"spectra.note": odd}).start(), "SHOW spectra.note") == odd


@pytest.mark.parametrize(("name", "text"), [("jit", "on\nfsync = off"), ("a b", "x"), ("", "x")])
def test_nothing_slips_into_the_file(name: str, text: str) -> None:
    """A value or name that would end its line is refused."""
    with pytest.raises(SetupError, match="cannot be written"):
        settings(sockets=Path("/s"), mark="m", shared_buffers_mb=16, extra={name: text})


@pytest.mark.parametrize("name", ['a"b', "/^.*$", "a\nb"])
def test_user_names_that_would_be_patterns(name: str) -> None:
    """pg_ident reads a leading slash as a regular expression: such a user is refused rather than mapped."""
    with pytest.raises(SetupError, match="peer authentication"):
        identity_map(name)


def test_without_shared_memory_files_are_used(tmp_path: Path) -> None:
    """A machine without /dev/shm still starts."""
    assert shared_memory_type(tmp_path / "absent") == "mmap"
