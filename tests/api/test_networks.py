"""The networks of an AS, by the feeds in use."""

from __future__ import annotations

from spectra.api.networks import FeedNetworks, NoNetworks
from spectra.errors import Unavailable
from spectra.flow.feeds import Loaded
from spectra.intel.enrich.locator import Locator


class Counting(Locator):
    """A locator that knows one AS, and how often it was asked."""

    def __init__(self, networks: list[str]) -> None:
        super().__init__(())
        self.networks = networks
        self.asked = 0

    def prefixes(self, asn: int) -> list[str]:
        """The networks of AS 64500."""
        self.asked += 1
        return self.networks if asn == 64500 else []


def test_without_feeds_nothing_is_known() -> None:
    """Neither where there are none, nor where none is loaded."""
    assert NoNetworks().prefixes(64500) == ()
    assert FeedNetworks(lambda: Loaded(0, None)).prefixes(64500) == ()


def test_networks_are_worked_out_once_for_each_feed_set() -> None:
    """A block is read every second, and the networks of an AS may be many."""
    old, new = Counting(["192.0.2.0/24"]), Counting(["192.0.2.0/24", "2001:db8::/32"])
    loaded = [Loaded(1, old)]
    networks = FeedNetworks(lambda: loaded[0])
    for _ in range(3):
        assert list(networks.prefixes(64500)) == ["192.0.2.0/24"]
        assert list(networks.prefixes(64501)) == []
    assert old.asked == 2
    loaded[0] = Loaded(2, new)
    assert list(networks.prefixes(64500)) == ["192.0.2.0/24", "2001:db8::/32"]


def test_what_was_known_holds_while_feeds_cannot_be_loaded() -> None:
    """A block does not end because a disk is away."""
    trouble: list[Exception] = []

    def loaded() -> Loaded:
        if trouble:
            raise trouble[0]
        return Loaded(1, Counting(["192.0.2.0/24"]))

    networks = FeedNetworks(loaded)
    assert list(networks.prefixes(64500)) == ["192.0.2.0/24"]
    trouble.append(Unavailable("away"))
    assert list(networks.prefixes(64500)) == ["192.0.2.0/24"]
    assert list(networks.prefixes(64502)) == []
