"""`spectra scan` of loopback with the built-in scanner: law first, then packets, and nothing found is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.cli.found import Found, found
from spectra.cli.scopes import consent_file
from spectra.collect.consent import load
from spectra.identity.tokens import LocalCredential
from spectra.model.envelope import Privacy, Receipt
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.test_client import closed_port

MORE = [f"127.0.0.{n}" for n in range(2, 31)]
ALLOW = ("--allow", "127.0.0.0/8", "--scanner", "connect")


@dataclass
class Greeter:
    """A service on 30 addresses of loopback that greets like SSH, with a hostile banner; it tells when one came."""

    port: int = 0
    met: threading.Event = field(default_factory=threading.Event)

    async def greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say hello and close."""
        self.met.set()
        writer.write(b"SSH-2.0-OpenSSH_9.6p1 \x1b[31mUbuntu\r\n")
        await writer.drain()
        writer.close()

    async def serve(self, ready: threading.Event, end: asyncio.Event) -> None:
        """Greet until `end`."""
        async with await asyncio.start_server(self.greet, "127.0.0.1", 0) as first:
            self.port = first.sockets[0].getsockname()[1]
            async with await asyncio.start_server(self.greet, MORE, self.port):
                ready.set()
                await end.wait()


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    """A running greeter."""
    service, ready, end = Greeter(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(service.serve(ready, end)))
    thread.start()
    assert ready.wait(10)
    yield service
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def ssh(greeter: Greeter) -> int:
    """The greeter's port."""
    return greeter.port


def test_the_law_comes_first(run: Run, ssh: int, tmp_path: Path) -> None:
    """Loopback needs an allow, then a consent; without them nothing is scanned and the error says what to do."""
    refused = run("scan", "127.0.0.1", "-p", str(ssh), "--scanner", "connect")
    assert refused.code == 1
    assert "special-use" in refused.err
    unasked = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW)
    assert unasked.code == 2
    assert "--consent REASON" in unasked.err
    assert load(tmp_path / "config" / "spectra" / "consent.jsonl") == ()
    run("scope", "deny", "127.0.0.1")
    denied = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "test")
    assert denied.code == 1
    assert "do-not-scan" in denied.err


def test_a_look_without_a_server(run: Run, ssh: int, tmp_path: Path) -> None:
    """What was found is a table; the consent is on record and serves the next scan, too."""
    result = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "my own machine")
    assert result.code == 0
    assert f"{ssh}/tcp" in result.lines[1]
    assert "ssh" in result.lines[1]
    assert "\x1b" not in result.out
    assert "1 open endpoint found" in result.err
    (record,) = load(tmp_path / "config" / "spectra" / "consent.jsonl")
    assert record.reason == "my own machine"
    assert record.expires is not None
    again = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--json")
    assert json.loads(again.out)["port"] == ssh


def test_submitting(run: Run, ssh: int, server: StandIn) -> None:
    """The scanner's own output is signed and submitted; the receipt and the next command are printed."""
    result = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "--submit", "--name", "weekly-17")
    assert result.code == 0
    (said,) = server.submitted
    assert (said.tool, said.scan_id, said.privacy, said.source) == (
        "spectra-connect",
        "weekly-17",
        Privacy.FULL,
        "127.0.0.1",
    )
    assert b"OpenSSH" in server.outputs[0]
    assert result.lines[0] == "submitted: 3 hosts, 7 endpoints, 1 record not kept"
    assert result.err.splitlines()[-1] == "Next: spectra search scan:weekly-17"


def test_meta_only_keeps_banners_here(run: Run, ssh: int, server: StandIn) -> None:
    """With meta-only the banner never enters what is signed."""
    run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "--submit", "--privacy", "meta-only")
    assert server.submitted[0].privacy is Privacy.META_ONLY
    assert b"SSH-2.0" not in server.outputs[0]


def unsent(data_dir: Path) -> list[Path]:
    """The outputs that wait to be sent."""
    return sorted((data_dir / "unsent").iterdir())


