"""What a model is asked for a report: the pattern's words, the facts, the question, and what did not hold before.

An answer that did not hold is not sent back: what models say is private text, which would keep the next attempt on this
machine. The reasons are words of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from spectra.ai.patterns.loading import Pattern
from spectra.ai.privacy.detector import fragment_of
from spectra.ai.reports.facts import Facts
from spectra.model.ai import Fragment, Message, Prompt, Sampling, generic, local

MAX_TOKENS: Final = 4096
PURPOSE: Final = "report"


def prompt(
    pattern: Pattern,
    facts: Facts,
    reasons: Sequence[str] = (),
    *,
    free_text: Literal["local", "detected"] = "local",
    plain: bool = False,
) -> Prompt:
    """The prompt of one attempt; `reasons` are what did not hold about the one before. `plain`: the schema stands in
    words alone, so that whatever a model says comes back.
    """
    told = [generic("Facts:\n"), *(_line(item.ref, item.fragment) for item in facts.items)]
    if facts.question:
        asked = fragment_of(facts.question) if free_text == "detected" else local(facts.question)
        told += [generic("\nAnswer this with it, in the sections that it fits: "), asked, generic("\n")]
    if reasons:
        wrong = "\n".join(f"- {reason}" for reason in reasons)
        told.append(
            generic(f"\nYour answer before this was refused:\n{wrong}\nAnswer anew, whole, without these faults.")
        )
    schema = msgspec.json.encode(pattern.schema).decode()
    system = (
        f"{pattern.system}\n\nThe JSON schema of your answer:\n{schema}\nAnswer with that JSON object and nothing else."
    )
    return Prompt(
        messages=(Message("system", (generic(system),)), Message("user", tuple(told))),
        schema=None if plain else pattern.schema,
        schema_name=f"report_{pattern.name.replace('-', '_')}",
        sampling=Sampling(max_tokens=MAX_TOKENS, temperature=0.2),
        purpose=PURPOSE,
    )


def _line(ref: str, fragment: Fragment) -> Fragment:
    return fragment._replace(parts=(f"[{ref}] ", *fragment.parts, "\n"))
