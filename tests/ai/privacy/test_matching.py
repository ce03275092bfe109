"""Many known strings in a text: as a search for each of them finds them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.privacy.matching import Edge, Index, lowered, stands

_TEXTS = st.text(st.sampled_from("abAB1.é\\n "), max_size=60)


def _index(keys: list[str], edge: Edge = Edge.SOLID) -> Index[str]:
    index: Index[str] = Index()
    for key in keys:
        index.put(lowered(key), edge, key)
    return index


@settings(max_examples=150)
@given(st.lists(_TEXTS.filter(lambda t: len(t) > 2), max_size=8), _TEXTS)
def test_it_finds_what_a_search_for_each_finds(keys: list[str], text: str) -> None:
    """The first and longest of those that lie over each other."""
    low, expected, at = lowered(text), list[tuple[int, int]](), 0
    while at < len(low):
        longest = max((len(k) for k in keys if low.startswith(lowered(k), at)), default=0)
        if longest:
            expected.append((at, at + longest))
        at += longest or 1
    assert [(hit.start, hit.end) for hit in _index(keys).hits(low)] == expected


def test_keys_that_come_later_are_found() -> None:
    """Also after the first search; too short ones never."""
    index = _index(["alpha"])
    assert [hit.item for hit in index.hits("alpha beta ab")] == ["alpha"]
    index.put("beta", Edge.NAME, "beta")
    index.put("ab", Edge.SOLID, "ab")
    assert [hit.item for hit in index.hits("alpha beta ab")] == ["alpha", "beta"]
    assert "beta" in index
    assert (index.get("beta"), index.get("ab")) == ("beta", None)
    assert list(Index[str]().hits("alpha")) == []


def test_beginnings_and_ends() -> None:
    """What a stream has to wait for."""
    index = _index(["alpha", "alphabet"])
    assert index.begins("alp")
    assert index.begins("alphabet")
    assert not index.begins("alpx")
    assert index.may_end("x alpha", 2, 6)
    assert not index.may_end("x alpha more", 2, 10)


def test_what_stands_for_itself() -> None:
    """By what stands beside it; an escape before it is no part of it."""

    def beside(before: str, word: str, after: str, edge: Edge) -> bool:
        return stands(before + word + after, len(before), len(before + word), edge)

    assert beside("x", "1.2", "y", Edge.DIGIT)
    assert not beside("", "1.2", "3", Edge.DIGIT)
    assert not beside("4", "1.2", "", Edge.DIGIT)
    assert beside("\\u0019", "1.2", "", Edge.DIGIT)
    assert beside("n", "fe80::1", " ", Edge.HEX)
    assert not beside("a", "fe80::1", "", Edge.HEX)
    assert not beside("", "fe80::1", ":2", Edge.HEX)
    assert beside("", "fe80::1", ": x", Edge.HEX)
    assert not beside("m", "alice", "", Edge.NAME)
    assert not beside("", "alice", "s", Edge.NAME)
    for escape in ("\\n", "%2f", "\\u002f", "[31m", "\\x1b"):
        assert beside(escape, "alice", "", Edge.NAME)
    assert beside("m", "alice", "s", Edge.SOLID)


def test_lower_case_is_as_long() -> None:
    """Also where Python's would be longer."""
    assert lowered("İX") == "İx"
    assert lowered("ÀB") == "àb"
