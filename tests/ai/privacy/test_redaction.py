"""Private values out of texts and back: nothing of them is left, and nothing is lost."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spectra.ai.privacy.detector import fragment_of
from spectra.model.ai import Fragment, Kind, Label, Private, generic, local
from tests.ai.privacy.values import fragments, pieces, redactor

HOST = Private(Kind.HOSTNAME, "db01.corp.example.com")
ADDRESS = Private(Kind.ADDRESS, "192.0.2.7")
USER = Private(Kind.USER, "CORP\\alice")


@settings(max_examples=150, deadline=None)
@example(Fragment(("\x19", Private(Kind.ADDRESS, "1.0.0.0")), Label.SANITIZED), [])
@given(fragments(), st.lists(st.integers(0, 10_000), max_size=12))
def test_what_was_taken_out_comes_back_however_it_is_cut(fragment: Fragment, cuts: list[int]) -> None:
    """Restoring a whole text, a stream in any pieces, and JSON in any pieces, gives what there was."""
    one = redactor()
    made = one.text(fragment)
    assert one.restore(made) == fragment.text
    stream = one.stream()
    assert "".join(stream.feed(piece) for piece in pieces(made, cuts)) + stream.end() == fragment.text
    arguments = json.dumps({"text": made, "more": [made, 1.50]}, ensure_ascii=False)
    assert json.loads(one.restore_json(arguments)) == {"text": fragment.text, "more": [fragment.text, 1.5]}
    stream = one.stream(json=True)
    streamed = "".join(stream.feed(piece) for piece in pieces(arguments, cuts)) + stream.end()
    assert json.loads(streamed, strict=False)["text"] == fragment.text


@settings(max_examples=150, deadline=None)
@given(fragments())
def test_nothing_private_is_left(fragment: Fragment) -> None:
    """No value of the prompt stands in what leaves, neither where it was marked nor elsewhere."""
    one = redactor()
    made = one.text(fragment)
    assert not one.left(made)
    assert not one.leaks(json.dumps({"messages": [{"content": made}]}).encode())
    for kind, value in fragment.privates:
        if len(value) > 9 and kind is not Kind.PATH:
            assert value.lower() not in made.lower()


def test_what_is_known_is_found_in_generic_words() -> None:
    """In another case, within JSON and within a URL; a word that merely has the letters is none."""
    one = redactor()
    one.add([HOST, ADDRESS, USER])
    words = (
        'DB01.CORP.EXAMPLE.COM at http://192.0.2.7:80/, "CORP\\\\alice", '
        "%2Fx%3D192.0.2.7, \\n192.0.2.7, malice 192x0.2.77"
    )
    made = one.words(words)
    assert not one.left(made)
    assert made.count(".INVALID") == 1
    assert "malice" in made
    assert "192.0.2.7" not in made
    assert one.restore(made) == words


def test_parts_of_names_are_found_too() -> None:
    """The domain, the short name, the user of an e-mail address, the network: each keeps its place in the structure."""
    one = redactor()
    made = one.text(Fragment(("", HOST, " ", ADDRESS), Label.SANITIZED))
    host, address = made.split()
    assert one.words("the domain corp.example.com") == f"the domain {host.partition('.')[2]}"
    assert one.words("log in to db01") == f"log in to {host.partition('.')[0]}"
    assert one.words("all of 192.0.2.0/24") == f"all of {address.rpartition('.')[0]}.0/24"


def test_addresses_that_nobody_labelled_are_taken_out_of_words() -> None:
    """The detector is certain of them; versions stay."""
    made = redactor().words("Tell 198.51.100.9 and 00:1a:2b:3c:4d:5e of OpenSSL version 1.0.2.1")
    assert "198.51.100.9" not in made
    assert "3c:4d" not in made
    assert made.endswith("version 1.0.2.1")


def test_models_write_pseudonyms_their_own_way() -> None:
    """In capitals, in Markdown, defanged, with other hyphens, another notation of a hardware address."""
    one = redactor()
    mac = Private(Kind.MAC, "00:1a:2b:3c:4d:5e")
    token = Private(Kind.SECRET, "hunter2hunter2")
    made = one.text(Fragment((HOST, " ", ADDRESS, " ", Private(Kind.USER, "alice"), " ", mac, " ", token)))
    host, address, user, hardware, secret = made.split(" ")
    assert one.restore(f"**{host.upper()}**, `{address}`.") == f"**{HOST.value}**, `{ADDRESS.value}`."
    assert one.restore(address.replace(".", "[.]")) == "192[.]0[.]2[.]7"
    assert one.restore(user.replace("-", "\u2011")) == "alice"
    assert one.restore(secret.replace("_", "\\_")) == token.value
    assert one.restore(hardware.replace(":", "-").upper()) == "00-1a-2b-3c-4d-5e"


def test_what_a_model_made_up_stays() -> None:
    """Nobody has these names."""
    one = redactor()
    one.add([HOST, ADDRESS])
    for made_up in ("user-000000", "198.18.0.1", "h000000.invalid", "SECRET_00000000", "2001:db8::1"):
        assert one.restore(made_up) == made_up


def test_what_only_looks_like_a_pseudonym_is_told_apart() -> None:
    """Who writes one into a text does not get another's value for it."""
    one = redactor()
    name = one.text(Fragment((Private(Kind.USER, "alice"),)))
    made = one.text(local(f"{name} wrote: alice"))
    assert one.restore(made) == f"{name} wrote: alice"


