"""The built-in CA: openssl and TLS accept what it issues, it issues no more than that, and rotation cuts nobody off."""

from __future__ import annotations

import ssl
import stat
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spectra.errors import SetupError
from spectra.identity import x509
from spectra.identity.ca import (
    BACKDATE,
    CRL_LIFETIME,
    INTERMEDIATE_LIFETIME,
    LEAF_LIFETIME,
    ROOT_LIFETIME,
    Authority,
    Issued,
)
from spectra.identity.errors import IdentityError
from spectra.identity.names import is_mesh_name, node_uri

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = NOW.replace(microsecond=0)
DAY = timedelta(days=1)
URI = node_uri("mesh-a", "n1")
KINDS: list[x509.Kind] = ["p256", "ed25519"]


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """A new CA."""
    return Authority.create(tmp_path / "ca", "mesh-a", NOW)


@pytest.fixture(params=KINDS)
def any_ca(request: pytest.FixtureRequest, tmp_path: Path) -> Authority:
    """A new CA of either kind."""
    return Authority.create(tmp_path / "ca", "mesh-a", NOW, request.param)


def issue(ca: Authority, key: x509.PrivateKey | None = None, now: datetime = NOW, **options: Any) -> Issued:
    """A certificate for the node n1."""
    csr = x509.csr(key or x509.new_key(), "n1", [URI])
    given: dict[str, Any] = {"subject": "n1", "uris": [URI], "now": now}
    return ca.issue(csr, **(given | options))


def reason(error: pytest.ExceptionInfo[IdentityError]) -> str:
    """Why it was refused."""
    return error.value.reason


def openssl(
    folder: Path,
    leaf: Certificate,
    chain: Sequence[Certificate],
    roots: Sequence[Certificate],
    purpose: str = "sslclient",
    now: datetime = NOW,
) -> bool:
    """Whether `openssl verify`, at its strictest, finds a path from the leaf to one of the roots."""
    for name, some in (("leaf", [leaf]), ("chain", chain), ("roots", roots)):
        (folder / name).write_text(x509.pem(*some))
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose]
    command += ["-attime", str(int(now.timestamp())), "-CAfile", str(folder / "roots")]
    command += ["-untrusted", str(folder / "chain"), str(folder / "leaf")]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


# What is issued.


def test_openssl_accepts_the_chain(any_ca: Authority, tmp_path: Path) -> None:
    """ECDSA and Ed25519, as a client always and as a server where that was asked for."""
    plain, server = issue(any_ca), issue(any_ca, server=True, dns=["n1.example"], ips=["127.0.0.1"])
    for made in (plain, server):
        assert made.chain == (any_ca.intermediate,)
        assert openssl(tmp_path, made.leaf, made.chain, any_ca.roots)
        assert any_ca.verify(made.leaf, made.chain, NOW) == URI
    assert not openssl(tmp_path, plain.leaf, plain.chain, any_ca.roots, "sslserver")
    assert openssl(tmp_path, server.leaf, server.chain, any_ca.roots, "sslserver")
    assert x509.read_pem(server.pem) == (server.leaf, *server.chain)


def test_a_leaf_says_exactly_what_was_granted(ca: Authority) -> None:
    """Names, times to the second with a minute of backdating, purposes, and no CA."""
    key = x509.new_key()
    leaf = issue(ca, key, server=True, dns=["N1.example"], ips=["::1"]).leaf
    assert x509.requested(leaf) == ("n1", x509.Names((URI,), ("n1.example",), ("::1",)))
    assert x509.uri_of(leaf) == URI
    assert x509.spki(leaf) == x509.spki(key)
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (SECOND - BACKDATE, SECOND + LEAF_LIFETIME)
    constraints, usage, purposes = _profile(leaf)
    assert (constraints.value.ca, constraints.critical) == (False, True)
    assert usage.critical
    assert _uses(usage.value) == {"digital_signature"}
    assert list(purposes or ()) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    assert list(_profile(issue(ca).leaf)[2] or ()) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def _profile(
    made: Certificate,
) -> tuple[cx.Extension[cx.BasicConstraints], cx.Extension[cx.KeyUsage], cx.ExtendedKeyUsage | None]:
    found = made.extensions
    try:
        purposes = found.get_extension_for_class(cx.ExtendedKeyUsage).value
    except cx.ExtensionNotFound:
        purposes = None
    return found.get_extension_for_class(cx.BasicConstraints), found.get_extension_for_class(cx.KeyUsage), purposes


