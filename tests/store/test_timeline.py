"""The fold that defines history, against one that is written down as one would tell it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from spectra.store.timeline import LETTER, PROTOCOL_NAME, PROTOCOL_NUMBER, STATE, Look, Version, fold, step
from tests.store.scribe import T0

A, B = UUID(int=1), UUID(int=2)

ids = st.sampled_from([None, None, A, B])
moments = st.integers(0, 5).map(lambda minute: T0 + timedelta(minutes=minute))
looks = st.builds(
    Look, moments, st.sampled_from([b"1", b"2", b"3"]), st.sampled_from(["o", "o", "o", "c", "f"]), ids, ids, ids
)


def at(minute: int) -> datetime:
    """Minutes after the beginning."""
    return T0 + timedelta(minutes=minute)


@given(st.lists(looks, max_size=12), st.randoms())
def test_the_order_of_arrival_does_not_matter(seen: list[Look], random: Random) -> None:
    """Any permutation of the looks, of the same instant too, folds to the same versions."""
    mixed = list(seen)
    random.shuffle(mixed)
    assert fold(mixed) == fold(seen)


@given(st.lists(looks, max_size=12))
def test_versions_tile_the_life(seen: list[Look]) -> None:
    """Life begins open; versions follow each other, differ from their neighbours, and none has length zero."""
    versions = fold(seen)
    assert bool(versions) == any(look.state == "o" for look in seen)
    if versions:
        assert versions[0].state == "o"
        assert versions[-1].confirmed == max(look.at for look in seen)
    for version, following in pairwise(versions):
        assert version.since <= version.confirmed < following.since
        assert (version.state, version.service, version.certificate) != (
            following.state,
            following.service,
            following.certificate,
        )


@given(st.lists(looks, max_size=12, unique_by=lambda look: look.at))
def test_a_fold_is_its_steps(seen: list[Look]) -> None:
    """Where no two looks share an instant, folding is stepping: what the SQL of the fast path does one at a time."""
    versions: list[Version] = []
    for look in sorted(seen):
        version, fresh = step(versions[-1] if versions else None, look)
        if version:
            versions = [*(versions if fresh else versions[:-1]), version]
    assert fold(seen) == versions


def test_open_outweighs_what_another_said_at_the_same_instant() -> None:
    """Two scanners disagree about one moment: who reached the port is right, whatever their order."""
    looks = [Look(at(0), b"1", "o", A), Look(at(0), b"2", "c"), Look(at(0), b"3", "f")]
    assert fold(looks) == [Version("o", A, None, None, at(0), at(0))]


def test_one_instant_is_one_look() -> None:
    """Three that name other services at one moment leave one version; the last tie wins, the others fill its gaps."""
    looks = [Look(at(0), b"1", "o", A, A, A), Look(at(0), b"2", "o", B), Look(at(0), b"3", "o", None, None, B)]
    assert fold(looks) == [Version("o", B, A, B, at(0), at(0))]


def test_what_a_look_does_not_say_is_not_a_change() -> None:
    """A port scan confirms what a service scan identified; a new banner of the same service replaces the old one."""
    looks = [Look(at(0), b"", "o", A, None, A), Look(at(1), b"", "o"), Look(at(2), b"", "o", None, None, B)]
    assert fold(looks) == [Version("o", A, None, B, at(0), at(2))]


def test_what_becomes_known_is_a_version() -> None:
    """The earlier look did not claim the service, so the claim begins where it was first made."""
    assert fold([Look(at(0), b"", "o"), Look(at(1), b"", "o", A)]) == [
        Version("o", None, None, None, at(0), at(0)),
        Version("o", A, None, None, at(1), at(1)),
    ]


def test_the_closed_forget() -> None:
    """What comes back after it was closed is not taken for what it was before."""
    assert [v.service for v in fold([Look(at(0), b"", "o", A), Look(at(1), b"", "c"), Look(at(2), b"", "o")])] == [
        A,
        None,
        None,
    ]


def test_the_codes_are_one_to_one() -> None:
    """States and protocols have one code each (IANA protocol numbers)."""
    assert {STATE[letter]: letter for letter in STATE} == LETTER
    assert {PROTOCOL_NAME[number]: number for number in PROTOCOL_NAME} == PROTOCOL_NUMBER
    assert PROTOCOL_NUMBER == {"tcp": 6, "udp": 17, "sctp": 132}
