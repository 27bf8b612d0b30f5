"""Runs the migrations on the connection that the schema module hands over."""

from alembic import context

from billing_core.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
