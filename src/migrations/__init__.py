"""The schema, step by step, by Alembic; carried to Lambda with the function that provisions."""
