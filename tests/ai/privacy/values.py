"""Private values as hypothesis draws them, and texts with them in places."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from spectra.ai.privacy.pseudonyms import Pseudonyms
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import Fragment, Kind, Label, Part, Private

SECRET = b"s" * 32


def redactor(account: str = "alice") -> Redactor:
    """A new one, for one prompt."""
    return Redactor(Pseudonyms(SECRET, account))


def names(account: str = "alice") -> Pseudonyms:
    """New ones."""
    return Pseudonyms(SECRET, account)


def _some(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet), min_size=least, max_size=most)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LABELS = st.tuples(st.sampled_from(_LETTERS), _some(_LETTERS + "0123456789", 3, 9)).map("".join)
_V4 = st.tuples(st.integers(1, 223), *[st.integers(0, 255)] * 3).map(lambda o: ".".join(map(str, o)))
_V6 = st.ip_addresses(v=6).map(str)
_MACS = st.tuples(st.binary(min_size=6, max_size=6), st.sampled_from(":-")).map(lambda p: p[0].hex(p[1]))
_HOSTS = st.lists(_LABELS, min_size=1, max_size=4).map(".".join)
_USERS = _LABELS | st.tuples(_LABELS, _LABELS).map("\\".join)

privates: st.SearchStrategy[Private] = st.one_of(
    (_V4 | _V6).map(lambda v: Private(Kind.ADDRESS, v)),
    st.tuples(_V4, st.integers(4, 31)).map(lambda p: Private(Kind.NETWORK, f"{p[0]}/{p[1]}")),
    _MACS.map(lambda v: Private(Kind.MAC, v)),
    _HOSTS.map(lambda v: Private(Kind.HOSTNAME, v)),
    st.tuples(_LABELS, _HOSTS).map(lambda p: Private(Kind.EMAIL, "@".join(p))),
    _USERS.map(lambda v: Private(Kind.USER, v)),
    st.lists(_LABELS, min_size=1, max_size=4).map(lambda p: Private(Kind.PATH, "/home/" + "/".join(p))),
    st.text(min_size=6, max_size=30).map(lambda v: Private(Kind.SECRET, v)),
    _some("0123456789ABCDEF", 8, 20).map(lambda v: Private(Kind.ID, v)),
)
_WORDS = st.text(max_size=12) | st.sampled_from([" is ", ": ", "\n", '", "', " at /", "**", "\\n", "."])
parts: st.SearchStrategy[list[Part]] = st.lists(privates | _WORDS, max_size=10)


@st.composite
def fragments(draw: st.DrawFn) -> Fragment:
    """Values among words, sometimes glued to them; some a second time, in words that no label marks."""
    drawn = draw(parts)
    again = [part.value for part in drawn if isinstance(part, Private) and draw(st.booleans())]
    return Fragment((*drawn, *(f" {value} " for value in again)), Label.SANITIZED)


def pieces(text: str, cuts: list[int]) -> list[str]:
    """`text` cut at these places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]
