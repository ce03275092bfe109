"""What nats-server 2.15 says, word for word, and what strangers make it say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.engines.natslog import (
    MAX_CONNECTIONS,
    Event,
    Listening,
    Loaded,
    LogReader,
    NotLoaded,
    Ready,
    Refusal,
    Throttle,
    is_worth_keeping,
    told,
)

W1 = "spiffe://m/node/w1"


def said(level: str, text: str) -> str:
    """A message as the server writes it."""
    return f"[6594] 2026/11/27 18:03:09.447448 [{level}] {text}"


def read(*messages: str) -> list[Event]:
    """What one server's messages mean."""
    reader = LogReader()
    return [event for message in messages if (event := reader.read(message)) is not None]


MQTT_MEMBER = said("DBG", f'127.0.0.1:4 - mid:7 - "w1-abc" - Using URI found in cert for auth ["{W1}"]')
NATS_MEMBER = said("DBG", f'127.0.0.1:4 - cid:7 - Using URI found in cert for auth ["{W1}"]')


def test_a_start_is_followed() -> None:
    """Ports, also of IPv6, and that it serves."""
    assert read(
        said("INF", "Starting nats-server"),
        said("INF", "Listening for MQTT clients on tls://127.0.0.1:36681"),
        said("INF", "Listening for client connections on [::]:42335"),
        said("INF", "Server is ready"),
    ) == [Listening("mqtt", "127.0.0.1", 36681), Listening("nats", "[::]", 42335), Ready()]


def test_reloads_are_followed() -> None:
    """Which configuration was taken, and why one was not."""
    digest = "sha256:" + "a" * 64
    assert read(
        said("INF", f"Reloaded server configuration ({digest})"),
        said("INF", "Reloaded server configuration"),
        said("ERR", "Failed to reload server configuration: nats.conf:5:1: no\nsuch file"),
    ) == [Loaded(digest), Loaded(""), NotLoaded("nats.conf:5:1: no\\nsuch file")]


def test_a_member_is_named_when_it_is_refused() -> None:
    """By MQTT's connection number as by NATS's, and for each thing it may not."""
    events = read(
        MQTT_MEMBER,
        said("ERR", '127.0.0.1:4 - mid:7 - "w1-abc" - Publish Violation - Subject "spectra.presence.w2"'),
        said("ERR", '127.0.0.1:4 - mid:7 - "w1-abc" - Subscription Violation - Subject "spectra.>", SID spectra.>'),
        said("ERR", '127.0.0.1:4 - mid:7 - "w1-abc" - maximum payload exceeded: 2000000 vs 1048576'),
    )
    assert events == [
        Refusal("forbidden_publish", W1, "spectra.presence.w2"),
        Refusal("forbidden_subscribe", W1, "spectra.>"),
        Refusal("too_large", W1, "maximum payload exceeded"),
    ]
    named = f'127.0.0.1:4 - cid:7 - "v2:python3:n" - "MESH/user:{W1}"'
    events = read(NATS_MEMBER, said("ERR", f'{named} - Publish Violation - Reply "spectra.ctl.w2"'))
    assert events == [Refusal("forbidden_publish", W1, "spectra.ctl.w2")]


def test_a_member_may_be_known_by_the_name_of_its_key() -> None:
    """A DNS name instead of the URI."""
    member = said("DBG", '127.0.0.1:4 - mid:7 - "x" - Using SAN found in cert for auth ["0123.keys.m"]')
    violation = said("ERR", '127.0.0.1:4 - mid:7 - "x" - Publish Violation - Subject "spectra.all"')
    assert read(member, violation) == [Refusal("forbidden_publish", "0123.keys.m", "spectra.all")]


def test_who_is_no_member_is_named_by_its_certificate() -> None:
    """Told once for MQTT too, where the server says it twice; the common name is what our CA wrote."""
    assert read(
        said("DBG", '127.0.0.1:4 - mid:5 - "x" - DistinguishedNameMatch could not be used for auth ["CN=ghost"]'),
        said("DBG", '127.0.0.1:4 - mid:5 - "x" - User in cert ["CN=ghost"], not found'),
        said("ERR", '127.0.0.1:4 - mid:5 - "x" - authentication error'),
        said("ERR", '127.0.0.1:4 - mid:5 - "x" - unable to connect: authentication error'),
    ) == [Refusal("not_a_member", "ghost", "authentication error")]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("tls: client didn't provide a certificate", "no_certificate"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority (CN=w1)", "untrusted"),
        ("tls: failed to verify certificate: x509: certificate has expired or is not yet valid: c", "expired"),
        ("read tcp 1->2: connection reset by peer", "handshake"),
    ],
)
def test_who_shows_no_certificate_of_ours_is_an_address(words: str, kind: str) -> None:
    """Nothing such a stranger says of itself is its name."""
    events = read(said("ERR", f"10.1.2.3:46797 - mid:34 - TLS handshake error: {words}"))
    assert events == [Refusal(kind, "10.1.2.3", f"TLS handshake error: {words}")]
    events = read(said("ERR", f"2001:db8::1:46797 - cid:34 - TLS handshake error: {words}"))
    assert [event.who for event in events if isinstance(event, Refusal)] == ["2001:db8::1"]


