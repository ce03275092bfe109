"""Bad input, tried and tested: a clear answer each time, nothing accepted is lost, the next good submission works."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import zstandard

from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.model import query
from spectra.model.envelope import Output, Payload, Privacy, sha256_hex
from tests.api.node import raw_answer, raw_connection
from tests.e2e.witness import Witness, is_problem
from tests.support import samples
from tests.support.running import Running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

FAST, DURABLE = "/v0/mesh/ingest", "/v0/ingest"
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def unharmed(witness: Witness) -> Iterator[None]:
    """After each bad case: good submissions work, and all that was acknowledged is there."""
    yield
    witness.check()


def imported(running: Running, file: Path, code: int = 0) -> dict[str, Any]:
    """What `spectra import --json` says of one file."""
    (line,) = running.cli("import", "--json", file, code=code).splitlines()
    return json.loads(line)


def kept_hosts(witness: Witness, outcome: dict[str, Any], *addresses: str) -> None:
    """Assert that exactly these hosts were kept, and remember them."""
    (receipt,) = outcome["receipts"]
    assert receipt["counts"]["hosts"] == len(addresses)
    for ip in addresses:
        witness.keep(ip, receipt["observation_id"])


# --- files ---


@pytest.mark.parametrize("cut", ["in a host", "between hosts", "in a tag"])
def test_a_truncated_scan_keeps_every_complete_host(
    running: Running, witness: Witness, tmp_path: Path, cut: str
) -> None:
    """A scan that was killed: what it had finished counts, and the file is said to be cut."""
    one, two, three = (samples.address() for _ in range(3))
    whole = samples.nmap(*(samples.nmap_host(ip, 22, 443) for ip in (one, two, three)))
    third = whole.index(f'addr="{three}"'.encode())
    end = {
        "in a host": third + 60,
        "between hosts": whole.rindex(b"<host ", 0, third),
        "in a tag": third + 5,
    }[cut]
    file = tmp_path / "cut.xml"
    file.write_bytes(whole[:end])
    outcome = imported(running, file)
    kept_hosts(witness, outcome, one, two)
    assert outcome["receipts"][0]["problems"], "that the end is missing is said"
    assert running.run("host", three).returncode == 4


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_other_encodings_of_unicode_are_read(running: Running, witness: Witness, tmp_path: Path, encoding: str) -> None:
    """As PowerShell's redirection writes them: with a byte order mark, or without one but declared."""
    ip = samples.address()
    text = samples.scan_of(ip, 80, product="Süßwasser").decode()
    if encoding == "utf-16-be":
        text = "\ufeff" + text
    file = tmp_path / "scan.xml"
    file.write_bytes(
        text.replace('encoding="UTF-8"', 'encoding="UTF-16"' if "16" in encoding else 'encoding="UTF-8"').encode(
            encoding
        )
    )
    kept_hosts(witness, imported(running, file), ip)
    assert running.found(f"ip:{ip}")[0]["product"] == "Süßwasser"


def test_latin_1_that_says_utf_8(running: Running, witness: Witness, tmp_path: Path) -> None:
    """Mislabelled: answered with what is wrong with it, or read with that character replaced; never a wrong host."""
    good, bad = samples.address(), samples.address()
    whole = samples.nmap(samples.nmap_host(good, 80), samples.nmap_host(bad, 80, product="S\xfcd"))
    file = tmp_path / "latin1.xml"
    file.write_bytes(whole.decode().encode("latin-1"))
    outcome = imported(running, file)
    (receipt,) = outcome["receipts"]
    assert receipt["problems"]
    witness.keep(good, receipt["observation_id"])
    assert {m["ip"] for m in running.found(f"ip:{good},{bad}")} >= {good}


@pytest.mark.parametrize("label", ["ebcdic-cp-us", "utf-7", "no-such-encoding", "utf-32"])
def test_an_encoding_nobody_uses_is_refused(running: Running, tmp_path: Path, label: str) -> None:
    """By name; the file is kept for a later release, and nothing of it is in the graph."""
    ip = samples.address()
    file = tmp_path / "odd.xml"
    file.write_bytes(samples.scan_of(ip, 80).replace(b'encoding="UTF-8"', f'encoding="{label}"'.encode()))
    outcome = running.run("import", "--json", file)
    told = json.loads(outcome.stdout)
    assert told["status"] in ("failed", "kept")
    if told["status"] == "failed":
        assert outcome.returncode == 1
        assert running.found(f"ip:{ip}") == []


