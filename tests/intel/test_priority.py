"""The risk of a CVE and the priority of a finding order things as a practitioner does, and say why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.priority import LEVELS, exposed, level, priority, risk, why

SCORES = st.none() | st.floats(0, 10)
SEVERITIES = st.sampled_from(["", "none", "low", "medium", "high", "critical"])
CHANCES = st.none() | st.floats(0, 1)
EXPLOITED = st.sampled_from(["", "none", "poc", "active"])
PARTS = st.floats(0, 1)


def test_the_scale_in_examples() -> None:
    """What a reader may hold against his own judgement."""
    examples = {
        "Log4Shell: KEV, ransomware, CVSS 10": risk(10.0, "critical", 0.97, True, True, "active"),
        "in KEV, CVSS 5.3": risk(5.3, "medium", 0.02, True, False, ""),
        "active by SSVC, CVSS 9.8": risk(9.8, "critical", 0.2, False, False, "active"),
        "CVSS 9.8, EPSS 90 %": risk(9.8, "critical", 0.9, False, False, ""),
        "CVSS 9.8 of today": risk(9.8, "critical", None, False, False, ""),
        "CVSS 5.3, EPSS 90 %": risk(5.3, "medium", 0.9, False, False, ""),
        "CVSS 9.8, EPSS 0.05 %": risk(9.8, "critical", 0.0005, False, False, "none"),
        "CVSS 5.3, EPSS 0.05 %": risk(5.3, "medium", 0.0005, False, False, "none"),
        "CVSS 3.1, EPSS 0.02 %": risk(3.1, "low", 0.0002, False, False, ""),
    }
    assert list(examples.values()) == sorted(examples.values(), reverse=True)
    assert [level(score) for score in examples.values()] == [
        "critical", "critical", "critical", "critical", "high", "high", "medium", "medium", "low",
    ]  # fmt: skip


@given(SCORES, SEVERITIES, CHANCES, EXPLOITED, SCORES, SEVERITIES, CHANCES, EXPLOITED, st.booleans())
def test_exploited_goes_before_everything(
    cvss: float | None, severity: str, epss: float | None, told: str,
    other: float | None, another: str, chance: float | None, said: str, ransomware: bool,
) -> None:  # fmt: skip
    """Nothing that is not in the catalogue reaches what is."""
    known = risk(cvss, severity, epss, True, ransomware, told)
    unknown = risk(other, another, chance, False, False, said)
    assert 0 <= unknown < 85 <= known <= 100


@given(st.floats(0, 10), st.floats(0, 10), PARTS, PARTS, st.booleans(), EXPLOITED)
def test_more_of_anything_is_never_less(a: float, b: float, p: float, q: float, kev: bool, told: str) -> None:
    """Of impact, chance, ransomware and exploits."""
    low, high = sorted((a, b))
    less, more = sorted((p, q))
    assert risk(low, "", less, kev, False, told) <= risk(high, "", less, kev, False, told)
    assert risk(low, "", less, kev, False, told) <= risk(low, "", more, kev, False, told)
    assert risk(low, "", less, kev, False, told) <= risk(low, "", less, kev, True, told)
    assert risk(low, "", less, kev, False, "none") <= risk(low, "", less, kev, False, "poc")
    assert risk(low, "", less, kev, False, "poc") <= risk(low, "", less, kev, False, "active")


def test_severity_counts_without_a_score() -> None:
    """And nothing at all is the middle."""
    assert risk(None, "critical", None, False, False, "") > risk(None, "high", None, False, False, "")
    assert risk(None, "", None, False, False, "") == risk(5.0, "", None, False, False, "")


@given(st.floats(0, 100), PARTS, PARTS, st.booleans(), st.sampled_from(["", "possibly"]))
def test_the_place_only_ever_lowers(of_cve: float, sure: float, surer: float, reachable: bool, patched: str) -> None:
    """Less sure, hidden and perhaps repaired are less urgent; the level is that of the score."""
    less, more = sorted((sure, surer))
    made = priority(of_cve, less, reachable, patched)
    assert 0 <= made.score <= round(of_cve, 1)
    assert made.score <= priority(of_cve, more, reachable, patched).score
    assert made.score <= priority(of_cve, less, True, "").score
    assert made.level == level(made.score)


def test_a_repair_weighs_more_than_a_private_address() -> None:
    """A known exploited one on a private address is still high; perhaps repaired, it is medium."""
    assert priority(95, 1, True, "").level == "critical"
    assert priority(95, 1, False, "").level == "high"
    assert priority(95, 0.57, True, "possibly").level == "medium"  # no build of a distribution is surer
    assert priority(95, 0.3, True, "").level == "high"


def test_every_factor_has_its_sentence() -> None:
    """In the order of weight."""
    told = why(9.8, "critical", 0.042, True, True, "active")
    assert told == (
        "It is exploited, also by ransomware (CISA KEV).",
        "EPSS puts the chance of its exploitation within 30 days at 4.2 %.",
        "CVSS rates it 9.8 of 10 (critical).",
    )
    made = priority(99.8, 0.9, False, "possibly", because=told)
    assert made.reasons == (
        *told,
        "The risk of the CVE alone is 100 of 100.",
        "That this software has it is 90 % sure, which lowers it.",
        "The address is not reachable from the Internet, which lowers it.",
        "The distribution has possibly repaired this version, which lowers it.",
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (why(None, "", None, False, False, ""), "Nobody has rated it"),
        (why(None, "high", None, False, False, ""), "Its severity is high"),
        (why(5.0, "", None, False, False, ""), "no estimate"),
        (why(5.0, "", 0.00001, False, False, ""), "less than 0.01 %"),
        (why(5.0, "", 0.0, False, False, "poc"), "An exploit is public"),
        (why(5.0, "", 0.97, False, False, "active"), "SSVC"),
        (priority(50, 1, True, "").reasons, "is sure"),
    ],
)
def test_what_is_not_known_is_said_too(told: tuple[str, ...], words: str) -> None:
    """Each reason is a sentence."""
    assert any(words in sentence for sentence in told)
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in told)


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("192.168.1.1", False),
        ("::ffff:10.0.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("192.0.2.1", False),
        ("224.0.1.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("no address", False),
    ],
)
def test_only_addresses_of_the_internet_are_exposed(ip: str, expected: bool) -> None:
    """Private, shared, documentation and group addresses are not."""
    assert exposed(ip) is expected


def test_levels_cover_the_scale() -> None:
    """Each from its least score on."""
    assert [level(least) for least, _ in LEVELS] == [word for _, word in LEVELS]
    assert level(-1) == "low"
