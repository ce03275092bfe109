"""A client that remembers what was acknowledged, and checks after every bad case that all of it is still there."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx

from spectra.identity import rotation
from spectra.identity.keys import SigningKey
from tests.support import samples
from tests.support.running import Running


class Witness:
    """Submits to one Spectra as a contributor of its own."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.name = f"witness-{secrets.token_hex(4)}"
        self.key = SigningKey.generate()
        self.kept: dict[str, str] = {}  # address: observation id
        self.register(self.key, self.name)

    def register(self, key: SigningKey, contributor: str, role: str = "contributor") -> None:
        """Have an admin register `key`."""
        proof = rotation.build_registration(key, contributor=contributor, role=role, now=datetime.now(UTC))
        body = {"contributor": contributor, "role": role, "public_key": key.public.b64, "proof": proof.decode()}
        with self.running.client() as client:
            response = client.post("/v0/keys", json=body)
        assert response.status_code == 201, response.text

    def seal(self, output: bytes, **fields: Any) -> bytes:
        """An envelope around `output`."""
        return samples.sealed(self.key, self.name, output, **fields)

    def submit(self, envelope: bytes, path: str = "/v0/mesh/ingest") -> httpx.Response:
        """POST it."""
        return self.running.submit(envelope, path)

    def keep(self, ip: str, observation_id: str) -> None:
        """Remember that the host `ip` was acknowledged."""
        self.kept[ip] = observation_id

    def check(self) -> None:
        """A good submission works and is found, and everything acknowledged before is still there."""
        ip = samples.address()
        response = self.submit(self.seal(samples.scan_of(ip, 22, 80)))
        assert response.status_code == 200, response.text
        self.keep(ip, response.json()["observation_id"])
        self.all_there()

    def all_there(self) -> None:
        """Every host by search, every observation in the list, as merged."""
        addresses = list(self.kept)
        found: set[str] = set()
        for first in range(0, len(addresses), 200):
            q = f"ip:{','.join(addresses[first : first + 200])}"
            found |= {m["ip"] for m in self.running.get("/v0/search", q=q, limit=5000)["matches"]}
        assert found == set(addresses)
        told: dict[str, str] = {}
        cursor = ""
        while True:
            page = self.running.get("/v0/observations", limit=1000, cursor=cursor)
            told |= {one["observation_id"]: one["status"] for one in page["observations"]}
            cursor = page.get("next_cursor", "")
            if not cursor:
                break
        assert {told.get(observation) for observation in self.kept.values()} <= {"merged"}

    def sound(self) -> None:
        """The chain and the whole graph hold, by the command line's own word."""
        report = json.loads(self.running.cli("provenance", "verify", "--deep", "--json").splitlines()[-1])
        assert report["ok"], report


def is_problem(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Assert that it is a problem with one of these statuses, in words; returns it."""
    assert response.status_code in statuses, f"{response.status_code} {response.text[:500]}"
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert len(body["detail"].split()) > 2
    assert "Traceback" not in response.text
    return body
