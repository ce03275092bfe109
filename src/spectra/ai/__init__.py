"""Language models: the gateway to them, what they explain and report, and the agents that work without them, too."""
