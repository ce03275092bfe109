"""`spectra ca`."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.test_nodelist import full

NEW, OLD = "bb" * 32, "aa" * 32


def root(fingerprint: str, made: str, *, current: bool = False) -> dict[str, Any]:
    """A root as the server tells of it."""
    return {
        "fingerprint": fingerprint,
        "subject": "CN=mesh-x root",
        "not_before": made,
        "not_after": "2036-01-01T00:00:00Z",
        "current": current,
    }


def authority(*roots: dict[str, Any]) -> dict[str, Any]:
    """The CA with these roots, the current one first."""
    return {
        "mesh": "mesh-x",
        "kind": "built-in",
        "fingerprint": roots[0]["fingerprint"],
        "ca_url": "https://192.0.2.1:8766",
        "roots": list(roots),
    }


ROTATING = authority(root(NEW, "2026-06-01T00:00:00Z", current=True), root(OLD, "2026-01-01T00:00:00Z"))
ALONE = authority(root(NEW, "2026-06-01T00:00:00Z", current=True))


def test_the_fingerprint_alone(run: Run, server: StandIn) -> None:
    """For `step ca bootstrap --fingerprint $(spectra ca fingerprint)`; the rest is said beside it, or in JSON."""
    server.say("GET", "/v0/nodes/ca", ROTATING)
    result = run("ca", "fingerprint")
    assert result.lines == [NEW]
    assert "1 former root still trusted" in result.err
    assert json.loads(run("ca", "fingerprint", "--json").out)["mesh"] == "mesh-x"
    server.say("GET", "/v0/nodes/ca", ALONE)
    assert run("ca", "fingerprint").err == ""


def test_a_rotation(run: Run, server: StandIn) -> None:
    """Shows both roots, and says how it ends."""
    server.say("POST", "/v0/nodes/ca/rotate", ROTATING)
    result = run("ca", "rotate")
    assert result.code == 0, result.err
    assert "signs" in result.lines[1]
    assert "trusted" in result.lines[2]
    assert "spectra ca retire" in result.err
    server.say("POST", "/v0/nodes/ca/rotate", problem(409, "it is being rotated", reason="ca_rotating"))
    assert run("ca", "rotate").code == 1


def test_the_old_root_is_retired(run: Run, server: StandIn) -> None:
    """At once where every node has renewed since."""
    server.say("GET", "/v0/nodes/ca", ROTATING)
    server.say("GET", "/v0/nodes", {"nodes": [full("attic")]})
    server.say("POST", "/v0/nodes/ca/retire", ALONE)
    result = run("ca", "retire")
    assert result.code == 0, result.err
    assert len(result.lines) == 2


def test_whoever_has_not_renewed_is_named_first(run: Run, server: StandIn) -> None:
    """They would be locked out; revoked ones are anyway."""
    late = {"serial": "1", "spki": "x", "not_before": "2026-05-31T00:00:00Z", "not_after": "2026-06-02T00:00:00Z"}
    nodes = [full("attic") | {"certificate": late}, full("barn") | {"certificate": late, "standing": "revoked"}]
    server.say("GET", "/v0/nodes/ca", ROTATING)
    server.say("GET", "/v0/nodes", {"nodes": nodes})
    server.say("POST", "/v0/nodes/ca/retire", ALONE)
    result = run("ca", "retire")
    assert result.code == 2
    assert "1 node has not renewed since the rotation: attic" in result.err
    assert server.asked("/v0/nodes/ca/retire") == []
    assert run("ca", "retire", "--yes", "--json").code == 0
