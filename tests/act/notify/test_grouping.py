"""What belongs into one alert: by the rule's group, each thing once, and never too many alerts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.act.notify.grouping import EVERYTHING, MAX_OPEN, gathered, key_of, network_of
from spectra.model.alerts import Group, Occurrence
from tests.act.notify.alertsamples import NOON, opened

GROUPS: tuple[Group, ...] = ("each", "host", "network", "rule")
THINGS = st.lists(
    st.builds(
        opened,
        st.sampled_from([f"192.0.{n}.{m}" for n in range(3) for m in range(3)]),
        st.integers(1, 5),
        st.integers(0, 50),
        st.integers(1, 3),
    ),
    max_size=40,
)


def test_keys() -> None:
    """A host's, a network's, that of all; what is at no host by its name."""
    assert [key_of(group, opened()) for group in GROUPS] == [
        "port.opened|192.0.2.1/tcp/22",
        "192.0.2.1",
        "192.0.2.0/24",
        EVERYTHING,
    ]
    lost = Occurrence(kind="worker.lost", at=NOON, name="edge", title="")
    assert [key_of(group, lost) for group in GROUPS] == ["worker.lost|edge", "edge", "edge", EVERYTHING]
    assert [network_of(ip) for ip in ("2001:db8:1:2::3", "::ffff:192.0.2.1")] == ["2001:db8:1::/48", "::/48"]


@settings(max_examples=30)
@given(THINGS, st.sampled_from(GROUPS), st.integers(0, 4), st.sets(st.sampled_from(["192.0.0.0", "192.0.2.1"])))
def test_nothing_is_lost_or_twice(found: list[Occurrence], group: Group, most: int, known: set[str]) -> None:
    """Every time is counted in exactly one alert, its own or that of the rest; and no more are new than may be."""
    alerts = gathered(group, found, known, most_new=most)
    assert sum(one.times for its in alerts.values() for one in its) == sum(one.times for one in found)
    keys = [one.key for its in alerts.values() for one in its]
    assert len(keys) == len(set(keys))
    assert len(alerts.keys() - known - {EVERYTHING}) <= most
    assert all(key in (EVERYTHING, key_of(group, one)) for key, its in alerts.items() for one in its)


def test_a_rule_has_only_so_many_alerts() -> None:
    """One that has them all puts what is new into that of the rest."""
    known = {f"10.0.{n >> 8}.{n & 255}" for n in range(MAX_OPEN)}
    assert list(gathered("host", [opened("10.0.0.1"), opened("192.0.2.1")], known)) == ["10.0.0.1", EVERYTHING]
