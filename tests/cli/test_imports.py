"""`spectra import` against a server that checks signatures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from spectra.cli import sending
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential
from spectra.model.envelope import Counts, Receipt
from tests.cli.conftest import Run
from tests.cli.standin import RECEIVED, StandIn, problem
from tests.cli.test_client import closed_port

OTHER = b'{"ip":"192.0.2.3","port":443}\n'
LINES = b'{"ip":"192.0.2.1","port":22}\n{"ip":"192.0.2.2","port":80}\n'


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with three outputs, one of them compressed."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(LINES)
    (folder / "b.jsonl.zst").write_bytes(zstandard.compress(OTHER + LINES))
    (folder / "c.xml").write_bytes(b"<nmaprun/>")
    return folder


def test_files_are_signed_and_submitted(run: Run, server: StandIn, scans: Path) -> None:
    """Each file becomes an envelope with its original bytes; a line says what was kept and what was not."""
    result = run("import", scans)
    assert result.code == 0
    assert sorted(server.outputs) == sorted([LINES, OTHER + LINES, b"<nmaprun/>"])
    said = {payload.source: payload for payload in server.submitted}
    one = said[str(scans / "a.jsonl")]
    assert (one.tool, one.scan_type, one.contributor, one.started) == ("import", "import", "alice", None)
    assert one.finished is not None
    line = next(line for line in result.lines if "a.jsonl" in line)
    assert line == f"✓ {scans}/a.jsonl  naabu_jsonl: 3 hosts, 7 endpoints, 1 name, 1 record not kept"
    assert "    not kept: line 4, ip: not an address" in result.lines
    assert "3 imported" in result.err


def test_an_import_is_resumed(run: Run, server: StandIn, scans: Path) -> None:
    """What the server has is skipped and said so; `--force` sends it again."""
    run("import", scans / "a.jsonl")
    result = run("import", scans)
    assert f"= {scans}/a.jsonl  already known, skipped" in result.lines
    assert "2 imported, 1 already known" in result.err
    assert len(server.submitted) == 3
    run("import", scans, "--force")
    assert len(server.submitted) == 6


def test_equal_files_are_sent_once(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Two files with the same content are one output."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(LINES)
    result = run("import", tmp_path / "a", tmp_path / "b")
    assert result.code == 0
    assert len(server.submitted) == 1
    assert f"- {tmp_path}/b  skipped: the same as {tmp_path}/a" in result.lines


def test_a_failing_file_does_not_stop_the_rest(run: Run, server: StandIn, scans: Path) -> None:
    """A refused file is told with the server's words; the others are kept; the exit code says so."""
    (scans / "empty").write_bytes(b"")
    good = Receipt("ab" * 32, "merged", RECEIVED, "nmap_xml", Counts(1, 2))
    refused = problem(422, "The format is not recognised.", reason="unknown_format", line=1, observation_id="cd" * 32)
    server.say("POST", "/v0/mesh/ingest", refused, good)
    result = run("import", scans, scans / "absent")
    assert result.code == 1
    assert sum(line.startswith("✗") for line in result.lines) == 2
    assert sum(line.startswith("✓") for line in result.lines) == 2
    assert "    The format is not recognised. (line 1)" in result.lines
    assert any("No such file" in line for line in result.lines)
    assert f"- {scans}/empty  skipped: empty" in result.lines
    assert "2 imported, 1 skipped, 2 failed" in result.err


def test_what_is_no_scan_never_leaves_the_machine(run: Run, server: StandIn, scans: Path) -> None:
    """Met in a folder it is skipped, named by the user it is an error with what is read here; neither is sent."""
    (scans / "letter.txt").write_text("Dear Alice,\nthe key is under the mat.\n")
    result = run("import", scans)
    assert result.code == 0
    assert f"- {scans}/letter.txt  skipped: not the output of a scanner that is known here" in result.lines
    named = run("import", scans / "letter.txt")
    assert named.code == 1
    assert "nuclei" in named.out
    assert not any(b"Alice" in output for output in server.outputs)


def test_a_failed_receipt_is_a_failure(run: Run, server: StandIn, scans: Path) -> None:
    """An output that was stored but not understood counts as failed."""
    server.say("POST", "/v0/mesh/ingest", Receipt("ab" * 32, "failed", RECEIVED, error="cut off at line 9"))
    result = run("import", scans / "a.jsonl")
    assert result.code == 1
    assert "    cut off at line 9" in result.lines


def test_busy_servers_are_waited_for(run: Run, server: StandIn, scans: Path) -> None:
    """429 and 503 with Retry-After are honoured."""
    good = Receipt("ab" * 32, "merged", RECEIVED, "nmap_xml", Counts(1, 2))
    busy = problem(429, "slow down", reason="rate_limited", retry_after=0)
    server.say("POST", "/v0/mesh/ingest", busy, problem(503, "away", retry_after=0), busy, good)
    assert run("import", scans / "a.jsonl").code == 0
    assert len(server.asked("/v0/mesh/ingest")) == 4


def test_a_refused_caller_ends_the_import(run: Run, server: StandIn, scans: Path) -> None:
    """A key that is not accepted will not be accepted for the next file either."""
    server.say("POST", "/v0/mesh/ingest", problem(401, "the key is revoked", reason="key_revoked"))
    result = run("import", scans)
    assert result.code == 1
    assert "the key is revoked" in result.err


