"""The writer of MaxMind-format files: `maxminddb` reads what it writes."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.bench.mmdb import database, encoded

RECORD = st.recursive(
    st.one_of(st.text(max_size=300), st.integers(0, 2**64 - 1), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=40), inner, max_size=3)),
    max_leaves=8,
).filter(lambda value: len(repr(value)) < 250)
NETS = st.lists(st.integers(0, 255), unique=True, min_size=1, max_size=12)


@given(NETS, st.data(), st.sampled_from([24, 28, 32]), st.sampled_from([4, 6]))
def test_the_library_reads_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[int], data: st.DataObject, bits: int, version: int
) -> None:
    """Every network with its record, in trees of all sizes and both versions; the metadata too."""
    networks: dict[str, Any] = {f"{block}.0.0.0/8": data.draw(RECORD) for block in blocks}
    path = tmp_path_factory.mktemp("mmdb") / "x.mmdb"
    path.write_bytes(database(networks, bits=bits, version=version, kind="Kind"))
    with maxminddb.open_database(path) as reader:
        meta = reader.metadata()
        assert (meta.database_type, meta.record_size, meta.ip_version) == ("Kind", bits, version)
        for text, value in networks.items():
            assert reader.get(str(ipaddress.ip_network(text)[77])) == value
        absent = next(n for n in range(256) if n not in blocks)
        assert reader.get(f"{absent}.1.1.1") is None


def test_records_that_are_the_same_are_written_once(tmp_path: Path) -> None:
    """A thousand networks of one city are not a thousand cities."""
    one = {"city": {"names": {"en": "x" * 250}}}
    shared = database({f"10.{n}.0.0/16": one for n in range(200)}, version=4)
    assert len(shared) < 10_000
    path = tmp_path / "x.mmdb"
    path.write_bytes(shared)
    with maxminddb.open_database(path) as reader:
        assert reader.get("10.199.1.1") == one


def test_what_is_too_long_is_not_written() -> None:
    """Rather than wrongly."""
    with pytest.raises(ValueError, match="not written"):
        encoded("x" * 285)
