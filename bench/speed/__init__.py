"""How much time and processor each driver needs for the same work, as ratios to one another in the same run."""
