"""A small run of `make privacy`: a real coordinator, and what its providers were sent."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from spectra.bench.privacy.main import Report, main
from spectra.bench.privacy.quality import measure
from spectra.bench.privacy.routes import Way

pytestmark = pytest.mark.engine


def test_nothing_labelled_leaves_by_any_way(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Chat, streams, calls of tools and their answers, embeddings, summaries, reports, agents, MCP."""
    (tmp_path / "scan.xml").write_text('<address addr="192.0.2.7" addrtype="ipv4"/>')
    status = main(
        [str(tmp_path), "--texts", "5", "--hosts", "1", "--runs", "1", "--providers", "mistral,openai", "--json"]
    )
    numbers = msgspec.json.decode(capsys.readouterr().out)
    (ways,) = numbers["ways"].values()
    assert (status, numbers["leaked"]) == (0, 0)
    assert {
        *("chat", "chat, streamed", "calls of tools", "calls, streamed", "answers of tools", "embeddings"),
        *("summary", "report", "look-up", "mcp", "agents"),
    } == set(ways)
    for name in ("chat", "chat, streamed", "calls of tools", "calls, streamed", "answers of tools", "embeddings"):
        assert ways[name]["left"] > 0, name
        assert (ways[name]["refused"], ways[name]["unrestored"]) == (0, 0), name
    assert ways["summary"]["left"] + ways["report"]["left"] > 0
    assert ways["mcp"]["left"] == 0
    assert numbers["free_text"]["made-up texts"]["all"]["recall"] > 0.95


def test_a_leak_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Which value, by which way; a run of it fails."""
    report = Report(quiet=False, misses=True)
    report.quality("none", measure([]))
    report.told("a run", {"chat": Way(asked=1, left=1, values=1, leaked=["user apollo"])}, 1.0)
    assert report.leaked == 1
    assert re.search(r"chat +1 +0 +1 +1 +1 +0 +0\n +LEAKED user apollo", capsys.readouterr().out)
