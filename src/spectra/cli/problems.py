"""From an error to what the terminal shows and the exit code a script reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import IO

from spectra.cli.safe import safe
from spectra.errors import BadRequest, NotFound, SpectraError, Unavailable


class Code(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4


class Unreachable(SpectraError):
    """No server answered: it is not running, or the network is in between."""

    reason = "unreachable"


@dataclass(frozen=True)
class ProblemBody:
    """The fields of RFC 9457 problem+json, and Spectra's own, that the command line reads."""

    title: str = ""
    detail: str = ""
    reason: str = ""
    hint: str = ""
    field: str = ""
    column: int | None = None
    line: int | None = None
    request_id: str = ""
    observation_id: str = ""


class ApiError(SpectraError):
    """The server answered with a problem; `status` is the HTTP status, `reason` its machine-readable word."""

    def __init__(self, status: int, problem: ProblemBody) -> None:
        message = problem.detail or problem.title or f"the server answered {status}"
        super().__init__(message, reason=problem.reason or f"http_{status}", hint=problem.hint)
        self.status = status
        self.problem = problem

    @property
    def where(self) -> str:
        """What the server named of field, line and column and did not say already, such as `line 17, field ip`."""
        named = (("line", self.problem.line), ("column", self.problem.column), ("field", self.problem.field))
        said = self.message.lower()
        return ", ".join(f"{name} {value}" for name, value in named if value and f"{name} {value}".lower() not in said)


_BY_STATUS = {400: Code.USAGE, 404: Code.NOT_FOUND, 502: Code.UNREACHABLE, 503: Code.UNREACHABLE, 504: Code.UNREACHABLE}


def exit_code(error: SpectraError) -> Code:
    """The exit code of `error`: 2 for the caller's words, 3 where nothing answers, 4 for what is not there, else 1."""
    if isinstance(error, ApiError):
        return _BY_STATUS.get(error.status, Code.FAILURE)
    for kind, code in ((BadRequest, Code.USAGE), (NotFound, Code.NOT_FOUND)):
        if isinstance(error, kind):
            return code
    silent = isinstance(error, Unreachable | Unavailable) or error.reason == Unreachable.reason  # also the mesh's
    return Code.UNREACHABLE if silent else Code.FAILURE


def describe(error: SpectraError) -> list[str]:
    """The lines that tell a person what went wrong and what to do next; all of them safe to print."""
    where = error.where if isinstance(error, ApiError) else ""
    lines = [f"spectra: {safe(error.message)}" + (f" ({safe(where)})" if where else "")]
    if error.hint:
        lines.append(f"  {safe(error.hint)}")
    if isinstance(error, ApiError) and error.status >= 500 and error.problem.request_id:
        lines.append(f"  request {safe(error.problem.request_id)}; the server's log has the rest.")
    return lines


def report(error: SpectraError, stream: IO[str]) -> Code:
    """Write `error` to `stream` and return the exit code it stands for."""
    stream.write("\n".join(describe(error)) + "\n")
    return exit_code(error)
