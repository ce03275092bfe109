"""Keys, requests and certificates: what we make others read, what we read is bounded and checked."""

from __future__ import annotations

import base64
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import SetupError
from spectra.identity import x509
from spectra.identity.errors import IdentityError
from spectra.identity.names import node_uri

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
URI = node_uri("mesh-a", "n1")
KINDS: list[x509.Kind] = ["p256", "ed25519"]
Request = cx.CertificateSigningRequestBuilder


def name(*common: str) -> cx.Name:
    """A subject of these common names."""
    return cx.Name([cx.NameAttribute(NameOID.COMMON_NAME, text) for text in common])


def certificate(*sans: cx.GeneralName, key: x509.PrivateKey | None = None) -> cx.Certificate:
    """A certificate signed by itself, with whatever names."""
    key = key or x509.new_key()
    builder = (
        cx.CertificateBuilder()
        .subject_name(name("x"))
        .issuer_name(name("x"))
        .public_key(key.public_key())
        .serial_number(1 << 127)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if sans:
        builder = builder.add_extension(cx.SubjectAlternativeName(sans), critical=False)
    return builder.sign(key, x509.algorithm(key))


def refused(call: Callable[[], object], reason: str) -> None:
    """Refused, for that reason."""
    with pytest.raises(IdentityError) as caught:
        call()
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_kept_for_its_owner_only(kind: x509.Kind, tmp_path: Path) -> None:
    """Mode 0600, never overwritten unasked, and the same key when read."""
    key, path = x509.new_key(kind), tmp_path / "keys" / "tls.key"
    x509.save_key(key, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert x509.spki(x509.load_key(path)) == x509.spki(key)
    with pytest.raises(SetupError):
        x509.save_key(x509.new_key(), path)
    x509.save_key(other := x509.new_key(), path, overwrite=True)
    assert x509.spki(x509.load_key(path)) == x509.spki(other)
    path.chmod(0o640)
    with pytest.raises(SetupError):
        x509.load_key(path)


def test_keys_of_other_kinds_are_not_loaded() -> None:
    """What we do not make we do not sign with."""
    keys = [ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()]
    for key in keys:
        refused(lambda key=key: x509.parse_key(_pkcs8(key)), "identity")  # type: ignore[misc]
    good = x509.new_key()
    locked = good.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    refused(lambda: x509.parse_key(locked), "identity")
    refused(lambda: x509.parse_key(b"nothing"), "identity")


def _pkcs8(key: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_read_by_us_and_by_openssl(kind: x509.Kind, tmp_path: Path) -> None:
    """Name, the three kinds of alternative names, and a signature that openssl verifies."""
    raw = x509.csr(x509.new_key(kind), "n1", [URI, "n1.Example.org", "127.0.0.1", "2001:db8::1"])
    common, names = x509.requested(x509.read_csr(raw))
    assert common == "n1"
    assert names == x509.Names((URI,), ("n1.example.org",), ("127.0.0.1", "2001:db8::1"))
    (tmp_path / "csr").write_bytes(raw)
    done = subprocess.run(
        ["openssl", "req", "-in", str(tmp_path / "csr"), "-noout", "-verify", "-text"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert f"URI:{URI}" in done.stdout
    assert "verify OK" in done.stdout + done.stderr


def test_a_request_may_ask_for_nothing() -> None:
    """As `step ca rekey` sends it."""
    assert x509.requested(x509.read_csr(x509.csr(x509.new_key(), "", []))) == ("", x509.Names())


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),
        rsa.generate_private_key(3, 2048),
        ed448.Ed448PrivateKey.generate(),
        dsa.generate_private_key(1024),
    ],
    ids=["P-224", "secp256k1", "RSA 1024", "RSA exponent 3", "Ed448", "DSA"],
)
def test_keys_too_weak_or_odd_are_not_certified(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey | dsa.DSAPrivateKey,
) -> None:
    """Even with a perfect signature."""
    digest = None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256()
    raw = Request().subject_name(name("n1")).sign(key, digest).public_bytes(serialization.Encoding.PEM)
    refused(lambda: x509.read_csr(raw), "bad_csr")


def test_other_strong_keys_are_certified() -> None:
    """RSA of 2048 bits and P-384: what `step ca certificate --kty` makes."""
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        raw = Request().subject_name(name("n1")).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        assert x509.spki(x509.read_csr(raw)) == x509.spki(key.public_key())


def test_a_request_whose_signature_does_not_hold() -> None:
    """Somebody asks for a certificate of a key that they only saw."""
    request = cx.load_pem_x509_csr(x509.csr(x509.new_key(), "n1", [URI]))
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[der.index(b"n1")] ^= 1  # the name that was signed, changed
    forged = cx.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    refused(lambda: x509.read_csr(forged), "bad_csr")


@pytest.mark.parametrize(
    "sans",
    [
        [cx.RFC822Name("a@example.org")],
        [cx.DirectoryName(name("x"))],
        [cx.RegisteredID(cx.ObjectIdentifier("1.2.3"))],
        [cx.OtherName(cx.ObjectIdentifier("1.2.3"), b"\x0c\x01a")],
        [cx.DNSName(f"d{i}.example") for i in range(33)],
    ],
    ids=["mail", "directory", "registered", "other", "33 names"],
)
def test_requests_for_names_of_other_kinds(sans: list[cx.GeneralName]) -> None:
    """A name that nobody compares with what is allowed must not pass unseen."""
    builder = Request().subject_name(name("n1"))
    builder = builder.add_extension(cx.SubjectAlternativeName(sans), critical=False)
    raw = builder.sign(x509.new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    refused(lambda: x509.requested(x509.read_csr(raw)), "bad_csr")


def test_a_request_with_two_common_names() -> None:
    """Which one is meant?"""
    raw = Request().subject_name(name("a", "b")).sign(x509.new_key(), hashes.SHA256())
    pem = raw.public_bytes(serialization.Encoding.PEM)
    refused(lambda: x509.requested(x509.read_csr(pem)), "bad_csr")


@pytest.mark.parametrize("bad", ["*.example.org", "a_b", "-a", "", "a..b", "x" * 254, "https://\n", "://ä"])
def test_names_that_cannot_stand_in_a_certificate(bad: str) -> None:
    """Wildcards, and what a reader might take for something else."""
    refused(lambda: x509.csr(x509.new_key(), "n1", [bad]), "identity")


def test_subjects_are_short_and_printable() -> None:
    """64 characters (RFC 5280), none of them a control character."""
    for bad in ("x" * 65, "a\nb"):
        refused(lambda bad=bad: x509.csr(x509.new_key(), bad, []), "identity")  # type: ignore[misc]
    refused(lambda: x509.alternative_names(x509.Names(ips=("no address",))), "identity")
    refused(lambda: x509.alternative_names(x509.Names(dns=tuple(f"d{i}" for i in range(33)))), "identity")


def test_fingerprints_are_those_of_openssl(tmp_path: Path) -> None:
    """SHA-256 of the certificate and of its key, so that a person can compare them by other means."""
    made = certificate(cx.UniformResourceIdentifier(URI))
    path = tmp_path / "crt"
    path.write_text(x509.pem(made))
    shown = _openssl("x509", "-in", str(path), "-noout", "-fingerprint", "-sha256").decode()
    assert shown.strip().split("=")[1].replace(":", "").lower() == x509.fingerprint(made)
    public = _openssl("x509", "-in", str(path), "-noout", "-pubkey")
    (tmp_path / "pub").write_bytes(public)
    der = _openssl("pkey", "-pubin", "-in", str(tmp_path / "pub"), "-outform", "DER")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    assert digest.finalize().hex() == x509.spki(made)


def _openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, timeout=20, check=True).stdout


def test_one_key_has_one_spki_however_it_comes() -> None:
    """A revoked key is recognized in a request, a certificate, or alone."""
    key = x509.new_key("ed25519")
    request = x509.read_csr(x509.csr(key, "n1", []))
    forms = {x509.spki(form) for form in (key, key.public_key(), request, certificate(key=key))}
    assert len(forms) == 1
    assert x509.spki(x509.new_key()) not in forms


def test_certificates_in_pem_come_back_in_order() -> None:
    """With text between them, as tools write it."""
    first, second = certificate(), certificate()
    text = f"subject=x\n{x509.pem(first)}\nissuer=y\n{x509.pem(second)}"
    assert x509.read_pem(text) == (first, second)
    assert x509.read_der(first.public_bytes(serialization.Encoding.DER)) == first


def test_pem_that_is_not_just_certificates() -> None:
    """Empty, too many, a key among them, cut off, or garbled."""
    good = x509.pem(certificate())
    cut = good[: len(good) // 2]
    key = x509.key_pem(x509.new_key()).decode()
    for bad in (
        "",
        good * 3,
        key,
        good + key,
        cut,
        good + cut,
        good.replace("M", "N", 1),
        good + "x" * 100_000,
        "-----BEGIN A-----" * 1500,
    ):
        refused(lambda bad=bad: x509.read_pem(bad, limit=2), "bad_certificate")  # type: ignore[misc]
    refused(lambda: x509.read_der(b"\x30" * 20), "bad_certificate")
    refused(lambda: x509.read_der(b"0" * 20_000), "bad_certificate")


@given(st.binary(max_size=300))
def test_any_bytes_in_a_block_are_answered(data: bytes) -> None:
    """As a certificate or a request: refused, never another error."""
    for label in ("CERTIFICATE", "CERTIFICATE REQUEST"):
        block = _block(label, data)
        refused(lambda: x509.read_pem(block.decode()), "bad_certificate")  # noqa: B023
        refused(lambda: x509.read_csr(block), "bad_csr")  # noqa: B023
    refused(lambda: x509.read_der(data), "bad_certificate")


@given(st.text(max_size=300), st.text(max_size=100))
def test_any_text_around_is_answered(before: str, after: str) -> None:
    """Text around a certificate is passed over, or the whole is refused."""
    try:
        found = x509.read_pem(before + SAMPLE + after)
    except IdentityError:
        return
    assert x509.pem(*found) == SAMPLE


SAMPLE = x509.pem(certificate(cx.UniformResourceIdentifier(URI), cx.DNSName("n1")))
SAMPLE_CSR = x509.csr(x509.new_key("ed25519"), "n1", [URI, "127.0.0.1"])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_certificate_with_one_byte_changed_is_read_or_refused(at: int, flip: int) -> None:
    """Whether it is trusted is another question; reading it never ends in another error."""
    der = bytearray(cx.load_pem_x509_certificate(SAMPLE.encode()).public_bytes(serialization.Encoding.DER))
    der[at % len(der)] ^= flip
    try:
        x509.uri_of(x509.read_der(bytes(der)))
    except IdentityError:
        return


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_request_with_one_byte_changed_says_nothing_else(at: int, flip: int) -> None:
    """The signature covers the names and the key; only its own encoding has spare bits, which change nothing."""
    original = cx.load_pem_x509_csr(SAMPLE_CSR)
    der = bytearray(original.public_bytes(serialization.Encoding.DER))
    der[at % len(der)] ^= flip
    try:
        read = x509.read_csr(_block("CERTIFICATE REQUEST", bytes(der)))
    except IdentityError:
        return
    assert read.tbs_certrequest_bytes == original.tbs_certrequest_bytes


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"\x0c\x01x", b"\x03\x01x"), (b"\x55\x04\x03", b"\x55\x04\x06"), (b"\x02\x11\x00", b"\x02\x11\x82")],
    ids=["a name that is a bit string", "a country of one letter", "a negative serial number"],
)
def test_bytes_that_the_library_stumbles_over(old: bytes, new: bytes) -> None:
    """They end in errors of other types, or warnings; found by trying every byte."""
    der = cx.load_pem_x509_certificate(SAMPLE.encode()).public_bytes(serialization.Encoding.DER)
    assert old in der
    refused(lambda: x509.read_der(der.replace(old, new, 1)), "bad_certificate")


def _block(label: str, data: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(data) + f"-----END {label}-----\n".encode()


def test_a_large_request_is_not_parsed() -> None:
    """16 KiB is many times a real one."""
    refused(lambda: x509.read_csr(SAMPLE_CSR + b"\n" * 20_000), "bad_csr")


def test_the_node_a_certificate_names() -> None:
    """Exactly one URI, which is a node's; other kinds of names may stand beside it."""
    uri = cx.UniformResourceIdentifier(URI)
    assert x509.uri_of(certificate(uri, cx.DNSName("n1"))) == URI
    other = cx.UniformResourceIdentifier("https://example.org/")
    for bad in (certificate(), certificate(uri, uri), certificate(uri, other), certificate(other)):
        refused(lambda bad=bad: x509.uri_of(bad), "bad_certificate")  # type: ignore[misc]
    refused(lambda: x509.uri_of(certificate(uri, cx.RFC822Name("a@b.example"))), "bad_certificate")
