"""The side-by-side load: `python3 -m benches.compare`, or `make bench`."""
