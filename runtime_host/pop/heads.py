"""Where a POP's audit trails end: what its status reports and attestations name, so that a cut trail shows."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent_core.audit.writer import AuditWriter
from runtime_host.pop.workers.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class AuditHeads:
    """Of one process: its own trail, those without a writer, and its workers' by their last word."""

    pop: str
    audit: AuditWriter | None
    retired: tuple[AuditWriter, ...]
    supervisor: Supervisor | None

    def own(self) -> str | None:
        """Where this process's trail ends; None where none is kept."""
        return None if self.audit is None else self.audit.head().text

    def workers(self) -> Mapping[str, str]:
        """Where this POP's further trails end, by trail."""
        heads = {} if self.supervisor is None else self.supervisor.heads()
        living = {f"{self.pop}.{name}": at for name, at in heads.items()}
        return living | {trail.directory.name: trail.head().text for trail in self.retired}

    def all(self) -> Mapping[str, str]:
        """Where each trail of this POP ends, by trail."""
        own = self.own()
        return {**({} if own is None else {self.pop: own}), **self.workers()}
