"""Signing in as people and machines do it: the installed command against a node of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from spectra.identity.tokens import Session
from tests.support.running import SPECTRA, Running, spectra

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

PASSWORD = "a sentence nobody would guess"


@pytest.fixture(scope="module")
def node() -> Iterator[Running]:
    """A node that serves, with short access tokens so that they are refreshed all the time."""
    with spectra(SPECTRA_AUTH__ACCESS_TTL_S="61", SPECTRA_AUTH__PASSWORD_MEMORY_MIB="19") as running:
        yield running.start()


def say(node: Running, line: str, *words: str | Path, code: int = 0, **variables: Any) -> str:
    """`spectra WORDS` with `line` on standard input; its output."""
    done = subprocess.run(
        [*SPECTRA, *map(str, words)],
        env=node.environment | variables,
        input=line,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def home(tmp_path: Path) -> dict[str, Any]:
    """The environment of somebody else on this machine, who never started a server."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "SPECTRA_DATA_DIR": str(tmp_path / "data")}


def test_a_person_signs_in_works_and_signs_out(node: Running, home: dict[str, Any], tmp_path: Path) -> None:
    """An admin makes the account; its owner signs in from elsewhere, asks, changes the password and signs out. No
    password is in the node's log.
    """
    say(node, f"{PASSWORD}\n", "accounts", "add", "alice", "--role", "user", "--password-stdin")
    there = ("--server", node.url)
    say(node, "wrong but long enough\n", *there, "auth", "login", "-a", "alice", "--password-stdin", code=1, **home)
    assert "as alice" in say(node, f"{PASSWORD}\n", *there, "auth", "login", "-a", "alice", "--password-stdin", **home)
    (kept,) = (tmp_path / "config" / "spectra" / "sessions").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    told = json.loads(node.cli(*there, "auth", "status", "--json", **home))
    assert (told["account"], told["role"], told["by"]) == ("alice", "user", "session")
    node.cli(*there, "search", "port:22", **home)
    assert "does not hold" in node.run(*there, "accounts", "list", **home).stderr
    new = "another sentence, quite long"
    say(node, f"{PASSWORD}\n{new}\n", *there, "accounts", "passwd", "--password-stdin", **home)
    assert len(node.cli(*there, "auth", "sessions", "--json", **home).splitlines()) == 1
    node.cli(*there, "auth", "logout", **home)
    assert not list(kept.parent.glob("*.json"))
    assert node.run(*there, "search", "port:22", **home).returncode == 1
    say(node, f"{new}\n", *there, "auth", "login", "-a", "alice", "--password-stdin", **home)
    assert PASSWORD not in node.logged
    assert new not in node.logged


def test_a_machine_signs_in_with_its_key_and_rotates_it(node: Running, home: dict[str, Any], tmp_path: Path) -> None:
    """A key is made, registered, signed in with and rotated under that session; the next token is signed for with the
    new one. Disabling the account ends all of it.
    """
    key, there = tmp_path / "probe.pem", ("--server", node.url)
    node.cli("keys", "generate", "--out", key)
    node.cli("keys", "register", key, "--contributor", "probe", "--role", "contributor")
    assert "as probe" in node.cli(*there, "auth", "login", "--key", key, **home)
    before = key.read_bytes()
    rotated = json.loads(node.cli(*there, "keys", "rotate", "--json", **home))
    assert rotated["contributor"] == "probe"
    assert key.read_bytes() != before
    (kept,) = (tmp_path / "config" / "spectra" / "sessions").glob("*.json")
    old = Session.load(kept)
    Session(old.url, old.account, old.access_token, 0.0, key_file=old.key_file).save(kept)  # as if it had ended
    assert json.loads(node.cli(*there, "auth", "status", "--json", **home))["by"] == "key"
    assert Session.load(kept).access_token != old.access_token
    node.cli("accounts", "disable", "probe")
    refused = node.run(*there, "auth", "login", "--key", key, **home)
    assert refused.returncode == 1
    assert "no key that is registered" in refused.stderr


def test_many_processes_share_a_session(node: Running, home: dict[str, Any], tmp_path: Path) -> None:
    """Tokens that live for a second over the margin are refreshed by whoever comes first; nobody is signed out."""
    there = ("--server", node.url)
    say(node, f"{PASSWORD}\n", "accounts", "add", "carol", "--role", "user", "--password-stdin")
    say(node, f"{PASSWORD}\n", *there, "auth", "login", "-a", "carol", "--password-stdin", **home)
    (kept,) = (tmp_path / "config" / "spectra" / "sessions").glob("*.json")
    for _ in range(2):
        session = Session.load(kept)
        Session(session.url, session.account, "stale", 0.0, session.refresh_token).save(kept)
        with ThreadPoolExecutor(6) as pool:
            done = [f.result() for f in [pool.submit(node.run, *there, "search", "port:22", **home) for _ in range(6)]]
        assert [d.returncode for d in done] == [0] * 6, [d.stderr for d in done]
