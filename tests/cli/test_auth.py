"""`spectra auth`: signing in and out, and which credential is sent where."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from spectra.cli import auth
from spectra.cli.sessions import TOKEN_PATH, Keeper
from spectra.errors import BadRequest
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential, Session
from spectra.model.accounts import AccountRecord, Me, SessionPage, SessionRecord
from tests.cli.conftest import Run
from tests.cli.standin import TOKEN, Answer, StandIn, problem
from tests.cli.test_sessions import token

NOW = datetime(2025, 11, 1, tzinfo=UTC)
PASSWORD = "a sentence nobody would guess"
ISSUED = {
    "access_token": token(),
    "token_type": "Bearer",
    "expires_in": 600,
    "scope": "self:read",
    "refresh_token": "r1",
}
ME = Me(AccountRecord("alice", "user", 1.0, NOW), ("search:read", "self:read"), "s-1")


@pytest.fixture
def url(server: StandIn, data_dir: Path) -> str:
    """The stand-in's URL; it signs everybody in."""
    server.say("POST", TOKEN_PATH, ISSUED)
    server.say("POST", "/v0/auth/revoke", {})
    server.say("GET", "/v0/accounts/me", ME)
    return LocalCredential.load(data_dir / "credential.json").url


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a text on standard input."""

    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return put


@pytest.fixture
def signed_in(run: Run, url: str, type_in: Callable[[str], None], server: StandIn) -> str:
    """The server's URL, after signing in as alice."""
    type_in(f"{PASSWORD}\n")
    assert run("auth", "login", "--account", "alice", "--password-stdin").code == 0
    server.requests.clear()
    return url


def test_login_by_password(run: Run, server: StandIn, url: str, type_in: Callable[[str], None]) -> None:
    """The form goes to the token endpoint, the session into a private file, and nothing secret to the terminal."""
    type_in(f"{PASSWORD}\r\nmore\n")
    result = run("auth", "login", "-a", "alice", "--password-stdin", "--scope", "search:read")
    assert (result.code, result.out) == (0, f"signed in to {url} as alice\n")
    (asked,) = server.requests
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["password"],
        "username": ["alice"],
        "password": [PASSWORD],
        "client_id": ["spectra-cli"],
        "scope": ["search:read"],
    }
    assert asked.token == ""
    kept = Keeper.of(url).load()
    assert (kept.account, kept.refresh_token, kept.scope) == ("alice", "r1", "search:read")
    for secret in (PASSWORD, ISSUED["access_token"], "r1"):
        assert str(secret) not in result.out + result.err


def test_login_by_key(run: Run, server: StandIn, url: str, tmp_path: Path) -> None:
    """Nothing is asked for; the key's file is remembered, so that a new token can be had."""
    SigningKey.generate().save(tmp_path / "probe.pem")
    assert run("auth", "login", "--key", tmp_path / "probe.pem").code == 0
    assert parse_qs(server.requests[0].body.decode())["grant_type"] == ["client_credentials"]
    assert Keeper.of(url).load().key_file == str(tmp_path / "probe.pem")
    other = run("auth", "login", "--key", tmp_path / "probe.pem", "--account", "bob")
    assert other.code == 2
    assert not Keeper.of(url).path.exists()


def test_the_server_can_be_named_after_the_command(run: Run, url: str, tmp_path: Path) -> None:
    """Appendix B's `auth login` takes the URL where a person writes it."""
    SigningKey.generate().save(tmp_path / "k.pem")
    there = ("--data-dir", tmp_path / "nothing")
    assert run(*there, "auth", "login", "--server", url, "--key", tmp_path / "k.pem").code == 0
    assert run(*there, "auth", "status", "--server", url).code == 0
    assert run(*there, "auth", "logout", "--server", url).out == f"signed out of {url}\n"
    assert run(*there, "auth", "login", "--server", "ftp://x", "--key", tmp_path / "k.pem").code == 2


def test_a_password_is_never_an_argument(run: Run) -> None:
    """There is no option that takes one."""
    assert run("auth", "login", "--password", "x").code == 2
    assert run("accounts", "add", "alice", "--password", "x").code == 2


