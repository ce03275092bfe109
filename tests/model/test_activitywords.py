"""Entries in plain words, whatever they say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.model.activity import MAX_TITLE
from spectra.model.activitywords import TITLES, Submission, told

DECIDED = {"cve": "CVE-1", "ip": "::1", "status": "false_positive"}
MERGED = {"status": "merged", "counts": {"hosts": 2, "endpoints": 1}}
SCAN = Submission("alice", "dmz-7", "service")


@pytest.mark.parametrize(
    ("kind", "detail", "title", "path"),
    [
        ("job.created", {"what": "10.0.0.0/24"}, "Job: 10.0.0.0/24", "/jobs/x"),
        ("node.quarantined", {"name": "w1", "reason": "odd"}, "Node w1 was put in quarantine: odd", "/nodes/w1"),
        ("feed.taken", {"name": "kev", "version": "7"}, "Feed kev: taken 7", "/feeds"),
        ("finding.triaged", DECIDED, "CVE-1 on ::1 is false positive", "/hosts/::1"),
        ("moon.landed", {"name": "apollo"}, "Moon apollo: landed", ""),
        ("observation.settled", MERGED, "Scan dmz-7 by alice merged: 2 hosts, 1 endpoint", "/observations/x"),
    ],
)
def test_entries_in_words(kind: str, detail: dict[str, Any], title: str, path: str) -> None:
    """With the page of what they are about."""
    found = told(kind, "x", detail, SCAN)
    assert (found.title, found.path) == (title, path)


@settings(max_examples=30)
@given(
    st.sampled_from([*TITLES, "observation.settled", "finding.triaged", "new.kind"]),
    st.text(max_size=20),
    st.dictionaries(
        st.sampled_from(["name", "ip", "by", "counts", "what", "node", "{x}"]), st.text() | st.integers() | st.none()
    ),
)
def test_whatever_they_say_it_is_one_plain_line(kind: str, subject: str, detail: dict[str, Any]) -> None:
    """And a path of this dashboard, or none."""
    found = told(kind, subject, detail)
    assert len(found.title) <= MAX_TITLE
    assert found.title.isprintable()
    assert not found.path or (found.path.startswith("/") and not found.path.startswith("//"))
