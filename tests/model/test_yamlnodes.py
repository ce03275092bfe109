"""YAML that people write: what is wrong in it is told with its line."""

from __future__ import annotations

import msgspec
import pytest

from spectra.errors import SetupError
from spectra.model.yamlnodes import Reader, at


class BadFile(SetupError):
    """What a reader of the tests raises."""


READER = Reader(BadFile, depth=16)


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """A file."""

    names: list[str]
    more: int = 0


def test_a_file_becomes_a_struct() -> None:
    """YAML and JSON alike, and a path leads to its node."""
    for text in ("names: [a, b]\nmore: 2\n", '{\n "names": ["a", "b"], "more": 2}'):
        kept, node = READER.converted(text, Kept, "f")
        assert (kept.names, kept.more) == (["a", "b"], 2)
        assert at(node, ".names[1]").value == "b"
        assert at(node, ".names[7].x") is at(node, ".names")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [a]\nmore: x\n", "f:2: "),
        ("names: [a]\nmoer: 1\n", "f:1: "),
        ("names: [a]\nnames: [b]\n", "f:2: `names` stands here twice"),
        ("names: &a [x]\nmore: *a\n", "f:2: neither aliases"),
        ("names:\n  - {a\n", "f:3: "),
        ("{", "f:1: expected the node content"),
        ("", "f:1: the file is empty"),
        ("[" * 20 + "]" * 20, "f:1: neither aliases nor such depths"),
        ("? [a]\n: 1\n", "f:1: a key is a word"),
        ("names: [!!timestamp x]\n", "f:1: 'x' cannot be read"),
        ("\x00", "f:1: it cannot be read"),
    ],
)
def test_what_is_wrong_has_a_line(text: str, said: str) -> None:
    """Of a type, an unknown or repeated key, an alias, a broken file, an empty one, and one that is too deep."""
    with pytest.raises(BadFile) as caught:
        READER.converted(text, Kept, "f")
    assert caught.value.message.startswith(said)
