"""What a question about CVEs says: ids, words and alternatives of a text, and the values of filters."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.model.vulnquery import (
    MAX_TEXT,
    STATUSES,
    Alternative,
    Id,
    ProductName,
    VulnQuery,
    cpe_word,
    read_products,
    read_severities,
    read_statuses,
    read_text,
    read_weaknesses,
    read_years,
)


@pytest.mark.parametrize(
    ("text", "within", "without"),
    [
        ("CVE-2024-6387", ["CVE-2024-6387"], ["CVE-2024-63870", "CVE-2024-638", "CVE-2023-6387"]),
        ("cve-2024-6387*", ["CVE-2024-6387", "CVE-2024-63870"], ["CVE-2024-6388"]),
        ("CVE-2024-63", ["CVE-2024-6300", "CVE-2024-639999"], ["CVE-2024-6400", "CVE-2024-06300"]),
        ("CVE-2024", ["CVE-2024-0001", "CVE-2024-999999"], ["CVE-2023-9999", "CVE-2025-0001"]),
        ("CVE-2024-", ["CVE-2024-0001"], ["CVE-2025-0001"]),
        ("CVE-2024-*", ["CVE-2024-0001"], ["CVE-2025-0001"]),
        ("CVE-202*", ["CVE-2020-0001", "CVE-2029-0001"], ["CVE-2019-0001"]),
        ("CVE-*", ["CVE-1999-0001", "CVE-2029-999999"], []),
        ("CVE-2024-9*", ["CVE-2024-9000", "CVE-2024-99999"], ["CVE-2024-8999"]),
    ],
)
def test_ids_are_stretches(text: str, within: list[str], without: list[str]) -> None:
    """A whole id is itself, a shorter one what it begins, as text is compared byte by byte."""
    (alternative,) = read_text(text)
    (found,) = alternative.ids
    assert alternative.words == ""
    for cve in within + without:
        assert (found.low <= cve < found.high) == (cve in within), cve


@pytest.mark.parametrize(
    "text", ["CVE-2024-6387x", "CVE-24", "CVE", "xCVE-2024-6387", '"CVE-2024-6387"', "CVE-2024-١٢٣٤"]
)
def test_what_is_no_id_is_a_word(text: str) -> None:
    """Nothing is guessed; an id in quotes is looked for in texts."""
    assert read_text(text) == (Alternative(words=text, weighed=text),)


def test_alternatives() -> None:
    """`or` between words and ids, wherever it stands; exclusions are not weighed."""
    sshd = Id("CVE-2024-6387", "CVE-2024-6387\x01")
    assert read_text('or CVE-2024-6387 OR ssh -"old one" or or -CVE-2024-6387 or') == (
        Alternative(ids=(sshd,)),
        Alternative(words='ssh -"old one"', weighed="ssh"),
        Alternative(without=(sshd,)),
    )
    assert read_text('"this or that"') == (Alternative(words='"this or that"', weighed='"this or that"'),)
    assert read_text("") == read_text("  or ") == ()
    query = VulnQuery(text=read_text("a -b or CVE-2024 or c"))
    assert (query.words, query.weighed) == ("a -b or c", "a or c")


@given(st.text(max_size=60))
@example('"')
@example('-"')
@example('a"b c"d')
def test_nothing_of_a_text_is_lost(text: str) -> None:
    """Every word that is no id and no `or` is in one alternative, in its order."""
    if "\0" in text:
        with pytest.raises(BadRequest):
            read_text(text)
        return
    alternatives = read_text(text)
    words = " ".join(one.words for one in alternatives).split()
    plain = [w for w in text.split() if w.lower() != "or" and not w.lower().lstrip("-").startswith("cve-")]
    assert [w for w in words if w.lower() != "or" and not w.lower().lstrip("-").startswith("cve-")] == plain
    assert all(one.ids or one.without or one.words for one in alternatives)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("openssh", ProductName("", "", "openssh")),
        ("Apache HTTP Server", ProductName("", "", "apache_http_server")),
        ("openbsd:openssh", ProductName("", "openbsd", "openssh")),
        ("o:linux:linux_kernel", ProductName("o", "linux", "linux_kernel")),
        ("cpe:2.3:a:openbsd:openssh:9.8:p1:*:*:*:*:*:*", ProductName("a", "openbsd", "openssh")),
        ("cpe:/a:openbsd:openssh", ProductName("a", "openbsd", "openssh")),
        (r"gnu:foo\:bar", ProductName("", "gnu", r"foo\:bar")),
        ("gnu:c++", ProductName("", "gnu", r"c\+\+")),
        ("*:openssh", ProductName("", "", "openssh")),
    ],
)
def test_products(text: str, found: ProductName) -> None:
    """A word, a vendor and a word, or a CPE name; as a 2.3 name writes them."""
    assert read_products(text) == (found,)


@pytest.mark.parametrize("text", [":", "x:b:c", ":openssh", "openbsd:", "x" * (MAX_TEXT + 1), "a\0b"])
def test_what_is_no_product(text: str) -> None:
    """The parameter is named."""
    with pytest.raises(BadRequest) as error:
        read_products(text)
    assert error.value.field == "product"


@given(st.text(alphabet=r"aZ9 _-.+!:\*~", max_size=12))
def test_words_of_names_are_not_quoted_twice(text: str) -> None:
    """Reading what was read changes nothing."""
    assert cpe_word(cpe_word(text)) == cpe_word(text)


def test_severities_and_statuses() -> None:
    """Between commas, in any case; a slip is answered with the nearest one."""
    assert read_severities(" High,CRITICAL,CRITICAL ") == ("high", "critical")
    assert read_statuses("published,Disputed") == ("", "disputed")
    assert read_statuses("") == tuple(status for status in STATUSES.values() if status != "rejected")
    assert read_statuses("ALL") == ()
    for read, text, field in ((read_severities, "hihg", "severity"), (read_statuses, "rejcted", "status")):
        with pytest.raises(BadRequest, match="no") as error:
            read(text)
        assert error.value.field == field
        assert "Did you mean" in error.value.hint
    with pytest.raises(BadRequest, match="severity has 60 values"):
        read_severities(",".join(str(n) for n in range(60)))


def test_years_and_weaknesses() -> None:
    """Single ones and stretches; ids with or without their prefix."""
    assert read_years("2024, 2019-2021,2020") == (2024, 2019, 2020, 2021)
    assert read_weaknesses("cwe-79, 089,CWE-787") == ("CWE-79", "CWE-89", "CWE-787")
    for text in ("24", "2021-2019", "٢٠٢٤", "2019-", "x"):
        with pytest.raises(BadRequest) as error:
            read_years(text)
        assert error.value.field == "year"
    with pytest.raises(BadRequest) as error:
        read_weaknesses("CWE-x")
    assert error.value.field == "cwe"
    assert len(read_years("0001-9999")) <= 51


def test_long_texts_are_refused() -> None:
    """A text is a question, not a document."""
    with pytest.raises(BadRequest) as error:
        read_text("x" * (MAX_TEXT + 1))
    assert error.value.field == "text"
