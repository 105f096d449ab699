"""Measurements, by count and as ratios to peers in the same run."""
