"""Run by alembic: takes the steps on the connection that `alembic_runs` hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
