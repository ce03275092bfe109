"""One order, done by a process in the sandbox: what it is given, what is believed of what it leaves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from spectra.collect import listing
from spectra.collect.lawbook import Lawbook, LawUnknown
from spectra.collect.relaymemory import RelayKeeper
from spectra.collect.sandbox import Bounds, Ended, Sandbox, take
from spectra.collect.taskmessages import (
    DONE,
    GIVEN,
    LAW,
    MAX_DONE_BYTES,
    OWN_LAW,
    RELAYS,
    Executed,
    Given,
    Hooks,
    Lending,
    Moved,
)
from spectra.errors import SetupError
from spectra.model.work import Order

COMMAND: Final = (sys.executable, "-I", "-m", "spectra.cli.taskmain")
SPARE_S: Final = 30.0
"""What a task may take besides the scan: to begin, to look names up, to write down what it found."""

_MIB: Final = 1024 * 1024
_moved: Final = msgspec.json.Decoder(Moved)
_executed: Final = msgspec.json.Decoder(Executed)

_BECAUSE: Final = {
    "memory": "it took more memory than worker.memory_mb",
    "cpu": "it took more processor time than worker.cpu_s",
    "output": "it wrote more than worker.output_mb",
    "processes": "it started too many processes",
    "deadline": "it took longer than it may",
    "stopped": "it was stopped",
}


class Execution:
    """Does orders in a sandbox (`taskmessages.Execute`). `most_bytes` of output, as the spool has room for.

    `relays` keeps what tasks learn of relays; `command` is the process of a task, to which its folder is said.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        lending: Lending,
        lawbook: Lawbook,
        most_bytes: int,
        *,
        relays: RelayKeeper | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._sandbox = sandbox
        self._lending = lending
        self._lawbook = lawbook
        self._most = most_bytes
        self._relays = relays
        self._command = command

    def __call__(self, order: Order, folder: Path, hooks: Hooks) -> Executed:
        """Raises `LawUnknown` and `SetupError("sandbox")` where it could not begin; all else is told as an outcome."""
        now = datetime.now(UTC)
        left_s = (order.not_after - now).total_seconds() if order.not_after else float("inf")
        if left_s <= 0:
            return Executed(outcome="refused", reason="window", message="the time window of the scan has ended")
        self._lawbook.require(order.law)
        given = Given(
            order=order,
            deadline_s=min(order.deadline_s, order.preset.deadline_s, left_s),
            interface=self._lending.interface,
            relays=self._lending.relays,
            concurrency=self._lending.concurrency,
            timeout_s=self._lending.timeout_s,
        )
        files = {
            GIVEN: msgspec.json.encode(given),
            LAW: self._lawbook.read(),
            OWN_LAW: msgspec.json.encode(own_law(self._lending)),
        }
        if self._relays is not None:
            files[RELAYS] = self._relays.known()
        for name, data in files.items():
            self._sandbox.put(folder, name, data)
        ended = self._sandbox.run(
            (*self._command, str(folder)),
            folder,
            Bounds(
                memory_mb=self._lending.memory_mb,
                cpu_s=self._lending.cpu_s,
                output_bytes=self._most + sum(map(len, files.values())) + _MIB,
                deadline_s=given.deadline_s + SPARE_S,
            ),
            hear=lambda line: _hear(line, hooks),
            stop=hooks.stop,
        )
        if self._relays is not None:
            self._relays.learn(folder, files[RELAYS], self._sandbox.who.uid)
        executed = _judged(_left(folder, ended, self._sandbox.who.uid), ended, now)
        if executed.outcome == "partial" and executed.reason == "stopped" and not ended.why:
            executed = msgspec.structs.replace(executed, reason="window" if given.deadline_s == left_s else "deadline")
        return executed


def _hear(line: bytes, hooks: Hooks) -> None:
    """How far it is; what is something else is passed over."""
    with suppress(msgspec.DecodeError):
        hooks.moved(_moved.decode(line))


def _left(folder: Path, ended: Ended, uid: int) -> Executed:
    """What the task says of itself, or why there is nothing to believe."""
    try:
        return _executed.decode(take(folder / DONE, MAX_DONE_BYTES, uid))
    except SetupError as error:
        why = _BECAUSE.get(ended.why) or f"its process ended with code {ended.code} and left nothing usable"
        last = ended.errors.rpartition("\n")[2][:300]
        reason = ended.why or ("crashed" if not (folder / DONE).exists() else error.reason)
        return Executed(outcome="failed", reason=reason, message=f"{why}. {last}".strip())
    except (msgspec.DecodeError, RecursionError) as error:
        return Executed(outcome="failed", reason="untrue_output", message=f"done.json: {error}"[:2000])


def _judged(executed: Executed, ended: Ended, started: datetime) -> Executed:
    """With what was measured from outside, and why it was ended where that was us."""
    stats = msgspec.structs.replace(
        executed.stats,
        cpu_s=round(max(executed.stats.cpu_s, ended.cpu_s), 3),
        memory_mb=max(executed.stats.memory_mb, ended.memory_mb),
    )
    executed = msgspec.structs.replace(executed, stats=stats, started=executed.started or started)
    if ended.why and executed.outcome == "partial":
        executed = msgspec.structs.replace(executed, reason=ended.why)
    return executed


def own_law(lending: Lending) -> list[tuple[str, str]]:
    """This machine's own do-not-scan list, as it stands now: each entry and where it is written.

    Raises `LawUnknown` for a list that cannot be read: scanning on without it would be unlawful.
    """
    entries = [(text, "scan.do_not_scan") for text in lending.never]
    for name in lending.never_files:
        try:
            text = listing.read(Path(name))
        except FileNotFoundError:
            continue
        except listing.TooLarge as error:
            raise LawUnknown(f"the do-not-scan list {error}.") from error
        except (OSError, UnicodeDecodeError) as error:
            raise LawUnknown(f"the do-not-scan list {name} cannot be read: {error}") from error
        entries += [(word, f"{Path(name).name}:{number}") for number, word in listing.entries(text)]
    return entries
