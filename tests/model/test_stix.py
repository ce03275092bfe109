"""A STIX 2.1 bundle: what the standard asks of it, held against the whole of it, and against OASIS' own validator."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.model.records import Match
from spectra.model.stix import Seen, bundle
from tests.support.stixcheck import wrong_in

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ID = re.compile(r"([a-z0-9-]+)--[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# What each type has to have beside type and id, by the standard.
REQUIRED = {
    "ipv4-addr": {"value"},
    "ipv6-addr": {"value"},
    "domain-name": {"value"},
    "network-traffic": {"protocols", "dst_ref"},
    "software": {"name"},
    "infrastructure": {"name", "created", "modified"},
    "vulnerability": {"name", "created", "modified"},
    "observed-data": {"first_observed", "last_observed", "number_observed", "object_refs", "created", "modified"},
    "relationship": {"relationship_type", "source_ref", "target_ref", "created", "modified"},
}
# Which relations the standard knows between what.
RELATIONS = {
    ("infrastructure", "consists-of", "ipv4-addr"),
    ("infrastructure", "consists-of", "ipv6-addr"),
    ("infrastructure", "consists-of", "network-traffic"),
    ("infrastructure", "consists-of", "software"),
    ("infrastructure", "has", "vulnerability"),
    ("domain-name", "resolves-to", "ipv4-addr"),
    ("domain-name", "resolves-to", "ipv6-addr"),
}


def read(seen: list[Seen], query: str = "", *, registered: bool = False) -> list[dict[str, Any]]:
    """The objects of a bundle, each checked."""
    text = "".join(bundle(seen, query, NOW))
    assert wrong_in(text, registered=registered) == []
    document = json.loads(text)
    assert document["type"] == "bundle"
    assert _ID.fullmatch(document["id"])
    objects: list[dict[str, Any]] = document["objects"]
    kinds = {thing["id"]: thing["type"] for thing in objects}
    assert len(kinds) == len(objects)
    for thing in objects:
        _check(thing, kinds)
    return objects


def _check(thing: dict[str, Any], kinds: dict[str, str]) -> None:
    assert thing["spec_version"] == "2.1"
    found = _ID.fullmatch(thing["id"])
    assert found
    assert found[1] == thing["type"]
    assert thing.keys() >= REQUIRED[thing["type"]]
    assert all(value not in ("", [], None) for value in thing.values())
    for name in ("created", "modified", "first_observed", "last_observed"):
        assert _STAMP.fullmatch(thing.get(name, "2026-01-01T00:00:00.000Z"))
    assert thing.get("first_observed", "") <= thing.get("last_observed", "")
    refs = [thing[name] for name in ("dst_ref", "source_ref", "target_ref") if name in thing]
    assert set(refs + thing.get("object_refs", [])) <= kinds.keys()
    if thing["type"] == "relationship":
        source, target = kinds[thing["source_ref"]], kinds[thing["target_ref"]]
        assert (source, thing["relationship_type"], target) in RELATIONS


def match(ip: str, port: int, **fields: Any) -> Match:
    """An open endpoint."""
    return Match(ip, port, "tcp", "open", NOW - timedelta(days=2), NOW - timedelta(days=1), **fields)


def test_ids_are_those_of_the_standard() -> None:
    """The examples of its section 2.9, which other tools have too: the same address is the same object everywhere."""
    objects = read([Seen(match("198.51.100.3", 80, hostnames=("example.com",)))])
    assert {thing["id"] for thing in objects} > {
        "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4",
        "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
    }


def test_a_host_is_told_whole() -> None:
    """Its ports, its software once, its weaknesses with their ids, and when it was seen."""
    cpe = "cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*"
    nginx = {"service": "http", "product": "nginx", "version": "1.2", "cpe23": (cpe,)}
    objects = read(
        [
            Seen(match("192.0.2.1", 80, **nginx), ("CVE-2024-0001", "CVE-2023-0002")),
            Seen(match("192.0.2.1", 443, tunnel="tls", **nginx), ("CVE-2024-0001",)),
        ],
        registered=True,
    )
    by_kind = {kind: [thing for thing in objects if thing["type"] == kind] for kind in REQUIRED}
    assert [(one["dst_port"], one["protocols"]) for one in by_kind["network-traffic"]] == [
        (80, ["ipv4", "tcp", "http"]),
        (443, ["ipv4", "tcp", "tls", "http"]),
    ]
    assert [(one["name"], one["version"], one["cpe"]) for one in by_kind["software"]] == [("nginx", "1.2", cpe)]
    assert [one["name"] for one in by_kind["vulnerability"]] == ["CVE-2024-0001", "CVE-2023-0002"]
    assert by_kind["vulnerability"][0]["external_references"] == [
        {"source_name": "cve", "external_id": "CVE-2024-0001"}
    ]
    (observed,) = by_kind["observed-data"]
    assert (observed["first_observed"], observed["last_observed"]) == (
        "2026-02-27T12:00:00.000Z",
        "2026-02-28T12:00:00.000Z",
    )
    assert len(observed["object_refs"]) == 4


def test_what_several_hosts_have_is_there_once() -> None:
    """A weakness, software; each host is related to it."""
    same = {"product": "nginx", "hostnames": ("a.example",)}
    objects = read([Seen(match(ip, 80, **same), ("CVE-2024-0001",)) for ip in ("192.0.2.1", "2001:db8::1")])
    kinds = [thing["type"] for thing in objects]
    assert (kinds.count("vulnerability"), kinds.count("software"), kinds.count("domain-name")) == (1, 1, 1)
    assert [one["relationship_type"] for one in objects if one["type"] == "relationship"].count("has") == 2


def test_names_that_are_no_domain_names_are_aliases() -> None:
    """RFC 1034 and 5890 say which are; nothing is lost of the others."""
    domains = ("a.example", "localhost", "xn--bcher-kva.example", "4.example")
    others = ("printer_2", "r3---sn.example", "-a.example", "xn--a.example", "x" * 64, "xn--i-7iq.example")
    objects = read([Seen(match("192.0.2.1", 80, hostnames=(*others, *domains)))])
    assert [one["value"] for one in objects if one["type"] == "domain-name"] == list(domains)
    assert [one["aliases"] for one in objects if one["type"] == "infrastructure"] == [list(others)]
    assert [one.get("relationship_type") for one in objects].count("resolves-to") == 4


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=15)


@settings(max_examples=40, deadline=None)
@given(product=words, version=words, service=words, name=words.filter(bool), query=words)
def test_whatever_a_banner_says(product: str, version: str, service: str, name: str, query: str) -> None:
    """The bundle is one, and what was said is in it as it was said."""
    told = match("192.0.2.1", 80, product=product, version=version, service=service, hostnames=(name,))
    objects = read([Seen(told)], query)
    assert [one["name"] for one in objects if one["type"] == "software"] == ([product] if product else [])
    names = [one["value"] for one in objects if one["type"] == "domain-name"]
    (host,) = [one for one in objects if one["type"] == "infrastructure"]
    assert names + host.get("aliases", []) == [name]


def test_the_validator_would_say_so() -> None:
    """What must not be is found, as is what should not be."""
    text = "".join(bundle([Seen(match("192.0.2.1", 80, service="http"), ("CVE-2024-0001",))], "", NOW))
    for old, new in (
        ('"external_id":"CVE-2024-0001"', '"external_id":"2024-0001"'),
        ('"number_observed":1', '"number_observed":0'),
        ('"consists-of"', '"contains"'),
        ('"http"', '"nonesuch"'),
    ):
        assert old in text
        assert wrong_in(text.replace(old, new), registered=True), new


def test_nothing_is_a_bundle_too() -> None:
    """Without objects."""
    assert read([]) == []
