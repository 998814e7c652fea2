"""What is behind the routes that are not on the hot path: consent, its stream, events, vitals, policy and the site."""
