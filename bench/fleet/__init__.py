"""A fleet of execution environments against one real PostgreSQL that has fewer slots: our policy and its peers.

Run it with `python -m bench.fleet`; the results are in RESULTS.md and the plots beside it.
"""