def test_a_server_that_is_away(run: Run, data_dir: Path, scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening ends the import with 3 and the next step."""
    monkeypatch.setattr("spectra.cli.imports.ATTEMPTS", 1)
    SigningKey.generate().save(data_dir / "key")
    LocalCredential(f"http://127.0.0.1:{closed_port()}", "spk_", "alice", "key").save(data_dir / "credential.json")
    result = run("import", scans)
    assert result.code == 3
    assert "spectra up" in result.err


def test_json_lines(run: Run, server: StandIn, scans: Path) -> None:
    """Scripts get one object per file."""
    found = [json.loads(line) for line in run("import", scans, "--json").lines]
    assert {one["status"] for one in found} == {"kept"}
    assert found[0]["receipts"][0]["counts"]["hosts"] == 3
    again = json.loads(run("import", scans / "a.jsonl", "--json").out)
    assert (again["status"], len(again["known"]), again["receipts"]) == ("known", 1, [])


def test_the_durable_path(run: Run, server: StandIn, scans: Path) -> None:
    """`--async` uses the durable path and names the workflow to follow."""
    result = run("import", scans / "a.jsonl", "--async", "--source", "laptop")
    assert server.requests[-1].path == "/v0/ingest"
    assert server.submitted[0].source == "laptop"
    assert "spectra workflows show wf-1" in result.out


def test_names_of_files_cannot_break_the_payload(run: Run, server: StandIn, tmp_path: Path) -> None:
    """A file name with a line break and bytes that are no UTF-8 is signed in a readable form."""
    path = tmp_path / "we\nird\udcff\x1b[2J"
    path.write_bytes(LINES)
    result = run("import", path)
    assert result.code == 0
    assert server.submitted[0].source.endswith("we ird\\udcff\\x1b[2J")
    assert "\x1b" not in result.out
    assert run("import", path, "--json", "--force").code == 0


def test_outputs_beyond_one_envelope_are_cut(
    run: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit into one envelope goes in parts of one scan; together they are the whole."""
    import secrets

    monkeypatch.setenv("SPECTRA_GATE__MAX_ENVELOPE_BYTES", "4096")
    data = b"".join(b'{"ip":"192.0.2.1","port":80,"host":"%s"}\n' % secrets.token_hex(40).encode() for _ in range(200))
    (tmp_path / "big.txt").write_bytes(data)
    result = run("import", tmp_path / "big.txt")
    assert result.code == 0
    parts = sorted(zip(server.submitted, server.outputs, strict=True), key=lambda pair: data.index(pair[1]))
    assert b"".join(output for _, output in parts) == data
    assert len({payload.scan_id for payload, _ in parts}) == 1
    assert len({payload.source for payload, _ in parts}) == len(parts) > 2
    assert f"in {len(parts)} parts" in result.out


def test_xml_beyond_one_envelope_is_refused(
    run: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XML holds only as a whole: the file fails with what to do."""
    import secrets

    monkeypatch.setenv("SPECTRA_GATE__MAX_ENVELOPE_BYTES", "4096")
    (tmp_path / "big.xml").write_text("<nmaprun>\n" + "\n".join(secrets.token_hex(40) for _ in range(200)))
    result = run("import", tmp_path / "big.xml")
    assert result.code == 1
    assert "does not fit into one submission" in result.out
    assert "smaller ranges" in result.out


def test_batches_and_memory_are_bounded(
    run: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many files go through small batches and a small budget all the same."""
    monkeypatch.setattr(sending, "ASK_AT_ONCE", 3)
    monkeypatch.setattr(sending, "MAX_FLYING", 2)
    monkeypatch.setattr(sending, "MAX_FLYING_BYTES", 40)
    for number in range(20):
        (tmp_path / f"{number:02}").write_bytes(b'{"ip":"198.51.100.%d","port":22}\n' % number + LINES)
    result = run("import", tmp_path)
    assert result.code == 0
    assert len(server.submitted) == 20
    assert len(server.asked("/v0/observations/known")) == 7


def test_many_problems_are_summed_up(run: Run, server: StandIn, scans: Path) -> None:
    """Five problems are shown, the others are counted with the command that lists them."""
    from spectra.model.envelope import Problem

    many = tuple(Problem(f"wrong {n}", line=n) for n in range(1, 9))
    server.say("POST", "/v0/mesh/ingest", Receipt("ab" * 32, "merged", RECEIVED, "x", Counts(1, problems=20), many))
    lines = run("import", scans / "a.jsonl").lines
    assert sum("not kept: line" in line for line in lines) == 5
    assert f"    and 15 more: spectra observations show {'ab' * 32}" in lines


def test_nothing_to_import(run: Run, server: StandIn, tmp_path: Path) -> None:
    """An empty folder is a slip."""
    assert run("import", tmp_path / "scans-absent-folder" / "..").code in (1, 2)
    (tmp_path / "none").mkdir()
    assert run("import", tmp_path / "none").code == 2


def test_no_key_no_import(run: Run, data_dir: Path, tmp_path: Path) -> None:
    """Without a credential the error says how to get one."""
    (tmp_path / "a").write_bytes(LINES)
    result = run("import", tmp_path / "a")
    assert result.code == 3
    assert "spectra up" in result.err
