"""What an open port is: listen first, then ask; TLS where it is spoken. A port that stays silent costs most: one
connection for every question, 16 at most.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from spectra.collect.scanners import recognise
from spectra.collect.scanners.questions import BY_PORT, QUESTIONS, Question
from spectra.collect.scanners.talk import CannotConnect, Talk
from spectra.model.observation import Service

# IANA's ports of protocols inside TLS, and where HTTPS is put in practice.
TLS_PORTS = frozenset({443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2083, 2087, 2096, 2376, 3269, 4443, 5061})
HTTPS_PORTS = frozenset({443, 4443, 5986, 6443, 7443, 8443, 9443, 10250, 10443, 12443, 16993})
HTTP_PORTS = frozenset({80, 81, 3000, 5000, 5985, 8000, 8008, 8080, 8081, 8088, 8888, 9000, 9090, 9200})

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")  # PostgreSQL protocol 3.0, section 55.2.10
_REDIS_ASK = b"PING\r\nINFO server\r\n"
_VERSION_ASK = {"redis": _REDIS_ASK, "memcached": b"version\r\n"}
_SAID = recognise.MAX_SAID


@dataclass(frozen=True, slots=True)
class Found:
    """What was learnt of an open port. `certificate` is DER; `tls` its protocol version, empty without TLS."""

    service: Service | None = None
    banner: str = ""
    title: str = ""
    certificate: bytes = b""
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """How to talk to one endpoint. `dial` opens another connection; `host` stands in the Host header, `sni` in TLS."""

    dial: Callable[[], Awaitable[Talk]]
    port: int
    host: str
    sni: str
    timeout_s: float
    quiet_s: float
    context: ssl.SSLContext


async def grab(ask: Ask, first: Talk) -> Found:
    """Learn what answers, starting on the connection that found the port open.

    1. the question of the protocol whose port it is; 2. TLS ports: a handshake, then what is said inside; 3. listen,
    and GET if nothing is said; 4. what answers a GET with a TLS alert gets a handshake; 5. the silent are asked as TLS,
    Redis, PostgreSQL and everything else; 6. Redis and memcached are asked for their version. A connection that fails
    ends the questions, not the scan.
    """
    if (question := BY_PORT.get(ask.port)) is not None:
        async with first:
            found = await _put(ask, first, question)
        if found is not None:
            return found
        try:
            first = await ask.dial()
        except (OSError, CannotConnect):
            return Found()
    secured = ask.port in TLS_PORTS or ask.port in HTTPS_PORTS
    async with first:
        found = await _inside(ask, first) if secured else None
        said = b"" if secured else await _greet(ask, first)
    try:
        return found or await _ask_on(ask, said, tls_tried=secured)
    except (OSError, CannotConnect):
        return _told(said)


async def _ask_on(ask: Ask, said: bytes, *, tls_tried: bool) -> Found:
    """Further connections: plain where TLS was refused, TLS where plain was not understood, then the versions."""
    if tls_tried:
        said = await _plain(ask)
    elif (not said or recognise.looks_like_tls(said)) and (found := await _secured(ask)) is not None:
        return found
    if not said:
        return await _ask_the_silent(ask)
    service = recognise.recognise(said)
    question = _VERSION_ASK.get(service.name) if service and not service.version else None
    return _told((question and await _exchange(ask, question)) or said)


async def _ask_the_silent(ask: Ask) -> Found:
    said = await _exchange(ask, _REDIS_ASK)
    if said and recognise.recognise(said):
        return _told(said)
    answer = await _exchange(ask, _SSL_REQUEST)
    if len(answer) == 1 and (service := recognise.recognise_postgresql(answer)) is not None:
        return Found(service)
    for question in QUESTIONS:
        if ask.port not in question.ports:
            async with await ask.dial() as talk:
                if (found := await _put(ask, talk, question)) is not None:
                    return found
    return Found()


async def _put(ask: Ask, talk: Talk, question: Question) -> Found | None:
    """The question on this connection; None if that is not the protocol. Answers are binary: they are no banner."""
    await talk.say(question.words, ask.timeout_s)
    heard = await talk.hear(ask.quiet_s, limit=_SAID)
    service = question.read(heard)
    if service is not None:
        return Found(service)
    return _told(heard) if recognise.recognise(heard) else None


async def _plain(ask: Ask) -> bytes:
    async with await ask.dial() as talk:
        return await _greet(ask, talk)


async def _secured(ask: Ask) -> Found | None:
    async with await ask.dial() as talk:
        return await _inside(ask, talk)


async def _exchange(ask: Ask, words: bytes) -> bytes:
    async with await ask.dial() as talk:
        await talk.say(words, ask.timeout_s)
        return await talk.hear(ask.quiet_s, limit=_SAID)


async def _greet(ask: Ask, talk: Talk) -> bytes:
    """What the service says first, or to a GET. Where HTTP is expected the GET is not kept waiting."""
    eager = ask.port in HTTP_PORTS or ask.port in HTTPS_PORTS
    said = b"" if eager else await talk.hear(ask.quiet_s, limit=_SAID)
    if said:
        return said
    request = f"GET / HTTP/1.1\r\nHost: {ask.host}\r\nUser-Agent: spectra-connect\r\nAccept: */*\r\n"
    await talk.say(f"{request}Connection: close\r\n\r\n".encode("ascii", "replace"), ask.timeout_s)
    return await talk.hear(ask.timeout_s, limit=_SAID, enough=_page_seen, idle_s=max(ask.quiet_s, 0.5))


async def _inside(ask: Ask, talk: Talk) -> Found | None:
    """TLS on this connection and what is said inside it; None if the peer does not speak TLS."""
    if not await talk.secure(ask.context, ask.sni, ask.timeout_s):
        return None
    certificate, version = talk.certificate(), talk.tls_version()
    told = _told(await _greet(ask, talk))
    return Found(told.service, told.banner, told.title, certificate, version)


def _told(said: bytes) -> Found:
    service = recognise.recognise(said)
    if service is not None:
        service = msgspec.structs.replace(service, extra=service.extra[:100], product=service.product[:100])
    return Found(service, recognise.banner(said, service), recognise.title(said))


def _page_seen(heard: bytes) -> bool:
    """Whether an HTTP answer has come far enough: its title, or all of its announced body."""
    if not heard.startswith(b"HTTP/"):
        return True
    head, end, body = heard.partition(b"\r\n\r\n")
    lowered = head.lower()
    _, announced, rest = lowered.partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip() if announced else b""
    complete = length.isdigit() and len(length) < 12 and len(body) >= int(length)
    return bool(end) and (complete or b"</title" in body.lower())
