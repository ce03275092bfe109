"""Cursors come back as they were given, or are refused."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.store import cursors


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    ip: str
    port: int


@given(ip=st.text(max_size=50).filter(lambda t: t.isprintable()), port=st.integers(0, 65535))
def test_what_was_written_is_read(ip: str, port: int) -> None:
    """Any struct comes back; the text needs no escaping in a URL."""
    text = cursors.write(Place(ip, port), "places")
    assert text.replace("-", "").replace("_", "").isalnum()
    assert cursors.read(text, Place, "places") == Place(ip, port)


@given(text=st.text(max_size=60))
def test_anything_else_is_refused(text: str) -> None:
    """No text of a client raises anything but the one error."""
    with pytest.raises(BadRequest) as refused:
        cursors.read(text, Place, "places")
    assert refused.value.field == "cursor"


def test_damage_and_other_lists_are_noticed() -> None:
    """A cut or changed cursor, one of another list and one of another shape are no cursors."""
    text = cursors.write(Place("192.0.2.1", 80), "places")
    changed = text[:-3] + ("A" if text[-3] != "A" else "B") + text[-2:]
    padded = base64.urlsafe_b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode() + "="
    others = cursors.write(Place("192.0.2.1", 80), "others")
    for wrong in (text[:-1], changed, others, padded, "x" * 5000):
        with pytest.raises(BadRequest):
            cursors.read(wrong, Place, "places")
    with pytest.raises(BadRequest):
        cursors.read(cursors.write(["a"], "places"), Place, "places")
