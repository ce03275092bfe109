"""A watch over a store: submissions as the chain tells of them, and looks at them by a clock of the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from spectra.flow.alerting import Alerting
from spectra.model.alerts import AlertRecord, Message, Rule
from spectra.model.observation import HostSeen, Silent
from spectra.store import alertrules, alerts
from spectra.store.accounts import Act
from spectra.store.alerts import Wanted
from spectra.store.database import Database
from spectra.store.provenance import Entry, commit
from tests.store.scribe import Scribe

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


class Watchtower:
    """`rule`, `submit`, `look`, and what came of it; `now` moves by `wait`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOON
        self.woken = 0
        self._scribe = Scribe(database)
        self.alerting = Alerting(database, lambda: self.now, told=self._told)
        self.look(slow=True)  # what is there before is no news
        for record in alertrules.every(database):
            alertrules.remove(database, record.rule.name, self.act)

    @property
    def act(self) -> Act:
        """Somebody does something now."""
        return Act("alice", self.now)

    def _told(self) -> None:
        self.woken += 1

    def rule(self, rule: Rule) -> Rule:
        """Watch for something."""
        return alertrules.put(self.database, rule, self.act).rule

    def submit(self, *records: HostSeen | Silent, at: datetime | None = None) -> str:
        """A submission that is merged now; its id."""
        written = self._scribe(list(records), at=at or self.now)
        self.enter("observation.settled", written.observation_id, {})
        return written.observation_id

    def enter(self, kind: str, subject: str, detail: Mapping[str, object]) -> None:
        """An entry of the chain."""
        commit(self.database, lambda _: (None, [Entry(kind, subject, detail, self.now)]))

    def wait(self, time: timedelta = SECOND) -> None:
        """Let time pass."""
        self.now += time

    def look(self, *, slow: bool = False) -> bool:
        """Look until nothing is left; whether weaknesses are waited for."""
        looked = self.alerting.look(slow=slow)
        while looked.more:
            looked = self.alerting.look()
        return looked.waiting

    def alerts(self, *states: str) -> list[AlertRecord]:
        """The alerts in these states (none: open), oldest first."""
        wanted = Wanted() if not states else Wanted(states=states)  # type: ignore[arg-type]  # names of states
        return list(alerts.page(self.database, wanted, limit=500).alerts)[::-1]

    def titles(self) -> list[str]:
        """What open alerts are called."""
        return [alert.title for alert in self.alerts()]

    def messages(self) -> list[tuple[Message, str, datetime | None]]:
        """What is to be sent: the message, the state of its delivery, and when."""
        with self.database.connection() as connection:
            rows = connection.execute(
                "SELECT n.message, d.state, d.next FROM delivery d JOIN notification n ON n.num = d.notification"
                " ORDER BY n.num, d.outlet"
            ).fetchall()
        return [(msgspec.json.decode(text, type=Message), state, at) for text, state, at in rows]

    def outlet(self, *names: str) -> None:
        """Places to send messages to."""
        with self.database.connection() as connection:
            for name in names:
                connection.execute(
                    "INSERT INTO outlet (name, kind, target, enabled, created, changed, by)"
                    " VALUES (%s, 'webhook', 'http://127.0.0.1/', true, %s, %s, 'alice')",
                    [name, self.now, self.now],
                )

    def kinds(self) -> Sequence[str]:
        """The kinds of entries of the chain about alerts, in order."""
        with self.database.connection() as connection:
            rows = connection.execute(
                "SELECT kind FROM provenance WHERE starts_with(kind, 'alert.') ORDER BY seq"
            ).fetchall()
        return [row[0] for row in rows]
