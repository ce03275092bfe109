"""Paths to a root: what openssl accepts of what we accept, and strangers' chains are refused with bounded work."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.identity import chains, x509
from spectra.identity.chains import MAX_INTERMEDIATES, verify_chain
from spectra.identity.errors import IdentityError
from spectra.identity.names import node_uri

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
URI = node_uri("mesh-a", "n1")
KEYS = [x509.new_key() for _ in range(4)]


@dataclass
class Ca:
    """A CA by hand, of whatever kind."""

    name: str
    key: x509.PrivateKey = field(default_factory=x509.new_key)

    def certify(self, name: str, key: x509.PrivateKey, **options: Any) -> Certificate:
        """A certificate by this one: `ca`, `path`, `usage`, `purposes`, `uris`, `begin`, `until`."""
        builder = cx.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(self.name))
        builder = builder.public_key(key.public_key()).serial_number(1 << 100)
        builder = builder.not_valid_before(options.get("begin", NOW - DAY))
        builder = builder.not_valid_after(options.get("until", NOW + DAY))
        ca, path = options.get("ca", False), options.get("path")
        builder = builder.add_extension(cx.BasicConstraints(ca, path if ca else None), critical=True)
        if options.get("usage", True):
            signs = options.get("signs", not ca)
            usage = cx.KeyUsage(signs, False, False, False, False, options.get("certifies", ca), ca, False, False)
            builder = builder.add_extension(usage, critical=True)
        if purposes := options.get("purposes", [] if ca else [ExtendedKeyUsageOID.CLIENT_AUTH]):
            builder = builder.add_extension(cx.ExtendedKeyUsage(purposes), critical=False)
        if uris := options.get("uris", () if ca else (URI,)):
            sans = [cx.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(cx.SubjectAlternativeName(sans), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def root(self, **options: Any) -> Certificate:
        """Its own certificate."""
        return self.certify(self.name, self.key, ca=True, **options)


def _name(text: str) -> cx.Name:
    return cx.Name([cx.NameAttribute(NameOID.COMMON_NAME, text)])


ROOT, MIDDLE, OTHER = Ca("root"), Ca("middle"), Ca("root")
ROOT_CERT = ROOT.root()
MIDDLE_CERT = ROOT.certify("middle", MIDDLE.key, ca=True, path=0)
LEAF_KEY = x509.new_key()
LEAF = MIDDLE.certify("n1", LEAF_KEY)


def verify(leaf: Certificate, *chain: Certificate, now: datetime = NOW, **options: Any) -> str:
    """Against the one root."""
    given: dict[str, Any] = {"roots": [ROOT_CERT], "mesh": "mesh-a"}
    return verify_chain(leaf, chain, now=now, **(given | options))


def refused(leaf: Certificate, *chain: Certificate, reason: str = "untrusted", **options: Any) -> None:
    """Refused, for that reason."""
    with pytest.raises(IdentityError) as caught:
        verify(leaf, *chain, **options)
    assert caught.value.reason == reason


def test_a_leaf_below_the_root() -> None:
    """With its intermediate, in any order with others, or right below the root."""
    noise = OTHER.certify("middle", KEYS[0], ca=True)
    assert verify(LEAF, MIDDLE_CERT) == URI
    assert verify(LEAF, noise, MIDDLE_CERT, noise) == URI
    assert verify(ROOT.certify("n1", LEAF_KEY)) == URI
    assert verify(LEAF, MIDDLE_CERT, roots=[OTHER.root(), ROOT_CERT]) == URI


def test_no_path_to_a_root() -> None:
    """No intermediate, no root, another root of the same name, or a root that the peer brought along."""
    refused(LEAF)
    refused(LEAF, MIDDLE_CERT, roots=[])
    refused(LEAF, MIDDLE_CERT, roots=[OTHER.root()])
    stranger = OTHER.certify("n1", LEAF_KEY)
    refused(stranger, OTHER.root())
    refused(stranger, OTHER.root(), ROOT_CERT, MIDDLE_CERT)


def test_a_leaf_is_no_ca() -> None:
    """A node that certifies another one with its own key."""
    node = Ca("n1", LEAF_KEY)
    refused(node.certify("n2", KEYS[0]), LEAF, MIDDLE_CERT)
    silent = ROOT.certify("middle", MIDDLE.key, ca=True, certifies=False)
    refused(LEAF, silent)


def test_path_lengths_hold() -> None:
    """An intermediate that may certify leaves only has made another intermediate; a root that allows none."""
    below = MIDDLE.certify("below", KEYS[0], ca=True)
    leaf = Ca("below", KEYS[0]).certify("n1", LEAF_KEY)
    refused(leaf, below, MIDDLE_CERT)
    wide = ROOT.certify("middle", MIDDLE.key, ca=True, path=1)
    assert verify(leaf, below, wide) == URI
    refused(leaf, below, wide, roots=[ROOT.root(path=1)])
    refused(LEAF, MIDDLE_CERT, roots=[ROOT.root(path=0)])


def test_expired_issuers() -> None:
    """An intermediate or a root whose time is over, or has not come."""
    late = {"begin": NOW + DAY / 2}
    early = {"until": NOW - DAY / 2}
    for times in (late, early):
        refused(LEAF, ROOT.certify("middle", MIDDLE.key, ca=True, **times))
        refused(LEAF, MIDDLE_CERT, roots=[ROOT.root(**times)])


def test_time_and_grace() -> None:
    """To the second; and only for those who have a path."""
    until = NOW + DAY
    assert verify(LEAF, MIDDLE_CERT, now=until) == URI
    refused(LEAF, MIDDLE_CERT, now=until + timedelta(seconds=1), reason="expired")
    assert verify(LEAF, MIDDLE_CERT, now=until + 7 * DAY, grace=7 * DAY) == URI
    refused(LEAF, MIDDLE_CERT, now=until + 7 * DAY + timedelta(seconds=1), grace=7 * DAY, reason="expired")
    refused(LEAF, MIDDLE_CERT, now=NOW - DAY - timedelta(seconds=1), reason="not_yet")
    refused(LEAF, now=until + 30 * DAY)
    with pytest.raises(IdentityError):
        verify(LEAF, MIDDLE_CERT, now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "options",
    [
        {"ca": True, "uris": (URI,), "purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]},
        {"signs": False},
        {"purposes": [ExtendedKeyUsageOID.SERVER_AUTH]},
        {"purposes": []},
        {"uris": ()},
        {"uris": (URI, node_uri("mesh-a", "n2"))},
        {"uris": ("https://example.org",)},
        {"uris": (node_uri("mesh-b", "n1"),)},
    ],
    ids=repr,
)
def test_certificates_of_the_ca_that_are_no_nodes(options: dict[str, Any]) -> None:
    """Of CAs, of servers only, of nobody, of two, or of another mesh under the same root."""
    refused(ROOT.certify("n1", LEAF_KEY, **options))


def test_a_chain_that_is_too_long() -> None:
    """More than eight certificates are not looked at."""
    assert verify(LEAF, *[MIDDLE_CERT] * MAX_INTERMEDIATES) == URI
    refused(LEAF, *[MIDDLE_CERT] * (MAX_INTERMEDIATES + 1))


def test_cas_that_all_certify_each_other_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of one name and one key: every one is an issuer of every other, and of the leaf; 40,320 orders."""
    knot = Ca("root")
    pool = [knot.root(until=NOW + DAY * (1 + i)) for i in range(MAX_INTERMEDIATES)]
    checked: list[Certificate] = []
    real = chains.issued_by

    def counted(certificate: Certificate, issuer: Certificate) -> bool:
        checked.append(issuer)
        return real(certificate, issuer)

    monkeypatch.setattr(chains, "issued_by", counted)
    refused(knot.certify("n1", LEAF_KEY), *pool)
    assert 0 < len(checked) <= (1 + MAX_INTERMEDIATES) * (MAX_INTERMEDIATES + 1)


