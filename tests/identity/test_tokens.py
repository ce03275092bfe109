"""API tokens and the local credential."""

from __future__ import annotations

import hashlib
import io
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from spectra.errors import SetupError
from spectra.identity.tokens import LocalCredential, digest, matches, new_token


def test_a_token_matches_its_digest_and_no_other() -> None:
    """The server keeps only the SHA-256, which the token and no other token has."""
    token, other = new_token(), new_token()
    assert token.startswith("spk_")
    assert token != other
    assert digest(token) == hashlib.sha256(token.encode()).digest()
    assert matches(token, digest(token))
    assert not matches(other, digest(token))


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """Text that is no token never matches, not even the digest of itself."""
    assert not matches(text, digest(text))


def test_text_of_a_tokens_length_is_answered() -> None:
    """Letters outside ASCII and lone surrogates in a header do not break the comparison."""
    assert not matches("spk_" + "\udce9" * 43, digest(new_token()))
    assert not matches("spk_" + "é" * 43, digest(new_token()))


def credential() -> LocalCredential:
    """What `spectra up` leaves for the command line."""
    return LocalCredential(url="http://127.0.0.1:8765", token=new_token(), contributor="admin", key_file="/k.pem")


def test_a_credential_round_trips_in_a_private_file(tmp_path: Path) -> None:
    """It is saved with mode 0600, may be replaced, and loads as it was."""
    path = tmp_path / "credential.json"
    for made in (credential(), credential()):
        made.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert LocalCredential.load(path) == made


def test_a_credential_open_to_others_is_refused(tmp_path: Path) -> None:
    """A token that others can read is not used; the error says how to mend it."""
    path = tmp_path / "credential.json"
    credential().save(path)
    path.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        LocalCredential.load(path)


def test_a_credential_hides_its_token(tmp_path: Path) -> None:
    """Neither `repr`, nor `rich`, nor the error on a damaged file shows the token."""
    made = credential()
    shown = io.StringIO()
    Console(file=shown, width=300).print(made)
    path = tmp_path / "credential.json"
    made.save(path)
    path.write_bytes(path.read_bytes().replace(b'"url"', b'"uri"'))
    with pytest.raises(SetupError, match="not a credential") as caught:
        LocalCredential.load(path)
    for text in (repr(made), str(made), shown.getvalue(), str(caught.value)):
        assert made.token not in text
    assert "admin" in shown.getvalue()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"url": 1}', b"\xff"])
def test_a_damaged_credential_is_told(tmp_path: Path, content: bytes) -> None:
    """A file that is no credential is a `SetupError` naming the file."""
    path = tmp_path / "credential.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SetupError, match=r"credential\.json is not a credential"):
        LocalCredential.load(path)
