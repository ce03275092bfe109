"""What alerts and messages say: plain lines, and not too many."""

from __future__ import annotations

from spectra.act.notify.grouping import EVERYTHING
from spectra.act.notify.wording import message, title_of
from spectra.model.alerts import MAX_LINES
from tests.act.notify.alertsamples import NOON, alert, opened


def test_titles() -> None:
    """Of one thing its own, of many how many of what, and where."""
    assert title_of("192.0.2.1", ["port.opened"], "192.0.2.1:22 is open", 1) == "192.0.2.1:22 is open"
    assert title_of("192.0.2.1", ["port.opened"], "", 1200) == "1,200 ports opened at 192.0.2.1"
    assert title_of(EVERYTHING, ["port.opened", "host.new"], "", 3) == "3 changes"
    assert title_of("x", ["port.opened"], "a\nb\x1b[2J" + "c" * 400, 1).isprintable()


def test_messages_name_the_newest() -> None:
    """And how many more there are."""
    new = [opened(port=port, after_s=port) for port in range(1, 31)]
    told = message(alert(count=40), "again", new, NOON, 40)
    assert len(told.lines) == MAX_LINES
    assert (told.lines[0], told.lines[-1]) == ("192.0.2.1:30 is open", "and 21 more")
    assert (told.path, told.count, told.told) == ("/alerts/alert-1", 40, "again")
    assert message(alert(), "firing", [opened()], NOON, 1).lines == ("192.0.2.1:22 is open",)


def test_what_is_over_is_said() -> None:
    """With why."""
    assert message(alert(why="it is left out"), "resolved", (), NOON, 0).lines == ("It is over: it is left out",)
