"""Reports: facts of a target in tables, what they amount to in cited words, and how both are rendered."""
