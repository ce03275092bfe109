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
ties, states = st.sampled_from([b"1", b"2", b"3"]), st.sampled_from(["o", "o", "o", "c", "f"])
looks = st.builds(Look, moments, ties, states, ids, ids, ids, st.just(1.0), st.just("alice"))
people = st.sampled_from([("alice", 1.0), ("bob", 0.7), ("mallory", 0.25), ("trudy", 0.25), ("eve", 0.125)])


def seen_by(look: Look, who: tuple[str, float], days: int) -> Look:
    """`look` by somebody, some days later."""
    return look._replace(by=who[0], trust=who[1], at=look.at + timedelta(days=days))


weighed = st.builds(seen_by, looks, people, st.sampled_from([0, 0, 3, 9]))


def at(minute: int) -> datetime:
    """Minutes after the beginning."""
    return T0 + timedelta(minutes=minute)


@given(st.lists(looks | weighed, max_size=12), st.randoms())
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


@given(st.lists(looks | weighed, max_size=12, unique_by=lambda look: look.at))
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


def claims(*said: tuple[str, float, int, UUID | None]) -> list[Look]:
    """Open looks: (contributor, trust, day, service)."""
    return [Look(T0 + timedelta(days=day), b"", "o", service, trust=trust, by=by) for by, trust, day, service in said]


def test_an_untrusted_contradiction_is_held_as_a_doubt() -> None:
    """One who is trusted little does not end what a trusted contributor saw; that they said otherwise is kept."""
    (version,) = fold(claims(("alice", 1.0, 0, A), ("mallory", 0.2, 1, B), ("mallory", 0.2, 2, B)))
    assert (version.service, version.confirmed, version.doubt) == (A, at(0), "mallory")


def test_a_confirmation_ends_the_doubt() -> None:
    """Whoever is trusted looks again and sees the same: the doubt is gone."""
    (version,) = fold(claims(("alice", 1.0, 0, A), ("mallory", 0.2, 1, B), ("alice", 1.0, 2, A)))
    assert version.doubt == ""


def test_two_who_contradict_outweigh_one() -> None:
    """A second contributor who contradicts, untrusted as well, ends the version: a change is not hidden for ever."""
    versions = fold(claims(("alice", 1.0, 0, A), ("mallory", 0.2, 1, B), ("trudy", 0.2, 2, B)))
    assert [v.service for v in versions] == [A, B]
    assert versions[-1].sole == "trudy"


def test_what_was_not_confirmed_for_a_week_does_not_hold() -> None:
    """A version is held while it is fresh only."""
    assert len(fold(claims(("alice", 1.0, 0, A), ("mallory", 0.2, 7, B)))) == 1
    assert len(fold(claims(("alice", 1.0, 0, A), ("mallory", 0.2, 8, B)))) == 2


def test_equals_overrule_each_other() -> None:
    """Between two who are trusted, or two who are not, the later look holds."""
    assert len(fold(claims(("alice", 1.0, 0, A), ("bob", 0.5, 1, B)))) == 2
    assert len(fold(claims(("trudy", 0.2, 0, A), ("mallory", 0.2, 1, B)))) == 2


def test_what_one_untrusted_contributor_claims_alone_is_marked() -> None:
    """The mark goes when anybody else sees the same."""
    assert fold(claims(("mallory", 0.2, 0, A), ("mallory", 0.2, 1, A)))[0].sole == "mallory"
    assert fold(claims(("mallory", 0.2, 0, A), ("trudy", 0.2, 1, A)))[0].sole == ""
    assert fold(claims(("mallory", 0.2, 0, A), ("alice", 0.9, 1, A)))[0].sole == ""
    assert fold(claims(("alice", 0.9, 0, A)))[0].sole == ""


def test_trusted_looks_outweigh_others_of_the_same_instant() -> None:
    """At one moment the untrusted are not heard beside the trusted."""
    looks = claims(("alice", 1.0, 0, A), ("mallory", 0.2, 0, B))
    assert [(v.service, v.sole) for v in fold(looks)] == [(A, "")]
