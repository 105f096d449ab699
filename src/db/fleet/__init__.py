"""The slots that all environments share: what each decides alone, and does about it."""