CA_OPTIONS = st.fixed_dictionaries(
    {
        "subject": st.integers(0, 2),
        "issuer": st.integers(0, 2),
        "path": st.none() | st.integers(0, 2),
        "ca": st.booleans(),
        "old": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CA_OPTIONS, max_size=4), st.integers(0, 2))
def test_any_few_certificates(tmp_path_factory: pytest.TempPathFactory, pool: list[Any], by: int) -> None:
    """Random certificates between three keys: we accept exactly where some order of some of them is a path, by the
    rules written down a second time and tried one by one; and such a path openssl accepts as well.
    """
    cas = [Ca("root", ROOT.key), Ca("ca1", KEYS[1]), Ca("ca2", KEYS[2])]
    made = [
        cas[o["issuer"]].certify(
            cas[o["subject"]].name,
            cas[o["subject"]].key,
            ca=o["ca"],
            path=o["path"],
            until=NOW - DAY / 2 if o["old"] else NOW + DAY,
        )
        for o in pool
    ]
    leaf = cas[by].certify("n1", LEAF_KEY)
    numbers = [order for size in range(len(pool) + 1) for order in permutations(range(len(pool)), size)]
    paths = [order for order in numbers if _is_path([pool[n] for n in order], by)]
    if not paths:
        refused(leaf, *made)
        return
    assert verify(leaf, *made) == URI
    assert openssl(tmp_path_factory.mktemp("chain"), leaf, [made[n] for n in paths[0]], ROOT_CERT)


def _is_path(order: list[Any], by: int) -> bool:
    """Whether these lead from the issuer of the leaf to the root (number 0), which certifies the last one."""
    issuer = by
    for below, step in enumerate(order):
        if step["subject"] != issuer or not step["ca"] or step["old"]:
            return False
        if step["path"] is not None and step["path"] < below:
            return False
        issuer = step["issuer"]
    return issuer == 0


def openssl(folder: Path, leaf: Certificate, chain: list[Certificate], root: Certificate) -> bool:
    """Whether `openssl verify` accepts it as a client's, at our moment."""
    (folder / "leaf").write_text(x509.pem(leaf))
    (folder / "root").write_text(x509.pem(root))
    command = ["openssl", "verify", "-purpose", "sslclient", "-attime", str(int(NOW.timestamp()))]
    command += ["-CAfile", str(folder / "root")]
    if chain:
        (folder / "chain").write_text(x509.pem(*chain))
        command += ["-untrusted", str(folder / "chain")]
    command.append(str(folder / "leaf"))
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
