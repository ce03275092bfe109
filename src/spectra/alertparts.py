"""Alerts of one coordinator, put together from its settings: who looks for what rules ask for, and who tells people."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from spectra.act.notify.outlets import Outlets
from spectra.flow.alerting import Alerting
from spectra.flow.jobs import Job
from spectra.flow.notifyflow import NotifyJob
from spectra.flow.refusals import RefusalLog
from spectra.identity import private_file
from spectra.model.outlets import OutletKind
from spectra.settings import Settings
from spectra.store.database import Database


class _Background(Protocol):
    """What works on threads of its own."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Alerts:
    """`jobs` are the durable workflows that send messages; the threads run from `start` to `stop`."""

    def __init__(self, alerting: Alerting, refusals: RefusalLog, notify: NotifyJob) -> None:
        self.jobs: tuple[Job, ...] = (notify,)
        self._notify = notify
        self._alerting = alerting
        self._refusals = refusals
        self._running = ExitStack()

    def services(self) -> dict[str, Any]:
        """Fields of `api.services.Services`."""
        return {"alerts": self, "notify": self._notify}

    def wake(self) -> None:
        """Something was written that rules may watch for. Never waits."""
        self._alerting.wake()

    def refused(self, kind: str, who: str, detail: str) -> None:
        """The gate refused a submission. Never waits."""
        self._refusals.note(kind, who, detail)

    def start(self) -> None:
        """Begin."""
        for one in self._background():
            one.start()
            self._running.callback(one.stop)

    def stop(self) -> None:
        """End it."""
        self._running.close()

    def _background(self) -> tuple[_Background, ...]:
        return (self._alerting, self._refusals)


def alerts_of(settings: Settings, database: Database, clock: Callable[[], datetime]) -> Alerts:
    """All of it. Quick: nothing is connected to before there is something to tell."""
    notify = notify_of(settings, database, clock)
    return Alerts(Alerting(database, clock, told=notify.wake), RefusalLog(database, clock), notify)


def notify_of(settings: Settings, database: Database, clock: Callable[[], datetime]) -> NotifyJob:
    """What sends messages by the outlets that people made. Password files are read at each connection."""
    told = settings.notify

    def made(back: Callable[[tuple[OutletKind, ...]], None]) -> Outlets:
        return Outlets.of(
            told,
            origin=settings.web.origin,
            xmpp_password=lambda: _secret(told.xmpp.password, told.xmpp.password_file),
            smtp_password=lambda: _secret(told.smtp.password, told.smtp.password_file),
            back=back,
        )

    return NotifyJob(database, clock, outlets=made, keep=timedelta(days=told.keep_days))


def _secret(given: SecretStr | None, file: Path | None) -> str:
    """A password of the settings; raises `SetupError` for a file that is not there or that others may read."""
    if file is not None:
        return private_file.read(file).decode("utf-8", "replace").strip()
    return given.get_secret_value() if given else ""
