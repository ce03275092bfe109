"""Private values out of what is sent, and back into what is answered: whole texts, streams, arguments of tool calls."""

from __future__ import annotations

from collections.abc import Iterable

from spectra.ai.privacy.pseudonyms import Pseudonyms
from spectra.model.ai import Fragment, Private


class Restorer:
    """Puts private values back into a text that comes in pieces. What may be the beginning of a pseudonym is held back,
    at most as long as the longest one.
    """

    def feed(self, text: str) -> str:
        """What is certain by now of the text so far, without what was returned before."""
        raise NotImplementedError

    def end(self) -> str:
        """The rest."""
        raise NotImplementedError


class Redactor:
    """For one prompt and its answer. Not thread-safe."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        raise NotImplementedError

    def add(self, privates: Iterable[Private]) -> None:
        """Make these known; all of a prompt's at once, before any text, so that networks come before their hosts."""
        raise NotImplementedError

    def text(self, fragment: Fragment) -> str:
        """The text of `fragment` with pseudonyms for its private values, for every known one that stands in its words,
        too, and for what the detector is certain of.
        """
        raise NotImplementedError

    def words(self, text: str) -> str:
        """The same for generic words, such as a tool's description or the JSON text of a schema."""
        raise NotImplementedError

    def restore(self, text: str) -> str:
        """`text` with private values in place of their pseudonyms. Those that a model made up stay."""
        raise NotImplementedError

    def restore_json(self, arguments: str) -> str:
        """The same within the strings of a JSON text, which stays valid; another text is restored as it is."""
        raise NotImplementedError

    def stream(self, *, json: bool = False) -> Restorer:
        """A restorer for one stream; `json` for the arguments of one tool call."""
        raise NotImplementedError

    def leaks(self, body: bytes) -> list[Private]:
        """The private values that a request's body still has in it: known ones, and what the detector is certain of.

        JSON and percent escapes are read. Pseudonyms are none. Empty means that it may leave.
        """
        raise NotImplementedError
