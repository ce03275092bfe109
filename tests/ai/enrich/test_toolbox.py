"""The tools of the enrichment agent that answer. What they refuse is in the tests of injection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from spectra.ai.enrich.lookups import Lookups
from spectra.ai.enrich.toolbox import MAX_ARGUMENTS, MAX_CALLS, TOOLS, Toolbox
from spectra.model.ai import ToolCall
from spectra.store.blobs import BlobStore
from tests.ai.enrich.conftest import Making
from tests.ai.enrich.office import CVE, kev, nvd, places
from tests.support.webs import Site, Web


@pytest.fixture
def box(making: Making, web: Web, tmp_path: Path) -> Toolbox:
    """Tools for one CVE, of which one page may be read."""
    lookups = Lookups(making(), places(web), BlobStore.local(tmp_path), "alice")
    return Toolbox(lookups, {CVE}, [web.url("/page")])


def called(box: Toolbox, tool: str, **arguments: object) -> str:
    """What a call answers."""
    return box.call(ToolCall("1", tool, json.dumps(arguments)))


def test_each_tool_says_what_it_found(box: Toolbox, web: Web) -> None:
    """In words, with the page that it was on; a place that does not know it, or does not answer, is told of so."""
    exploit = ("https://example.org/poc", ["Exploit"])
    web.sites[f"/nvd?cveId={CVE}"] = nvd(CVE, "A race in sshd.", exploit)
    web.sites["/kev.json"] = kev(CVE)
    web.sites["/page"] = Site(b"<p>Update to 9.8</p>", "text/html")
    details = called(box, "cve_details", cve=CVE)
    assert details.startswith("NVD: A race in sshd.\nCVSS 3.1 8.1 high (nvd@nist.gov)")
    assert "- https://example.org/poc (Exploit)" in details
    exploited = called(box, "exploit_references", cve=CVE)
    assert "known to be exploited since 2024-07-08, by ransomware too. OpenSSH race. Apply" in exploited
    assert called(box, "fetch", url=web.url("/page")) == "Update to 9.8"
    assert called(box, "advisory", cve=CVE) == "No answer."
    assert set(box.used) == {web.url(path) for path in (f"/nvd?cveId={CVE}", "/kev.json", "/page")}
    assert box.refused == []
    assert called(box, "cve_details", cve=CVE) == details
    assert web.asked.count(f"/nvd?cveId={CVE}") == 1  # a page is fetched once


def test_calls_are_bounded(box: Toolbox, web: Web) -> None:
    """In number, refused ones counted; and in the length of their arguments."""
    web.sites["/kev.json"] = kev()
    assert called(box, "advisory", cve=CVE, more="x" * MAX_ARGUMENTS).startswith("Refused: ")
    for _ in range(MAX_CALLS - 1):
        assert called(box, "exploit_references", cve=CVE) == "CISA: nothing"
    assert box.left == 0
    assert called(box, "exploit_references", cve=CVE).startswith("Refused: ")
    assert [one.reason for one in box.refused] == ["bad_arguments", "too_many"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schemas_take_what_is_right_alone(tool: object) -> None:
    """A model is told what the code checks."""
    schema = getattr(tool, "schema")  # noqa: B009
    Draft202012Validator.check_schema(schema)
    name = next(iter(schema["properties"]))
    assert Draft202012Validator(schema).is_valid({name: CVE})
    assert not Draft202012Validator(schema).is_valid({name: CVE, "more": 1})
    assert not Draft202012Validator(schema).is_valid({})