def test_arguments_of_calls_stay_json() -> None:
    """A value with quotes and backslashes is escaped; what is no JSON is restored as it is."""
    one = redactor()
    odd = Private(Kind.SECRET, 'a"b\\c\n"def')
    made = one.text(Fragment((odd,)))
    restored = one.restore_json(f'{{"a": "{made}", "b": 1.0,  "c": "x"}}')
    assert json.loads(restored)["a"] == odd.value
    assert restored.endswith('"b": 1.0,  "c": "x"}')
    assert one.restore_json(made) == odd.value
    stream = one.stream(json=True)
    assert json.loads(stream.feed(f'{{"a": "{made}"}}') + stream.end())["a"] == odd.value


def test_the_last_guard_reads_escapes() -> None:
    """A known value, or an address that nobody knows, whether escaped for JSON or for a URL; pseudonyms are none."""
    one = redactor()
    made = one.text(Fragment((HOST, " ", USER)))
    assert one.leaks(json.dumps({"x": [made]}).encode()) == []
    assert [p.kind for p in one.leaks(json.dumps({"x": {"CORP\\alice": 1}}).encode())] == [Kind.USER]
    assert one.leaks(b'{"x": "db01%2Ecorp%2Eexample%2Ecom"}')
    assert one.leaks(b'{"x": "see 203.0.113.7"}') == [Private(Kind.ADDRESS, "203.0.113.7")]
    assert one.leaks(b'{"x": "\\u0032\\u0030\\u0033.0.113.7"}')
    assert one.leaks(b"203.0.113.7 is no JSON")


def test_pseudonyms_within_escapes_are_none_of_others() -> None:
    """The guard that reads escapes sees what it gave."""
    for value in ("192%2E0%2E2%2E7", "2001%3Adb8%3A%3A7", "alice%40example.com"):
        one = redactor()
        made = one.text(fragment_of(f"GET /?next=http%3A%2F%2F{value}%2F"))
        assert value not in made
        assert one.leaks(json.dumps({"x": made}).encode()) == []
    assert redactor().leaks(b'{"x": "http%3A%2F%2Ffd12::5"}') == [Private(Kind.ADDRESS, "fd12::5")] * 2


def test_generic_words_are_left_alone() -> None:
    """A host that is called like a word does not spoil what is asked."""
    one = redactor()
    one.add([Private(Kind.HOSTNAME, "web"), Private(Kind.USER, "root"), Private(Kind.USER, "12")])
    assert one.text(generic("The root cause of 12 web sites")) == "The root cause of 12 web sites"
    assert one.text(Fragment(("at ", Private(Kind.HOSTNAME, "web")))) != "at web"
    assert one.text(generic("")) == ""
