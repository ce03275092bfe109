"""Ids of findings, and how sure one is in a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.model.findingrecords import FindingKey, level, read_id

KEYS = st.builds(
    FindingKey,
    st.ip_addresses().map(lambda a: str(getattr(a, "ipv4_mapped", None) or a)),
    st.integers(0, 65535),
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.builds("CVE-{}-{:04}".format, st.integers(1999, 2030), st.integers(0, 999_999_999)),
)


@given(KEYS)
def test_an_id_is_read_back(key: FindingKey) -> None:
    """Every key comes back from its id, whatever the case of the letters."""
    assert read_id(str(key)) == key
    assert read_id(str(key).upper()) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.7",
        "192.0.2.7~22~tcp",
        "192.0.2.7~22~tcp~CVE-2024-6387~",
        "192.0.2.7~22~tcp~CVE-2024-6387~x",
        "192.0.2.300~22~tcp~CVE-2024-6387",
        "fe80::1%eth0~22~tcp~CVE-2024-6387",
        "192.0.2.7~65536~tcp~CVE-2024-6387",
        "192.0.2.7~-1~tcp~CVE-2024-6387",
        "192.0.2.7~²~tcp~CVE-2024-6387",
        "192.0.2.7~22~icmp~CVE-2024-6387",
        "192.0.2.7~22~tcp~CVE-2024-638",
        "192.0.2.7~22~tcp~GHSA-1",
    ],
)
def test_what_is_no_id(text: str) -> None:
    """It is refused, naming the parameter."""
    with pytest.raises(BadRequest) as caught:
        read_id(text)
    assert caught.value.field == "id"


@given(st.text(max_size=60))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    """Nothing else happens."""
    try:
        key = read_id(text)
    except BadRequest:
        return
    assert read_id(str(key)) == key


def test_levels() -> None:
    """The bounds are those of the matcher."""
    assert [level(c) for c in (1.0, 0.8, 0.79, 0.5, 0.49, 0.0)] == [
        "confirmed", "confirmed", "likely", "likely", "possible", "possible",
    ]  # fmt: skip
