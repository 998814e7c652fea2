"""What the audit trail says of a consent: whose, what was chosen, and the rules, policy and notice it rests on."""

from consent_core.audit.recording import current_context
from consent_core.formats.consent import ConsentAnswer
from consent_core.formats.subject import subject_of
from control_plane.consent.records import Record


def noted(record: Record, answer: ConsentAnswer) -> ConsentAnswer:
    """The answer, once the record of the request under way says what it came to.

    `rules`: the reason for each category. `notice`: the digest of the text that was shown last.
    """
    context = current_context()
    context.about(subject_of(answer.sub), (("sub", answer.sub), ("ver", answer.ver)))
    context.say(
        choices=tuple(answer.choices),
        effective=tuple(answer.categories),
        jurisdiction=record.jurisdiction,
        rules=tuple(f"{category} {reason}" for category, reason in sorted(answer.reasons.items())),
        policy=record.policy_hash,
        notice=record.notice.get("clause_sha256"),
    )
    return answer
