"""Table files: equal bytes for equal feeds, loaded as saved, and never if they are not what was written."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import Corrupt
from spectra.intel.feeds import Table
from spectra.intel.feeds.build import Rows, bad_line, table
from spectra.intel.feeds.table import About
from spectra.model.facts import Place
from tests.intel.feeds.samples import place

ABOUT = About("geo", "geofeed", "7", datetime(2026, 3, 1, tzinfo=UTC))
ROWS = [
    ("192.0.2.0/24", Place(country="FR", city="Paris", latitude=48.86, longitude=2.35)),
    ("192.0.2.0/25", Place(country="DE", city="Köln")),
    ("0.0.0.0/1", Place(country="US")),
    ("2001:db8::/32", Place(country="FR", city="Paris", latitude=48.86, longitude=2.35)),
    ("ffff::/16", Place(country="NZ")),
]


def made(rows: list[tuple[str, Place]]) -> Table:
    """The table of some rows."""
    return table(ABOUT, Rows([net for net, _ in rows], [at for _, at in rows]), bad_line(range(len(rows))))


def test_a_table_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    """What it says of itself, and where it has every address."""
    made(ROWS).save(tmp_path / "t")
    loaded = Table.load(tmp_path / "t")
    assert (loaded.kind, loaded.format, loaded.version, loaded.built) == ("geo", "geofeed", "7", ABOUT.built)
    assert (loaded.networks, loaded.records, loaded.provider) == (5, 4, "")
    ips = ["192.0.2.1", "192.0.2.200", "1.1.1.1", "200.1.1.1", "2001:db8::1", "2001:db9::1", "ffff:ffff::1"]
    cities = [(place(loaded, ip).country, place(loaded, ip).city) for ip in ips]
    assert cities == [("DE", "Köln"), ("FR", "Paris"), ("US", ""), ("", ""), ("FR", "Paris"), ("", ""), ("NZ", "")]
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "t").read_bytes()


@given(st.permutations(ROWS))
def test_equal_feeds_are_equal_bytes(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, Place]]) -> None:
    """Whatever the order of their lines."""
    folder = tmp_path_factory.mktemp("tables")
    made(ROWS).save(folder / "a")
    made(rows).save(folder / "b")
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


def test_any_byte_that_is_not_what_was_written_is_noticed(tmp_path: Path) -> None:
    """Every single flipped byte, every length it may be cut to, and bytes too many; an empty file and none at all."""
    path = tmp_path / "t"
    made(ROWS).save(path)
    data = path.read_bytes()
    quiet: list[int] = []
    for at in range(0, len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        with suppress(Corrupt):
            Table.load(path)
            quiet.append(at)
    # The padding between head and sections is nobody's.
    assert all(data[at] == 0 for at in quiet)
    assert len(quiet) < 64
    for wrong in (*(data[:n] for n in range(0, len(data), 7)), data + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(Corrupt):
            Table.load(path)
    with pytest.raises(Corrupt):
        Table.load(tmp_path / "none")


def test_without_verifying_the_head_is_checked_alone(tmp_path: Path) -> None:
    """For tables that were checked when they came in."""
    path = tmp_path / "t"
    made(ROWS).save(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert Table.load(path, verify=False).networks == 5
    with pytest.raises(Corrupt):
        Table.load(path)
