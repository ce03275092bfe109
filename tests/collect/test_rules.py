"""`rules`: do-not-scan files."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.collect.netset import nets
from spectra.collect.rules import load_rules, matches, parse_rule
from spectra.collect.targets import BadTarget
from spectra.errors import SetupError


def test_a_file_holds_one_entry_a_line(tmp_path: Path) -> None:
    """Comments and blank lines are skipped; each entry knows its file and line."""
    path = tmp_path / "dns.txt"
    path.write_text("# ours\n10.0.0.0/8  # lab\n\n*.Example.org\nvpn.example.net\n")
    network, wild, name = load_rules([path])
    assert network.addresses == nets("10.0.0.0/8")
    assert (wild.pattern, name.pattern) == ("*.example.org", "vpn.example.net")
    assert str(wild) == f"*.Example.org ({path}:4)"
    assert str(parse_rule("10.0.0.1")) == "10.0.0.1"


def test_a_wrong_line_names_file_and_line(tmp_path: Path) -> None:
    """A list that cannot be understood stops the scan: an entry dropped in silence would be scanned."""
    path = tmp_path / "dns.txt"
    path.write_text("10.0.0.0/8\n10.0.0.0/99\n")
    with pytest.raises(BadTarget, match=r"dns\.txt:2: "):
        load_rules([path])


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, not text or too large: no scan without the list."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xff")
    for path in (tmp_path / "absent", binary):
        with pytest.raises(SetupError, match="cannot read the do-not-scan list"):
            load_rules([path])
    large = tmp_path / "large"
    large.write_text("#" * 100)
    monkeypatch.setattr("spectra.collect.listing.MAX_FILE", 50)
    with pytest.raises(SetupError, match="larger than 50 bytes"):
        load_rules([large])


def test_wildcards_err_on_the_side_of_not_scanning() -> None:
    """`*.example.org` takes every subdomain; the name itself only as a prohibition."""
    assert matches("*.example.org", "a.b.example.org", apex=False)
    assert not matches("*.example.org", "example.org", apex=False)
    assert matches("*.example.org", "example.org", apex=True)
    assert not matches("*.example.org", "badexample.org", apex=True)
    assert not matches("example.org", "a.example.org", apex=True)
