"""Where one can go: the navigation of every page, less what whoever looks at it may not see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple


class Place(NamedTuple):
    """An entry: its words, its path, the scope that its page needs, and the key that pages name it by."""

    label: str
    path: str
    scope: str
    key: str


class Group(NamedTuple):
    """Entries that belong together, under a heading."""

    label: str
    places: tuple[Place, ...]


GROUPS: Final = (
    Group(
        "Look",
        (
            Place("Overview", "/", "activity:read", "overview"),
            Place("Search", "/search", "search:read", "search"),
            Place("Address space", "/space", "search:read", "space"),
            Place("Changes", "/diff", "search:read", "diff"),
            Place("Coverage", "/coverage", "coverage:read", "coverage"),
        ),
    ),
    Group(
        "Risk",
        (
            Place("Findings", "/findings", "findings:read", "findings"),
            Place("Weaknesses", "/vulns", "vulns:read", "vulns"),
            Place("Alerts", "/alerts", "alerts:read", "alerts"),
            Place("Insights", "/insights", "ai:read", "insights"),
            Place("Reports", "/reports", "ai:read", "reports"),
        ),
    ),
    Group(
        "Work",
        (
            Place("Jobs", "/jobs", "jobs:read", "jobs"),
            Place("Schedules", "/schedules", "jobs:read", "schedules"),
            Place("Plan", "/plan", "plan:read", "plan"),
            Place("Nodes", "/nodes", "nodes:read", "nodes"),
            Place("Feeds", "/feeds", "feeds:read", "feeds"),
            Place("Workflows", "/workflows", "workflows:read", "workflows"),
        ),
    ),
    Group(
        "Trust",
        (
            Place("Activity", "/activity", "activity:read", "activity"),
            Place("Provenance", "/provenance", "provenance:read", "provenance"),
            Place("Logs", "/logs", "logs:read", "logs"),
            Place("Exclusions", "/exclusions", "exclusions:read", "exclusions"),
            Place("Models", "/ai", "ai:read", "ai"),
            Place("Accounts", "/accounts", "accounts:read", "accounts"),
            Place("Settings", "/settings", "settings:read", "settings"),
        ),
    ),
)


def places(scopes: Collection[str]) -> tuple[Group, ...]:
    """What a holder of `scopes` may open; groups without an entry are left out."""
    shown = (Group(group.label, tuple(p for p in group.places if p.scope in scopes)) for group in GROUPS)
    return tuple(group for group in shown if group.places)
