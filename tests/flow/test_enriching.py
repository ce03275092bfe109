"""The enrichment agent as a coordinator has it: its settings say what may be fetched, and by which way."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from spectra.ai.enrich.service import Enricher
from spectra.ai.gateway.errors import NoModel
from spectra.flow.enriching import enricher_of
from spectra.flow.insights import Insights
from spectra.model.enrichment import EnrichAsk, Enrichment
from spectra.settings import Settings
from spectra.settings.ai import AiSettings, EgressSettings
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.provenance import links
from tests.ai.enrich.office import CVE, kev, now, nvd
from tests.ai.gateway.desk import desk
from tests.flow.test_lookupplaces import OSV, RECORD
from tests.support.webs import Site, Web

pytestmark = pytest.mark.engine

HOSTS = ("services.nvd.nist.gov", "cveawg.mitre.org", "api.osv.dev", "www.cisa.gov")


class Tunnel(socketserver.ThreadingTCPServer):
    """A SOCKS server (RFC 1928) behind which every name is one web server; it keeps the names it was asked for."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Hop)
        self.port = port
        self.names: list[str] = []

    @property
    def url(self) -> SecretStr:
        """What to configure."""
        return SecretStr(f"socks5://127.0.0.1:{self.server_address[1]}")


class _Hop(socketserver.BaseRequestHandler):
    server: Tunnel  # pyright: ignore[reportIncompatibleVariableOverride]

    def handle(self) -> None:
        here: socket.socket = self.request
        if not here.recv(64):  # whoever only looks whether somebody listens
            return
        here.sendall(b"\x05\x00")
        asked = here.recv(512)
        assert asked[3] == 3, "a name, to be resolved here"
        self.server.names.append(asked[5 : 5 + asked[4]].decode())
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as there:
            here.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            back = threading.Thread(target=_copy, args=(there, here))
            back.start()
            _copy(here, there)
            back.join(10)


def _copy(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The four places, with certificates of a CA that this system trusts."""
    folder = tmp_path / "web"
    folder.mkdir()
    with Web(folder, HOSTS) as web:
        monkeypatch.setenv("SSL_CERT_FILE", str(web.roots))
        yield web


def enriched(database: Database, folder: Path, **ai: Any) -> Enrichment:
    """What comes of looking up a CVE with these settings."""
    settings = Settings(data_dir=folder, ai=AiSettings.model_validate({"fetch": True} | ai))
    blobs, keeps = BlobStore.local(folder / "blobs"), Insights(database, folder, clock=now)
    with desk(egress=settings.ai.egress) as (gateway, _):
        enricher: Enricher = enricher_of(settings, database, blobs, gateway, keeps=keeps, clock=now)
        return enricher.enrich(EnrichAsk("cve", CVE), "alice")


def left(database: Database) -> list[tuple[str, str, str]]:
    """What is on record of what left: for whom, for what, to where."""
    found = [(link.subject, link.detail()) for link in links(database) if link.kind == "ai-egress"]
    return [(account, detail["purpose"], detail["host"]) for account, detail in found]


def test_the_four_places_over_the_tunnel(database: Database, internet: Web, tmp_path: Path) -> None:
    """As they are: their names resolve behind it, all that they say is read, and each request was on record before."""
    internet.sites |= {
        f"/rest/json/cves/2.0?cveId={CVE}": nvd(CVE, "A race in sshd."),
        f"/api/cve/{CVE}": Site(json.dumps(RECORD).encode()),
        f"/v1/vulns/{CVE}": Site(json.dumps(OSV).encode()),
        "/sites/default/files/feeds/known_exploited_vulnerabilities.json": kev(CVE),
    }
    with Tunnel(internet.port) as tunnel:
        thread = threading.Thread(target=tunnel.serve_forever, args=(0.02,))
        thread.start()
        found = enriched(database, tmp_path, egress=EgressSettings(proxy=tunnel.url))
        tunnel.shutdown()
        thread.join(10)
    assert found.failed == ()
    assert tuple(tunnel.names) == HOSTS
    assert left(database) == [("alice", "enrich", host) for host in HOSTS]
    insight = found.insights[0].insight
    assert [told.says.partition(":")[0] for told in insight.evidence] == ["NVD", "CVE", "OSV", "CISA"]
    assert len(insight.sources) == 4


def test_a_tunnel_that_is_down(database: Database, tmp_path: Path) -> None:
    """Nothing goes another way, and nothing is on record as having left."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = SecretStr(f"socks5://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(NoModel, match="way out is down"):
        enriched(database, tmp_path, egress=EgressSettings(proxy=proxy))
    assert left(database) == []


def test_hosts_that_are_not_listed(database: Database, tmp_path: Path) -> None:
    """Are not asked."""
    found = enriched(database, tmp_path, fetch_hosts=["example.org"])
    assert (found.failed, found.sources, found.insights, left(database)) == ((), (), (), [])
