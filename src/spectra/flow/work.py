"""Work as people ask for it: jobs, schedules, and whether anything is handed out. `api.services.Work` says it all."""

from __future__ import annotations

from collections.abc import Sequence

from spectra.model.lawbook import LawBook
from spectra.model.presets import Preset
from spectra.model.work import JobRecord, JobRequest, Schedule, WorkerRecord, WorkStatus
from spectra.store.accounts import Act


class Work:
    """What people decide is in the store when a call returns, and the dispatcher acts on it at once. Thread-safe."""

    def ask(self, wanted: JobRequest, act: Act, *, job: str = "", schedule: str = "") -> JobRecord:
        """A new job; where `job` names one that there is already, that one as it stands.

        Raises `BadRequest` naming the field: no or too many targets, an unknown preset, bad ports or windows, no
        consent; `OutOfScope` for what may not be scanned, unless `skip` leaves it out and anything remains.
        """
        raise NotImplementedError

    def job(self, job: str) -> JobRecord:
        """A job as it stands, with what it waits for. Raises `NotFound`."""
        raise NotImplementedError

    def cancel(self, job: str, reason: str, act: Act) -> JobRecord:
        """No target of it is scanned any more; machines that are at one are told to stop."""
        raise NotImplementedError

    def pause(self, job: str, act: Act) -> JobRecord:
        """Hand out no more of it; what machines scan already goes on."""
        raise NotImplementedError

    def resume(self, job: str, act: Act) -> JobRecord:
        """Hand it out again."""
        raise NotImplementedError

    def prioritise(self, job: str, priority: int, act: Act) -> JobRecord:
        """Give its targets their turn sooner or later than others'."""
        raise NotImplementedError

    def retry(self, job: str, targets: Sequence[int], act: Act) -> int:
        """Let targets that failed or were cancelled wait again; how many those are."""
        raise NotImplementedError

    def status(self) -> WorkStatus:
        """Whether work is handed out, and to whom."""
        raise NotImplementedError

    def pause_all(self, reason: str, act: Act) -> WorkStatus:
        """Hand out nothing."""
        raise NotImplementedError

    def resume_all(self, act: Act) -> WorkStatus:
        """Hand out again."""
        raise NotImplementedError

    def drain(self, node: str, on: bool, act: Act) -> WorkerRecord:
        """Give a machine nothing new, or something again."""
        raise NotImplementedError

    def presets(self) -> list[Preset]:
        """The ways of scanning, by name."""
        raise NotImplementedError

    def schedule(self, wanted: Schedule, act: Act) -> Schedule:
        """Put a schedule in the place of the one of its name, if any."""
        raise NotImplementedError

    def unschedule(self, name: str, act: Act) -> Schedule:
        """Remove a schedule; its jobs go on."""
        raise NotImplementedError

    def pause_schedule(self, name: str, on: bool, act: Act) -> Schedule:
        """Let a schedule rest, or go on."""
        raise NotImplementedError

    def run_schedule(self, name: str, act: Act) -> Schedule:
        """Run a schedule as soon as can be."""
        raise NotImplementedError

    def law_for_machines(self) -> LawBook:
        """The do-not-scan list as machines are told of it."""
        raise NotImplementedError

    def woken(self) -> None:
        """Targets may wait that did not before. Never waits."""
        raise NotImplementedError
