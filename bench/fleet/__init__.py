"""A fleet of execution environments against one real PostgreSQL that has fewer slots: our policy and its peers.

`make bench-fleet` runs it; the results are in bench/fleet.md and the pictures beside it.
"""
