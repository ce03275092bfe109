"""From a lease to the order that a machine gets: the law is asked once more, and all bounds are put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spectra.errors import BadRequest
from spectra.flow.law import Law
from spectra.flow.windows import Window, next_open, open_at, parse
from spectra.model.work import Endpoint, Order
from spectra.store import leases
from spectra.store.database import Database
from spectra.store.jobs import Windowed
from spectra.store.leases import Leased, Terms

_log = logging.getLogger("spectra.work")

_PARSED: Final = 2000  # windows whose text is remembered


class Rules(NamedTuple):
    """How orders are made, from the settings `work`. `deadline_s`: longest one attempt may take."""

    terms: Terms
    deadline_s: float = 6 * 3600.0
    windows: tuple[Window, ...] = ()


class Hours:
    """When jobs may run: the coordinator's own windows, and each job's."""

    def __init__(self, own: Sequence[Window]) -> None:
        self._own = tuple(own)
        self._parsed: dict[str, Window | None] = {}

    def own_open(self, now: datetime) -> bool:
        """Whether the coordinator's own windows are."""
        return not self._own or open_at(self._own, now) is not None

    def shut(self, jobs: Sequence[Windowed], now: datetime) -> tuple[str, ...]:
        """The jobs that may not run now."""
        return tuple(one.job for one in jobs if not self.until(one.windows, now)[0])

    def until(self, texts: Sequence[str], now: datetime) -> tuple[bool, datetime | None]:
        """Whether a job with these windows may run now, and until when (None: for ever)."""
        of_job = self._read(texts)
        if texts and not of_job:
            return False, None
        ends = [open_at(windows, now) for windows in (self._own, of_job) if windows]
        told = [end for end in ends if end is not None]
        return (True, min(told, default=None)) if len(told) == len(ends) else (False, None)

    def opens(self, texts: Sequence[str], now: datetime) -> datetime | None:
        """When a job with these windows may run next, as far as one look ahead tells; None where that is now."""
        if self.until(texts, now)[0]:
            return None
        waits = [next_open(windows, now) for windows in (self._own, self._read(texts)) if windows]
        return max(waits, default=None)

    def _read(self, texts: Sequence[str]) -> tuple[Window, ...]:
        """What cannot be read any more (a time zone that this machine has not) is never open."""
        return tuple(window for text in texts if (window := self._window(text)) is not None)

    def _window(self, text: str) -> Window | None:
        if text not in self._parsed:
            if len(self._parsed) >= _PARSED:
                self._parsed.clear()
            try:
                self._parsed[text] = parse(text)
            except BadRequest as error:
                _log.warning("a job's window cannot be read: %s", error.message)
                self._parsed[text] = None
        return self._parsed[text]


class Orders:
    """Makes orders. One that the law or a window forbids is not made, and its lease is ended."""

    def __init__(self, database: Database, law: Law, rules: Rules, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._law = law
        self._rules = rules
        self._clock = clock
        self.hours = Hours(rules.windows)

    def make(self, leased: Leased, law: int, *, relay: bool = False) -> Order | None:
        """The order for `leased`, by version `law` of the do-not-scan list; None where it may not be scanned now.

        `relay`: its machine sends through one, and is told what was open before, to tell what is lost on the way.
        """
        now = self._clock()
        is_open, until = self._rules_until(leased, now)
        if not is_open:
            self._return(leased, "window", "its time window has closed", now)
            return None
        remains = self._law.still(leased.targets, leased.permission, now)
        if remains.refused:
            why = "; ".join(fault.message for fault in remains.refused[:3])[:1000]
            _log.warning("target %d of %s: not all of it may be scanned any more: %s", leased.target, leased.job, why)
            cut = leases.cut(self._database, leased.target, remains.targets, why, now)
            if not cut or not remains.targets:
                return None
        known: tuple[Endpoint, ...] = leases.known(self._database, remains.targets) if relay else ()
        return Order(
            lease=leased.lease,
            job=leased.job,
            target=leased.target,
            attempt=leased.attempt,
            scan_id=leased.scan_id,
            targets=remains.targets if remains.refused else leased.targets,
            ports=leased.ports,
            preset=leased.preset,
            permission=leased.permission,
            rate=leased.rate,
            deadline_s=min(leased.preset.deadline_s, self._rules.deadline_s),
            lease_s=self._rules.terms.lease_s,
            law=law,
            not_after=until,
            known=known,
        )

    def _rules_until(self, leased: Leased, now: datetime) -> tuple[bool, datetime | None]:
        is_open, until = self.hours.until(leased.windows, now)
        expires = leased.permission.expires
        return is_open, min((end for end in (until, expires) if end is not None), default=None)

    def _return(self, leased: Leased, reason: str, message: str, now: datetime) -> None:
        leases.give_back(
            self._database,
            leased.node,
            leased.lease,
            reason=reason,
            message=message,
            terms=self._rules.terms,
            now=now,
        )
