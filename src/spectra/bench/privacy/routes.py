"""Every way from a coordinator to a language model, and a corpus pushed through it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import httpx
import msgspec

from spectra.ai.privacy.detector import find
from spectra.bench.load import client_of, signed
from spectra.bench.privacy.corpus import Marked, Value
from spectra.bench.privacy.finding import arrived
from spectra.bench.privacy.made import Made
from spectra.bench.privacy.posing import Recorder
from spectra.bench.privacy.quality import covered
from spectra.bench.server import BenchServer, serving
from spectra.errors import SpectraError
from spectra.model.ai import Kind
from spectra.settings.ai import NAMES, Residency

AWAY: Final = tuple(name for name in NAMES if name != "local")
_EMBEDS: Final = ("mistral", "openai", "gemini")
_TOOL: Final = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_REPORT_S: Final = 60.0
_TOOLS: Final = ("host", "search", "findings", "explain")


class Way(msgspec.Struct):
    """One way: how often it was asked, how many requests left, what of the labelled values was in them (none is right),
    how many values no detector found, and answers that came back without what was in the question.
    """

    asked: int = 0
    left: int = 0
    values: int = 0
    leaked: list[str] = []
    unseen: int = 0
    unrestored: int = 0
    refused: int = 0


Ways = dict[str, Way]


@contextmanager
def coordinator(
    data_dir: Path, recorder: Recorder, *, residency: Residency, free_text: str, names: Sequence[str] = AWAY
) -> Generator[tuple[BenchServer, httpx.Client]]:
    """A real one whose every provider but the machine's own is `recorder`, working in `residency`."""
    providers = {
        name: {
            "opt_in": True,
            "url": recorder.url(name),
            "model": "m",
            "embedding_model": "v" if name in _EMBEDS else "",
            "api_key": "a-key-of-the-bench",
            "residency": residency,
        }
        for name in names
    }
    settings = {"order": list(names), "free_text": free_text, "cache_hours": 0, **providers}
    with serving(data_dir, {"SPECTRA_AI": json.dumps(settings)}) as server, client_of(server) as client:
        yield server, client


