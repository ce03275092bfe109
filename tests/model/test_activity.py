"""Topics: who sees them, how they are named."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.identity import roles
from spectra.model.activity import NOUNS, SECURITY, TOPICS, read_topics, seen_by, topic_of


def test_every_topic_needs_a_scope_that_there_is() -> None:
    """And an admin sees all; what is unknown is `other`."""
    assert set(TOPICS.values()) <= roles.SCOPES
    assert seen_by(roles.scopes("admin")) == set(TOPICS)
    assert set(NOUNS.values()) < set(TOPICS)
    assert topic_of("job.created") == "job"
    assert topic_of("moon.landed") == "other"


def test_topics_are_read() -> None:
    """By name, several, and those about trust together."""
    assert read_topics("") == ()
    assert read_topics(" job, Node ") == ("job", "node")
    assert set(read_topics("security")) == set(SECURITY)
    with pytest.raises(BadRequest, match="no topic"):
        read_topics("moon")
