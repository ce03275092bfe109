"""All that produces envelopes on the machine that looks: targets, scope law, scanners, the signed submission.

Never imports `ingest` or `store`: what a collector claims passes the same gate as everybody's.
"""
