"""The CA over HTTP as step-ca speaks it, over real TLS: what it shows, who gets a certificate, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from cryptography import x509 as cx

from spectra.fabric import enrol
from spectra.fabric.errors import MeshError
from spectra.identity import jointokens, x509
from spectra.store import nodes
from tests.api.meshnode import Machine, MeshNode, now

pytestmark = pytest.mark.engine

BOTH = pytest.mark.parametrize("prefix", ["", "/1.0"])


def step_refusal(answer: httpx.Response, status: int, reason: str) -> None:
    """Assert that an answer is an error in step's shape."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["status"], body["reason"]) == (status, reason)
    assert body["message"]


# --- what it shows to anybody ---


@BOTH
def test_it_answers_what_step_asks(mesh: MeshNode, prefix: str) -> None:
    """At either path, and with step's own status: some questions are answered 201."""
    with mesh.client() as client:
        assert client.get(f"{prefix}/health").json() == {"status": "ok"}
        assert client.get(f"{prefix}/version").json()["requireClientAuthentication"] is False
        for path in ("roots", "federation", "intermediates"):
            answer = client.get(f"{prefix}/{path}")
            assert answer.status_code == 201
            shown = x509.read_pem("".join(answer.json()["crts"]))
            ca = mesh.ca
            assert shown == (ca.intermediates if path == "intermediates" else ca.roots)
        for path in ("roots.pem", "intermediates.pem"):
            assert x509.read_pem(client.get(f"{prefix}/{path}").text)


@BOTH
def test_the_root_is_had_by_its_fingerprint(mesh: MeshNode, prefix: str) -> None:
    """In either spelling of it; another fingerprint is not found."""
    root = mesh.ca.authority.root
    pin = x509.fingerprint(root)
    for spelled in (pin, pin.upper(), "-".join([pin[:8], pin[8:]])):
        answer = mesh.ask("GET", f"{prefix}/root/{spelled}")
        assert x509.read_pem(answer.json()["ca"]) == (root,)
    step_refusal(mesh.ask("GET", f"{prefix}/root/{'ab' * 32}"), 404, "unknown_root")


@BOTH
def test_the_provisioner_shows_no_secret(mesh: MeshNode, prefix: str) -> None:
    """One JWK by its public key; its private one is not handed out in any form."""
    answer = mesh.ask("GET", f"{prefix}/provisioners").json()
    (shown,) = answer["provisioners"]
    assert (shown["type"], shown["name"], answer["nextCursor"]) == ("JWK", "spectra", "")
    assert set(shown["key"]) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert "encryptedKey" not in shown
    step_refusal(mesh.ask("GET", f"{prefix}/provisioners/{shown['key']['kid']}/encrypted-key"), 404, "not_found")


