"""`spectra keys`: what leaves this machine, what stays, and what survives an interruption."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from spectra.identity.keys import PublicKey, SigningKey
from spectra.identity.rotation import verify_registration, verify_rotation
from spectra.identity.tokens import LocalCredential
from spectra.model.records import KeyRecord
from tests.cli.conftest import Run
from tests.cli.standin import Answer, Request, StandIn, problem

NOW = datetime(2025, 11, 1, tzinfo=UTC)


def record(key: PublicKey, status: str = "active", contributor: str = "alice") -> KeyRecord:
    """The server's record of a key."""
    return KeyRecord(key.keyid, contributor, "contributor", key.b64, status, NOW)  # pyright: ignore[reportArgumentType]


def test_generate_keeps_the_private_half(run: Run, tmp_path: Path) -> None:
    """The file is mode 0600, the public half is printed, and an existing key is never overwritten."""
    path = tmp_path / "new.key"
    result = run("keys", "generate", "--out", path)
    key = SigningKey.load(path)
    assert result.lines == [f"keyid {key.public.keyid}", f"public {key.public.b64}"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in result.out + result.err
    again = run("keys", "generate", "--out", path)
    assert again.code == 1
    assert SigningKey.load(path).public == key.public


def test_register_proves_possession(run: Run, server: StandIn, tmp_path: Path) -> None:
    """The server gets the public half and a statement signed by the key, never the key."""
    key = SigningKey.generate()
    key.save(tmp_path / "bob.key")
    server.say("POST", "/v0/keys", Answer(201, (msgspec.json.encode(record(key.public, contributor="bob")),)))
    result = run("keys", "register", tmp_path / "bob.key", "--contributor", "bob", "--role", "module", "--json")
    assert json.loads(result.out)["contributor"] == "bob"
    body = msgspec.json.decode(server.requests[0].body)
    statement = verify_registration(body["proof"].encode(), now=datetime.now(UTC), max_age_s=600)
    assert (statement.contributor, statement.role, statement.public_key) == ("bob", "module", key.public.b64)
    assert b"PRIVATE" not in server.requests[0].body


class Rotating(StandIn):
    """A stand-in that checks rotations and knows the key it accepted."""

    accepted: PublicKey | None = None
    cut = False
    blind = False

    def answer(self, request: Request) -> Answer:
        """Verify both signatures; lose the first answer if `cut`."""
        if request.path == "/v0/keys" and self.blind:
            return problem(403, "The role module does not hold keys:read.", reason="forbidden")
        if request.path == "/v0/keys":
            known = [record(self.key.public)] + ([record(self.accepted)] if self.accepted else [])
            return Answer(200, (msgspec.json.encode({"keys": known}),))
        if request.path != "/v0/keys/rotate":
            return super().answer(request)
        self.requests.append(request)
        said = verify_rotation(request.body, known=lambda _: self.key.public, now=datetime.now(UTC), max_age_s=60)
        self.accepted = PublicKey.from_b64(said.public_key)
        if self.cut:
            return problem(500, "lost")
        body = {"old": record(self.key.public, "retiring"), "new": record(self.accepted)}
        return Answer(200, (msgspec.json.encode(body),))


@pytest.fixture
def rotating(server: StandIn) -> Rotating:
    """The stand-in of this machine, made to check rotations."""
    server.__class__ = Rotating
    assert isinstance(server, Rotating)
    return server


def test_rotate_replaces_the_key(run: Run, rotating: Rotating, data_dir: Path) -> None:
    """After the server accepted, the file holds the new key, mode 0600, and nothing else is left."""
    path = data_dir / "keys" / "contributor.key"
    result = run("keys", "rotate")
    assert result.code == 0
    assert SigningKey.load(path).public == rotating.accepted
    assert [p.name for p in path.parent.iterdir()] == ["contributor.key"]


def test_a_refused_rotation_keeps_the_old_key(run: Run, server: StandIn, key: SigningKey, data_dir: Path) -> None:
    """Until the server accepts, nothing changes here."""
    server.say("GET", "/v0/keys", {"keys": []})
    server.say("POST", "/v0/keys/rotate", problem(401, "the key may not be rotated", reason="unknown_key"))
    assert run("keys", "rotate").code == 1
    assert SigningKey.load(data_dir / "keys" / "contributor.key").public == key.public


def test_an_interrupted_rotation_is_finished(run: Run, rotating: Rotating, data_dir: Path) -> None:
    """The server accepted but its answer was lost: running the command again takes the accepted key into use."""
    path = data_dir / "keys" / "contributor.key"
    rotating.cut = True
    assert run("keys", "rotate").code == 1
    assert SigningKey.load(path).public == rotating.key.public
    result = run("keys", "rotate")
    assert result.code == 0
    assert len(rotating.requests) == 1
    assert SigningKey.load(path).public == rotating.accepted
    assert "Going on with the rotation" in result.err


def test_who_may_not_see_keys_may_still_finish(run: Run, rotating: Rotating, data_dir: Path) -> None:
    """A machine without a token, or with a role that reads no keys, asks for the rotation again."""
    spare = SigningKey.generate()
    spare.save(data_dir / "keys" / "contributor.key.new")
    rotating.blind = True
    assert run("keys", "rotate").code == 0
    assert rotating.accepted == spare.public


def test_a_key_file_that_cannot_be_replaced(
    run: Run, rotating: Rotating, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after the server accepted says where the new key is and how to finish."""
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    result = run("keys", "rotate")
    assert result.code == 1
    assert "No space left on device" in result.err
    assert "run `spectra keys rotate` again" in result.err
    monkeypatch.undo()
    assert SigningKey.load(data_dir / "keys" / "contributor.key.new").public == rotating.accepted


def test_revoke_by_prefix(run: Run, server: StandIn) -> None:
    """A unique beginning of eight digits names a key; without a terminal --yes is needed."""
    first, second = SigningKey.generate().public, SigningKey.generate().public
    server.say("GET", "/v0/keys", {"keys": [record(first), record(second)]})
    server.say("POST", "/v0/keys/revoke", record(first, "revoked"))
    assert run("keys", "revoke", first.keyid[:10]).code == 2
    result = run("keys", "revoke", first.keyid[:10].upper(), "--yes")
    assert result.code == 0
    assert "revoked" in result.out
    assert msgspec.json.decode(server.asked("/v0/keys/revoke")[0].body) == {"keyid": first.keyid}


@pytest.mark.parametrize(("keyid", "code"), [("abc", 2), ("0" * 8, 4)])
def test_revoke_guesses_nothing(run: Run, server: StandIn, keyid: str, code: int) -> None:
    """Too short, or not there: nothing is revoked."""
    server.say("GET", "/v0/keys", {"keys": [record(server.key.public)]})
    assert run("keys", "revoke", keyid, "--yes").code == code


def test_list(run: Run, server: StandIn) -> None:
    """The table shows whose keys there are and what they may do."""
    server.say("GET", "/v0/keys", {"keys": [record(server.key.public, "retiring")]})
    result = run("keys", "list")
    assert server.key.public.keyid[:16] in result.out
    assert "retiring" in result.out


def test_another_machine_signs_with_a_key_of_its_own(run: Run, server: StandIn, data_dir: Path, tmp_path: Path) -> None:
    """`use` is all it needs: what it imports is signed by that key, sent without a token, and nothing else is asked."""
    key = SigningKey.generate()
    key.save(tmp_path / "probe.pem")
    (tmp_path / "a.jsonl").write_bytes(b'{"ip":"192.0.2.1","port":22}\n')
    server.key = key
    there = ("--data-dir", tmp_path / "there")
    url = LocalCredential.load(data_dir / "credential.json").url
    used = run(*there, "keys", "use", tmp_path / "probe.pem", "--contributor", "probe", "--server", url)
    assert used.out.startswith("signing as probe")
    assert (tmp_path / "there" / "credential.json").stat().st_mode & 0o777 == 0o600
    assert run(*there, "import", tmp_path / "a.jsonl").code == 0
    assert server.submitted[0].contributor == "probe"
    assert [request.path for request in server.requests] == ["/v0/mesh/ingest"]
    assert server.requests[0].token == ""


def test_a_servers_own_credential_is_not_replaced(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Where a server was started, `use` would lock its user out: it says so instead."""
    SigningKey.generate().save(tmp_path / "probe.pem")
    result = run("keys", "use", tmp_path / "probe.pem", "--contributor", "probe", "--server", "http://127.0.0.1:1")
    assert result.code == 1
    assert "--data-dir" in result.err
