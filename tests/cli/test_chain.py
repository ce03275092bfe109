"""`spectra provenance entries` and `entry`."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.cli.conftest import Run
from tests.cli.standin import StandIn

AT = "2026-01-01T00:00:00Z"
TEXT = '{"detail":{},"kind":"block.added","subject":"b1"}'
HASH = hashlib.sha256(bytes(32) + TEXT.encode() + AT.encode()).hexdigest()
ENTRY = {"seq": 7, "at": AT, "kind": "block.added", "hash": HASH, "previous": "00" * 32, "subject": "b1"}


def proof(**fields: Any) -> dict[str, Any]:
    """An entry that holds, as far as these fields say nothing else."""
    return {"entry": ENTRY, "text": TEXT, "hashes": True, "follows": True, "followed": True, **fields}


def test_entries_are_listed_page_by_page(run: Run, server: StandIn) -> None:
    """With what they are about, where that is told; by kind and subject."""
    hidden = {key: value for key, value in ENTRY.items() if key != "subject"} | {"seq": 6, "withheld": True}
    first, second = {"entries": [ENTRY], "next_cursor": "7"}, {"entries": [hidden]}
    server.say("GET", "/v0/provenance/entries", first, second)
    table = run("provenance", "entries", "--kind", "block", "--subject", "b1").lines
    assert "b1" in table[1]
    assert "(withheld)" in table[2]
    assert server.requests[0].params["kind"] == "block"
    assert server.requests[1].params["cursor"] == "7"
    server.say("GET", "/v0/provenance/entries", {"entries": [ENTRY]})
    assert json.loads(run("provenance", "entries", "--json").out)["hash"] == HASH
    server.say("GET", "/v0/provenance/entries", {"entries": []})
    assert "Nothing of that" in run("provenance", "entries").err


def test_an_entry_is_proved_here(run: Run, server: StandIn) -> None:
    """Its hash is computed again; the newest has none after it; one that is withheld rests on the server's word."""
    path = "/v0/provenance/entries/7"
    server.say("GET", path, proof())
    told = run("provenance", "entry", "7")
    assert told.code == 0
    assert "it hashes to its hash, it follows the one before, the next one follows it" in told.out
    server.say("GET", path, proof(followed=None, text="", entry=ENTRY | {"subject": "", "withheld": True}))
    told = run("provenance", "entry", "7")
    assert told.code == 0
    assert "nothing follows it yet" in told.out
    assert "audit:read" in told.out


def test_an_entry_that_does_not_hold(run: Run, server: StandIn) -> None:
    """Exits with 1, also where the server says that it holds."""
    path = "/v0/provenance/entries/7"
    for broken in ({"text": TEXT + " "}, {"follows": False}, {"followed": False}, {"text": "", "hashes": False}):
        server.say("GET", path, proof(**broken))
        told = run("provenance", "entry", "7")
        assert told.code == 1
        assert "BROKEN" in told.out
    server.say("GET", path, proof(entry=ENTRY | {"previous": "zz"}))
    assert run("provenance", "entry", "7", "--json").code == 1
