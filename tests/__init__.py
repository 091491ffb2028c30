"""The suites that run against real processes: scripts, sdk, faults. Each is `python3 -m tests.NAME`."""