def _uses(usage: cx.KeyUsage) -> set[str]:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return {name for name in (*names, "key_cert_sign", "crl_sign") if getattr(usage, name)}


def test_what_the_cas_own_certificates_may(ca: Authority) -> None:
    """Certify and sign lists, nothing else; the intermediate leaves only, the root as far as rotation needs."""
    after = ca.rotate(NOW)
    lengths: list[int | None] = []
    for made in (ca.intermediate, ca.root, after.root, *after.chain):
        constraints, usage, purposes = _profile(made)
        assert (constraints.critical, constraints.value.ca, usage.critical) == (True, True, True)
        assert _uses(usage.value) == {"key_cert_sign", "crl_sign"}
        assert purposes is None
        lengths.append(constraints.value.path_length)
    assert lengths == [0, 3, 3, 0, 2]
    assert ca.root.not_valid_after_utc == SECOND + ROOT_LIFETIME
    assert ca.intermediate.not_valid_after_utc == SECOND + INTERMEDIATE_LIFETIME


def test_key_identifiers_lead_from_each_to_its_issuer(ca: Authority) -> None:
    """And a cross-certificate bears the identifier of the root that it stands for."""
    after = ca.rotate(NOW)
    leaf = issue(after).leaf
    cross = after.chain[1]
    pairs = [(leaf, after.intermediate), (after.intermediate, after.root), (cross, ca.root), (ca.root, ca.root)]
    for made, issuer in pairs:
        authority = made.extensions.get_extension_for_class(cx.AuthorityKeyIdentifier).value.key_identifier
        assert authority == _identifier(issuer)
    assert _identifier(cross) == _identifier(after.root)
    assert cross.subject == after.root.subject
    assert x509.spki(cross) == x509.spki(after.root)


def _identifier(made: Certificate) -> bytes:
    return made.extensions.get_extension_for_class(cx.SubjectKeyIdentifier).value.digest


def test_serial_numbers_are_random(ca: Authority) -> None:
    """128 bits: of forty, all differ, and the highest is not by chance a small one."""
    csr = x509.csr(x509.new_key(), "n1", [])
    serials = {ca.issue(csr, subject="n1", uris=[URI], now=NOW).leaf.serial_number for _ in range(40)}
    assert len(serials) == 40
    assert 2**120 < max(serials) < 2**128
    assert all(serial > 0 for serial in serials)


def test_an_rsa_key_of_another_client(ca: Authority, tmp_path: Path) -> None:
    """What `step ca certificate --kty RSA` brings: it may encipher keys, as TLS 1.2 had it."""
    key = rsa.generate_private_key(65537, 2048)
    request = cx.CertificateSigningRequestBuilder().subject_name(x509.distinguished("n1")).sign(key, hashes.SHA256())
    csr = request.public_bytes(serialization.Encoding.PEM)
    made = ca.issue(csr, subject="n1", uris=[URI], now=NOW)
    assert _uses(_profile(made.leaf)[1].value) == {"digital_signature", "key_encipherment"}
    assert openssl(tmp_path, made.leaf, made.chain, ca.roots)


def test_lifetimes_are_bounded(ca: Authority) -> None:
    """Never past the intermediate's end, never backwards, and from a given time on where one is given."""
    end = ca.intermediate.not_valid_after_utc
    assert issue(ca, lifetime=900 * DAY).leaf.not_valid_after_utc == end
    assert issue(ca, now=end - DAY / 2).leaf.not_valid_after_utc == end
    begin = NOW + DAY
    later = issue(ca, not_before=begin, lifetime=DAY).leaf
    assert (later.not_valid_before_utc, later.not_valid_after_utc) == (SECOND + DAY, SECOND + 2 * DAY)
    bad: list[Any] = [{"lifetime": timedelta(0)}, {"lifetime": -DAY}, {"now": end + DAY}, {"not_before": end + DAY}]
    for wrong in bad:
        with pytest.raises(IdentityError):
            issue(ca, **wrong)


# What is asked for.


