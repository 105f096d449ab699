"""What a statement's text tells, and what is added to it."""
