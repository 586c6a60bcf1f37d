"""The verdict on a study: ready, will be resampled, or refused, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from petctfusion.errors import BadInputError

Severity = Literal["note", "resample", "refuse"]
Status = Literal["ready", "will_resample", "refused"]


@dataclass(frozen=True)
class Finding:
    """One remark on the study: `subject` is "CT", "PET", "reference" or "study"."""

    severity: Severity
    subject: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Verdict:
    """What `check_study` found."""

    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst of the findings."""
        severities = {f.severity for f in self.findings}
        if "refuse" in severities:
            return "refused"
        return "will_resample" if "resample" in severities else "ready"

    @property
    def messages(self) -> tuple[str, ...]:
        """The sentences of all findings, for a log or a tooltip."""
        return tuple(f.message for f in self.findings)

    def raise_if_refused(self) -> None:
        """Raise `BadInputError` with the first reason for refusal."""
        for finding in self.findings:
            if finding.severity == "refuse":
                raise BadInputError(finding.message, finding.hint)