def test_a_server_that_is_away_loses_nothing(run: Run, ssh: int, data_dir: Path, server: StandIn) -> None:
    """The output is kept, private, and the printed command imports it."""
    own = LocalCredential.load(data_dir / "credential.json")
    LocalCredential(f"http://127.0.0.1:{closed_port()}", own.token, "alice", own.key_file).save(
        data_dir / "credential.json"
    )
    result = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "--submit", "--name", "w")
    assert result.code == 3
    (kept,) = unsent(data_dir)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"spectra import {kept} --source w" in result.err
    own.save(data_dir / "credential.json")
    assert run("import", kept, "--source", "w").code == 0
    assert server.outputs[0] == kept.read_bytes()


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "away", retry_after=0),
        Receipt("ab" * 32, "failed", datetime(2025, 1, 1, tzinfo=UTC), error="unreadable"),
    ],
)
def test_a_refused_submission_loses_nothing(
    run: Run, ssh: int, data_dir: Path, server: StandIn, answer: object
) -> None:
    """Whatever the reason, an output that is not in the graph is kept."""
    server.say("POST", "/v0/mesh/ingest", answer)
    assert run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "--submit").code in (1, 3)
    assert len(unsent(data_dir)) == 1


def test_a_data_folder_that_is_full_loses_nothing(
    run: Run, ssh: int, data_dir: Path, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the data folder takes no file, the output is kept in the current folder."""
    (data_dir / "unsent").write_text("a file where the folder should be")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    server.say("POST", "/v0/mesh/ingest", problem(500, "no", reason="internal"))
    assert run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "--submit", "--name", "../w").code == 1
    (kept,) = (tmp_path / "cwd").iterdir()
    assert kept.name.startswith(".._w")


@pytest.mark.parametrize("name", ["n" * 201, "a\nb"])
def test_an_id_that_cannot_be_submitted_is_refused_before_the_scan(run: Run, name: str) -> None:
    """Not after it, when the output would have to be kept under that name."""
    result = run("scan", "127.0.0.1", *ALLOW, "--consent", "x", "--submit", "--name", name)
    assert result.code == 2
    assert "200 printable characters" in result.err


def test_a_long_id_makes_no_long_file_name(run: Run, ssh: int, data_dir: Path, server: StandIn) -> None:
    """200 characters of four bytes each are more than a file system takes."""
    server.say("POST", "/v0/mesh/ingest", problem(500, "no", reason="internal"))
    run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "--submit", "--name", "\U0001f600" * 200)
    assert len(unsent(data_dir)) == 1


def test_the_original_output_is_kept_with_o(run: Run, ssh: int, tmp_path: Path) -> None:
    """`-o` writes the scanner's own words, ready for an import elsewhere."""
    path = tmp_path / "scan.jsonl"
    result = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--consent", "x", "-o", path)
    assert (result.code, result.out) == (0, "")
    assert [one.port for one in found(path.read_bytes())] == [ssh]


def test_a_place_that_cannot_be_written_to_is_told_before_the_scan(run: Run, tmp_path: Path) -> None:
    """No packet is sent, and no consent recorded, for an output that could not be kept."""
    for place in (tmp_path / "absent" / "scan.jsonl", tmp_path):
        result = run("scan", "127.0.0.1", *ALLOW, "--consent", "x", "-o", place)
        assert (result.code, "cannot write" in result.err) == (2, True)
    assert not consent_file().exists()


def test_targets_of_a_file(run: Run, ssh: int, tmp_path: Path) -> None:
    """Targets come from a file, too; what is forbidden is left out only if that is asked for."""
    (tmp_path / "targets").write_text("127.0.0.1  # this machine\n127.0.0.2\n")
    run("scope", "deny", "127.0.0.2")
    words = ("scan", "-f", tmp_path / "targets", "-p", str(ssh), *ALLOW, "--consent", "x")
    assert run(*words).code == 1
    result = run(*words, "--skip-forbidden", "--json")
    assert result.code == 0
    assert "left out: 127.0.0.2" in result.err
    assert len(result.lines) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("1.2.3",), 2),
        (("192.0.2.1", "-p", "99999"), 2),
        (("192.0.2.1", "--scanner", "telepathy"), 2),
        (("-f", "/nonexistent"), 2),
        (("192.0.2.1", "--submit"), 1),
    ],
)
def test_slips_are_found_before_any_packet(run: Run, words: tuple[str, ...], code: int) -> None:
    """Missing or wrong words, and a missing key, end the command at once."""
    assert run("scan", *words).code == code


