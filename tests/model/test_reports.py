"""Reports: what is required of a request and of what a person finishes one with."""

from __future__ import annotations

import msgspec
import pytest

from spectra.model.reports import Finish, ReportRequest, ServiceLine, Statement
from tests.ai.reports.papers import NOW


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ReportRequest, b'{"target": ""}'),
        (ReportRequest, b'{"target": "a", "pattern": "../a"}'),
        (ReportRequest, b'{"target": "a", "more": 1}'),
        (Finish, b'{"sections": {"a": [{"text": ""}]}}'),
        (Finish, b'{"sections": {"a": [{"text": "a", "weight": "odd"}]}}'),
        (Statement, b'{"cites": []}'),
    ],
)
def test_what_is_off_is_refused(kind: type, body: bytes) -> None:
    """Empty or unknown words, and names that lead elsewhere."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=kind)


def test_an_endpoint_has_an_id() -> None:
    """As summaries cite it."""
    line = ServiceLine(ip="192.0.2.7", port=443, protocol="tcp", last_seen=NOW)
    assert line.record == "endpoint:192.0.2.7/tcp/443"
