"""Move every time in nmap XML and masscan JSON by a number of seconds, in place; `make-samples.sh` uses it.

    python shift_times.py SECONDS FILE...

Epoch fields and their written forms move together; certificates and measured durations stay as they are.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

EPOCH = re.compile(r'(\b(?:start|time|starttime|endtime)=")(\d{10})(")|("timestamp": +")(\d{10})(")')
WRITTEN = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")  # ctime(3)
CTIME = "%a %b {day:>2} %H:%M:%S %Y"  # the day is padded with a space, which strftime(3) alone cannot say everywhere


def shift(text: str, by: timedelta) -> str:
    """`text` with its times moved."""

    def epoch(found: re.Match[str]) -> str:
        before, number, after = (part for part in found.groups() if part is not None)
        return f"{before}{int(number) + int(by.total_seconds())}{after}"

    def written(found: re.Match[str]) -> str:
        moment = datetime.strptime(found[0], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        moved = moment + by
        return moved.strftime(CTIME.format(day=moved.day))

    return WRITTEN.sub(written, EPOCH.sub(epoch, text))


def main() -> None:
    """Rewrite the files named on the command line."""
    by = timedelta(seconds=int(sys.argv[1]))
    for name in sys.argv[2:]:
        path = Path(name)
        path.write_text(shift(path.read_text("utf-8"), by), "utf-8")


if __name__ == "__main__":
    main()
