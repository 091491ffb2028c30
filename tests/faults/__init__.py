"""Faults on real processes, with the ledger of acknowledged writes outside the server.

`python3 -m tests.faults [PATTERN ...]` runs the cases whose names match; without patterns, all. Everything is bounded
in time and count, stays on loopback, and ends only the processes that it started.
"""
