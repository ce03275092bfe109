"""`make accuracy`: the matcher against labels that others made, by the code that matches stored services."""
