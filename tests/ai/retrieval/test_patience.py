"""Nobody waits for longer than there is time."""

from __future__ import annotations

import threading

import pytest

from spectra.ai.retrieval.patience import Places, TooLate, asked
from spectra.errors import Unavailable
from spectra.model.similar import SimilarPage
from tests.ai.retrieval.town import Alike
from tests.support.waiting import eventually


def test_what_takes_too_long_is_given_up_and_holds_its_place() -> None:
    """Until it ends: then there is room again."""
    places, ended = Places(1, "test"), threading.Event()
    with pytest.raises(TooLate, match="took too long"):
        places.within(lambda: ended.wait(30), 0.01)
    with pytest.raises(TooLate, match="under way"):
        places.within(lambda: 1, 30)
    ended.set()

    def again() -> bool:
        try:
            return places.within(lambda: 7, 30) == 7
        except TooLate:
            return False

    eventually(again)


def test_errors_are_raised_where_they_are_waited_for() -> None:
    """Whatever they are."""

    def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Places(1, "test").within(fail, 30)


class Away:
    """A service that is away."""

    leaves = True

    def to_text(self, text: str, k: int) -> SimilarPage:
        """Nothing."""
        raise Unavailable("The service is away.")


def test_without_cves_that_are_alike_goes_on() -> None:
    """And says why."""
    assert asked(Away(), "ssh", 5, 30) == (None, "CVEs that are alike were not looked up: The service is away.")
    page, why = asked(Alike(("CVE-2024-6387", 1, 1)), "ssh", 5, 30)
    assert page is not None
    assert (page.similar[0].cve, why) == ("CVE-2024-6387", "")