def test_without_a_terminal_the_way_is_told(run: Run, url: str, type_in: Callable[[str], None], tmp_path: Path) -> None:
    """Whose account, and where its password comes from."""
    type_in("")
    assert "--account" in run("auth", "login").err
    assert "--password-stdin" in run("auth", "login", "-a", "alice").err
    assert run("auth", "login", "-a", "alice", "--password-stdin").code == 2
    SigningKey.generate().save(tmp_path / "k.pem")
    assert run("auth", "login", "--key", tmp_path / "k.pem", "--password-stdin").code == 2


def test_on_a_terminal_both_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password without showing it."""
    asked: list[tuple[str, bool]] = []

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def prompt(text: str, *, hide_input: bool = False, **_: object) -> str:
        asked.append((text, hide_input))
        return "said"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(auth.typer, "prompt", prompt)
    assert auth.read_password("Password", stdin=False) == "said"
    assert auth._asked_name() == "said"
    assert asked == [("Password", True), ("Account", False)]
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(BadRequest):
        auth.read_password("Password", stdin=True)


def test_a_second_factor_is_asked_for(run: Run, server: StandIn, url: str, type_in: Callable[[str], None]) -> None:
    """On the line after the password where that came from standard input; without one the way is told."""
    needed = Answer(400, (b'{"error":"mfa_required","error_description":"send its code"}',))
    server.say("POST", TOKEN_PATH, needed, ISSUED, needed)
    type_in(f"{PASSWORD}\n123456\n")
    assert run("auth", "login", "-a", "alice", "--password-stdin").code == 0
    assert [parse_qs(asked.body.decode()).get("otp") for asked in server.asked(TOKEN_PATH)] == [None, ["123456"]]
    type_in(f"{PASSWORD}\n")
    result = run("auth", "login", "-a", "alice", "--password-stdin")
    assert (result.code, "--device" in result.err) == (2, True)


def test_on_a_terminal_a_code_is_shown(
    run: Run, server: StandIn, url: str, monkeypatch: pytest.MonkeyPatch, type_in: Callable[[str], None]
) -> None:
    """Where no account and no key is said; elsewhere where that is asked for."""
    device = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": f"{url}/device", "expires_in": 9}
    server.say("POST", "/v0/auth/device", {**device, "verification_uri_complete": "", "interval": 1})
    type_in("")
    shown = run("auth", "login", "--device")
    assert (shown.code, "BCDF-GHJK" in shown.err) == (0, True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert "BCDF-GHJK" in run("auth", "login").err


def test_an_unencrypted_way_is_told(run: Run, url: str, type_in: Callable[[str], None]) -> None:
    """A password to another machine by plain HTTP: said before it is asked for."""
    type_in("")
    assert "not encrypted" in run("--server", "http://192.0.2.1:8765", "auth", "login", "-a", "alice").err
    assert "not encrypted" not in run("auth", "login", "-a", "alice").err


def test_a_refused_login(run: Run, server: StandIn, url: str, type_in: Callable[[str], None]) -> None:
    """What the server says, exit code 1, and no session; a wait is not sat out in silence."""
    refused = Answer(400, (b'{"error":"invalid_grant","error_description":"the account or the password is wrong"}',))
    server.say("POST", TOKEN_PATH, refused)
    type_in("x\n")
    result = run("auth", "login", "-a", "alice", "--password-stdin")
    assert result.code == 1
    assert "the password is wrong" in result.err
    assert not Keeper.of(url).path.exists()
    slow = Answer(429, (b'{"error":"temporarily_unavailable"}',), {"retry-after": "30"})
    server.say("POST", TOKEN_PATH, slow)
    type_in("x\n")
    assert run("auth", "login", "-a", "alice", "--password-stdin").code == 1


def test_the_order_of_credentials(run: Run, server: StandIn, signed_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, then the session with that server, then this machine's own."""

    def sent() -> tuple[str, str]:
        server.requests.clear()
        told = json.loads(run("auth", "status", "--json").out)
        return server.requests[-1].token, told["by"]

    assert sent() == (ISSUED["access_token"], "session")
    monkeypatch.setenv("SPECTRA_TOKEN", "given")
    assert sent() == ("given", "SPECTRA_TOKEN")
    monkeypatch.delenv("SPECTRA_TOKEN")
    assert run("auth", "logout").code == 0
    assert sent() == (TOKEN, "local credential")


