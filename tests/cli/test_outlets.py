"""`spectra alerts outlets` and `spectra alerts deliveries`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from spectra.model.alerts import DeliveryPage, DeliveryRecord
from spectra.model.outlets import OutletList, OutletMade, OutletRecord, OutletTried
from tests.cli.conftest import Run
from tests.cli.standin import StandIn

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def record(name: str = "hook", **said: object) -> OutletRecord:
    """An outlet whose trouble drives no terminal."""
    fields: dict[str, object] = {"kind": "webhook", "target": "https://example.org/…", "enabled": True, "waiting": 2}
    fields |= {"created": NOON, "changed": NOON, "by": "root", "error": "a\x1b[2Jb"}
    return OutletRecord(name=name, **(fields | said))  # type: ignore[arg-type]


def test_outlets_are_listed_and_shown(run: Run, server: StandIn) -> None:
    """As a table, and as lines."""
    server.say("GET", "/v0/outlets", OutletList((record(),)))
    server.say("GET", "/v0/outlets/hook", record())
    listed = run("alerts", "outlets", "list")
    assert (listed.code, "trouble" in listed.out, "\x1b[2J" in listed.out) == (0, True, False)
    assert json.loads(run("alerts", "outlets", "list", "--json").lines[0])["name"] == "hook"
    shown = run("alerts", "outlets", "show", "hook").out
    assert ("https://example.org/…" in shown, "\x1b[2J" in shown) == (True, False)
    server.say("GET", "/v0/outlets", OutletList(()))
    assert "There are no outlets" in run("alerts", "outlets", "list").err


def test_one_is_made(run: Run, server: StandIn, tmp_path: Path) -> None:
    """The secret that was made for it is printed; a room's password is read from a file."""
    server.say("PUT", "/v0/outlets/hook", OutletMade(outlet=record(), secret="whsec_abc"))
    made = run("alerts", "outlets", "add", "hook", "webhook", "https://example.org/x")
    assert (made.code, "whsec_abc" in made.out) == (0, True)
    assert json.loads(server.asked("/v0/outlets/hook")[0].body)["target"] == "https://example.org/x"
    server.say("PUT", "/v0/outlets/room", OutletMade(outlet=record("room")))
    (tmp_path / "pw").write_text("geheim\n")
    run("alerts", "outlets", "add", "room", "xmpp-room", "ops@c.org", "--secret-file", str(tmp_path / "pw"))
    assert json.loads(server.asked("/v0/outlets/room")[0].body)["secret"] == "geheim"
    assert "there is no kind" in run("alerts", "outlets", "add", "x", "fax", "1").err
    missing = run("alerts", "outlets", "add", "x", "xmpp-room", "a@b.org", "--secret-file", str(tmp_path / "none"))
    assert "cannot be read" in missing.err


def test_one_is_tried_and_removed(run: Run, server: StandIn) -> None:
    """The exit code says whether the message arrived."""
    path = "/v0/outlets/hook/test"
    server.say("POST", path, OutletTried(outlet="hook", delivered=True, message="test-1", took_ms=12.0))
    assert "12 ms" in run("alerts", "outlets", "test", "hook").out
    tried = OutletTried(outlet="hook", delivered=False, message="test-2", took_ms=1.0, error="It is away.")
    server.say("POST", path, tried)
    failed = run("alerts", "outlets", "test", "hook")
    assert (failed.code, "It is away" in failed.err) == (1, True)
    server.say("DELETE", "/v0/outlets/hook", record())
    assert "is gone" in run("alerts", "outlets", "remove", "hook").err


def test_messages_are_listed(run: Run, server: StandIn) -> None:
    """Of one outlet and in one state where that is asked for."""
    one = DeliveryRecord(
        notification="note-1",
        outlet="hook",
        state="waiting",
        alert="alert-1",
        rule="ssh",
        told="firing",
        severity="high",
        title="a\x1b[2Jb",
        at=NOON,
        attempts=3,
    )
    server.say("GET", "/v0/deliveries", DeliveryPage((one,)))
    listed = run("alerts", "deliveries", "--outlet", "hook", "--state", "waiting")
    assert (listed.code, "waiting" in listed.out, "\x1b[2J" in listed.out) == (0, True, False)
    assert server.asked("/v0/deliveries")[0].params["state"] == "waiting"
    assert "there is no state" in run("alerts", "deliveries", "--state", "odd").err
