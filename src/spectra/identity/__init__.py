"""Who signed what: Ed25519 keys, DSSE envelopes, payloads, key statements, roles, tokens. No network, no clock."""