class Pushing:
    """Pushes texts to providers and keeps count. `detected`: free text may leave without what the detector finds, so
    that values which it does not find are counted apart; else none may leave at all.
    """

    def __init__(
        self, client: httpx.Client, recorder: Recorder, *, detected: bool, names: Sequence[str] = AWAY
    ) -> None:
        self._providers = names
        self.ways: Ways = {}
        self._client = client
        self._recorder = recorder
        self._detected = detected

    def chats(self, texts: Sequence[Marked]) -> None:
        """Each text by chat, stream, calls of tools, their answers, and embeddings, by each provider in turn."""
        for number, marked in enumerate(texts):
            provider = self._providers[number % len(self._providers)]
            self._chat(marked, provider)
            self._streamed(marked, provider)
            self._tools(marked, provider)
            if provider in _EMBEDS:
                self._embedded(marked, provider)

    def others(self, hosts: Sequence[str], values: Sequence[Value], token: str, logs: bytes) -> None:
        """Summaries, reports, agents, look-ups and MCP, on hosts with these values."""
        everything = Marked("", tuple(values))
        for ip in hosts:
            body = {"kind": "ip", "target": ip, "question": f"What of {ip}?"}
            self._pushed("summary", everything, lambda body=body: self._post("/v0/ai/summary", body))
            query = {"kind": "query", "target": f"ip:{ip}"}
            self._pushed("summary", everything, lambda query=query: self._post("/v0/ai/summary", query))
            self._pushed("report", everything, lambda ip=ip: self._report(ip))
            self._pushed("look-up", everything, lambda ip=ip: self._post("/v0/ai/enrich", {"kind": "ip", "value": ip}))
            self._pushed("mcp", everything, lambda ip=ip: self._mcp(ip, token))
        self._pushed("agents", everything, lambda: self._agents(logs))

    def _pushed(self, name: str, marked: Marked, ask: Callable[[], str | None]) -> None:
        """Do it, and look at what arrived; `ask` returns what came back, None where it was refused."""
        way = self.ways.setdefault(name, Way())
        way.asked += 1
        self._recorder.taken()
        answer = ask()
        bodies = self._recorder.taken()
        way.left += len(bodies) // 3
        way.values += len(marked.values)
        if answer is None:
            way.refused += 1
        elif marked.text and marked.text not in answer:
            way.unrestored += 1
        spans = find(marked.text) if self._detected and marked.text else None
        for value in arrived(marked.values, bodies):
            if spans is not None and not covered(value, spans):
                way.unseen += 1
            else:
                way.leaked.append(f"{value.kind} {value.text}")

    def _post(self, path: str, body: object) -> str | None:
        response = self._client.post(path, json=body)
        if response.status_code in (400, 401, 402, 403, 404, 413, 422):
            raise SpectraError(f"{path} answered {response.status_code}: {response.text[:300]}", reason="bench")
        return response.text if response.is_success else None

    def _chat(self, marked: Marked, provider: str) -> None:
        def ask() -> str | None:
            answer = self._post("/v1/chat/completions", {"model": provider, "messages": _said(marked.text)})
            return None if answer is None else json.loads(answer)["choices"][0]["message"]["content"]

        self._pushed("chat", marked, ask)

    def _streamed(self, marked: Marked, provider: str) -> None:
        def ask() -> str | None:
            body = {"model": provider, "messages": _said(marked.text), "stream": True}
            answer = self._post("/v1/chat/completions", body)
            return None if answer is None else "".join(c["delta"].get("content") or "" for c in _events(answer))

        self._pushed("chat, streamed", marked, ask)

    def _tools(self, marked: Marked, provider: str) -> None:
        tool = {"type": "function", "function": {"name": "note", "description": "Keeps a note.", "parameters": _TOOL}}
        begun: dict[str, Any] = {"model": provider, "messages": _said(marked.text), "tools": [tool]}
        calls: list[Any] = []

        def ask() -> str | None:
            answer = self._post("/v1/chat/completions", begun)
            if answer is None:
                return None
            calls.extend(json.loads(answer)["choices"][0]["message"].get("tool_calls") or [])
            return json.loads(calls[0]["function"]["arguments"])["text"] if calls else ""

        def ask_on() -> str | None:
            arguments = json.dumps({"text": marked.text})
            call = {"id": "c1", "type": "function", "function": {"name": "note", "arguments": arguments}}
            turns = [
                {"role": "user", "content": "Keep a note."},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": marked.text},
            ]
            return self._post("/v1/chat/completions", begun | {"messages": turns})

        self._pushed("calls of tools", marked, ask)
        self._pushed("calls, streamed", marked, lambda: self._streamed_call(begun))
        # What comes back is JSON of a provider's own making: only what left is looked at.
        self._pushed("answers of tools", marked, lambda: marked.text if ask_on() is not None else None)

    def _streamed_call(self, begun: dict[str, Any]) -> str | None:
        answer = self._post("/v1/chat/completions", begun | {"stream": True})
        if answer is None:
            return None
        pieces: list[dict[str, Any]] = []
        for choice in _events(answer):
            pieces += choice["delta"].get("tool_calls") or []
        arguments = "".join(piece["function"].get("arguments") or "" for piece in pieces)
        return json.loads(arguments)["text"] if arguments else ""

    def _embedded(self, marked: Marked, provider: str) -> None:
        body = {"model": provider, "input": [marked.text, "nothing"]}
        self._pushed(
            "embeddings", marked, lambda: marked.text if self._post("/v1/embeddings", body) is not None else None
        )

    def _report(self, ip: str) -> str | None:
        answer = self._post("/v0/reports", {"target": ip})
        if answer is None:
            return None
        made, until = json.loads(answer)["id"], time.monotonic() + _REPORT_S
        pause = threading.Event()
        while time.monotonic() < until:
            state = self._client.get(f"/v0/reports/{made}").json().get("state", "")
            if state not in ("waiting", "running"):
                return state
            pause.wait(0.1)
        raise SpectraError(f"the report {made} was not made in {_REPORT_S:.0f} s", reason="bench")

    def _agents(self, logs: bytes) -> str | None:
        for agent in self._client.get("/v0/ai/agents").json()["agents"]:
            body = logs if agent["input"] == "needed" else b""
            self._client.post(f"/v0/ai/agents/{agent['name']}", content=body)
        return ""

    def _mcp(self, ip: str, token: str) -> str | None:
        """Tools of MCP answer the one who asks: nothing is sent to a model."""
        headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {token}"}
        for number, name in enumerate(_TOOLS):
            arguments = {"q": f"ip:{ip}"} if name == "search" else {"ip": ip}
            asked = {
                "jsonrpc": "2.0",
                "id": number,
                "method": "tools/call",
                "params": {"name": name, "arguments": arguments},
            }
            self._client.post("/mcp", json=asked, headers=headers)
        return ""


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Say it again."}, {"role": "user", "content": text}]


