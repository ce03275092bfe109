"""`targets`: what a user may write, and what a resolver may answer."""

from __future__ import annotations

import asyncio
import io
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.netset import NetSet, nets
from spectra.collect.targets import (
    MAX_ADDRESSES,
    BadTarget,
    TargetSet,
    parse_target,
    parse_targets,
    read_targets,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("10.0.0.1", ["10.0.0.1/32"]),
        (" 10.0.0.9/24 ", ["10.0.0.0/24"]),
        ("10.0.0.1-2", ["10.0.0.1/32", "10.0.0.2/32"]),
        ("10.0.0.254-10.0.1.1", ["10.0.0.254/31", "10.0.1.0/31"]),
        ("2001:db8::1", ["2001:db8::1/128"]),
        ("2001:DB8::/126", ["2001:db8::/126"]),
        ("::1-::2", ["::1/128", "::2/128"]),
        ("::ffff:10.0.0.1", ["10.0.0.1/32"]),
    ],
)
def test_addresses_networks_and_ranges(text: str, networks: list[str]) -> None:
    """Each written form stands for exactly these addresses and no name."""
    target = parse_target(text)
    assert target.addresses == nets(*networks)
    assert target.hostname == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.ORG.", "example.org"),
        ("db-1", "db-1"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("a-b.example", "a-b.example"),
    ],
)
def test_hostnames_are_normalised(text: str, name: str) -> None:
    """Case, trailing dot and non-ASCII letters do not make another name."""
    assert parse_target(text).hostname == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-oX",
        "--script=x",
        "http://example.org/",
        "https://10.0.0.0/8",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.300",
        "10.0.0.9-3",
        "10.0.0.1-400",
        "10.0.0.1-::1",
        "1.2.3",
        "2130706433",
        "0x7f.1",
        "fe80::1%eth0",
        "a..b",
        "a b",
        "$(id)",
        "x" * 64,
        "x." * 200,
        "exa\x00mple",
        "\u2028",
        "ü" * 70,
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    """Options, URLs, half addresses that a resolver would complete, zones and junk: each a `BadTarget`."""
    with pytest.raises(BadTarget) as caught:
        parse_target(text)
    assert caught.value.field == "target"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in another way, and what it accepts never looks like an option."""
    try:
        target = parse_target(text)
    except BadTarget:
        return
    assert bool(target.hostname) != bool(target.addresses)
    assert not target.hostname.startswith("-")


def test_a_network_above_the_limit_is_refused_and_one_at_it_is_never_listed() -> None:
    """A /8 is taken and read lazily; a /7 and an IPv6 /64 name the limit."""
    (whole,) = parse_targets(["11.0.0.0/8"])
    assert whole.addresses.size == MAX_ADDRESSES
    assert str(next(iter(whole.addresses))) == "11.0.0.0"
    for text in ("12.0.0.0/7", "2001:db8::/64"):
        with pytest.raises(BadTarget, match=str(MAX_ADDRESSES)):
            parse_targets([text])


def test_a_file_may_hold_comments_and_several_targets_a_line(tmp_path: Path) -> None:
    """White space and commas separate, `#` starts a comment, and each target knows its line."""
    path = tmp_path / "targets.txt"
    path.write_text("# ours\n10.0.0.1, 10.0.0.2\n\nexample.org # the site\n")
    targets = read_targets(path)
    assert [target.text for target in targets] == ["10.0.0.1", "10.0.0.2", "example.org"]
    assert targets[2].where == f"{path}:4"


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    """The error for a bad line starts with file and line."""
    path = tmp_path / "targets.txt"
    path.write_text("10.0.0.1\nnot//a//target\n")
    with pytest.raises(BadTarget, match=r"targets\.txt:2: "):
        read_targets(path)


def test_unreadable_and_binary_files_are_refused(tmp_path: Path) -> None:
    """A missing file, bytes that are not UTF-8 and a line without end are errors, not surprises."""
    with pytest.raises(BadTarget, match="cannot read targets"):
        read_targets(tmp_path / "absent")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTarget, match="cannot read targets"):
        read_targets(binary)
    with pytest.raises(BadTarget, match="longer than"):
        read_targets(io.StringIO("1" * 100_000))


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("10.0.0.1\n"))
    (target,) = read_targets(Path("-"))
    assert target.where == "stdin:1"


def test_too_many_targets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of targets is bounded whatever their size."""
    monkeypatch.setattr("spectra.collect.targets.MAX_TARGETS", 3)
    with pytest.raises(BadTarget, match="more than 3 targets"):
        parse_targets(["10.0.0.1"] * 4)


def test_names_resolve_to_all_their_addresses() -> None:
    """`localhost` answers with loopback addresses only, each once."""
    found = asyncio.run(resolve(["localhost", "localhost"]))
    assert list(found) == ["localhost"]
    assert ip_address("127.0.0.1") in found["localhost"]
    assert len(set(found["localhost"])) == len(found["localhost"])


def test_a_name_without_address_is_named() -> None:
    """A name that cannot exist (RFC 2606 reserves `.invalid`) is an error naming it."""
    with pytest.raises(BadTarget, match=r"nobody\.invalid"):
        asyncio.run(resolve(["localhost", "nobody.invalid"]))


def test_a_resolver_that_does_not_answer_is_given_up() -> None:
    """Past its time a question is an error that says how long was waited."""
    with pytest.raises(BadTarget, match="no answer for 'localhost' within 0 s"):
        asyncio.run(resolve(["localhost"], timeout_s=0))


def test_a_target_set_parts_by_family() -> None:
    """IPv4 and IPv6 come apart with their names; the lines hold addresses and networks only."""
    v4, v6 = ip_address("10.0.0.1"), ip_address("fd00::1")
    both = TargetSet(nets("10.0.0.0/30", "fd00::1/128"), {v4: ("a.example",), v6: ("b.example",)})
    first, second = both.families()
    assert list(first.lines()) == ["10.0.0.0/30"]
    assert list(second.lines()) == ["fd00::1"]
    assert dict(first.names) == {v4: ("a.example",)}
    assert TargetSet(NetSet()).families() == ()
