"""alembic's own commands, on a connection whose transaction is the caller's."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

HOME = Path(__file__).parent


def stamp(connection: Connection, revision: str) -> None:
    """Note that the store is at a step."""
    command.stamp(_config(connection), revision)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Take every step after the store's own, as far as `to`."""
    command.upgrade(_config(connection), to)


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(HOME).replace("%", "%%"))
    return config
