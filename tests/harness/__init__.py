"""What the suites share: server processes, an HTTP client that hides nothing, a runner that counts.

Only the standard library: the suites that need an SDK import it themselves.
"""
