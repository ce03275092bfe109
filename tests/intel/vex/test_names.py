"""Names of software in decisions, and what they cover."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.enrich.cpename import ANY, Cpe
from spectra.intel.vex.names import covers, is_pattern, whole

WORD = st.text("abc19._", min_size=1, max_size=4)
NAME = st.builds(Cpe, st.just("a"), *[WORD] * 2, *[st.one_of(WORD, st.just(ANY))] * 2, *[st.just(ANY)] * 6)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cpe:2.3:a:openbsd:openssh", "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*"),
        (" CPE:2.3:A:OpenBSD:OpenSSH:9.2:p1 ", "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"),
        ("cpe:/a:openbsd:openssh:9.2", "cpe:2.3:a:openbsd:openssh:9.2:*:*:*:*:*:*:*"),
        (r"cpe:2.3:a:x\:y:z:1", r"cpe:2.3:a:x\:y:z:1:*:*:*:*:*:*:*"),
        ("cpe:2.3:a:b:c:1:*:*:*:*:*:*:*:*", None),
        ("cpe:2.3:a:b::1", None),
        ("openssh", None),
        ("", None),
    ],
)
def test_what_is_left_out_is_any(text: str, name: str | None) -> None:
    """The beginning of a name is the name of more; what is none is None."""
    found = whole(text)
    assert (str(found) if found else None) == name


@pytest.mark.parametrize(
    ("pattern", "name", "held"),
    [
        ("cpe:2.3:a:openbsd:openssh", "cpe:2.3:a:openbsd:openssh:9.2:p1", True),
        ("cpe:2.3:a:openbsd:openssh:9.2:p1", "cpe:2.3:a:openbsd:openssh:9.2:p1", True),
        ("cpe:2.3:a:openbsd:openssh:9.2p1", "cpe:2.3:a:openbsd:openssh:9.2:p1", True),
        ("cpe:2.3:a:openbsd:openssh:9.2:p1", "cpe:2.3:a:openbsd:openssh:9.2p1", True),
        ("cpe:2.3:a:openbsd:openssh:9.2", "cpe:2.3:a:openbsd:openssh:9.3", False),
        ("cpe:2.3:a:openbsd:openssh:9.2:p2", "cpe:2.3:a:openbsd:openssh:9.2:p1", False),
        ("cpe:2.3:a:openbsd:openssh:9.2", "cpe:2.3:a:openbsd:openssh", False),
        ("cpe:2.3:a:openbsd:openssh:9.*", "cpe:2.3:a:openbsd:openssh:9.2", True),
        ("cpe:2.3:a:openbsd:openssh:9.*", "cpe:2.3:a:openbsd:openssh:10.2", False),
        ("cpe:2.3:a:openbsd:openssh:9.?", "cpe:2.3:a:openbsd:openssh:9.2", True),
        ("cpe:2.3:a:openbsd:openssh:9.?", "cpe:2.3:a:openbsd:openssh:9.22", False),
        ("cpe:2.3:a:openbsd:openssh:9.*", "cpe:2.3:a:openbsd:openssh", False),
        (r"cpe:2.3:a:x:y:1\*", "cpe:2.3:a:x:y:12", False),
        ("cpe:2.3:a:x:y:-", "cpe:2.3:a:x:y:-", True),
        ("cpe:2.3:a:x:y:1:*:*:*:*:windows", "cpe:2.3:a:x:y:1", False),
        ("cpe:2.3:a:x:y:1p1:*:*:*:*:windows", "cpe:2.3:a:x:y:1:p1", False),
    ],
)
def test_what_a_name_covers(pattern: str, name: str, held: bool) -> None:
    """Whole versions, a level beside or in it, and wildcards; never more than is known of the software."""
    asked, has = whole(pattern), whole(name)
    assert asked
    assert has
    assert covers(asked, has) == held


@given(NAME, st.sets(st.integers(0, 10)), st.integers(0, 2))
def test_less_covers_more(name: Cpe, left_out: set[int], cut: int) -> None:
    """A name covers itself; leaving a part out, or ending it in a wildcard, covers it still."""
    assert covers(name, name)
    wider = Cpe(*(ANY if place in left_out else value for place, value in enumerate(name)))
    assert covers(wider, name)
    version = name.version[:cut] + "*"
    pattern = name._replace(version=version)
    assert covers(pattern, name) or name.version == ANY
    assert is_pattern(pattern) == (version != ANY)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """Is a name or is none."""
    for candidate in (text, f"cpe:2.3:a:{text}"):
        name = whole(candidate)
        assert name is None or covers(name, name)
