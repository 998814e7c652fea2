"""POPs on other machines, without SPIRE: an operator invites one, its machine joins, and renews its certificate.

invitations   codes: bound to a name, one use, an end      joining   the identity and what goes with it
"""

from control_plane.enrolment.invitations import Invitations
from control_plane.enrolment.joining import Joining

__all__ = ["Invitations", "Joining"]
