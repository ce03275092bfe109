"""The folder of a node: what is kept, for whose eyes, and what a damaged one says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spectra.errors import SetupError
from spectra.fabric.nodefolder import NodeFolder, NodeState, NotJoined
from spectra.identity.x509 import PrivateKey, algorithm, distinguished, new_key, spki
from spectra.model.nodes import FabricPlace

STATE = NodeState(
    mesh="lab",
    name="board-1",
    role="worker",
    uri="spiffe://lab/node/board-1",
    ca_url="https://127.0.0.1:8766",
    api_url="https://127.0.0.1:8766",
)


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    """A folder that does not exist yet."""
    return NodeFolder(tmp_path / "data" / "node")


def certificate(name: str, key: PrivateKey | None = None) -> x509.Certificate:
    """A self-signed certificate."""
    key = key or new_key()
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(distinguished(name)).issuer_name(distinguished(name))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, algorithm(key))


def test_a_machine_that_joined_nothing(folder: NodeFolder) -> None:
    """It says how to join, and reading does not make the folder."""
    assert not folder.joined
    with pytest.raises(NotJoined, match="spectra node token"):
        _ = folder.state
    with pytest.raises(NotJoined) as none:
        _ = folder.certificate
    assert none.value.reason == "no_certificate"
    assert not folder.path.exists()


def test_the_state_is_kept(folder: NodeFolder) -> None:
    """Whole, with what was said when joining."""
    folder.write_state(STATE)
    assert folder.joined
    assert folder.state == STATE
    place = FabricPlace(mqtt="mqtts://127.0.0.1:8883")
    richer = msgspec.structs.replace(STATE, fabric=place, relay=False)
    folder.write_state(richer)
    assert folder.state == richer


def test_only_the_owner_reads_it(folder: NodeFolder) -> None:
    """Mode 0600 in a folder of mode 0700; a key that others can read is not used."""
    folder.make_keys()
    folder.write_state(STATE)
    folder.write_chain([certificate("a")])
    folder.write_roots([certificate("root")])
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {0o600}
    folder.tls.key.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        _ = folder.tls_key


def test_keys_are_made_once(folder: NodeFolder) -> None:
    """A join that was interrupted goes on with the keys it began with: the CA may have certified them."""
    tls, signing = folder.make_keys()
    again, same = folder.make_keys("ed25519")
    assert spki(again) == spki(tls)
    assert same.public == signing.public
    other = NodeFolder(folder.path.with_name("other"))
    assert isinstance(other.make_keys("ed25519")[0], Ed25519PrivateKey)


def test_chain_and_roots(folder: NodeFolder) -> None:
    """The certificate is the chain's first; roots are news only where they differ, and none is no news."""
    first, second = certificate("a"), certificate("b")
    folder.write_chain([first, second])
    assert folder.certificate == first
    assert folder.chain == (first, second)
    assert folder.write_roots([first])
    assert not folder.write_roots([first])
    assert folder.write_roots([second, first])
    assert not folder.write_roots([first, second])
    assert not folder.write_roots([])
    assert set(folder.roots) == {first, second}


def test_a_damaged_folder_says_so(folder: NodeFolder) -> None:
    """Which file it is, and what to do."""
    folder.write_state(STATE)
    (folder.path / "node.json").write_bytes(b'{"mesh": ')
    with pytest.raises(SetupError, match=r"node\.json is damaged.*Join anew"):
        _ = folder.state
    folder.write_chain([certificate("a")])
    folder.tls.cert.write_bytes(b"no certificate")
    with pytest.raises(SetupError, match=r"tls\.crt is damaged"):
        _ = folder.certificate


def test_forgetting(folder: NodeFolder) -> None:
    """Afterwards the machine is no node, and can become one with other keys."""
    tls, _ = folder.make_keys()
    folder.write_state(STATE)
    folder.write_chain([certificate("a", tls)])
    (folder.path / "spool").mkdir()
    (folder.path / "spool" / "a.bundle").write_bytes(b"signed with the old key")
    folder.forget()
    folder.forget()
    assert not folder.joined
    assert list(folder.path.iterdir()) == []
    assert spki(folder.make_keys()[0]) != spki(tls)
