"""Alembic runs the revisions on the connection that ``bot/store/schema.py`` hands over."""

from alembic import context

from bot.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
