"""Names by their form and by the words before them; test_detector.py has more of the forms."""

from __future__ import annotations

import pytest

from spectra.ai.privacy.people import guessed
from spectra.ai.privacy.span import words_of
from spectra.model.ai import Kind


def named(text: str, kind: Kind) -> set[str]:
    """What of this kind is found."""
    low = text.lower()
    return {text[s.start : s.end] for s in guessed(text, low, words_of(low)) if s.kind is kind}


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("a.b.corp.local", "a.b.corp.local"),
        ("_ldap._tcp.dc._msdcs.corp.lan:", "_ldap._tcp.dc._msdcs.corp.lan"),
        ("*.example.fr", "example.fr"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("http://run.sh/", "run.sh"),
        ("Host named apollo", "apollo"),
        ("the server 'apollo' is", "apollo"),
        ("on the machine apollo-7 now", "apollo-7"),
        ("ServerName apollo.lan", "apollo.lan"),
        ("ping -c 3 apollo", "apollo"),
        ("from workstation apollo failed", "apollo"),
        ("https://acme.github.com/x", "acme.github.com"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    """With dots, or where a word tells."""
    assert named(text, Kind.HOSTNAME) == {host}


@pytest.mark.parametrize(
    "text", ["run.sh", "org.apache.commons.io", "1.2.de", "github.com", "the host is down", "a.b", "http://localhost/"]
)
def test_no_hosts(text: str) -> None:
    """Files, packages, numbers, what everybody knows."""
    assert named(text, Kind.HOSTNAME) == set()


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("user 'bob'", "bob"),
        ("Accepted publickey for bob from", "bob"),
        ("login as bob.", "bob"),
        ("owner: bob", "bob"),
        ("~bob/x", "bob"),
        ("CORP\\bob", "CORP\\bob"),
        ("username bob secret 9 x", "bob"),
        ("utilisateur bob ", "bob"),
    ],
)
def test_users(text: str, user: str) -> None:
    """Where a word tells, and with a domain."""
    assert user in named(text, Kind.USER)


def test_no_users() -> None:
    """Words after `user` are words."""
    assert (
        named("The user is able to, users can, user agent, a user account; user=root; last login: Sat.", Kind.USER)
        == set()
    )


def test_directories_and_paths() -> None:
    """Names of LDAP are somebody's; folders of every system are nobody's."""
    assert named("dn: cn=Bob Doe,ou=Staff,dc=corp,dc=lan", Kind.ID) == {"cn=Bob Doe,ou=Staff,dc=corp,dc=lan"}
    assert named("in D:/plans/plan.txt and /etc/passwd and /usr/bin/x", Kind.PATH) == {"D:/plans/plan.txt"}
