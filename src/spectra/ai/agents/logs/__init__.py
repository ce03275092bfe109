"""Readers of what other programs write: alerts of CrowdSec, query logs of resolvers, the firewall's log. Bounded."""
