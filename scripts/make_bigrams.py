"""Makes `ai/agents/data/bigrams.json`: how likely one letter follows another in the names of real domains.

    make_bigrams.py NAMES OUT [HELD_OUT]

NAMES has one host name a line; those of the references of the NVD's CVEs were used (public domain, some 9,400
registered names). 70 names of 100, by their SHA-256, are learned from; of the others 600 are written to HELD_OUT.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from pathlib import Path

from spectra.ai.agents.names import ALPHABET, EDGE, registered

LEARNED = 179  # of 256
SMOOTHING = 0.5


def main() -> int:
    """Reads, learns, writes."""
    source, out, *held_out = (Path(argument) for argument in sys.argv[1:])
    hosts = source.read_text("utf-8").split()
    labels = sorted({registered(host).partition(".")[0] for host in hosts if not host.replace(".", "").isdigit()})
    labels = [label for label in labels if label and not label.startswith("xn--") and set(label) <= set(ALPHABET)]
    mine = [label for label in labels if hashlib.sha256(label.encode()).digest()[0] < LEARNED]
    pairs: Counter[str] = Counter()
    for label in mine:
        edged = f"{EDGE}{label}{EDGE}"
        pairs.update(edged[at : at + 2] for at in range(len(edged) - 1))
    symbols = ALPHABET + EDGE
    total = {a: sum(pairs[a + b] for b in symbols) for a in symbols}
    bits = [
        [round(math.log2((pairs[a + b] + SMOOTHING) / (total[a] + SMOOTHING * len(symbols))), 2) for b in symbols]
        for a in symbols
    ]
    out.write_text(json.dumps({"names": len(mine), "symbols": symbols, "bits": bits}) + "\n", "utf-8")
    if held_out:
        others = sorted(set(labels) - set(mine), key=lambda label: hashlib.sha256(label.encode()).digest())
        held_out[0].write_text("\n".join(sorted(others[:600])) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
