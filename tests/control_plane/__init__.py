"""The control plane over both databases, with a clock that moves only when told to."""
