"""Values written down; that they are read back is proven with the whole language in `test_query`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.model.values import Moment, Network, Numbers, Ports, Regex, Scores, Text, Times, Value, format_value

AT = datetime(2026, 1, 31, tzinfo=UTC)
ISO = "2026-01-31T00:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Text("nginx"), "nginx"),
        (Text("NOT"), '"NOT"'),
        (Text("a b", prefix=True), '"a b*"'),
        (Text('a"b\\c*'), r'"a\"b\\c\*"'),
        (Text("", prefix=True), "*"),
        (Text("/etc/"), '"/etc/"'),
        (Regex("a/b"), r"/a\/b/"),
        (Regex(r"a\\/"), r"/a\\\//"),
        (Ports(22, 22), "22"),
        (Numbers(1, 9), "1-9"),
        (Scores(8, None, beyond=True), ">8"),
        (Scores(None, 8.5), "<=8.5"),
        (Scores(7, 8.9), "7-8.9"),
        (Scores(0, 0), "0"),
        (Scores(10, 10), "10"),
        (Scores(0.00001, None), ">=0.00001"),
        (Network("10.0.0.0", "10.255.255.255"), "10.0.0.0/8"),
        (Network("::1", "::1"), "::1"),
        (Moment(AT), ISO),
        (Times(AT, None), f">={ISO}"),
        (Times(None, AT), f"<{ISO}"),
        (Times(AT, AT.replace(year=2027)), f"{ISO}..{ISO.replace('2026', '2027')}"),
    ],
)
def test_a_value_is_written_as_short_as_is_safe(value: Value, text: str) -> None:
    """Quotes only where something would be read differently without them."""
    assert format_value(value) == text


def test_bare_words_and_stars_have_rules_of_their_own() -> None:
    """What could be a field or a sign before a term is quoted; stars stand where they may stand anywhere."""
    assert format_value(Text("port:22"), bare=True) == '"port:22"'
    assert format_value(Text("-x"), bare=True) == '"-x"'
    assert format_value(Text("*:openbsd"), stars=True) == "*:openbsd"
    assert format_value(Text("*:openbsd")) == r'"\*:openbsd"'
