"""CPE names between their forms, with NIST's own vectors."""

from __future__ import annotations

import io
import re
import string
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.enrich.cpename import ANY, NA, Cpe, parse, quoted, uri

PUNCTUATION = "\\*?!\"#$%&'()+,/:;<=>@[]^`{|}~"


def java(text: str) -> str:
    """A string of the reference implementation's tests, without Java's backslashes."""
    return text.replace("\\\\", "\\")


def vectors(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Names that the reference implementation takes apart, and the attributes it expects."""
    found: list[tuple[str, dict[str, str]]] = []
    for line in path.read_text("utf-8").splitlines():
        name = re.search(r'unbind(?:URI|FS)\("(.*)"\)', line)
        if name:
            found.append((java(name[1]), {}))
        value = re.search(r"assertEquals\((.*), wfn\.get\(Attribute\.(\w+)\)\)", line)
        if value:
            # A well-formed name quotes `.` and `-`, a formatted string does not.
            text = "*" if value[1] == "LogicalValue.ANY" else java(value[1].strip('"'))
            found[-1][1][value[2].lower()] = re.sub(r"\\([.-])", r"\1", text)
    return found


def test_the_unbinder_s_vectors(shared_data: Path) -> None:
    """Every attribute of every name in the tests of NIST's reference implementation."""
    cases = vectors(shared_data / "labels" / "cpe_spec" / "nist__CPENameUnbinderTest.java.txt")
    assert len(cases) == 5
    for name, attributes in cases:
        cpe = parse(name)
        assert cpe, name
        assert len(attributes) == 11
        assert cpe._asdict() == attributes, name


def test_the_binder_s_vectors(shared_data: Path) -> None:
    """Both of its names, in both forms."""
    text = (shared_data / "labels" / "cpe_spec" / "nist__CPENameBinderTest.java.txt").read_text("utf-8")
    expected = [java(name) for name in re.findall(r'assertEquals\("(cpe:.*?)"', text)]
    first = Cpe("a", "microsoft", "internet_explorer", "8.0.6001", "beta", ANY, "sp2")
    second = Cpe("a", r"foo\$bar", "insight", "7.4.0.1570", NA, ANY, ANY, "online", "win2003", "x64")
    assert expected == [uri(first), str(second)]


@pytest.mark.parametrize(
    ("name", "formatted"),
    [
        # Examples of NIST IR 7695, sections 6.1.3 and 6.2.3.
        ("cpe:/a:hp:insight_diagnostics:7.4.0.1570:-:~~online~win2003~x64~", "-:*:*:online:win2003:x64:*"),
        ("cpe:/a:hp:openview_network_manager:7.51::~~~linux~~", "*:*:*:*:linux:*:*"),
        ("cpe:/a:foo%5cbar:big%24money_manager_2010:::~~special~ipod_touch~80gb~", "*:*:*:special:ipod_touch:80gb:*"),
    ],
)
def test_examples_of_the_standard(name: str, formatted: str) -> None:
    """What comes behind the version, and back again."""
    cpe = parse(name)
    assert cpe
    assert str(cpe).endswith(f":{formatted}")
    assert uri(cpe) == name
    assert parse(str(cpe)) == cpe


def test_real_names_come_back_as_they_were(shared_data: Path) -> None:
    """37,406 URIs of the NVD: each fourth is bound, and unbound to the same text."""
    packed = shared_data / "labels" / "cpe_spec" / "go-cve-dictionary__cpes.txt.zst"
    with zstandard.open(packed, "rt", encoding="utf-8") as file:
        names = file.read().splitlines()
    assert len(names) == 37_406
    for name in names[::4]:
        cpe = parse(name)
        assert cpe, name
        assert uri(cpe) == name
        assert parse(str(cpe)) == cpe


VALUE = st.one_of(
    st.sampled_from([ANY, NA, r"\-", "?", "a?", "*a", r"8.\*"]),
    st.text(string.ascii_lowercase + string.digits + "._-" + PUNCTUATION, min_size=1, max_size=12).map(quoted),
)


@given(st.lists(VALUE, min_size=9, max_size=9), st.sampled_from("aoh"))
def test_any_name_survives_both_forms(values: list[str], part: str) -> None:
    """Whatever its attributes are; the language alone has a grammar of its own."""
    cpe = Cpe._make([part, *values[:5], "en-us", *values[5:]])
    assert parse(str(cpe)) == cpe
    assert parse(uri(cpe)) == cpe


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_none(text: str) -> None:
    """Nothing is raised, and what comes out is a name that stays itself."""
    for name in (text, f"cpe:/{text}", f"cpe:2.3:a:{text}", f"cpe:/a:{text}"):
        cpe = parse(name)
        if cpe is not None:
            assert parse(str(cpe)) == cpe


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cpe",
        "cpe:/",
        "cpe:/x:a:b",
        "cpe:/a:b:c:1:2:3:en:more",
        "cpe:/a:b:c d",
        "cpe:/a:b:c%0a",
        "cpe:/a:b:c:1::~1~2~3~4~5~6",
        "cpe:/a:b:c::::not-a-language",
        "cpe:/a:é:c",
        "cpe:2.3:a:b:c",
        "cpe:2.3:a:b:c:1:*:*:*:*:*:*:*:*",
        "cpe:2.3:x:b:c:1:*:*:*:*:*:*:*",
        "cpe:2.3:a:b c:c:1:*:*:*:*:*:*:*",
        "cpe:2.3:a:b$:c:1:*:*:*:*:*:*:*",
        "cpe:2.3:a::c:1:*:*:*:*:*:*:*",
        "cpe:2.3:a:b:c:1*2:*:*:*:*:*:*:*",
        "cpe:2.3:a:" + "b" * 2000 + ":c:1:*:*:*:*:*:*:*",
    ],
)
def test_what_is_no_name(name: str) -> None:
    """It is in neither form."""
    assert parse(name) is None


def test_names_are_brought_into_one_form() -> None:
    """Lower case, no needless backslashes, no white space around."""
    cpe = parse(" CPE:2.3:a:OpenBSD:OpenSSH:9\\.2:p1:*:*:*:*:*:* ")
    assert str(cpe) == "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"
    assert quoted("Big Money (2)") == r"big_money_\(2\)"
    assert quoted("") == ANY
    assert quoted("-") == r"\-"
    assert io.StringIO(str(cpe)).read().count(":") == 12
