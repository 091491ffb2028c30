"""Generated requests to Trilith and to other implementations, and their answers compared."""
