"""What Alembic runs for each command: the steps, on the connection that the caller has put into the configuration."""

from alembic import context

from records.table import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
