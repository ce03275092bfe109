"""Agents: detectors of stated features and thresholds, to which a language model may add words (docs/agents.md)."""
