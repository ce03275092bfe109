"""The configuration of nats-server, as text; that the real server takes it and keeps to it is in `engines`."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.fabric.errors import MeshError
from spectra.fabric.link import TlsFiles
from spectra.fabric.natsconfig import Limits, Member, NatsConfig, render
from spectra.fabric.subjects import Permissions, permissions

FILES = TlsFiles(Path("/d/tls.crt"), Path("/d/tls.key"), Path("/d/roots.pem"))
COORDINATOR = "spiffe://m/node/c"


def member(name: str) -> Member:
    """A worker."""
    return Member(f"spiffe://m/node/{name}", permissions("worker", name, "active"))


def config(*members: Member, **fields: object) -> NatsConfig:
    """A configuration with these members."""
    given: dict[str, object] = {"server_name": "s", "tls": FILES, "store_dir": Path("/d/js")} | fields
    return NatsConfig(coordinators=[COORDINATOR], members=members, **given)  # type: ignore[arg-type]


def test_each_member_gets_its_own_permissions_and_no_more() -> None:
    """One line a user, its URI in it, what it may and nothing else."""
    text = render(config(member("a")))
    assert (
        '{user: "spiffe://m/node/a", permissions: {publish: {allow: ["spectra.presence.a", "spectra.reply.a",'
        ' "spectra.work.a"]}, subscribe: {allow: ["spectra.all", "spectra.assign.a", "spectra.ctl.a"]}}}'
    ) in text
    assert '{user: "spiffe://m/node/c", permissions: {publish: {allow: [">"]}, subscribe: {allow: [">"]}}}' in text
    assert text.count("verify_and_map: true") == text.count('min_version: "1.3"') == 2


def test_who_may_nothing_is_denied_everything() -> None:
    """nats-server reads an empty list of allowed subjects as all of them."""
    text = render(config(Member("spiffe://m/node/a", Permissions())))
    assert 'permissions: {publish: {deny: [">"]}, subscribe: {deny: [">"]}}' in text


def test_a_member_with_a_named_key_is_known_by_it() -> None:
    """Its URI alone lets nobody in then."""
    one = member("a")
    text = render(config(Member(one.uri, one.permissions, "0123.keys.m"), member("b")))
    assert '{user: "0123.keys.m", permissions: {publish: {allow: ["spectra.presence.a",' in text
    assert "node/a" not in text
    assert "node/b" in text
    with pytest.raises(MeshError, match="one name"):
        render(config(Member(one.uri, one.permissions, "k"), Member(member("b").uri, one.permissions, "k")))


def test_order_makes_no_difference() -> None:
    """The keeper of the configuration compares texts: the same members are the same text."""
    one = member("b")
    turned = Member(one.uri, Permissions(one.permissions.publish[::-1], one.permissions.subscribe[::-1]))
    assert render(config(member("a"), one)) == render(config(turned, member("a")))
    assert render(config(member("a"))) != render(config(one))


def test_ports_are_given_or_left_to_who_starts_it() -> None:
    """0 becomes a variable of the environment."""
    text = render(config())
    assert "port: $SPECTRA_NATS_PORT" in text
    assert "port: $SPECTRA_MQTT_PORT" in text
    text = render(config(port=4222, mqtt_port=8883, host="::", mqtt_host="10.0.0.1"))
    assert 'host: "::"\nport: 4222\n' in text
    assert '  host: "10.0.0.1"\n  port: 8883\n' in text
    assert "$" not in text


def test_limits_are_written() -> None:
    """Every bound that is given stands there."""
    text = render(config(limits=Limits(7, 8, 9, 10, 11, 12, 13, 14)))
    for line in (
        "max_connections: 7",
        "max_payload: 8",
        "max_pending: 9",
        "max_subscriptions: 10",
        'write_deadline: "11s"',
        'ping_interval: "12s"',
        "max_memory_store: 13MB",
        "max_file_store: 14MB",
    ):
        assert line in text


def test_values_cannot_leave_their_string() -> None:
    """Quotes and backslashes are escaped; what cannot be printed, or is nothing, is refused."""
    assert r'store_dir: "/d/a\"b\\c d"' in render(config(store_dir=Path('/d/a"b\\c d')))
    for bad in ("", "a\nb", "a\x00"):
        with pytest.raises(MeshError, match="cannot stand"):
            render(config(server_name=bad))


def test_two_members_of_one_name_are_refused_and_a_coordinator_stays_one() -> None:
    """A second entry could take the first one's place, with other permissions."""
    with pytest.raises(MeshError, match="one name"):
        render(config(member("a"), member("a")))
    assert render(config(Member(COORDINATOR, Permissions()))) == render(config())
