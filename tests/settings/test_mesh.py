"""Settings of the mesh: what goes into certificates and URLs, and what belongs together."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from spectra.settings.mesh import MeshSettings


@pytest.mark.parametrize("value", ["two words", "http://a", "a..b", "-a", ""])
def test_addresses_of_the_mesh_are_names_or_addresses(value: str) -> None:
    """They go into a certificate and a URL."""
    with pytest.raises(ValidationError, match="DNS name"):
        MeshSettings(addresses=[value])
    assert MeshSettings(addresses=["Mesh.Example.org", "2001:DB8::1"]).addresses == [
        "mesh.example.org",
        "2001:db8::1",
    ]


def test_an_external_fabric_has_a_url() -> None:
    """Without one nobody could connect."""
    with pytest.raises(ValidationError, match="fabric_url"):
        MeshSettings(fabric="external")
    assert MeshSettings(fabric="external", fabric_url="tls://nats.example.org:4222").fabric == "external"


def test_an_external_ca_is_named_whole(tmp_path: Path) -> None:
    """Where it is, whom to trust, and the key that signs join tokens."""
    whole = {
        "ca": "external",
        "ca_url": "https://ca.example.org",
        "ca_fingerprint": ":".join(["AB"] * 32),
        "ca_provisioner": "spectra",
        "ca_provisioner_key": tmp_path / "key",
    }
    assert MeshSettings.model_validate(whole).ca_fingerprint == "ab" * 32
    for name in whole.keys() - {"ca"}:
        with pytest.raises(ValidationError, match="ca_"):
            MeshSettings.model_validate({k: v for k, v in whole.items() if k != name})
    for wrong in ({"ca_url": "http://ca.example.org"}, {"ca_fingerprint": "ab" * 31}):
        with pytest.raises(ValidationError, match=r"https|SHA-256"):
            MeshSettings.model_validate(whole | wrong)
