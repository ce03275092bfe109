"""What would leave this machine: a labelled corpus pushed through every way to a language model, and what arrives."""
