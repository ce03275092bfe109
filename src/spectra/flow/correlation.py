"""Keeping up to date which weaknesses the stored services have: every step that this takes, in the order it takes.

1. Services that nobody looked at yet are named: what a service is, is a `Software`, which equal ones share.
2. Software that was never matched, or has to be again, is held against all rules of its products' families.
3. CVEs whose rules changed (`vuln_news`) are held against the software that their old or new rules may concern.
4. When feeds told of other products, families are learned anew, and services whose words now mean something else are
   named again. When the matcher itself changed with a release, everything is, in the background; what stays true keeps
   its date.

Each step is one transaction, and only one runs at a time on a database, so a process may be killed at any point: what
it did not commit is found undone. None waits for a sync, nor a sync for any. Nothing is missed, because who changes
rules leaves the news of it in the same transaction, and news are taken off the list together with what follows from
them: an evaluation that still saw the old rules has the news of the new ones ahead of it.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from spectra.flow.evaluation import Evaluation, Match, ProductsOf, Rules, Sight, ruleset
from spectra.flow.naming import Identify, Naming
from spectra.intel import correlate
from spectra.model.vulns import Product
from spectra.store import affected, software
from spectra.store.affected import Differences
from spectra.store.database import Connection, Database
from spectra.store.software import Alone, Due, Unnamed

SERVICES: Final = 500
"""Services that one transaction names."""
SOFTWARE: Final = 2000
"""Software that one transaction matches, unless that takes longer than `PATIENCE_S`."""
PATIENCE_S: Final = 1.0
NEWS: Final = 500
"""CVEs that are taken off the list of news at a time."""
MANY: Final = 5000
"""From so many news on, all software that they may concern is matched completely: that reads each rule once."""
REWORDED: Final = 5000
"""Services that are named again at once because their words mean something else; more are walked in steps."""

_REST: Final = 9  # times as long as learning families took
_SLICE: Final = 250  # software whose rules and findings are in memory at a time
_WIDE: Final = 5000  # the same for a few CVEs
_FINDINGS: Final = 300_000  # of these CVEs that are in memory at once, about 60 MB


class Matching(NamedTuple):
    """What decides: `intel.correlate`, or a stand-in for it. `families` is given how many CVEs name each product."""

    version: int
    identify: Identify
    products_of: ProductsOf
    match: Match
    families: Callable[[Mapping[Product, int]], Mapping[Product, Product]]
    word: Callable[[str], str]


MATCHING: Final = Matching(
    correlate.MATCHER,
    correlate.identify,
    correlate.products_of,
    correlate.match,
    correlate.families,
    correlate.word,
)


class Bounds(NamedTuple):
    """How much is done in one transaction; see the constants of this module."""

    services: int = SERVICES
    software: int = SOFTWARE
    patience_s: float = PATIENCE_S
    news: int = NEWS
    many: int = MANY
    reworded: int = REWORDED


class Counts(msgspec.Struct, frozen=True):
    """What was done: services `named`, and `software` that was new; software `matched` completely; CVEs with `news`,
    and software `evaluated` for them; products that `moved` to another family; findings `opened`, `changed`, `closed`.
    """

    named: int = 0
    software: int = 0
    matched: int = 0
    news: int = 0
    evaluated: int = 0
    moved: int = 0
    opened: int = 0
    changed: int = 0
    closed: int = 0

    def __add__(self, other: Counts) -> Counts:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Counts(*(a + b for a, b in pairs))

    def __bool__(self) -> bool:
        return any(msgspec.structs.astuple(self))


class Correlation:
    """The steps. Several threads may use one; on a database, they wait for one another."""

    def __init__(self, database: Database, matching: Matching = MATCHING, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - frozen
        self._database = database
        self._matching = matching
        self._bounds = bounds
        self._naming = Naming(matching.identify, matching.products_of, matching.word)
        self._evaluation = Evaluation(matching.match, matching.products_of)
        self._rules = Rules()
        self._rests_until = 0.0

    def due(self) -> Due:
        """What there is to do."""
        return software.due(self._database)

    def left(self) -> int:
        """How many services and software are still to be looked at."""
        return software.left(self._database)

    def step(self, *, hurry: bool = False, gently: bool = False) -> Counts | None:
        """Do what is most urgent; None when there is nothing to do.

        What was never looked at comes first. What feeds changed waits while a sync is under way, because it goes on
        changing, unless that takes long or there is a `hurry`. Learning families reads all products: `gently`, that
        takes a tenth of the time at most, however often an ingest brings products that nobody knew.
        """
        due = self.due()
        settled = hurry or not due.syncing
        steps: tuple[tuple[bool, Callable[[], Counts]], ...] = (
            (due.unnamed, self.name),
            (due.fresh, partial(self.match, fresh=True)),
            (due.news and (settled or due.overdue), self.follow),
            (due.products and settled and not (gently and time.monotonic() < self._rests_until), self.learn),
            (due.walk is not None, self.walk),
            (due.again, self.match),
        )
        return self._first(due, steps)

    def fresh(self) -> Counts | None:
        """Do what is next of what was never looked at, which somebody waits for; None where there is nothing. What
        many wait for is done once: a turn takes all that there is.
        """
        due = self.due()
        return self._first(due, ((due.unnamed, self.name), (due.fresh, partial(self.match, fresh=True))))

    def _first(self, due: Due, steps: Sequence[tuple[bool, Callable[[], Counts]]]) -> Counts | None:
        """Do the first of `steps` that is wanted and does anything; None where none does."""
        if due.matcher < self._matching.version:
            self.begin()
            return Counts()
        if due.matcher > self._matching.version:  # a coordinator of a later release is at it
            return None
        return next((done for wanted, work in steps if wanted and (done := work())), None)

    def evaluate_news(self) -> Counts:
        """Take all news off the list, and do what follows from them; returns what was done."""
        total = self.follow()
        while done := self.follow():
            total += done
        while done := self.match():
            total += done
        return total

    def evaluate_all(self) -> Counts:
        """Learn the families, name every service and match every software anew; returns what was done."""
        self.begin()
        total = self.learn()
        self.again()
        while (done := self.step(hurry=True)) is not None:
            total += done
        return total

    # Each of these is one transaction -----------------------------------------------------------------------------

    def begin(self) -> bool:
        """Have everything named and matched again where another matcher did it; whether it was."""
        with software.alone(self._database) as own:
            return software.begin(own.connection, self._matching.version)

    def again(self) -> None:
        """Have everything named and matched again."""
        with software.alone(self._database) as own:
            software.again(own.connection)

    def name(self) -> Counts:
        """Name the next services that nobody looked at."""
        with software.alone(self._database) as own:
            return self._name(own.connection, software.unnamed(own.connection, self._bounds.services))

    def walk(self) -> Counts:
        """Name the next services of those that are all being named again."""
        with software.alone(self._database) as own:
            return self._name(own.connection, software.walked(own.connection, self._bounds.services))

    def match(self, *, fresh: bool = False) -> Counts:
        """Match the next software that waits for it; only what never was, if `fresh`."""
        with software.alone(self._database) as own:
            waiting = affected.waiting(own.connection, self._bounds.software, fresh=fresh)
            differences, matched = Differences(), 0
            until = time.monotonic() + self._bounds.patience_s
            while matched < len(waiting) and (not matched or time.monotonic() < until):
                part = waiting[matched : matched + _SLICE]
                ids = [s.id for s in part]
                families = affected.families(own.connection, ids)
                rules = self._rules.of(own.connection, own.rules, families.values())
                stored = affected.findings(own.connection, ids)
                self._evaluation.compare(part, families, rules, stored, differences)
                matched += len(part)
            affected.write(own.connection, differences, own.now)
            affected.matched(own.connection, [s.id for s in waiting[:matched]], own.now)
        return Counts(matched=matched) + _written(differences)

    def follow(self) -> Counts:
        """Hold the next CVEs whose rules changed against what they may concern."""
        with software.alone(self._database) as own:
            many = affected.has_more_news(own.connection, self._bounds.many)
            nums = affected.news(own.connection, None if many else self._bounds.news)
            if not nums:
                return Counts()
            software.outdate(own.connection, secrets.randbits(62))
            software.unlearn(own.connection)
            if many:
                affected.touch(own.connection, nums)
                return Counts(news=len(nums))
            return Counts(news=len(nums)) + self._hold(own, nums)

    def learn(self) -> Counts:
        """Put products into the families that the products of now make, and name services again whose words mean
        something else by now. Products that a sync holds stay where they are until the next time.
        """
        began = time.monotonic()
        with software.alone(self._database) as own:
            moved = software.move(own.connection, self._moved(own.connection))
            if moved:
                software.outdate(own.connection, secrets.randbits(62))
            reworded = software.reworded(own.connection, self._bounds.reworded)
            done = Counts(moved=moved) + self._name(own.connection, reworded)
        self._rests_until = time.monotonic() + _REST * (time.monotonic() - began)
        return done

    # What they are made of ----------------------------------------------------------------------------------------

    def _name(self, connection: Connection, services: Sequence[Unnamed]) -> Counts:
        if not services:
            return Counts()
        named = self._naming.of(services, partial(software.words, connection))
        new = software.name(self._database, connection, named.found, named.said, named.word_of)
        return Counts(named=len(services), software=new)

    def _hold(self, own: Alone, nums: Sequence[int]) -> Counts:
        rules = {family: ruleset(stored) for family, stored in affected.rules_of(own.connection, nums).items()}
        families = affected.members(own.connection, list(rules))
        all_of = affected.findings_of(own.connection, nums, _FINDINGS)
        differences, evaluated = Differences(), 0
        seen: dict[str, Sight] = {}
        for part in affected.touched(own.connection, nums, _WIDE):
            ids = [s.id for s in part]
            of = affected.findings(own.connection, ids, nums) if all_of is None else {i: all_of.get(i, {}) for i in ids}
            self._evaluation.compare(part, families, rules, of, differences, seen=seen)
            evaluated += len(part)
        affected.write(own.connection, differences, own.now)
        return Counts(evaluated=evaluated) + _written(differences)

    def _moved(self, connection: Connection) -> dict[int, int]:
        """Products that are in another family than they should be (ids), and that family."""
        products = software.counted(connection)
        heads = self._matching.families({product: known.vulns for product, known in products.items()})
        groups: dict[Product, list[int]] = defaultdict(list)
        for product, known in products.items():
            groups[heads.get(product, product)].append(known.id)
        now = {known.id: known.family for known in products.values()}
        moved: dict[int, int] = {}
        for head, members in groups.items():
            family = _label(products[head].id, members, now)
            moved.update((member, family) for member in members if now[member] != family)
        return moved


def _label(head: int, members: Sequence[int], now: Mapping[int, int]) -> int:
    """The number of a family: what most members have already, if it is a member's, so that few have to move."""
    own = set(members)
    common = Counter(family for member in members if (family := now[member]) in own)
    return max(common, key=lambda family: (common[family], -family), default=head)


def _written(differences: Differences) -> Counts:
    return Counts(opened=len(differences.opened), changed=len(differences.changed), closed=len(differences.closed))
