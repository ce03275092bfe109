"""What is known beyond what was seen: context for hosts and services, from feeds. Pure; data sources are injected."""
