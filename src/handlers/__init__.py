"""The Lambda functions: an event in, an answer out. Wiring; no SQL."""
