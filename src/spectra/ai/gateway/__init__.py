"""The one way to language models: what may leave is decided and made ready here."""