def _events(answer: str) -> Iterator[dict[str, Any]]:
    """The choices of a stream."""
    for line in answer.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield from json.loads(line.removeprefix("data: ")).get("choices", ())


def network(count: int, seed: int = 3) -> tuple[bytes, list[str], list[Value]]:
    """An nmap scan of `count` made-up hosts, their addresses, and every private value in it."""
    drawn = Made(seed)
    values: list[Value] = []

    def new(sort: str) -> str:
        kind, text = drawn.of(sort)
        values.append(Value(kind, text, 0))
        return text

    hosts: list[str] = []
    addresses: list[str] = []
    for number in range(count):
        ip = f"10.77.{number // 200}.{number % 200 + 11}"
        addresses.append(ip)
        values.append(Value(Kind.ADDRESS, ip, 0))
        mac = ":".join(f"{byte:02X}" for byte in (0, 0x1A, 0x2B, 0x3C, number >> 8, number & 255))
        values.append(Value(Kind.MAC, mac, 0))
        name = f"{drawn.word()}.{drawn.word()}.lan"
        values.append(Value(Kind.HOSTNAME, name, 0))
        said = f"user {new('user')} password {new('password')} at {new('v6')}"
        title = f"Intranet of {new('label')}, ask {new('email')}"
        hosts.append(_host(ip, mac, name, said, title))
    now = int(datetime.now(UTC).timestamp())
    head = f'<nmaprun scanner="nmap" args="nmap -sV" start="{now - 60}" version="7.93" xmloutputversion="1.05">\n'
    tail = f'<runstats><finished time="{now}"/><hosts up="{count}" down="0" total="{count}"/></runstats>\n</nmaprun>\n'
    document = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n' + head + "".join(hosts) + tail
    return document.encode(), addresses, values


def _host(ip: str, mac: str, name: str, said: str, title: str) -> str:
    return (
        f'<host><status state="up" reason="arp-response"/><address addr="{ip}" addrtype="ipv4"/>'
        f'<address addr="{mac}" addrtype="mac"/><hostnames><hostname name="{name}" type="PTR"/></hostnames><ports>'
        '<port protocol="tcp" portid="21"><state state="open" reason="syn-ack"/><service name="ftp" product="vsftpd" '
        f'version="2.3.4" extrainfo={quoteattr(said)} method="probed" conf="10">'
        "<cpe>cpe:/a:vsftpd:vsftpd:2.3.4</cpe></service>"
        f'<script id="banner" output={quoteattr(said)}/></port>'
        '<port protocol="tcp" portid="80"><state state="open" reason="syn-ack"/><service name="http" product="nginx" '
        'version="1.18.0" method="probed" conf="10"><cpe>cpe:/a:f5:nginx:1.18.0</cpe></service>'
        f'<script id="http-title" output={quoteattr(title)}/></port></ports></host>\n'
    )


def submit(server: BenchServer, client: httpx.Client, scan: bytes) -> None:
    """Have a scan kept."""
    response = client.post("/v0/mesh/ingest", content=signed(server.key, server.contributor, scan, datetime.now(UTC)))
    if response.is_error:
        raise SpectraError(f"The scan was refused: {response.text[:300]}", reason="bench")
