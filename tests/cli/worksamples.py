"""Jobs, targets, files, machines and schedules as the server tells of them, for the tests of the commands of work."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime.now(UTC)
JOB = "job-1f2e3d4c5b6a79880011"
OTHER = "job-1f2eaaaaaaaaaaaaaaaa"
LEASE = "0123456789abcdef0123456789abcdef"


def when(**ago: float) -> str:
    """A moment so long ago."""
    return (NOW - timedelta(**ago)).isoformat()


def job(**fields: Any) -> dict[str, Any]:
    """A job that is running."""
    return {
        "job": JOB,
        "account": "alice",
        "created": when(minutes=5),
        "state": "running",
        "what": "198.51.100.0/22",
        "preset": "web",
        "ports": "80,443",
        "priority": 0,
        "scan_id": "scan-20260301-120000-ab12",
        "permission": {"by": "alice", "reason": "contract 17", "granted": when(minutes=5)},
        "addresses": 1024,
        "total": 4,
        "counts": {"waiting": 2, "leased": 1, "done": 1},
        "found": 7,
        "findings": 2,
    } | fields


def over(**fields: Any) -> dict[str, Any]:
    """A job all of which is done."""
    return job(state="done", counts={"done": 4}, found=12, ended=when(minutes=1), **fields)


def target(number: int = 4711, **fields: Any) -> dict[str, Any]:
    """A target that a machine is scanning."""
    return {
        "target": number,
        "job": JOB,
        "targets": ["198.51.100.0/24"],
        "network": "198.51.100.0/24",
        "state": "leased",
        "created": when(minutes=5),
        "attempts": 1,
        "node": "attic",
        "fraction": 0.5,
        "found": 3,
    } | fields


def attempt(**fields: Any) -> dict[str, Any]:
    """An attempt that failed."""
    return {
        "lease": LEASE,
        "node": "attic",
        "attempt": 1,
        "leased": when(minutes=4),
        "heard": when(minutes=3),
        "end": "failed",
        "ended": when(minutes=3),
        "reason": "tool_failed",
        "message": "nmap: no route to host",
        "tool": "nmap",
        "tool_version": "7.95",
    } | fields


def failed(number: int = 4712, **fields: Any) -> dict[str, Any]:
    """A target that all attempts failed at."""
    why = "attempt 1 on attic: nmap: no route to host"
    return target(number, state="review", fraction=0.0, found=0, reason=why, ended=when(minutes=3), **fields)


def file(number: int = 812, data: bytes = b"", **fields: Any) -> dict[str, Any]:
    """A file of that attempt, with this in it."""
    return {
        "id": number,
        "kind": "log",
        "name": "log.txt",
        "media_type": "text/plain",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "job": JOB,
        "target": 4712,
        "lease": LEASE,
        "node": "attic",
        "created": when(minutes=3),
        "scan_id": "scan-20260301-120000-ab12",
    } | fields


def worker(name: str = "attic", **fields: Any) -> dict[str, Any]:
    """A machine that scans."""
    return {
        "node": name,
        "slots": 4,
        "free": 3,
        "running": 1,
        "done": 17,
        "failed": 1,
        "last_asked": when(seconds=3),
        "tools": ["nmap", "connect"],
    } | fields


def status(*workers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """How it stands with work."""
    return {"paused": False, "counts": {"waiting": 2, "leased": 1}, "workers": list(workers)} | fields


def schedule(**fields: Any) -> dict[str, Any]:
    """A schedule that has run."""
    return {
        "name": "lab",
        "query": "net:192.168.0.0/16",
        "every_s": 21600.0,
        "consent": "my own network",
        "preset": "services",
        "min_age_s": 3600,
        "account": "alice",
        "created": when(days=3),
        "last_run": when(hours=2),
        "last_job": JOB,
        "next_run": (NOW + timedelta(hours=4)).isoformat(),
    } | fields


def preset(name: str = "web", **fields: Any) -> dict[str, Any]:
    """A way of scanning."""
    return {"name": name, "description": "What web servers say.", "tools": ["nmap", "connect"], "ports": "80"} | fields
