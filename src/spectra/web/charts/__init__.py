"""Charts as SVG, drawn here: pure functions from numbers to markup and to the rows of the table beneath."""
