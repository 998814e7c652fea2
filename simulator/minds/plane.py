"""The real control plane of a simulation, which can lose its store and be restored from a backup and its POPs."""

from pathlib import Path

from control_plane.app import create_app
from control_plane.restore.backup import back_up, put_back
from control_plane.restore.beginning import begin
from simulator.virtual.plane import Plane


class LosablePlane(Plane):
    """This log is not judged entry by entry: what people said is judged."""

    def note(self) -> None:
        """The log may be in the middle of a restore."""

    def back_up(self, to: Path) -> None:
        """As `edge control-plane backup` does, while it runs."""
        back_up(self._running.database, to, self._clock.now())

    def restore(self, backup: Path) -> None:
        """As `edge control-plane restore` does: from here on it collects, until every POP has delivered."""
        self._running.close()
        now = self._clock.now()
        database = put_back(backup, self._settings.store_url, now)
        with database.write() as connection:
            begin(connection, also=(), without=(), approver="simulator", now=now)
        database.close()
        self._running = create_app(self._settings)

    def copy_back(self, backup: Path) -> None:
        """As a careless operator does: the old file is put back, and serves."""
        self._running.close()
        put_back(backup, self._settings.store_url, self._clock.now()).close()
        self._running = create_app(self._settings)

    def restored(self) -> bool:
        """Whether the log may be believed again."""
        return self._running.collecting.complete()
