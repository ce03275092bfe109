"""Lists that people write into files: one entry a line, `#` starts a comment. Bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_FILE: Final = 16 * 1024 * 1024


class TooLarge(ValueError):
    """A list of more than `MAX_FILE` bytes."""


def read(path: Path) -> str:
    """The text of a list. Raises `OSError`, `UnicodeDecodeError` or `TooLarge`."""
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE + 1)
    text = data.decode("utf-8")
    if len(data) > MAX_FILE:
        raise TooLarge(f"{path} is larger than {MAX_FILE} bytes")
    return text


def entries(text: str) -> Iterator[tuple[int, str]]:
    """Each entry of a list, with the number of its line."""
    for number, line in enumerate(text.splitlines(), 1):
        if word := line.partition("#")[0].strip():
            yield number, word
