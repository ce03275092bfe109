"""From an observation to facts: where a host is, whose network it is in, and what its services are called."""