def test_ctrl_c_submits_what_was_found(server: StandIn, greeter: Greeter) -> None:
    """A scan interrupted after its first host hands out what it has; it is submitted, and the exit code is 130."""
    call = [sys.executable, "-m", "spectra", "scan", "127.0.0.1-127.0.0.30", "-p", str(greeter.port), *ALLOW]
    call += ["--consent", "x", "--submit", "--rate", "1"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert greeter.met.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped on request" in err
    assert "submitted" in out
    assert str(greeter.port).encode() in server.outputs[0]


NMAP = b"""<?xml version="1.0"?><!DOCTYPE nmaprun [<!ENTITY x "boom"><!ENTITY e SYSTEM "file:///etc/passwd">]>
<nmaprun><host><address addr="00:11:22:33:44:55" addrtype="mac"/><address addr="2001:db8::1" addrtype="ipv6"/>
<hostnames><hostname name="a.example.org" type="PTR"/></hostnames><ports>
<port protocol="tcp" portid="443"><state state="open"/><service name="http" product="nginx" version="1.25" tunnel="ssl"
 extrainfo="x"/></port><port protocol="tcp" portid="444"><state state="open"/></port>
<port protocol="tcp" portid="80"><state state="closed"/></port></ports></host><host><address addr="192.0.2.1"
"""


def test_found_in_nmap_xml() -> None:
    """Open ports of complete hosts are read, entities are not."""
    web, bare = found(NMAP)
    assert web == Found("2001:db8::1", 443, "tcp", ("a.example.org",), "http", "nginx", "1.25", "x", tls=True)
    assert (bare.port, bare.service) == (444, "")
    assert list(found(b"<")) == []


def test_found_in_json_lines() -> None:
    """naabu's lines, the built-in scanner's, and what is neither."""
    data = b"""{"host":"a.example.org","ip":"192.0.2.1","port":22,"protocol":"tcp","tls":false}
{"tool":"spectra-connect","version":"1"}
{"ip":"192.0.2.2","silent":true}
{"ip":"192.0.2.3","hostnames":[{"name":"b"}],"ports":[{"port":80,"service":{"name":"http"},"title":"Hi","tls":{}}]}
[1,2]
{"ip":"192.0.2.4","ports":[{"po"""
    assert list(found(data)) == [
        Found("192.0.2.1", 22, "tcp", ("a.example.org",)),
        Found("192.0.2.3", 80, "tcp", ("b",), "http", says="Hi"),
    ]


def test_consent_is_asked_for_what_is_not_skipped(run: Run, ssh: int) -> None:
    """A target on the do-not-scan list does not hide that the others lack consent."""
    run("scope", "deny", "127.0.0.1")
    words = ("scan", "127.0.0.1", "127.0.0.2", "-p", str(ssh), *ALLOW, "--skip-forbidden", "--json")
    unasked = run(*words)
    assert unasked.code == 2
    assert "no recorded consent covers 127.0.0.1, 127.0.0.2" in unasked.err
    result = run(*words, "--consent", "x")
    assert result.code == 0, result.err
    assert "left out: " in result.err
    assert [json.loads(line)["ip"] for line in result.lines] == ["127.0.0.2"]
    alone = run("scan", "127.0.0.1", "-p", str(ssh), *ALLOW, "--skip-forbidden", "--consent", "x")
    assert alone.code == 1
    assert "do-not-scan" in alone.err