def test_the_revocation_list_in_both_forms(mesh: MeshNode) -> None:
    """With who was revoked; valid for a while."""
    machine = mesh.joined()
    mesh.parts.admin.revoke(machine.name, "test", mesh.act)
    answer = mesh.ask("GET", "/crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    crl = cx.load_der_x509_crl(answer.content)
    assert crl.get_revoked_certificate_by_serial_number(machine.certificate.serial_number) is not None
    assert cx.load_pem_x509_crl(mesh.ask("GET", "/1.0/crl?pem").content).issuer == crl.issuer
    assert "GMT" in answer.headers["expires"]


# --- certificates ---


def test_a_token_is_exchanged_for_a_certificate(mesh: MeshNode) -> None:
    """201, the chain begins with the certificate; the token is for one machine."""
    machine, token = mesh.machine("sign-1"), mesh.invite("sign-1").token
    answer = mesh.sign(machine, token)
    assert answer.status_code == 201
    body = answer.json()
    assert body["certChain"][:2] == [body["crt"], body["ca"]]
    assert body["tlsOptions"]["minVersion"] == 1.2
    leaf = machine.take(body)
    assert x509.spki(leaf) == x509.spki(machine.key)
    step_refusal(mesh.sign(mesh.machine("sign-1"), token), 401, "token_used")
    assert mesh.refused("token_used", "127.0.0.1").count >= 1


def test_step_s_times_are_honoured(mesh: MeshNode) -> None:
    """`--not-after 5m`; more than the CA gives is refused."""
    machine = mesh.machine()
    leaf = machine.take(mesh.sign(machine, notBefore="", notAfter="5m").json())
    assert timedelta(minutes=4) < leaf.not_valid_after_utc - now() <= timedelta(minutes=5)
    step_refusal(mesh.sign(mesh.machine(), notAfter="1000h"), 400, "bad_period")
    step_refusal(mesh.sign(mesh.machine(), notAfter="soon"), 400, "bad_request")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"csr": "x"}', 400),
        (b'{"csr": 1, "ott": "x"}', 400),
        (b'{"csr": "x", "ott": "y"}', 401),
        (b'{"csr": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_bodies_that_are_none(mesh: MeshNode, body: bytes, status: int) -> None:
    """Bounded, and refused in step's shape."""
    answer = mesh.ask("POST", "/sign", content=body)
    assert answer.status_code == status
    assert answer.json()["status"] == status


@BOTH
def test_renewal_by_certificate(mesh: MeshNode, prefix: str) -> None:
    """The same key, longer; `/re-sign` is its older name."""
    machine = mesh.joined()
    for path in ("renew", "re-sign"):
        before = machine.certificate
        answer = mesh.ask("POST", f"{prefix}/{path}", machine)
        assert answer.status_code == 201, answer.text
        leaf = machine.take(answer.json())
        assert leaf.serial_number != before.serial_number
        assert x509.spki(leaf) == x509.spki(before)


def test_renewal_by_a_token_that_the_key_signs(mesh: MeshNode) -> None:
    """For who is not let in by TLS any more; without either there is nothing to renew."""
    machine = mesh.joined()
    chain = x509.read_pem(machine.files.cert.read_text())
    token = jointokens.renew_token(machine.key, chain, ca_url=mesh.url, now=now())
    answer = mesh.ask("POST", "/1.0/renew", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 201, answer.text
    step_refusal(mesh.ask("POST", "/1.0/renew"), 400, "bad_request")
    step_refusal(mesh.ask("POST", "/1.0/renew", headers={"authorization": "Bearer x"}), 401, "bad_token")


def test_rekeying(mesh: MeshNode) -> None:
    """Another key for the same machine; not without a certificate."""
    machine, other = mesh.joined(), Machine("x", mesh.folder / "x")
    other.name = machine.name
    answer = mesh.ask("POST", "/1.0/rekey", machine, json={"csr": other.csr()})
    assert answer.status_code == 201
    assert x509.spki(other.take(answer.json())) == x509.spki(other.key)
    step_refusal(mesh.ask("POST", "/1.0/rekey", json={"csr": other.csr()}), 401, "unauthenticated")


def test_a_revoked_machine_gets_none(mesh: MeshNode) -> None:
    """On a connection that was open before as on a new one; it is counted under its name."""
    machine = mesh.joined()
    with mesh.client(machine) as client:
        assert client.post("/1.0/renew").status_code == 201
        mesh.parts.admin.revoke(machine.name, "stolen", mesh.act)
        step_refusal(client.post("/1.0/renew"), 403, "revoked")
    step_refusal(mesh.ask("POST", "/1.0/renew", machine), 403, "revoked")
    assert mesh.refused("revoked", machine.name, times=2).count == 2


# --- revocation ---


def test_a_machine_revokes_its_own_certificate(mesh: MeshNode) -> None:
    """And no other's."""
    machine, other = mesh.joined(), mesh.joined()
    serial = {"serial": str(other.certificate.serial_number), "passive": True}
    step_refusal(mesh.ask("POST", "/1.0/revoke", machine, json=serial), 403, "forbidden")
    step_refusal(mesh.ask("POST", "/1.0/revoke", json=serial), 400, "bad_request")
    own = {"serial": hex(machine.certificate.serial_number), "passive": True, "reason": "sold", "reasonCode": 5}
    step_refusal(mesh.ask("POST", "/1.0/revoke", machine, json=own | {"passive": False}), 400, "not_implemented")
    assert mesh.ask("POST", "/1.0/revoke", machine, json=own).json() == {"status": "ok"}
    record = nodes.get(mesh.node.services.database, machine.name)
    assert (record.standing, record.reason) == ("revoked", "sold")


def test_revocation_by_a_token_of_the_provisioner(mesh: MeshNode) -> None:
    """A token that is none is refused."""
    machine = mesh.joined()
    body = {"serial": str(machine.certificate.serial_number), "passive": True, "ott": "x"}
    step_refusal(mesh.ask("POST", "/1.0/revoke", json=body), 401, "bad_token")
    at = int(now().timestamp())
    claims = {"iss": "spectra", "aud": f"{mesh.url}/1.0/revoke", "sub": body["serial"], "nbf": at, "exp": at + 60}
    body["ott"] = mesh.ca.authority.provisioner.sign(claims | {"jti": "0123456789abcdef-test"})
    assert mesh.ask("POST", "/1.0/revoke", json=body).json() == {"status": "ok"}


# --- our own client ---


def test_our_client_bootstraps_and_enrols(mesh: MeshNode) -> None:
    """By the token alone: root by its pin, certificate for the token; a wrong pin stops it before anything is sent."""
    invitation, machine = mesh.invite(), mesh.machine("x")
    join = jointokens.peek(invitation.token)
    roots = enrol.bootstrap(join.ca_url, join.fingerprint, now())
    assert roots == mesh.ca.roots
    csr = x509.csr(machine.key, invitation.name, [])
    chain = enrol.sign(join.ca_url, roots, csr, invitation.token, now())
    assert enrol.require_ours(chain, x509.spki(machine.key), join.uri) == join.uri
    with pytest.raises(MeshError) as caught:
        enrol.bootstrap(join.ca_url, "ab" * 32, now())
    assert caught.value.reason == "wrong_fingerprint"
