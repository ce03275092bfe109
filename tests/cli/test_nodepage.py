"""What `spectra node show` prints."""

from __future__ import annotations

import msgspec

from spectra.cli.nodepage import lines
from spectra.model.nodes import NodeRecord
from tests.cli.test_nodelist import NOW, full, node


def test_all_that_is_known() -> None:
    """Line by line, with units; the state as far as it was proved, and by what."""
    proof = {
        "kind": "tpm",
        "at": NOW.isoformat(),
        "ok": False,
        "reason": "pcr:7 changed",
        "state": {"pcr:7": "ee" * 32, "configuration": "dd" * 32},
    }
    told = full("attic", standing="quarantined", reason="pcr:7 changed", attestation=proof)
    page = list(lines(msgspec.convert(told, NodeRecord), NOW))
    said = [" ".join(line.split()) for line in page]
    for line in (
        "node: attic",
        "standing: quarantined: pcr:7 changed",
        "identity: spiffe://mesh-x/node/attic",
        "speaks: MQTT",
        "machine: 4 cores, 1.9 GiB, aarch64, linux",
        "software: Spectra 0.5.0",
        "tools: nmap 7.95, naabu",
        "region: eu-west",
        "load: 42% of each core, 700 MiB free, 2 tasks",
        "clock: +0.2 s to the coordinator's",
        f"signs with: {'ab' * 32}",
        "serial: 12345",
        "state: not as accepted, by its TPM, just now",
        f"pcr:7: {'ee' * 32}",
        f"configuration: {'dd' * 32}",
    ):
        assert line in said
    assert {line.index(value) for line, value in zip(page, ("attic", "worker"), strict=False)} == {15}
    assert any(line.startswith("certificate: for 15 h") for line in said)


def test_what_is_not_known_is_left_out() -> None:
    """Of an invited one there is little to say; hostile text is harmless."""
    told = node("attic", standing="invited", presence="never", reason="a\x1bb")
    page = list(lines(msgspec.convert(told, NodeRecord), NOW))
    assert [line.split(":")[0] for line in page] == ["node", "role", "standing", "presence", "identity", "invited"]
    assert "\x1b" not in "".join(page)


def test_a_certificate_that_is_over() -> None:
    """Says so; and so does a machine's own word for its state."""
    over = {"serial": "1", "spki": "x", "not_before": "2026-01-01T00:00:00Z", "not_after": "2026-01-02T00:00:00Z"}
    proof = {"kind": "statement", "at": "2026-01-01T00:00:00Z", "ok": True, "state": {}}
    told = node("attic", certificate=over, attestation=proof)
    page = "\n".join(lines(msgspec.convert(told, NodeRecord), NOW))
    assert "certificate: expired, until 2026-01-02 00:00 UTC" in page
    assert "as accepted, by its own word (no TPM)" in page
