"""Other tools' protocols, spoken by this node."""
