"""Events of a stream are read whatever else is in it."""

from __future__ import annotations

import io

import pytest

from spectra.cli.chatting import Reply, replies
from spectra.cli.client import BadAnswer

LINES = (
    b": a comment",
    b"event: message",
    b'data: {"model": "a", "choices": [{"delta": {"role": "assistant", "content": ""}}], "unknown": 1}',
    b'data:{"model": "tiny", "choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}',
    b'data: {"choices": [], "spectra": {"provider": "local", "class": "LOCAL_ONLY"}}',
    b"data: [DONE]",
    b"data: what comes after the end",
)


def test_an_answer_is_put_together() -> None:
    """From its pieces, up to the word that ends it."""
    whole = Reply(text="hi", provider="local", model="tiny", label="LOCAL_ONLY", finish="stop")
    assert replies(LINES).whole() == whole
    screen = io.StringIO()
    assert replies(LINES).tell(screen) == whole
    assert screen.getvalue() == "hi\n"


def test_half_an_answer_is_none() -> None:
    """Without the word that ends it."""
    with pytest.raises(BadAnswer, match="broke off"):
        replies(LINES[:5]).whole()