def test_a_mixed_file_keeps_what_it_can(running: Running, witness: Witness, tmp_path: Path) -> None:
    """Lines of one tool with rubbish, binary and another tool's lines between them: each lost line is named."""
    good = [samples.address() for _ in range(3)]
    lines = [json.dumps({"host": ip, "ip": ip, "port": 80, "protocol": "tcp"}).encode() for ip in good]
    mixed = [
        lines[0],
        b"\xff\xfe\x00 binary",
        b"<host>",
        lines[1],
        b'{"ip": "' + b"x" * 5000 + b'", "port": 80}',
        b'{"ip": "192.0.2.1", "port": 99999}',
        b'{"a":' * 5000,
        b"",
        lines[2],
    ]
    file = tmp_path / "mixed.jsonl"
    file.write_bytes(b"\n".join(mixed) + b"\n")
    outcome = imported(running, file)
    kept_hosts(witness, outcome, *good)
    assert {p["line"] for p in outcome["receipts"][0]["problems"]} == {2, 3, 5, 6, 7}


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 1000, b"hello\n", b"<html></html>", b"{}", b"\x7fELF" + b"\x01" * 99]
)
def test_what_no_scanner_writes(running: Running, tmp_path: Path, content: bytes) -> None:
    """Refused with what was recognised instead, by the command line and by the API, first and again."""
    file = tmp_path / "thing"
    file.write_bytes(content)
    done = running.run("import", "--json", file)
    told = json.loads(done.stdout)
    assert told["status"] in ("failed", "skipped"), told
    assert "Traceback" not in done.stderr


# --- huge ---


def rss(running: Running) -> int:
    """Bytes of memory of the serving process."""
    assert running.process is not None
    return psutil.Process(running.process.pid).memory_info().rss


