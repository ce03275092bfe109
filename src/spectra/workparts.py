"""The work of one coordinator, put together from its settings: the law, how orders are made, and what people ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from spectra.collect import presets
from spectra.collect.rules import Rule, load_rules, parse_rule
from spectra.flow.law import Law, Systems
from spectra.flow.orders import Rules
from spectra.flow.windows import parse_all
from spectra.flow.work import Bounds, Work
from spectra.settings import Settings, config_dir
from spectra.store.database import Database
from spectra.store.leases import Terms

SYSTEM_DENY: Final = Path("/etc/spectra/do-not-scan.txt")


def work_of(settings: Settings, database: Database, systems: Systems, *, clock: Callable[[], datetime]) -> Work | None:
    """What the settings ask for; None where no scans are handed out.

    Raises `SpectraError` where a window, an entry of the do-not-scan list or its file cannot be read: handing out scans
    without them would be unlawful.
    """
    wanted = settings.work
    if not wanted.enabled:
        return None
    law = Law(database, systems, do_not_scan=_denied(settings), allow=settings.scan.allow, clock=clock)
    terms = Terms(
        lease_s=wanted.lease_s,
        attempts=wanted.attempts,
        per_node=wanted.per_node,
        per_network=wanted.per_network,
        network_rate=wanted.network_rate,
    )
    rules = Rules(terms, wanted.deadline_s, parse_all(wanted.windows, field="work.windows"))
    folders = tuple(presets.places(config_dir(), wanted.presets))
    presets.load(folders)  # a file that cannot be read is told at the start, rather than to who asks for a job
    return Work(database, law, rules, Bounds(wanted.chunk, wanted.max_waiting, folders), clock=clock)


def _denied(settings: Settings) -> list[Rule]:
    """Every entry that this machine has: the system's file, the user's file, the settings."""
    files = [path for path in (SYSTEM_DENY, config_dir() / "do-not-scan.txt") if path.exists()]
    return [*load_rules(files), *(parse_rule(text, where="scan.do_not_scan") for text in settings.scan.do_not_scan)]
