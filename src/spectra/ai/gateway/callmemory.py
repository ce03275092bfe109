"""Calls that models asked for: as private as what the model saw, when they come back in a history unchanged."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Final

import msgspec

from spectra.model.ai import Label, ToolCall

MAX_CALLS: Final = 4096


class CallMemory:
    """The class of each of the last calls. What it does not know is of the class `other`. Thread-safe."""

    def __init__(self, other: Label) -> None:
        self._other = other
        self._labels: OrderedDict[bytes, Label] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, call: ToolCall, label: Label) -> None:
        """A model that saw data of class `label` asked for `call`."""
        with self._lock:
            self._labels[_digest(call)] = label
            self._labels.move_to_end(_digest(call))
            while len(self._labels) > MAX_CALLS:
                self._labels.popitem(last=False)

    def label_of(self, call: ToolCall) -> Label:
        """The class of the arguments of a call in a history: private values are restored in them, so that they are
        `SANITIZED` at least.
        """
        with self._lock:
            known = self._labels.get(_digest(call))
        return self._other if known is None else max(known, Label.SANITIZED)


def _digest(call: ToolCall) -> bytes:
    return hashlib.sha256(msgspec.json.encode(call)).digest()