def packed(size: int, encoding: str) -> bytes:
    """`size` bytes of the start of a scan and blanks, compressed."""
    head, piece = samples.nmap()[:200], b" " * MIB
    target = io.BytesIO()
    stream: Any = (
        zstandard.ZstdCompressor(level=1).stream_writer(target, closefd=False)
        if encoding == "zstd"
        else gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1)
    )
    with stream:
        stream.write(head)
        for _ in range(size // MIB):
            stream.write(piece)
    return target.getvalue()


def bomb(witness: Witness, data: bytes, size: int, encoding: Any) -> bytes:
    """An envelope around compressed `data` that claims to be `size` bytes."""
    content = Payload(
        version=1,
        tool="nmap",
        tool_version="",
        scan_id="bomb",
        scan_type="",
        started=None,
        finished=None,
        issued=datetime.now(UTC),
        nonce=payload.build(output=b"", tool="x", contributor="x", now=datetime.now(UTC)).nonce,
        contributor=witness.name,
        privacy=Privacy.FULL,
        source="",
        output=Output(encoding=encoding, sha256=sha256_hex(b"?"), size=size, data=data),
    )
    return dsse.sign(witness.key, payload.encode(content))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
@pytest.mark.parametrize("claim", ["small", "honest"])
def test_a_zip_bomb_is_not_unpacked(running: Running, witness: Witness, encoding: str, claim: str) -> None:
    """1.5 GiB in a few kilobytes, whether or not it says so: refused in bounded memory, on both paths."""
    size = 1536 * MIB
    data = packed(size, encoding)
    assert len(data) < 8 * MIB
    before = rss(running)
    envelope = bomb(witness, data, size + 200 if claim == "honest" else 1000, encoding)
    body = is_problem(witness.submit(envelope), 413, 422)
    assert body["reason"] in ("too_large", "output_mismatch")
    assert is_problem(witness.submit(envelope), 413, 422)["observation_id"] == body["observation_id"]
    assert rss(running) - before < 400 * MIB
    receipt = witness.submit(bomb(witness, data, 1000, encoding), DURABLE).json()
    eventually(lambda: running.get(f"/v0/observations/{receipt['observation_id']}")["status"] == "failed")


LAUGHS = b"".join(
    [
        b'<?xml version="1.0"?>\n<!DOCTYPE nmaprun [\n<!ENTITY lol0 "lol">\n',
        *(b'<!ENTITY lol%d "%b">\n' % (n, b"&lol%d;" % (n - 1) * 10) for n in range(1, 10)),
        b']>\n<nmaprun scanner="nmap"><host><address addr="&lol9;" addrtype="ipv4"/></host></nmaprun>\n',
    ]
)
OUTSIDE = (
    b'<?xml version="1.0"?>\n<!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<nmaprun><host><hostnames>\
<hostname name="&x;"/></hostnames></host></nmaprun>\n'
)


@pytest.mark.parametrize("content", [LAUGHS, OUTSIDE], ids=["billion laughs", "external entity"])
def test_entities_are_not_expanded(running: Running, tmp_path: Path, content: bytes) -> None:
    """Refused for having them, in bounded memory; no file of this machine gets into the graph."""
    file = tmp_path / "laughs.xml"
    file.write_bytes(content)
    before = rss(running)
    done = running.run("import", "--json", file)
    told = json.loads(done.stdout)
    assert (done.returncode, told["status"]) == (1, "failed")
    assert rss(running) - before < 100 * MIB
    assert running.found("root") == []


def test_two_gigabytes_claimed(running: Running) -> None:
    """413 for the claim alone."""
    with raw_connection(running.url) as connection:
        connection.sendall(f"POST {FAST} HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n".encode())
        status, _, body = raw_answer(connection)
    assert status == 413
    assert json.loads(body)["reason"] == "envelope_too_large"


def test_a_compressed_file_that_grows_without_end(running: Running, tmp_path: Path) -> None:
    """The command line takes compression off, and is not taken in either."""
    file = tmp_path / "scan.xml.gz"
    file.write_bytes(packed(600 * MIB, "gzip"))
    done = running.run("import", "--json", file)
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "failed"


# --- envelopes ---


def forged(witness: Witness, output: bytes) -> bytes:
    """Another payload under a good signature."""
    good = json.loads(witness.seal(output))
    return json.dumps(good | {"payload": json.loads(witness.seal(output))["payload"]}).encode()


def by_stranger(witness: Witness, output: bytes) -> bytes:
    """A key that nobody registered, under a known name."""
    return samples.sealed(SigningKey.generate(), witness.name, output)


def replayed(witness: Witness, output: bytes) -> bytes:
    """The nonce of something that was accepted, around something else."""
    nonce = samples.built(b"", "x").nonce
    ip = samples.address()
    response = witness.submit(witness.seal(samples.scan_of(ip, 80), nonce=nonce))
    witness.keep(ip, response.json()["observation_id"])
    return witness.seal(output, nonce=nonce)


def expired(witness: Witness, output: bytes) -> bytes:
    """Signed two days ago."""
    return witness.seal(output, now=datetime.now(UTC) - timedelta(days=2))


def from_the_future(witness: Witness, output: bytes) -> bytes:
    """Signed in an hour."""
    return witness.seal(output, now=datetime.now(UTC) + timedelta(hours=1))


def revoked(witness: Witness, output: bytes) -> bytes:
    """By a key that was registered and revoked, with the command line."""
    key = SigningKey.generate()
    witness.register(key, witness.name)
    witness.running.cli("keys", "revoke", key.public.keyid, "--yes")
    return samples.sealed(key, witness.name, output)


def wrong_role(witness: Witness, output: bytes) -> bytes:
    """By a registered reader."""
    key = SigningKey.generate()
    name = f"reader-{key.public.keyid[:8]}"
    witness.register(key, name, "read-only")
    return samples.sealed(key, name, output)


def in_anothers_name(witness: Witness, output: bytes) -> bytes:
    """Signed well, but claiming to be the local admin."""
    return samples.sealed(witness.key, "local-admin", output)


@pytest.mark.parametrize("path", [FAST, DURABLE])
@pytest.mark.parametrize(
    ("make", "status", "reason"),
    [
        (forged, 401, "bad_signature"),
        (by_stranger, 401, "unknown_key"),
        (replayed, 409, "nonce_replayed"),
        (expired, 400, "expired"),
        (from_the_future, 400, "from_the_future"),
        (revoked, 401, "key_revoked"),
        (wrong_role, 403, "role_forbidden"),
        (in_anothers_name, 403, "contributor_mismatch"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_envelope(
    running: Running, witness: Witness, path: str, make: Callable[[Witness, bytes], bytes], status: int, reason: str
) -> None:
    """Refused with its reason, and not a trace of it: no observation, no host, no entry in the chain."""
    ip = samples.address()
    envelope = make(witness, samples.scan_of(ip, 80))
    chain = running.get("/v0/provenance")["entries"]
    assert is_problem(witness.submit(envelope, path), status)["reason"] == reason
    assert running.recorded(chain) == []
    assert running.found(f"ip:{ip}") == []
    seen = sha256_hex(base64.b64decode(json.loads(envelope)["payload"]))
    assert json.loads(running.run("observations", "show", seen, "--json").stdout or "null") is None


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff" * 100, b"[" * 100_000, b'{"payload":"' + b"A" * 1000])
def test_no_envelope_at_all(witness: Witness, body: bytes) -> None:
    """400 that says what an envelope needs."""
    assert is_problem(witness.submit(body), 400)["reason"] == "malformed_envelope"


def test_eight_clients_with_one_envelope(running: Running, witness: Witness) -> None:
    """One observation; every client has its receipt."""
    ip = samples.address()
    envelope = witness.seal(samples.scan_of(ip, 22, 80))
    before = running.get("/v0/status")["counts"]["observations"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(witness.submit, [envelope] * 8))
    assert [a.status_code for a in answers] == [200] * 8
    (observation,) = {a.json()["observation_id"] for a in answers}
    assert [a.json().get("duplicate", False) for a in answers].count(False) == 1
    witness.keep(ip, observation)
    assert running.get("/v0/status")["counts"]["observations"] == before + 1


# --- SQL in every field ---

INJECTIONS = [
    "'; DROP TABLE host; --",
    "' OR '1'='1",
    "1); DELETE FROM observation; --",
    "%s %(x)s {} {0}",
    "\\'; TRUNCATE endpoint CASCADE; --",
    "$$; SELECT pg_sleep(60); $$",
    'x" OR "1"="1',
    "%' UNION SELECT token FROM credential --",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_every_field_of_a_payload(running: Running, witness: Witness, text: str) -> None:
    """Stored as the text it is, and given back as that: in what the contributor says and in what the tool found."""
    ip = samples.address()
    escaped = text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    scan = (
        samples.scan_of(ip, 80, product="@P")
        .decode()
        .replace("@P", escaped)
        .replace('name="http"', f'name="{escaped}"')
    )
    said = dict.fromkeys(("tool", "tool_version", "scan_id", "scan_type", "source"), text)
    response = witness.submit(witness.seal(scan.encode(), **said))
    assert response.status_code == 200, response.text
    observation = response.json()["observation_id"]
    witness.keep(ip, observation)
    record = running.get(f"/v0/observations/{observation}")
    assert {record["scan_id"], record["scan_type"], record["source"]} == {text}
    (endpoint,) = running.get(f"/v0/host/{ip}")["endpoints"]
    assert (endpoint["service"]["product"], endpoint["service"]["name"]) == (text, text)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert [m["ip"] for m in running.get("/v0/search", ip=ip, scan=f'"{quoted}"')["matches"]] == [ip]


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_every_field_of_a_search(running: Running, text: str) -> None:
    """An answer or a pointed refusal for every parameter and path, and nothing is found by it that is not there."""
    with running.client() as client:
        for name in (*query.FIELDS, "q", "sort", "cursor", "limit"):
            response = client.get("/v0/search", params={name: text})
            if response.status_code != 200:
                is_problem(response, 400)
        for path in ("/v0/host", "/v0/hostname", "/v0/observations", "/v0/workflows"):
            response = client.get(f"{path}/{quote(text, safe='')}")
            is_problem(response, 400, 404)
        is_problem(client.get("/v0/host/192.0.2.1", params={"at": text}), 400)
        is_problem(client.get("/v0/observations", params={"cursor": text}), 400)
        is_problem(client.post("/v0/keys/revoke", json={"keyid": text}), 400)
        is_problem(client.post("/v0/observations/known", json={"output_sha256": [text]}), 400)
        is_problem(client.get("/v0/status", headers={"authorization": f"Bearer {text}"}), 401)


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_a_key(running: Running, witness: Witness, text: str) -> None:
    """A contributor and a comment may be called anything; so is the row."""
    key = SigningKey.generate()
    witness.register(key, f"{text} {key.public.keyid[:8]}")
    assert f"{text} {key.public.keyid[:8]}" in {k["contributor"] for k in running.get("/v0/keys")["keys"]}
    ip = samples.address()
    response = witness.submit(samples.sealed(key, f"{text} {key.public.keyid[:8]}", samples.scan_of(ip, 80)))
    assert response.status_code == 200
    witness.keep(ip, response.json()["observation_id"])