def test_a_session_is_for_its_server_alone(run: Run, server: StandIn, signed_in: str) -> None:
    """Another name of the same machine is another server: no token is sent there."""
    elsewhere = signed_in.replace("127.0.0.1", "localhost")
    result = run("--server", elsewhere, "auth", "status", "--json")
    assert (result.code, json.loads(result.out)["by"]) == (1, "nothing")
    assert server.requests == []


def test_status(run: Run, server: StandIn, signed_in: str) -> None:
    """Who, as what, until when; and what is wrong, with exit code 1."""
    shown = run("auth", "status").out
    assert "alice (user)" in shown
    assert "search:read, self:read" in shown
    assert "token until" in shown
    server.say("GET", "/v0/accounts/me", problem(401, "This token is unknown, expired or revoked."))
    result = run("auth", "status")
    assert result.code == 1
    assert "expired or revoked" in result.out


def test_status_where_nothing_answers(run: Run, tmp_path: Path, data_dir: Path) -> None:
    """Exit code 3, as everywhere."""
    Session("http://127.0.0.1:1", "alice", token(), 9e9).save(Keeper.of("http://127.0.0.1:1").path)
    assert run("--server", "http://127.0.0.1:1", "auth", "status").code == 3


def test_logout(run: Run, server: StandIn, signed_in: str) -> None:
    """The server is told, the file goes; again there is nobody to sign out."""
    assert run("auth", "logout").out == f"signed out of {signed_in}\n"
    (asked,) = server.asked("/v0/auth/revoke")
    assert parse_qs(asked.body.decode()) == {"token": ["r1"]}
    assert not Keeper.of(signed_in).path.exists()
    assert "Nobody was signed in" in run("auth", "logout").err


def test_logout_where_the_server_fails(run: Run, server: StandIn, signed_in: str) -> None:
    """The file goes all the same, and it is said that the session may stand."""
    server.say("POST", "/v0/auth/revoke", problem(500, "broken"))
    result = run("auth", "logout")
    assert result.code == 0
    assert "may stand on the server" in result.err
    assert not Keeper.of(signed_in).path.exists()


def test_sessions_and_ending_one(run: Run, server: StandIn, signed_in: str) -> None:
    """All pages, as a table and as JSON lines; one ended by its id."""
    one = SessionRecord("s-1", "alice", "cli", "password", NOW, NOW, NOW, "192.0.2.7", current=True)
    two = SessionRecord("s-2", "alice", "", "client_credentials", NOW, NOW, NOW, keyid="k")
    server.say("GET", "/v0/auth/sessions", SessionPage((one,), "c"), SessionPage((two,)))
    result = run("auth", "sessions", "--account", "alice")
    assert [r.params["cursor"] for r in server.asked("/v0/auth/sessions")] == ["", "c"]
    assert "this one" in result.lines[1]
    assert "key" in result.lines[2]
    server.say("GET", "/v0/auth/sessions", SessionPage((one,)))
    assert json.loads(run("auth", "sessions", "--json").out)["id"] == "s-1"
    server.say("DELETE", "/v0/auth/sessions/s-1", {"id": "s-1"})
    assert run("auth", "end", "s-1").out == "ended s-1\n"
    server.say("DELETE", "/v0/auth/keys/k", {"id": "k"})
    assert run("auth", "revoke-key", "k").out == "revoked k\n"


def test_a_session_by_key_signs_for_its_account(run: Run, server: StandIn, url: str, tmp_path: Path) -> None:
    """What is submitted there is signed with the key that signed in, not with this machine's own."""
    key = SigningKey.generate()
    key.save(tmp_path / "probe.pem")
    assert run("auth", "login", "--key", tmp_path / "probe.pem").code == 0
    (tmp_path / "a.jsonl").write_bytes(b'{"ip":"192.0.2.1","port":22}\n')
    server.key = key
    assert run("import", tmp_path / "a.jsonl").code == 0
    assert server.submitted[0].contributor == "alice"
