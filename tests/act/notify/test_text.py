"""Messages as text: whatever a banner says, nothing of it ends a line, a header or an XML document."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from spectra.act.notify.text import body, headline, link, plain
from tests.act.notify.messages import HOSTILE, ORIGIN, message


@settings(max_examples=60)
@given(st.text(max_size=300) | st.just(HOSTILE))
def test_a_line_is_a_line(text: str) -> None:
    """Of bounded length, printable, and sayable in XML; what is plain already stays."""
    line = plain(text, 100)
    assert len(line) <= 100
    assert line.splitlines() in ([], [line])
    assert not any(c in line for c in "\x00\x1b\u202e\u2028\ufffe")
    etree.fromstring(f"<a>{line.replace('&', '&amp;').replace('<', '&lt;')}</a>")
    assert plain(line, 100) == line


def test_the_whole_of_a_message() -> None:
    """What it is, how bad, each thing, the rule and where to read on: a link where the dashboard is known."""
    whole = body(message(), ORIGIN).splitlines()
    assert whole == [
        "[high] Port 22 opened, 1",
        "- 192.0.2.7:22 is open: OpenSSH 9.2",
        "Rule ssh, 2027-01-01 12:00:00 UTC",
        f"{ORIGIN}/alerts/alert-1",
    ]
    assert body(message()).splitlines()[-1] == "spectra alerts show alert-1"
    assert headline(message(told="resolved")).startswith("[high] over: ")
    assert body(message(told="test", alert="", rule="")).splitlines()[0] == "[high] test: Port 22 opened, 1"
    assert link(message(path="//eve.example/"), "") == ""
