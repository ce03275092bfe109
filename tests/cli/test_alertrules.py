"""`spectra alerts rules`: what is asked of the server, and how rules and trials are shown."""

from __future__ import annotations

import json

from tests.cli.alertsamples import rule, trial
from tests.cli.conftest import Run
from tests.cli.standin import StandIn


def test_rules_are_listed_and_shown(run: Run, server: StandIn) -> None:
    """With what they watch for, and whom they tell."""
    server.say("GET", "/v0/alerts/rules", {"rules": [rule()]}, {"rules": [rule()]})
    server.say("GET", "/v0/alerts/rules/rdp", rule(), rule())
    listed = run("alerts", "rules", "list")
    assert listed.code == 0, listed.err
    assert all(said in listed.out for said in ("rdp", "port.opened", "port:3389"))
    assert json.loads(run("alerts", "rules", "list", "--json").out)["rule"]["enabled"] is True
    assert "port:3389" in run("alerts", "rules", "show", "rdp").out
    assert json.loads(run("alerts", "rules", "show", "rdp", "--json").out)["by"] == "alice"


def test_rules_are_made_changed_and_removed(run: Run, server: StandIn) -> None:
    """By options, in the words of the query language; switched on and off; removed."""
    server.say("POST", "/v0/alerts/rules", rule())
    server.say("PUT", "/v0/alerts/rules/rdp", rule(), rule(enabled=False), rule())
    server.say("GET", "/v0/alerts/rules/rdp", rule(), rule(enabled=False))
    server.say("DELETE", "/v0/alerts/rules/rdp", rule())
    options = ("--on", "port.opened", "--severity", "high", "--to", "*", "--quiet", "22:00-07:00", "--within", "10m")
    made = run("alerts", "rules", "add", "rdp", *options, "port:3389")
    assert (made.code, "rdp watches for port.opened" in made.err) == (0, True), made.err
    assert run("alerts", "rules", "add", "rdp", "--replace", "--json", *options).code == 0
    assert "switched off" in run("alerts", "rules", "disable", "rdp").err
    assert "switched on" in run("alerts", "rules", "enable", "rdp").err
    assert "removed" in run("alerts", "rules", "remove", "rdp").err


def test_what_is_no_rule_is_refused_here(run: Run, server: StandIn) -> None:
    """Nothing to watch for, or something there is not; hours that are none."""
    assert "port.opened" in run("alerts", "rules", "add", "rdp").err
    assert "port.melted" in run("alerts", "rules", "add", "rdp", "--on", "port.melted").err
    assert "22:00-07:00" in run("alerts", "rules", "add", "rdp", "--on", "host.new", "--quiet", "nights").err
    assert not server.requests


def test_a_rule_is_tried_on_the_past(run: Run, server: StandIn) -> None:
    """One there is, or one that is not kept; what cannot be known is said."""
    server.say("GET", "/v0/alerts/rules/rdp", rule())
    server.say("POST", "/v0/alerts/rules/test", trial(), trial())
    result = run("alerts", "test", "rdp", "--days", "30")
    assert result.code == 0, result.err
    assert "192.0.2.7:3389 is open" in result.out
    assert "A note." in result.err
    assert "not looked at" in result.err
    told = run("alerts", "rules", "test", "try", "--on", "port.opened", "port:3389", "--json")
    assert json.loads(told.out)["things"] == 3
