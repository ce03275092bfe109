"""The store: the only SQL of Spectra. One module per question asked; `schema.sql` is the truth."""