def test_a_handshake_that_does_not_go_on_is_a_refusal() -> None:
    """The server says so for debugging only, as of nothing that is wrong; who just went away is none."""
    words = "TLS handshake error: read tcp 10.0.0.1:4222->10.1.2.3:46797: i/o timeout"
    late = Refusal("handshake", "10.1.2.3", "the TLS handshake took too long")
    assert read(said("DBG", f"10.1.2.3:46797 - cid:7 - {words}")) == [late]
    for other in (words.replace("i/o timeout", "EOF"), "TLS handshake timeout", f'"name" - {words}'):
        assert read(said("DBG", f"10.1.2.3:46797 - cid:7 - {other}")) == []


def test_a_certificate_cannot_speak_for_the_server() -> None:
    """The server copies a stranger's common name as it is: lines in it are part of one message."""
    forged = said("ERR", '1.1.1.1:1 - mid:7 - "w1" - Publish Violation - Subject "spectra.all"')
    words = f"TLS handshake error: tls: failed to verify certificate: x509: unknown (CN=x\n{forged}\n)"
    (event,) = read(MQTT_MEMBER, said("ERR", f"10.1.2.3:4 - cid:9 - {words}"))
    assert isinstance(event, Refusal)
    assert (event.kind, event.who) == ("untrusted", "10.1.2.3")
    assert "\n" not in event.detail


@pytest.mark.parametrize(
    "name",
    [
        r'"v2:py:a\" - Using URI found in cert for auth [\"spiffe://m/node/w2\"]"',
        '"v2:py:"spectra.all" - %!q(MISSING)\\nx"',
        '"Publish Violation - Subject \\"x\\""',
        '"x" - Using URI found in cert for auth ["spiffe://m/node/w2"]',
    ],
)
def test_a_client_cannot_take_another_name(name: str) -> None:
    """It can distort what is said about it (its name is a format there), not whom it is said of."""
    again = said("DBG", f"127.0.0.1:4 - cid:7 - {name}")
    violation = said("ERR", f'127.0.0.1:4 - cid:7 - {name} - "MESH/u" - Publish Violation - Subject %!q(MISSING)')
    (event,) = read(NATS_MEMBER, again, violation)
    assert isinstance(event, Refusal)
    assert (event.kind, event.who) == ("forbidden_publish", W1)


def test_only_errors_are_refusals() -> None:
    """A debug line with a client's name that sounds like one is none."""
    ping = said("DBG", '127.0.0.1:4 - cid:7 - "Publish Violation - Subject" - Client Ping Timer')
    assert read(NATS_MEMBER, ping, "no message of it", said("WRN", "127.0.0.1:4 - cid:7 - authentication error")) == []


def test_what_is_remembered_is_bounded() -> None:
    """The oldest connections are forgotten, and are then addresses."""
    reader = LogReader()
    for number in range(MAX_CONNECTIONS + 1):
        reader.read(said("DBG", f'1.1.1.1:4 - cid:{number} - Using URI found in cert for auth ["{W1}"]'))
    first, last = (
        reader.read(said("ERR", f'1.1.1.1:4 - cid:{number} - Publish Violation - Subject "x"'))
        for number in (0, MAX_CONNECTIONS)
    )
    assert first == Refusal("forbidden_publish", "1.1.1.1", "x")
    assert last == Refusal("forbidden_publish", W1, "x")


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a client makes of it, reading goes on, and what is told has no line ends and a bound."""
    reader = LogReader()
    for line in (text, said("ERR", text), said("ERR", f"1.1.1.1:4 - cid:7 - {text}"), said("INF", text)):
        event = reader.read(line)
        if isinstance(event, Refusal):
            assert event.detail.isprintable()
    assert told("a\x1b[2J\n" + text).isprintable()
    assert told("x" * 1000) == "x" * 300


def test_the_log_file_is_for_people() -> None:
    """What is only said for the reader, and of everybody at each reload, stays out; a second takes so many lines."""
    assert not is_worth_keeping(NATS_MEMBER)
    assert not is_worth_keeping(said("WRN", f'User "{W1}" found in connect proto, but user required from cert'))
    assert is_worth_keeping(said("INF", "Server is ready"))
    throttle = Throttle(limit=2)
    assert [throttle.passes(now) for now in (5.0, 5.1, 5.2, 5.9, 6.0)] == [True, True, False, False, True]
