"""Passwords: one hash each, no shortcut for strangers, and newer parameters for old hashes."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.identity.passwords import MAX_BYTES, Passwords, require_good

CHEAP = Passwords(memory_mib=1, passes=1, lanes=1)


def test_a_password_matches_its_hash_alone() -> None:
    """Salted: two hashes of one password differ, and both match."""
    one, two = CHEAP.hash("correct horse"), CHEAP.hash("correct horse")
    assert one != two
    assert one.startswith("$argon2id$v=19$m=1024,t=1,p=1$")
    assert [CHEAP.verify(h, "correct horse") for h in (one, two)] == [True, True]
    assert not CHEAP.verify(one, "correct horse ")


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$", "$2b$12$abc"])
def test_nothing_matches_what_is_no_hash(stored: str) -> None:
    """An account without a password, or with a damaged one, lets nobody in."""
    assert not CHEAP.verify(stored, "")
    assert not CHEAP.verify(stored, "x")


def test_strangers_cost_what_members_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an account that is not there a hash of the same parameters is checked all the same."""
    checked: list[str] = []
    hasher = CHEAP._hasher
    real = type(hasher).verify

    def verify(self: object, stored: str, password: bytes) -> bool:
        checked.append(stored)
        return real(self, stored, password)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(type(hasher), "verify", verify)
    CHEAP.verify("", "guess")
    CHEAP.verify(CHEAP.hash("x"), "guess")
    parameters = {tuple(stored.split("$")[1:4]) for stored in checked}
    assert len(checked) == 2
    assert parameters == {("argon2id", "v=19", "m=1024,t=1,p=1")}
    assert {len(stored) for stored in checked} == {len(checked[0])}


def test_a_hash_of_other_parameters_is_stale() -> None:
    """So that it is made anew at the next sign-in."""
    stored = CHEAP.hash("correct horse")
    better = Passwords(memory_mib=2, passes=1, lanes=1)
    assert not CHEAP.stale(stored)
    assert better.stale(stored)
    assert better.verify(stored, "correct horse")


def test_letters_have_one_spelling() -> None:
    """An accent typed as one character or as two is the same password (NFC)."""
    assert CHEAP.verify(CHEAP.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "x" * 11,
        "x" * 40,
        "abababababab",
        "é" * MAX_BYTES,
        "a\x00bcdefghijklmn",
        "alice@example",
        "\ud800" * 200,
    ],
    ids=lambda p: ascii(p[:12]),
)
def test_passwords_that_are_refused(password: str) -> None:
    """Too short, too long, of hardly any letters, with control characters, or the account itself."""
    with pytest.raises(BadRequest) as caught:
        require_good(password, account="Alice@example")
    assert caught.value.reason == "bad_password"
    assert caught.value.field == "password"


@pytest.mark.parametrize(
    "password", ["correct horse battery", "пароль из слов", "🐎🔋📎🧷🐎🔋📎🧷🐎🔋📎🧷", "a b c d e f g"]
)
def test_passwords_that_are_good(password: str) -> None:
    """Length counts; any script will do."""
    require_good(password, account="alice")
