"""Keeps SQLAlchemy's suite out of this pytest: it is run by a pytest of its own."""

collect_ignore = ["suite"]
