"""One file a step: `revision`, `down_revision` (the step before), `upgrade()`. There is no way down."""
