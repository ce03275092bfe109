"""Sessions kept on this machine: private files, refreshed in time, once, whoever asks."""

from __future__ import annotations

import base64
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from spectra.cli import sessions
from spectra.cli.problems import ApiError, Unreachable
from spectra.cli.sessions import EARLY_S, TOKEN_PATH, Keeper, NotSignedIn, SignedOut
from spectra.errors import SetupError
from spectra.identity import jwts
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import Session
from tests.cli.standin import Answer, Request, StandIn, serving


def token(name: str = "alice", n: int = 0) -> str:
    """Something that looks like an access token of `name`."""
    body = base64.urlsafe_b64encode(json.dumps({"sub": name, "n": n}).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


class TokenServer(StandIn):
    """A token endpoint that takes each refresh token once, as the real one does."""

    valid = "r0"
    issued = 0
    instead: Answer | None = None

    def answer(self, request: Request) -> Answer:
        """The next tokens, or `invalid_grant` and the end of the session."""
        with self._lock:
            self.requests.append(request)
            if self.instead:
                return self.instead
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            if form.get("grant_type") == "refresh_token" and form.get("refresh_token") != self.valid:
                self.valid = ""
                return Answer(400, (b'{"error":"invalid_grant","error_description":"used"}',))
            self.issued += 1
            self.valid = f"r{self.issued}"
            said: dict[str, Any] = {
                "access_token": token(n=self.issued),
                "token_type": "Bearer",
                "expires_in": 600,
                "scope": "self:read",
            }
            if form["grant_type"] != "client_credentials":
                said["refresh_token"] = self.valid
            return Answer(200, (json.dumps(said).encode(),))


@pytest.fixture
def tokens() -> TokenServer:
    """The token endpoint."""
    return TokenServer(SigningKey.generate())


@pytest.fixture
def keeper(tokens: TokenServer, data_dir: Path) -> Iterator[Keeper]:
    """The keeper of a session with it; none is there yet."""
    with serving(tokens) as url:
        yield Keeper.of(url)


def keep(keeper: Keeper, left_s: float = 600.0, **changes: str) -> Session:
    """A session whose access token has this long to go."""
    fields = {"refresh_token": "r0"} | changes
    session = Session(keeper.url, "alice", token(), time.time() + left_s, **fields)
    session.save(keeper.path)
    return session


def test_a_session_is_private(keeper: Keeper) -> None:
    """Mode 0600, a file for each server, and its secrets in no `repr`."""
    session = keeper.sign_in({"grant_type": "password", "username": "alice", "password": "x"})
    assert keeper.path.stat().st_mode & 0o777 == 0o600
    assert keeper.path.parent.stat().st_mode & 0o777 == 0o700
    assert Keeper.of("http://127.0.0.1:1").path != keeper.path == Keeper.of(keeper.url + "/").path
    assert session.account == "alice"
    assert session.refresh_token not in repr(session)
    assert sessions.every() == [session]


def test_a_fresh_token_is_not_asked_for_again(keeper: Keeper, tokens: TokenServer) -> None:
    """As long as it holds for a while."""
    session = keep(keeper, EARLY_S + 5)
    assert keeper.token() == session.access_token
    assert tokens.requests == []


def test_a_token_is_refreshed_before_it_ends(keeper: Keeper, tokens: TokenServer) -> None:
    """And the new refresh token is kept, or the session would be lost."""
    keep(keeper, EARLY_S - 5)
    assert keeper.token() == token(n=1)
    assert keeper.load().refresh_token == "r1"
    assert keeper.token() == token(n=1)
    assert len(tokens.requests) == 1


def test_many_threads_refresh_once(keeper: Keeper, tokens: TokenServer) -> None:
    """The others wait and take what the first one got."""
    keep(keeper, 0)
    with ThreadPoolExecutor(8) as pool:
        found = {f.result() for f in [pool.submit(keeper.token) for _ in range(16)]}
    assert found == {token(n=1)}
    assert len(tokens.requests) == 1


def _ask(url: str, home: str, answers: Any) -> None:
    import os

    os.environ["XDG_CONFIG_HOME"] = home
    answers.put(Keeper.of(url).token())


def test_many_processes_refresh_once(keeper: Keeper, tokens: TokenServer) -> None:
    """The lock is the file's, not the process's."""
    keep(keeper, 0)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    home = str(keeper.path.parents[2])
    started = [context.Process(target=_ask, args=(keeper.url, home, answers)) for _ in range(3)]
    for process in started:
        process.start()
    found = {answers.get(timeout=60) for _ in started}
    for process in started:
        process.join(60)
    assert found == {token(n=1)}
    assert len(tokens.requests) == 1


def test_a_session_that_has_ended_says_so(keeper: Keeper) -> None:
    """And what to do; it is not dropped silently, which would go on as somebody else."""
    keep(keeper, 0, refresh_token="stolen")
    with pytest.raises(SignedOut, match="alice") as caught:
        keeper.token()
    assert "auth login" in caught.value.hint
    assert keeper.path.exists()


def test_trouble_keeps_the_session(keeper: Keeper, tokens: TokenServer) -> None:
    """A server that fails or is away has not ended it."""
    keep(keeper, 0)
    tokens.instead = Answer(500, (b"{}",))
    with pytest.raises(ApiError):
        keeper.token()
    assert keeper.load().refresh_token == "r0"


def test_a_server_that_is_away(data_dir: Path) -> None:
    """Nothing answers: told as that."""
    gone = Keeper.of("http://127.0.0.1:1")
    keep(gone, 0)
    with pytest.raises(Unreachable):
        gone.token()


def test_a_machine_signs_in_anew(keeper: Keeper, tokens: TokenServer, tmp_path: Path) -> None:
    """Without a refresh token: with its key, for this very server, and a `jti` of its own each time."""
    key = SigningKey.generate()
    key.save(tmp_path / "probe.pem")
    keep(keeper, 0, refresh_token="", key_file=str(tmp_path / "probe.pem"), scope="self:read")
    assert keeper.token() == token(n=1)
    keep(keeper, 0, refresh_token="", key_file=str(tmp_path / "probe.pem"))
    keeper.token()
    forms = [parse_qs(r.body.decode()) for r in tokens.requests]
    assert forms[0]["scope"] == ["self:read"]
    claims = [
        jwts.verify_assertion(
            form["client_assertion"][0],
            key=key.public,
            account="",
            audiences={keeper.url + TOKEN_PATH},
            now=datetime.now(UTC),
        )
        for form in forms
    ]
    assert claims[0].jti != claims[1].jti


def test_a_password_that_is_not_taken(keeper: Keeper, tokens: TokenServer) -> None:
    """Nothing is kept."""
    with pytest.raises(NotSignedIn):
        keeper.sign_in({"grant_type": "refresh_token", "refresh_token": "wrong"})
    assert not keeper.path.exists()


@pytest.mark.parametrize("text", ["x", "a.b.c", "a.e30.c", "a.bnVsbA.c", ""])
def test_a_token_of_another_kind(keeper: Keeper, tokens: TokenServer, text: str) -> None:
    """Another server's answer is not kept as a session."""
    said = {"access_token": text, "token_type": "Bearer", "expires_in": 9, "scope": ""}
    tokens.instead = Answer(200, (json.dumps(said).encode(),))
    with pytest.raises(SetupError, match="another kind"):
        keeper.sign_in({"grant_type": "password"})
    assert not keeper.path.exists()


def test_a_session_is_forgotten(keeper: Keeper) -> None:
    """Once; a damaged file too."""
    session = keep(keeper)
    assert keeper.forget() == session
    assert keeper.forget() is None
    keeper.path.write_text("{}")
    keeper.path.chmod(0o600)
    assert keeper.forget() is None
    assert not keeper.path.exists()


def test_files_that_are_no_session(keeper: Keeper, tmp_path: Path) -> None:
    """Open to others, damaged, of another server, or a folder that cannot be written: refused, with a way out."""
    keep(keeper)
    keeper.path.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        keeper.load()
    assert sessions.every() == []
    keeper.path.unlink()
    Session("http://elsewhere", "alice", "t", 0.0).save(keeper.path)
    with pytest.raises(SetupError, match="elsewhere"):
        keeper.load()
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot write"):
        Keeper("http://x", tmp_path / "file" / "s.json").forget()