@pytest.mark.parametrize(
    ("common", "sans"),
    [
        ("n2", [URI]),
        ("n1", [node_uri("mesh-a", "n2")]),
        ("n1", [URI, node_uri("mesh-a", "n2")]),
        ("n1", [URI, "n2.example"]),
        ("n1", ["10.0.0.1"]),
        (node_uri("mesh-a", "n2"), []),
        ("*", []),
    ],
)
def test_requests_for_other_names_are_refused(common: str, sans: list[str], ca: Authority) -> None:
    """Rather than answered with a certificate that the machine did not ask for."""
    csr = x509.csr(x509.new_key(), common, sans)
    with pytest.raises(IdentityError) as caught:
        ca.issue(csr, subject="n1", uris=[URI], dns=["n1.example"], now=NOW)
    assert reason(caught) == "forbidden_name"
    renamed = ca.issue(csr, subject="n3", uris=[node_uri("mesh-a", "n3")], now=NOW, rename=True)
    assert x509.requested(renamed.leaf) == ("n3", x509.Names((node_uri("mesh-a", "n3"),)))


@pytest.mark.parametrize("sans", [[], [URI], ["n1.EXAMPLE", URI], ["n1"], ["127.0.0.1"]])
@pytest.mark.parametrize("common", ["", "n1", URI, "n1.example"])
def test_requests_for_some_of_the_names_get_all(common: str, sans: list[str], ca: Authority) -> None:
    """As with step-ca: what is granted stands in the token, not in the request."""
    csr = x509.csr(x509.new_key(), common, sans)
    made = ca.issue(csr, subject="n1", uris=[URI], dns=["n1.example"], ips=["127.0.0.1"], now=NOW)
    assert x509.requested(made.leaf) == ("n1", x509.Names((URI,), ("n1.example",), ("127.0.0.1",)))


