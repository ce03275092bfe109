"""Agents as the API tells of them: what each reads, and what became of a run."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from spectra.model.insights import Agent, InsightRecord


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An agent. `input`: whether it needs a file, takes one instead of the store, or reads the store alone."""

    name: Agent
    title: str
    does: str
    reads: str
    input: Literal["needed", "optional", "none"]


class AgentList(msgspec.Struct, frozen=True):
    """Every agent. `notes`: whether a model may add words to what they find."""

    agents: tuple[AgentRecord, ...]
    notes: bool = False


class AgentRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run found and kept; `statement` is the SHA-256 of what was signed, empty where there was nothing.

    `lines` were read of a log of `format` (findings or looks of the store), of which `skipped` said nothing that is
    known. `left_out`: insights beyond what a statement holds. `notes`: how many have words of a model, `no_notes` why
    there are none.
    """

    agent: Agent
    statement: str
    insights: tuple[InsightRecord, ...]
    new: int = 0
    again: int = 0
    reopened: int = 0
    left_out: int = 0
    format: str = ""
    lines: int = 0
    skipped: int = 0
    notes: int = 0
    no_notes: str = ""
    ms: int = 0


AGENTS_HERE: Final[tuple[AgentRecord, ...]] = (
    AgentRecord(
        name="threat-analyst",
        title="Threat Analyst",
        does="Campaigns, attackers by stage and pace, hosts of ours that attack, attacks on weaknesses that are there.",
        reads="alerts of CrowdSec (`cscli alerts list -o json`)",
        input="needed",
    ),
    AgentRecord(
        name="dns-guard",
        title="DNS Guard",
        does="Tunnels, generated names, floods of random names, answers that point inside, steady calls.",
        reads="a query log of dnsmasq, unbound, BIND or AdGuard Home",
        input="needed",
    ),
    AgentRecord(
        name="cve-triage",
        title="CVE Triage",
        does="Which weaknesses to repair first, and by when: one insight a CVE over all hosts.",
        reads="the open findings",
        input="none",
    ),
    AgentRecord(
        name="network-anomaly",
        title="Network Anomaly",
        does="New and vanished hosts and ports, bursts, other network cards; with a log port scans, sweeps and beats.",
        reads="the history of scans, or a log of iptables or nftables",
        input="optional",
    ),
    AgentRecord(
        name="config-advisor",
        title="Config Advisor",
        does="Check-lists of ANSSI, NIS 2 and GDPR: each control met, not met or unknown, with evidence.",
        reads="the store",
        input="none",
    ),
)
"""The agents of this version, but for enrichment, which has a route of its own."""
