"""`spectra alerts`: what is asked of the server, and how alerts are shown."""

from __future__ import annotations

import json

from tests.cli.alertsamples import ID, NOON, alert, mute, page
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem


def test_alerts_are_listed(run: Run, server: StandIn) -> None:
    """Open ones by themselves; whatever is in them drives no terminal."""
    server.say("GET", "/v0/alerts", page(alert()), page(alert()), page())
    result = run("alerts", "list")
    assert result.code == 0, result.err
    assert "192.0.2.7:3389 is open" in result.out
    assert "\x1b[2J" not in result.out
    told = run("alerts", "list", "--rule", "rdp", "--state", "all", "--host", "192.0.2.7", "--json")
    assert json.loads(told.out.splitlines()[0])["rule"] == "rdp"
    assert "alerts rules list" in run("alerts", "list", "--severity", "critical").err


def test_one_alert_is_shown(run: Run, server: StandIn) -> None:
    """With what it tells of, who looks after it, and why it is over."""
    after = alert(state="resolved", acknowledged=NOON, acknowledged_by="bob", comment="mine", resolved=NOON, why="done")
    server.say("GET", f"/v0/alerts/{ID}", after, after)
    result = run("alerts", "show", ID)
    assert result.code == 0, result.err
    for said in ("bob looks after it", "mine", "over since", "done", "is open"):
        assert said in result.out
    assert json.loads(run("alerts", "show", ID, "--json").out)["id"] == ID


def test_alerts_are_looked_after(run: Run, server: StandIn) -> None:
    """Several at once, with a word."""
    server.say("POST", "/v0/alerts/ack", page(alert(state="acknowledged")))
    result = run("alerts", "ack", ID, "--note", "mine")
    assert (result.code, f"{ID} is acknowledged" in result.err) == (0, True)


def test_things_are_left_out_and_no_longer(run: Run, server: StandIn) -> None:
    """What an alert tells of, or what options say; not both, and not nothing."""
    server.say("POST", f"/v0/alerts/{ID}/mute", {"mutes": [mute()]})
    server.say("POST", "/v0/alerts/mutes", mute(port=443, protocol="tcp", cve="CVE-2024-6387"))
    server.say("GET", "/v0/alerts/mutes", {"mutes": [mute(until=NOON)]}, {"mutes": [mute()]})
    server.say("DELETE", "/v0/alerts/mutes/mute-1", mute())
    assert "mute-1" in run("alerts", "mute", ID, "--until", "30d").err
    result = run("alerts", "mute", "--host", "192.0.2.7", "--port", "443", "--cve", "cve-2024-6387", "--json")
    assert json.loads(result.out)["cve"] == "CVE-2024-6387"
    assert "at 192.0.2.7" in run("alerts", "mutes").out
    assert json.loads(run("alerts", "mutes", "--json").out)["reason"] == "a test"
    assert run("alerts", "unmute", "mute-1").code == 0
    assert run("alerts", "mute").code != 0
    assert run("alerts", "mute", ID, "--host", "192.0.2.7").code != 0
    assert run("alerts", "mute", "--host", "192.0.2.7", "--port", "https").code != 0


def test_what_the_server_refuses_is_told(run: Run, server: StandIn) -> None:
    """With its reason."""
    server.say("GET", "/v0/alerts/nothing", problem(404, "There is no alert", reason="unknown_alert"))
    result = run("alerts", "show", "nothing")
    assert (result.code != 0, "There is no alert" in result.err) == (True, True)
