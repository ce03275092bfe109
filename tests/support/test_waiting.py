"""The helper that waits for others."""

from __future__ import annotations

import pytest

from tests.support.waiting import eventually


def test_the_first_true_answer_is_returned() -> None:
    """It asks again until the answer is true."""
    answers = iter([0, "", "there"])
    assert eventually(lambda: next(answers), every_s=0) == "there"


def test_it_gives_up() -> None:
    """What never comes fails the test, with the last answer."""
    with pytest.raises(AssertionError, match=r"still \[\]"):
        eventually(list, within_s=0)
