"""Texts of which it is known what is private."""

from __future__ import annotations

from pathlib import Path

import zstandard

from spectra.bench.privacy.corpus import bare, made, real
from spectra.model.ai import Kind

SCAN = (
    '<address addr="192.0.2.7" addrtype="ipv4"/><address addr="00:1A:2B:3C:4D:5E" addrtype="mac"/>'
    '<hostname name="db01.corp.lan" type="PTR"/><hostname name="localhost" type="user"/><address addr="127.0.0.1"/>'
)


def test_values_stand_where_they_are_said_to() -> None:
    """In made-up texts, whether words tell of them or not."""
    texts = [*made(60), *bare(10)]
    assert sum(len(text.values) for text in texts) > 100
    for text in texts:
        assert all(text.text[v.start :].startswith(v.text) for v in text.values)
        assert text.whole


def test_fields_of_real_scans(tmp_path: Path) -> None:
    """Of files as they are and packed ones; what is nobody's is not marked."""
    (tmp_path / "a.xml").write_text(SCAN)
    (tmp_path / "b.json.zst").write_bytes(zstandard.compress(b'{"ip": "192.0.2.9", "addr": "x"}'))
    (tmp_path / "c.txt").write_text("nothing")
    first, second = real(tmp_path, 10)
    assert [(v.kind, v.text) for v in first.values] == [
        (Kind.ADDRESS, "192.0.2.7"),
        (Kind.MAC, "00:1A:2B:3C:4D:5E"),
        (Kind.HOSTNAME, "db01.corp.lan"),
    ]
    assert [v.text for v in second.values] == ["192.0.2.9"]
    assert not first.whole
    assert len(list(real(tmp_path, 1))) == 1
