"""What is asked of ports that wait to be spoken to in their own protocol, and how the answers read. Pure.

Every question is the shortest that its protocol answers without a login, and changes nothing. Services are named as
nmap names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from spectra.model.banners import cpe, match
from spectra.model.observation import Service
from spectra.model.products import DNS

_LOOKED_AT: Final = 16 * 1024


class Question(NamedTuple):
    """What is said to a service, its usual ports, and what its answer means: None if it is not that service."""

    name: str
    ports: frozenset[int]
    words: bytes
    read: Callable[[bytes], Service | None]


# DNS over TCP (RFC 1035 section 4.2.2), id 6: TXT of version.bind in class CH.
_DNS: Final = b"\0\x1e\0\x06\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03"
_DNS_TEXT: Final = re.compile(rb"\0\x10\0[\x01\x03].{4}\0.(.)", re.DOTALL)


def _domain(heard: bytes) -> Service | None:
    if len(heard) < 14 or heard[2:4] != b"\0\x06" or not heard[4] & 0x80:
        return None
    found = _DNS_TEXT.search(heard[:_LOOKED_AT], len(_DNS))
    text = heard[found.end() : found.end() + found[1][0]].decode("latin-1") if found else ""
    return match(DNS, text, "domain", start=True) or Service(name="domain")


# MQTT 3.1.1: CONNECT as `spectra`, clean, and SUBSCRIBE to the topic where brokers tell their version.
_MQTT: Final = b"\x10\x13\0\x04MQTT\x04\x02\0\x3c\0\x07spectra\x82\x18\0\x01\0\x13$SYS/broker/version\0"
_MQTT_VERSION: Final = re.compile(rb"\$SYS/broker/version(?:\0\x01)?(mosquitto) version (\d[\w.]{0,20})")


def _mqtt(heard: bytes) -> Service | None:
    if len(heard) < 4 or heard[:2] != b"\x20\x02" or heard[2] > 1 or heard[3] > 5:
        return None
    found = _MQTT_VERSION.search(heard[:_LOOKED_AT])
    if found is None:
        return Service(name="mqtt")
    version = found[2].decode()
    return Service("mqtt", "mosquitto", version, cpe=cpe("cpe:/a:eclipse:mosquitto", version))


# LDAP (RFC 4511): an anonymous simple bind, message 1. The answer is message 1, BindResponse.
_LDAP: Final = bytes.fromhex("300c02010160070201030400 8000".replace(" ", ""))
_LDAP_ANSWER: Final = re.compile(rb"\x30(?:[\x07-\x7f]|\x81.|\x82..|\x84....)\x02\x01\x01\x61", re.DOTALL)


def _ldap(heard: bytes) -> Service | None:
    return Service(name="ldap") if _LDAP_ANSWER.match(heard) else None


# AMQP 0-9-1: the protocol header; a broker answers with Connection.Start, or with the header it speaks.
_AMQP: Final = b"AMQP\0\0\x09\x01"
_AMQP_START: Final = re.compile(rb"\x01\0\0.{4}\0\x0a\0\x0a", re.DOTALL)
_AMQP_PRODUCT: Final = re.compile(rb"\x07productS\0\0\0(.)", re.DOTALL)
_AMQP_VERSION: Final = re.compile(rb"\x07versionS\0\0\0(.)", re.DOTALL)


def _amqp(heard: bytes) -> Service | None:
    if heard.startswith(b"AMQP") and len(heard) == 8:
        return Service(name="amqp")
    if not _AMQP_START.match(heard):
        return None
    product, version = _counted(_AMQP_PRODUCT, heard), _counted(_AMQP_VERSION, heard)
    known = cpe("cpe:/a:vmware:rabbitmq", version) if product == "RabbitMQ" else ()
    return Service("amqp", product, version, cpe=known)


def _counted(pattern: re.Pattern[bytes], heard: bytes) -> str:
    """The short string whose length is the last byte of what the pattern finds; printable, at most 60 characters."""
    found = pattern.search(heard[:_LOOKED_AT])
    text = heard[found.end() : found.end() + found[1][0]].decode("ascii", "replace") if found else ""
    return text[:60] if text.isprintable() else ""


# MongoDB: OP_MSG, request 7, { buildInfo: 1, $db: "admin" }.
_MONGO_DOCUMENT: Final = b"\x10buildInfo\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0"
_MONGO_BODY: Final = b"\0\0\0\0\0" + (len(_MONGO_DOCUMENT) + 4).to_bytes(4, "little") + _MONGO_DOCUMENT
_MONGO: Final = (len(_MONGO_BODY) + 16).to_bytes(4, "little") + b"\x07\0\0\0\0\0\0\0\xdd\x07\0\0" + _MONGO_BODY
_MONGO_VERSION: Final = re.compile(rb"\x02version\0.{4}(\d{1,3}\.\d{1,3}\.\d{1,3}[\w.-]{0,20})\0", re.DOTALL)


def _mongodb(heard: bytes) -> Service | None:
    if len(heard) < 16 or heard[8:12] != b"\x07\0\0\0" or heard[12:16] not in {b"\xdd\x07\0\0", b"\x01\0\0\0"}:
        return None
    found = _MONGO_VERSION.search(heard[:_LOOKED_AT])
    version = found[1].decode() if found else ""
    return Service("mongodb", "MongoDB", version, cpe=cpe("cpe:/a:mongodb:mongodb", version))


# SMB: the old negotiation, which servers of SMB 2 answer in their own form (MS-SMB2 section 3.3.5.3).
_DIALECTS: Final = b"\x02NT LM 0.12\0\x02SMB 2.002\0\x02SMB 2.???\0"
_SMB_BODY: Final = b"\xffSMBr\0\0\0\0\x18\x53\xc8" + b"\0" * 12 + b"\xff\xff\xff\xfe\0\0\0\0\0"
_SMB_MESSAGE: Final = _SMB_BODY + len(_DIALECTS).to_bytes(2, "little") + _DIALECTS
_SMB: Final = len(_SMB_MESSAGE).to_bytes(4, "big") + _SMB_MESSAGE


def _smb(heard: bytes) -> Service | None:
    return Service(name="microsoft-ds") if heard[:1] == b"\0" and heard[4:8] in {b"\xffSMB", b"\xfeSMB"} else None


# RDP: an X.224 connection request that offers TLS and CredSSP (MS-RDPBCGR section 2.2.1.1); the answer confirms it.
_RDP: Final = bytes.fromhex("030000130ee000000000000100080003000000")


def _rdp(heard: bytes) -> Service | None:
    confirmed = len(heard) >= 11 and heard[:3] == b"\x03\0\0" and heard[5] == 0xD0
    return Service("ms-wbt-server", "Microsoft Terminal Services") if confirmed else None


# ONC RPC (RFC 5531): procedure 0 of the port mapper, version 2, call 7.
_RPC: Final = b"\x80\0\0\x28\0\0\0\x07\0\0\0\0\0\0\0\x02\0\x01\x86\xa0\0\0\0\x02\0\0\0\0" + b"\0" * 16


def _rpcbind(heard: bytes) -> Service | None:
    return Service(name="rpcbind") if heard[:1] == b"\x80" and heard[4:12] == b"\0\0\0\x07\0\0\0\x01" else None


def _socks5(heard: bytes) -> Service | None:
    """RFC 1928 section 3: the method that the server chose, or that it takes none of ours."""
    return Service(name="socks5") if heard in {b"\x05\0", b"\x05\xff"} else None


def _ajp(heard: bytes) -> Service | None:
    return Service(name="ajp13") if heard == b"AB\0\x01\x09" else None


def _zookeeper(heard: bytes) -> Service | None:
    return Service("zookeeper", "Zookeeper", cpe=("cpe:/a:apache:zookeeper",)) if heard == b"imok" else None


QUESTIONS: Final[tuple[Question, ...]] = (
    Question("domain", frozenset({53}), _DNS, _domain),
    Question("mqtt", frozenset({1883}), _MQTT, _mqtt),
    Question("ldap", frozenset({389, 3268}), _LDAP, _ldap),
    Question("amqp", frozenset({5672}), _AMQP, _amqp),
    Question("mongodb", frozenset({27017, 27018, 27019}), _MONGO, _mongodb),
    Question("microsoft-ds", frozenset({445, 139}), _SMB, _smb),
    Question("ms-wbt-server", frozenset({3389}), _RDP, _rdp),
    Question("rpcbind", frozenset({111}), _RPC, _rpcbind),
    Question("socks5", frozenset({1080, 9050}), b"\x05\x01\0", _socks5),
    Question("ajp13", frozenset({8009}), b"\x12\x34\0\x01\x0a", _ajp),
    Question("zookeeper", frozenset({2181}), b"ruok", _zookeeper),
)
"""In the order in which a port that says nothing is asked."""

BY_PORT: Final = {port: question for question in QUESTIONS for port in question.ports}
"""The question that a port is asked first of all."""
