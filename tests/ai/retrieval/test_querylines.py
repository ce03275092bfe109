"""What a query finds, counted in public words."""

from __future__ import annotations

import pytest

from spectra.ai.retrieval.querylines import of_query
from spectra.model.ai import Label
from spectra.model.query import parse
from spectra.model.summaries import Target
from tests.ai.retrieval.town import NOW, Town

pytestmark = pytest.mark.engine


def test_counts_by_public_words_and_the_query_itself(town: Town) -> None:
    """What is not public is one of the others; the query is its asker's text, and stays here."""
    text = "net:192.0.2.0/24"
    matches, lines = of_query(town.database, parse(text, NOW), Target("query", text), 2)
    assert len(matches) == 2
    told = [one.fragment.text for one in lines if one.fragment.label == Label.CLOUD_DIRECT]
    assert told[0] == "The query finds 5 open endpoints"
    assert "By product: OpenSSH 2, nginx 1, others 1" in told
    assert "By port: 22 2, 443 2, 8080 1" in told
    local = [one for one in lines if one.fragment.label == Label.LOCAL_ONLY]
    assert [(one.fragment.text, one.fragment.droppable) for one in local] == [(f"The query is: {text}", True)]