def test_a_request_cannot_ask_to_be_a_ca(ca: Authority) -> None:
    """Its extensions are not copied."""
    builder = cx.CertificateSigningRequestBuilder().subject_name(x509.distinguished("n1"))
    builder = builder.add_extension(cx.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(cx.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    csr = builder.sign(x509.new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    leaf = ca.issue(csr, subject="n1", uris=[URI], now=NOW).leaf
    assert _profile(leaf)[0].value.ca is False
    assert list(_profile(leaf)[2] or ()) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_weak_keys_and_broken_signatures_are_refused(ca: Authority) -> None:
    """By name of the reason; the kinds of them are tried in the tests of reading requests."""
    weak = cx.CertificateSigningRequestBuilder().subject_name(x509.distinguished("n1"))
    csr = weak.sign(rsa.generate_private_key(65537, 1024), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    good = cx.load_pem_x509_csr(x509.csr(x509.new_key(), "n1", [URI]))
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    broken = cx.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    for bad in (csr, broken, b"no request"):
        with pytest.raises(IdentityError) as caught:
            ca.issue(bad, subject="n1", uris=[URI], now=NOW)
        assert reason(caught) == "bad_csr"


def test_a_certificate_is_for_one_node_of_this_mesh(ca: Authority) -> None:
    """Also where the caller is mistaken."""
    csr = x509.csr(x509.new_key(), "", [])
    for uris in ([node_uri("mesh-b", "n1")], [URI, node_uri("mesh-a", "n2")], ["https://example.org"]):
        with pytest.raises(IdentityError):
            ca.issue(csr, subject="n1", uris=uris, now=NOW)
    with pytest.raises(IdentityError):
        ca.issue(csr, subject="", uris=[URI], now=NOW)


# Renewal.


def test_a_renewal_is_the_same_for_longer(ca: Authority) -> None:
    """Key, names and purposes; a new serial number and new times."""
    old = issue(ca, server=True, dns=["n1.example"], ips=["::1"]).leaf
    new = ca.renew(old, lifetime=DAY, now=NOW + DAY / 2).leaf
    assert (x509.spki(new), x509.requested(new)) == (x509.spki(old), x509.requested(old))
    assert [e.value for e in new.extensions] == [e.value for e in old.extensions]
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc == SECOND + DAY * 1.5
    assert list(_profile(ca.renew(issue(ca).leaf, lifetime=DAY, now=NOW).leaf)[2] or ()) == _CLIENT


_CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_renewal_with_another_key(ca: Authority) -> None:
    """The request proves that it is held, and may not ask for another name (step's asks for none)."""
    old, key = issue(ca).leaf, x509.new_key("ed25519")
    for csr in (x509.csr(key, "", []), x509.csr(key, "n1", [URI])):
        new = ca.renew(old, lifetime=DAY, now=NOW, csr=csr).leaf
        assert (x509.spki(new), x509.uri_of(new)) == (x509.spki(key), URI)
    with pytest.raises(IdentityError) as caught:
        ca.renew(old, lifetime=DAY, now=NOW, csr=x509.csr(key, "n2", []))
    assert reason(caught) == "forbidden_name"


# Verification.


def test_expiry_and_grace(ca: Authority) -> None:
    """An expired certificate is refused, but within the grace it may still show whose it was."""
    made = issue(ca)
    end = made.leaf.not_valid_after_utc
    late = end + timedelta(seconds=1)
    assert ca.verify(made.leaf, made.chain, end) == URI
    for now, grace, expected in [
        (late, timedelta(0), "expired"),
        (end + 8 * DAY, 7 * DAY, "expired"),
        (NOW - DAY / 2, 7 * DAY, "not_yet"),
    ]:
        with pytest.raises(IdentityError) as caught:
            ca.verify(made.leaf, made.chain, now, grace)
        assert reason(caught) == expected
    assert ca.verify(made.leaf, made.chain, end + 7 * DAY, 7 * DAY) == URI


def test_another_ca_is_not_trusted(ca: Authority, tmp_path: Path) -> None:
    """Not even one for the same mesh, with or without its root in the chain, however long ago it was."""
    other = Authority.create(tmp_path / "other", "mesh-a", NOW)
    made = issue(other)
    for chain in ((), made.chain, (*made.chain, other.root), (ca.intermediate, ca.root)):
        for now in (NOW, NOW + 900 * DAY):
            with pytest.raises(IdentityError) as caught:
                ca.verify(made.leaf, chain, now, 999 * DAY)
            assert reason(caught) == "untrusted"


def test_a_node_cannot_certify(ca: Authority, tmp_path: Path) -> None:
    """A leaf's key signs a certificate for another node: neither we nor openssl accept it."""
    key = x509.new_key()
    node = issue(ca, key)
    builder = cx.CertificateBuilder().subject_name(x509.distinguished("n2")).issuer_name(node.leaf.subject)
    builder = builder.public_key(x509.new_key().public_key()).serial_number(2**100)
    builder = builder.not_valid_before(NOW - DAY / 2).not_valid_after(NOW + DAY)
    names = x509.alternative_names(x509.Names((node_uri("mesh-a", "n2"),)))
    forged = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    chain = (node.leaf, *node.chain)
    with pytest.raises(IdentityError) as caught:
        ca.verify(forged, chain, NOW)
    assert reason(caught) == "untrusted"
    assert not openssl(tmp_path, forged, chain, ca.roots)


def test_a_peer_may_leave_out_what_we_have(ca: Authority) -> None:
    """Our own intermediate; one that was renewed since has to be brought along."""
    made = issue(ca)
    assert ca.verify(made.leaf, (), NOW) == URI
    new = ca.renew_intermediate(NOW)
    assert new.verify(made.leaf, made.chain, NOW) == URI
    with pytest.raises(IdentityError) as caught:
        new.verify(made.leaf, (), NOW)
    assert reason(caught) == "untrusted"


# Rotation.


def test_rotation_cuts_nobody_off(any_ca: Authority, tmp_path: Path) -> None:
    """Before, during and after: who knows the old root and who knows the new one accept what they should.

    openssl is asked, as a peer that knows one root alone.
    """
    old, now = any_ca, NOW + 30 * DAY
    new = old.rotate(now)
    before, during = issue(old, now=now), issue(new, now=now)
    assert during.chain == new.chain
    assert (len(during.chain), new.roots) == (2, (new.root, old.root))
    for made, root, accepted in [
        (before, old.root, True),
        (before, new.root, False),  # those who joined since the rotation know both roots until it is retired
        (during, old.root, True),
        (during, new.root, True),
    ]:
        assert openssl(tmp_path, made.leaf, made.chain, [root], now=now) == accepted
    for made in (before, during):
        assert openssl(tmp_path, made.leaf, made.chain, new.roots, now=now)
        assert new.verify(made.leaf, made.chain, now) == URI
    assert old.verify(during.leaf, during.chain, now) == URI
    retired = new.retire(now)
    after = issue(retired, now=now)
    assert (retired.roots, after.chain) == ((new.root,), (new.intermediate,))
    assert openssl(tmp_path, after.leaf, after.chain, [new.root], now=now)
    assert not openssl(tmp_path, after.leaf, after.chain, [old.root], now=now)
    assert retired.verify(during.leaf, during.chain, now) == URI
    with pytest.raises(IdentityError) as caught:
        retired.verify(before.leaf, before.chain, now)
    assert reason(caught) == "untrusted"


def test_two_rotations_without_retiring(ca: Authority, tmp_path: Path) -> None:
    """Peers that know any one of three roots accept; a fourth is not begun."""
    second = ca.rotate(NOW)
    third = second.rotate(NOW + DAY)
    made = issue(third, now=NOW + DAY)
    assert len(made.chain) == 3
    for root in (ca.root, second.root, third.root):
        assert openssl(tmp_path, made.leaf, made.chain, [root], now=NOW + DAY)
    for authority in (ca, second, third):
        assert authority.verify(made.leaf, made.chain, NOW + DAY) == URI
    with pytest.raises(IdentityError) as caught:
        third.rotate(NOW + 2 * DAY)
    assert reason(caught) == "not_retired"
    assert len(third.retire(NOW).rotate(NOW).roots) == 2


def test_what_outlives_a_rotation(ca: Authority) -> None:
    """The mesh, and the provisioner: join tokens that were given out still serve, as their root is served too."""
    new = ca.rotate(NOW)
    assert (new.mesh, new.provisioner.kid) == (ca.mesh, ca.provisioner.kid)
    assert new.retire(NOW).retire(NOW).provisioner.jwk_public() == ca.provisioner.jwk_public()


def test_the_intermediate_is_renewed_below_the_same_root(ca: Authority, tmp_path: Path) -> None:
    """At two thirds of its year; leaves of the old one go on until they end."""
    assert not ca.needs_intermediate(NOW + 240 * DAY)
    now = NOW + 245 * DAY
    assert ca.needs_intermediate(now)
    new = ca.renew_intermediate(now)
    assert not new.needs_intermediate(now)
    assert new.roots == ca.roots
    assert x509.spki(new.intermediate) != x509.spki(ca.intermediate)
    for made in (issue(ca, now=now), issue(new, now=now)):
        assert new.verify(made.leaf, made.chain, now) == URI
        assert openssl(tmp_path, made.leaf, made.chain, ca.roots, now=now)


def test_the_root_is_due_after_two_thirds_too(ca: Authority) -> None:
    """Nothing is certified past its end, and nothing at all once it has expired."""
    assert not ca.needs_root(NOW + 2400 * DAY)
    assert ca.needs_root(NOW + 2440 * DAY)
    last = ca.renew_intermediate(NOW + 3600 * DAY)
    assert last.intermediate.not_valid_after_utc == ca.root.not_valid_after_utc
    with pytest.raises(IdentityError):
        last.renew_intermediate(NOW + 3651 * DAY)


# TLS, as peers do it.


def _context(folder: Path, made: Issued, key: x509.PrivateKey, roots: Sequence[Certificate], server: bool) -> Any:
    folder.mkdir()
    (folder / "crt").write_text(made.pem)
    x509.save_key(key, folder / "key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(folder / "crt", folder / "key")
    context.load_verify_locations(cadata=x509.pem(*roots))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _handshake(client: Any, server: Any) -> None:
    """A TLS handshake in memory. Raises `ssl.SSLError` where one does not accept the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        end.do_handshake()


@pytest.mark.parametrize("knows", ["old", "new", "both"])
def test_mutual_tls_during_a_rotation(knows: str, tmp_path: Path) -> None:
    """Client and server that know the old root only, the new one only, or both, with leaves of the new one."""
    now = datetime.now(UTC)  # TLS has no other clock
    old = Authority.create(tmp_path / "ca", "mesh-a", now)
    new = old.rotate(now)
    roots = {"old": old.roots, "new": (new.root,), "both": new.roots}[knows]
    keys = [x509.new_key(), x509.new_key("ed25519")]
    client = _context(tmp_path / "c", issue(new, keys[0], now=now), keys[0], roots, server=False)
    serving = issue(new, keys[1], now=now, server=True, dns=["localhost"])
    server = _context(tmp_path / "s", serving, keys[1], roots, server=True)
    _handshake(client, server)


def test_tls_refuses_a_stranger_and_a_client_as_server(tmp_path: Path) -> None:
    """Another CA's node; and a worker that poses as the coordinator."""
    now = datetime.now(UTC)
    ca, other = (Authority.create(tmp_path / name, "mesh-a", now) for name in ("ca", "other"))
    keys = [x509.new_key() for _ in range(3)]
    serving = issue(ca, keys[1], now=now, server=True, dns=["localhost"])
    posing = issue(ca, keys[1], now=now, dns=["localhost"])
    server = _context(tmp_path / "s", serving, keys[1], ca.roots, server=True)
    poser = _context(tmp_path / "p", posing, keys[1], ca.roots, server=True)
    client = _context(tmp_path / "c", issue(ca, keys[0], now=now), keys[0], ca.roots, server=False)
    stranger = _context(tmp_path / "x", issue(other, keys[2], now=now), keys[2], ca.roots, server=False)
    _handshake(client, server)
    for left, right in ((stranger, server), (client, poser)):
        with pytest.raises(ssl.SSLError):
            _handshake(left, right)


# Lists of what is revoked.


def test_openssl_reads_the_revocation_list(any_ca: Authority, tmp_path: Path) -> None:
    """Signed by the intermediate, and a certificate on it is refused by who asks for lists."""
    good, bad = issue(any_ca), issue(any_ca)
    made = any_ca.crl([(bad.leaf.serial_number, NOW), (7, NOW - DAY)], NOW)
    assert made.until == SECOND + CRL_LIFETIME
    (tmp_path / "crl").write_bytes(made.pem)
    (tmp_path / "roots").write_text(x509.pem(*any_ca.roots))
    (tmp_path / "chain").write_text(x509.pem(any_ca.intermediate))
    for leaf, accepted in ((good.leaf, True), (bad.leaf, False)):
        (tmp_path / "leaf").write_text(x509.pem(leaf))
        command = ["openssl", "verify", "-crl_check", "-attime", str(int(NOW.timestamp()))]
        command += ["-CRLfile", str(tmp_path / "crl"), "-CAfile", str(tmp_path / "roots")]
        command += ["-untrusted", str(tmp_path / "chain"), str(tmp_path / "leaf")]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False, text=True)
        assert (done.returncode == 0) == accepted, done
    assert cx.load_der_x509_crl(made.der).public_bytes(serialization.Encoding.PEM) == made.pem
    assert len(list(cx.load_der_x509_crl(any_ca.crl([], NOW).der))) == 0


# Where it is kept.


def test_it_is_the_same_after_a_restart(ca: Authority, tmp_path: Path) -> None:
    """With its keys in files that only the owner can read."""
    again = Authority.load(tmp_path / "ca")
    assert (again.mesh, again.roots, again.chain) == ("mesh-a", ca.roots, ca.chain)
    assert again.provisioner.jwk_public() == ca.provisioner.jwk_public()
    made = issue(again)
    assert ca.verify(made.leaf, made.chain, NOW) == URI
    for name in ("root.key", "intermediate.key", "provisioner.json"):
        assert stat.S_IMODE((tmp_path / "ca" / name).stat().st_mode) == 0o600
    rotated = again.rotate(NOW)
    assert Authority.load(tmp_path / "ca").chain == rotated.chain == rotated.intermediates


def test_opening_makes_one_only_where_there_is_none(tmp_path: Path) -> None:
    """With a name of its own if none is given; another mesh's is not taken for this one's."""
    first = Authority.open_or_create(tmp_path / "ca", "", NOW)
    assert is_mesh_name(first.mesh)
    for mesh in ("", first.mesh):
        assert Authority.open_or_create(tmp_path / "ca", mesh, NOW).root == first.root
    with pytest.raises(SetupError):
        Authority.open_or_create(tmp_path / "ca", "mesh-b", NOW)
    with pytest.raises(SetupError):
        Authority.create(tmp_path / "ca", "mesh-b", NOW)
    with pytest.raises(IdentityError):
        Authority.create(tmp_path / "other", "Mesh B", NOW)


def test_a_root_that_spectra_did_not_make(ca: Authority, tmp_path: Path) -> None:
    """It names no mesh: a step-ca's folder is not opened as ours."""
    name = cx.Name([cx.NameAttribute(NameOID.COMMON_NAME, "Smallstep Root CA")])
    key = x509.new_key()
    builder = cx.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1 << 90).not_valid_before(NOW).not_valid_after(NOW + DAY)
    root = builder.sign(key, hashes.SHA256())
    folder = tmp_path / "ca"
    below = cx.CertificateBuilder().subject_name(ca.intermediate.subject).issuer_name(name)
    below = below.public_key(ca.intermediate.public_key()).serial_number(1 << 91)
    intermediate = below.not_valid_before(NOW).not_valid_after(NOW + DAY).sign(key, hashes.SHA256())
    x509.save_key(key, folder / "root.key", overwrite=True)
    for file, made in (("root.crt", root), ("roots.pem", root), ("intermediate.crt", intermediate)):
        (folder / file).write_text(x509.pem(made))
    with pytest.raises(SetupError, match="mesh"):
        Authority.load(folder)
