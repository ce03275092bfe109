"""`questions`: what is asked of ports that wait to be spoken to, and every way their answers read."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.scanners.questions import BY_PORT, QUESTIONS
from tests.collect.scanners.conftest import answers, ports_of, scan, serve

BY_NAME = {question.name: question for question in QUESTIONS}
VERSION_BIND = b"\0\x06\x84\0\0\x01\0\x01\0\0\0\0\x07version\x04bind\0\0\x10\0\x03\xc0\x0c\0\x10\0\x03\0\0\0\0"


def dns(text: bytes) -> bytes:
    """An answer to the question for version.bind."""
    message = VERSION_BIND + (len(text) + 1).to_bytes(2, "big") + bytes([len(text)]) + text
    return len(message).to_bytes(2, "big") + message


CONNACK = b"\x20\x02\0\0\x90\x03\0\x01\0"
MONGO = b"\x07\0\0\0\xdd\x07\0\0" + b"\0" * 5 + b"\x30\0\0\0\x02version\0\x07\0\0\0007.0.14\0\0"
START = b"\x01\0\0\0\0\0\x36\0\x0a\0\x0a\0\x09\0\0\0\x25\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8"

HEARD = [
    ("domain", dns(b"dnsmasq-2.90"), "dnsmasq", "2.90"),
    ("domain", dns(b"9.18.28-1~deb12u2-Debian"), "ISC BIND", "9.18.28"),
    ("domain", dns(b""), "", ""),
    ("domain", b"\0\x0c\0\x06\x81\x85\0\x01\0\0\0\0\0\0", "", ""),
    ("mqtt", b"\x20\x02\0\0", "", ""),
    ("mqtt", b"\x20\x02\0\x05", "", ""),
    ("mqtt", CONNACK + b"\x31\x2d\0\x13$SYS/broker/versionmosquitto version 2.0.11", "mosquitto", "2.0.11"),
    ("ldap", bytes.fromhex("300c02010161070a010004000400"), "", ""),
    ("ldap", bytes.fromhex("3084000000100201016184000000070a010004000400"), "", ""),
    ("amqp", b"AMQP\0\0\x09\x01", "", ""),
    ("amqp", START, "RabbitMQ", "3.10.8"),
    ("mongodb", b"\x4a\0\0\0\x01\0\0\0" + MONGO, "MongoDB", "7.0.14"),
    ("mongodb", b"\x24\0\0\0\x01\0\0\0\x07\0\0\0\x01\0\0\0" + b"\0" * 20, "MongoDB", ""),
    ("microsoft-ds", b"\0\0\0\x80\xfeSMB" + b"\0" * 60, "", ""),
    ("microsoft-ds", b"\0\0\0\x80\xffSMB" + b"\0" * 60, "", ""),
    ("ms-wbt-server", bytes.fromhex("030000130ed000001234000200080002000000"), "Microsoft Terminal Services", ""),
    ("ms-wbt-server", bytes.fromhex("0300000b06d00000123400"), "Microsoft Terminal Services", ""),
    ("rpcbind", b"\x80\0\0\x18\0\0\0\x07\0\0\0\x01" + b"\0" * 16, "", ""),
    ("socks5", b"\x05\0", "", ""),
    ("socks5", b"\x05\xff", "", ""),
    ("ajp13", b"AB\0\x01\x09", "", ""),
    ("zookeeper", b"imok", "Zookeeper", ""),
]


@pytest.mark.parametrize(("name", "heard", "product", "version"), HEARD)
def test_an_answer_names_the_service(name: str, heard: bytes, product: str, version: str) -> None:
    """By its own question, with product and version where they are told; no other question takes it for its own."""
    service = BY_NAME[name].read(heard)
    assert service is not None
    assert (service.name, service.product, service.version) == (name, product, version)
    assert [question.name for question in QUESTIONS if question.read(heard)] == [name]


@given(st.binary(max_size=300))
def test_no_answer_breaks_a_reader(heard: bytes) -> None:
    """Whatever a stranger sends, alone or behind a beginning that is right."""
    for question in QUESTIONS:
        for _, right, _, _ in HEARD:
            question.read(right[:12] + heard)
        question.read(heard)


def test_lengths_that_messages_tell_are_their_own() -> None:
    """A server that reads strictly gets whole messages."""
    mongo, rpc, smb, dns_asked = (BY_NAME[name].words for name in ("mongodb", "rpcbind", "microsoft-ds", "domain"))
    assert int.from_bytes(mongo[:4], "little") == len(mongo)
    assert int.from_bytes(rpc[:4], "big") - 0x80000000 == len(rpc) - 4
    assert int.from_bytes(smb[:4], "big") == len(smb) - 4
    assert int.from_bytes(dns_asked[:2], "big") == len(dns_asked) - 2
    mqtt, ldap = BY_NAME["mqtt"].words, BY_NAME["ldap"].words
    assert mqtt[1] + 2 + mqtt[mqtt[1] + 3] + 2 == len(mqtt)
    assert ldap[1] + 2 == len(ldap)


def test_a_port_is_asked_first_what_it_is_for() -> None:
    """No port stands for two protocols."""
    assert BY_PORT[53].name == "domain"
    assert BY_PORT[1883].name == "mqtt"
    assert len(BY_PORT) == sum(len(question.ports) for question in QUESTIONS)


def test_a_silent_port_anywhere_is_asked_everything() -> None:
    """An LDAP server on a port of its own choosing is recognised, after all that it does not understand."""

    async def main() -> None:
        handler = answers({BY_NAME["ldap"].words: bytes.fromhex("300c02010161070a010004000400")})
        async with serve(handler) as port:
            found = ports_of(await scan(str(port)))[port]
        assert found["service"]["name"] == "ldap"
        assert found["banner"] == ""

    asyncio.run(main())
