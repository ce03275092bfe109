"""What the shell offers after TAB, asked as each shell asks, and by a real bash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spectra.model.fields import FIELDS, NAMES
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.worksamples import JOB, OTHER, job

Ask = Callable[..., list[str]]


@pytest.fixture
def fish(run: Run, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`fish("search", "cou")`: what is offered for the last word, which fish and zsh give as a whole."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("_SPECTRA_COMPLETE", "complete_fish")
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", " ".join(["spectra", *words]))
        return [line.partition("\t")[0] for line in run().lines if line]

    return ask


@pytest.fixture
def bash(run: Run, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`bash("search", "protocol", ":", "u")`: what is offered for the last word, as bash cuts them."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("_SPECTRA_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(["spectra", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        return [line for line in run().lines if line]

    return ask


def test_fields_are_offered(fish: Ask, bash: Ask) -> None:
    """All that begin so, in any of several words; nothing for what is no field."""
    for ask in (fish, bash):
        assert ask("search", "port:22", "cert.s") == ["cert.subject:", "cert.san:", "cert.sha256:", "cert.serial:"]
        assert ask("search", "xyz") == []


def test_the_only_field_comes_with_what_may_follow(fish: Ask) -> None:
    """So that the shell adds no blank after the colon: the choices, or an example that needs no quotes."""
    assert fish("search", "proto") == ["protocol:", "protocol:tcp", "protocol:udp", "protocol:sctp"]
    assert fish("search", "cou") == ["country:", "country:FR"]
    assert fish("search", "http.t") == ["http.title:", "http.title:log"]
    assert fish("search", "titl") == ["title:", "title:log"]
    assert fish("search", "vul") == ["vuln:", "vuln:CVE-2024-6387"]
    assert fish("search", "cve") == ["cve:", "cve:CVE-2024-6387"]
    assert fish("search", "has") == ["has:", "has:finding"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_offered(fish: Ask, name: str) -> None:
    """Aliases too, where no field begins so."""
    offers = fish("search", name)
    assert f"{name}:" in offers or any(FIELDS.get(offer.rstrip(":")) for offer in offers)


def test_values_are_offered(fish: Ask, bash: Ask) -> None:
    """Of fields that have few, also further ones of a list and of other names; none of the others."""
    assert fish("search", "protocol:u") == ["protocol:udp"]
    assert fish("search", "protocol:tcp,") == ["protocol:tcp,udp", "protocol:tcp,sctp"]
    assert fish("search", "cloud:a") == ["cloud:akamai", "cloud:aws", "cloud:azure"]
    assert fish("search", "severity:critical,h") == ["severity:critical,high"]
    assert fish("search", "kev:") == ["kev:true", "kev:false"]
    assert fish("search", "city:P") == []
    assert fish("search", "colour:") == []
    assert bash("search", "protocol", ":") == ["tcp", "udp", "sctp"]
    assert bash("search", "protocol", ":", "u") == ["udp"]
    assert bash("search", "x", "ssl.cert.expired", ":", "t") == ["true"]
    assert bash("search", "city", ":", "P") == []


def test_the_selector_of_a_mesh_query_has_no_colon(fish: Ask) -> None:
    """It is the name alone."""
    assert fish("mesh", "query", "cou") == ["country"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_real_bash_completes(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typer's script for bash and this program understand each other."""
    monkeypatch.setenv("_SPECTRA_COMPLETE", "source_bash")
    script = run().out
    monkeypatch.delenv("_SPECTRA_COMPLETE")
    program = tmp_path / "spectra"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m spectra "$@"\n', "utf-8")
    program.chmod(0o755)
    asked = f"""{script}
COMP_WORDS=(spectra search port : 22 state : fil) COMP_CWORD=7
_spectra_completion "{program}"
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "filtered\n"


def test_presets_are_offered_without_a_server(fish: Ask, tmp_path: Path) -> None:
    """Those that come with Spectra, and those of this machine's folders."""
    own = tmp_path / "config" / "spectra" / "presets"
    own.mkdir(parents=True)
    (own / "server-room.yaml").write_text("description: ours\ntools: [nmap]\n")
    assert fish("scan", "192.0.2.1", "--remote", "--preset", "ser") == ["server-room", "services"]
    assert fish("presets", "serv") == ["server-room", "services"]
    (own / "server-room.yaml").write_text("tools: {")
    assert fish("presets", "serv") == ["services"]


def test_jobs_are_offered(fish: Ask, server: StandIn) -> None:
    """The newest that begin so, and nothing where the server does not say which there are."""
    server.say("GET", "/v0/jobs", {"jobs": [job(), job(job=OTHER)]}, problem(503, "busy"))
    assert fish("jobs", "show", "job-1f2e3") == [JOB]
    assert fish("jobs", "cancel", "job-") == []
    assert server.requests[0].params == {"limit": "100"}


def test_no_server_is_no_trouble(fish: Ask, data_dir: Path) -> None:
    """Who presses TAB wants no error."""
    assert fish("jobs", "show", "job-") == []
