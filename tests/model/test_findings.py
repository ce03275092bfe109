"""What services are, by the names of their software."""

from __future__ import annotations

from spectra.model.findings import Distribution, Identity, Software

OPENSSH = Identity("cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*", 0.95, "as nmap says")


def test_equal_software_has_one_fingerprint() -> None:
    """Services that are the same software are looked up once; whose build it is makes a difference."""
    plain = Software((OPENSSH,))
    assert plain.fingerprint == Software((OPENSSH,)).fingerprint
    assert plain.fingerprint != Software((OPENSSH,), distribution=Distribution("debian", "12")).fingerprint
