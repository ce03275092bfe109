"""Pseudonyms of names."""

from __future__ import annotations

import re

from spectra.ai.privacy.spaces import Keyed
from spectra.ai.privacy.spelling import Names, distinctive, first_label, halves, owner, parents, steps, words


def names() -> Names:
    """New ones."""
    return Names(Keyed(b"k" * 32))


def test_hosts_keep_labels_and_parents() -> None:
    """As many labels, the same parent for the same parent, capitals, a wildcard, dots in brackets."""
    made = names()
    one, other = made.host("db01.corp.example.com"), made.host("web.corp.example.com")
    assert re.fullmatch(r"h[0-9a-f]{6}\.h[0-9a-f]{6}\.d[0-9a-f]{6}\.invalid", one)
    assert one.split(".")[1:] == other.split(".")[1:]
    assert made.host("DB01.CORP.EXAMPLE.COM") == one.upper()
    assert made.host("db01") == one.split(".")[0]
    assert made.host("*.corp.example.com") == f"*.{one.partition('.')[2]}"
    assert made.host("db01[.]corp[.]example[.]com") == one.replace(".", "[.]")
    assert made.host("example.com") != made.host("example.org")


def test_users_and_addresses_of_theirs() -> None:
    """The same user in each."""
    made = names()
    user = made.user("alice")
    assert re.fullmatch(r"user-[0-9a-f]{6}", user)
    assert made.user("CORP\\alice") == f"{made.label('corp')}\\{user}"
    assert made.email("alice@example.com") == f"{user}@{made.host('example.com')}"
    assert made.email("alice [at] example.com").startswith(f"{user} [at] d")
    assert made.email("nobody") == made.user("nobody")
    assert made.path("/home/alice/.ssh/id_rsa.pub").startswith(f"/home/{user}/.ssh/p")


def test_paths_keep_depth_and_ending() -> None:
    """And the folders that every machine has; the last part never stays."""
    made = names()
    assert re.fullmatch(r"C:\\Users\\user-\w{6}\\p\w{6}\.docx", made.path("C:\\Users\\alice\\plan.docx"))
    assert re.fullmatch(r"\\\\h\w{6}\\share\\p\w{6}\.txt", made.path("\\\\fs01\\share\\a.txt"))
    assert re.fullmatch(r"/p\w{6}", made.path("/etc"))


def test_hardware_addresses_keep_their_maker_and_notation() -> None:
    """Locally administered; anything else is none."""
    made = names()
    one, other = made.mac("00:1a:2b:3c:4d:5e") or "", made.mac("00-1A-2B-00-00-01") or ""
    assert int(one[:2], 16) & 3 == 2
    assert one[:8] == other[:8].replace("-", ":").lower()
    assert (made.mac("001a.2b3c.4d5e") or "").replace(".", "") == one.replace(":", "")
    assert len((made.mac("0:1a:2b:3:4:5") or "").split(":")) == 6
    assert len(made.mac("00:1a:2b:ff:fe:3c:4d:5e") or "") == 23
    assert made.mac("xyz") is None
    assert made.mac("1234") is None


def test_a_word_that_is_taken_becomes_no_pseudonym() -> None:
    """The next digits are drawn."""
    first = names().user("alice")
    made = names()
    made.reserve(first.upper())
    assert made.user("alice") != first


def test_what_values_are_made_of() -> None:
    """Parents, labels, halves and steps."""
    assert parents("a.b.example.co.uk.") == ["b.example.co.uk", "example.co.uk"]
    assert first_label("db01.lan") == "db01"
    assert first_label("mail.lan") == first_label("db01") == ""
    assert halves("a@b.c") == ("a", "b.c")
    assert halves("a") == ("a", "")
    assert steps("CORP\\\\alice") == ["CORP", "alice"]
    assert owner("C:\\Users\\bob\\x") == owner("/home/bob/x") == "bob"
    assert owner("/srv/x") == ""
    assert distinctive("mallory")
    assert not distinctive("root")
    assert not distinctive("443")
    assert words("a b\n a") == {"a", "b"}
