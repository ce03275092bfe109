"""`consent`: the record without which nothing is scanned."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spectra.collect.consent import Consent, covers, grant, load
from spectra.collect.targets import parse_target
from spectra.errors import BadRequest, SetupError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def record(*targets: str, expires: datetime | None = None) -> Consent:
    """A consent granted at NOW."""
    return Consent(targets, by="A. Owner", reason="yearly audit", granted=NOW, expires=expires)


def test_records_are_appended_and_read_back(tmp_path: Path) -> None:
    """The file is private, keeps every record in order and survives being asked for twice."""
    path = tmp_path / "state" / "consent.jsonl"
    assert load(path) == ()
    first, second = record("10.0.0.0/8"), record("*.example.org", expires=NOW + timedelta(days=1))
    grant(path, first)
    before = path.read_bytes()
    grant(path, second)
    assert load(path) == (first, second)
    assert path.read_bytes().startswith(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_record_covers_its_targets_while_in_force() -> None:
    """From `granted` until just before `expires`, whole networks or names only."""
    consents = [record("10.0.0.0/25", "10.0.0.128/25", "www.example.org", expires=NOW + timedelta(hours=1))]
    later = NOW + timedelta(minutes=59)
    for text in ("10.0.0.0/24", "10.0.0.7", "www.example.org"):
        assert covers(consents, parse_target(text), later)
        assert not covers(consents, parse_target(text), NOW + timedelta(hours=1))
        assert not covers(consents, parse_target(text), NOW - timedelta(seconds=1))
    for text in ("10.0.0.0/23", "10.0.1.0", "example.org"):
        assert not covers(consents, parse_target(text), later)


@pytest.mark.parametrize(
    "bad",
    [
        Consent((), by="x", reason="y", granted=NOW),
        Consent(("10.0.0.1",), by="", reason="y", granted=NOW),
        Consent(("10.0.0.1",), by="x", reason="", granted=NOW),
        Consent(("http://x/",), by="x", reason="y", granted=NOW),
        Consent(("10.0.0.1",), by="x", reason="y", granted=NOW, expires=NOW),
        Consent(("10.0.0.1",), by="x", reason="y", granted=datetime(2026, 1, 1)),  # noqa: DTZ001 - the point of it
    ],
)
def test_a_record_that_says_nothing_is_refused(tmp_path: Path, bad: Consent) -> None:
    """Who, why, what and a time with its zone are needed; nothing is written otherwise."""
    path = tmp_path / "consent.jsonl"
    with pytest.raises(BadRequest):
        grant(path, bad)
    assert not path.exists()


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"targets":[]}',
        b"\xff\xff",
        b'{"targets":["1.2.3"],"by":"x","reason":"y","granted":"2026-01-01T00:00:00Z"}',
    ],
)
def test_a_line_that_cannot_be_read_names_itself(tmp_path: Path, line: bytes) -> None:
    """A damaged record stops the scan and says which line to mend."""
    path = tmp_path / "consent.jsonl"
    grant(path, record("10.0.0.1"))
    with path.open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(SetupError, match=r"consent\.jsonl:2: "):
        load(path)


def test_a_file_others_may_write_is_not_believed(tmp_path: Path) -> None:
    """Consent that anybody could have written is none."""
    path = tmp_path / "consent.jsonl"
    grant(path, record("10.0.0.1"))
    path.chmod(0o666)
    with pytest.raises(SetupError, match="others may write"):
        load(path)


def test_what_cannot_be_read_or_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in its place, a link to elsewhere, a full device and a file without end are told, not ignored."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(SetupError, match="cannot read consent"):
        load(folder)
    with pytest.raises(SetupError, match="cannot record consent"):
        grant(folder, record("10.0.0.1"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SetupError, match="cannot record consent"):
        grant(link, record("10.0.0.1"))
    path = tmp_path / "consent.jsonl"
    grant(path, record("10.0.0.1"))
    monkeypatch.setattr("spectra.collect.consent.MAX_FILE", 10)
    with pytest.raises(SetupError, match="larger than 10 bytes"):
        load(path)


def test_a_full_device_is_told() -> None:
    """Writing to /dev/full: the record is not on disk, so the grant fails."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(SetupError, match="cannot record consent"):
        grant(Path("/dev/full"), record("10.0.0.1"))
