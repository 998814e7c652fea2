package consent_edge.placement_test

import data.consent_edge.placement

# `with` below the fields: the engine cannot replace the whole input of a rule that calls built-ins.
allowed(thing) if {
	placement.allow with input.kind as thing.kind
		with input.place as thing.place
		with input.signed as thing.signed
		with input.categories as thing.categories
		with input.effective as thing.effective
		with input.now as thing.now
		with input.expires_at as thing.expires_at
		with input.bytes as thing.bytes
		with input.noised as thing.noised
		with data.consent_edge.settings.placement.device_bytes as 1000
}

thing(kind, place, changes) := object.union(
	{
		"kind": kind,
		"place": place,
		"signed": true,
		"categories": [],
		"effective": [],
		"now": 100,
		"expires_at": 200,
		"bytes": 10,
		"noised": true,
	},
	changes,
)

test_unknown_things_live_nowhere if {
	not placement.allow
	not allowed(thing("diary", "device", {}))
	not allowed(thing("trust-file", "moon", {}))
}

test_server_things_stay_on_the_server if {
	every kind in ["signing-key", "commitment-salt", "consent-record", "audit-log", "dsar-request", "visitor-history"] {
		not allowed(thing(kind, "device", {}))
	}
	allowed(thing("signing-key", "control-plane", {}))
	not allowed(thing("signing-key", "edge", {}))
}

test_raw_events_never_leave_the_pop if {
	allowed(thing("visitor-history", "edge", {}))
	not allowed(thing("visitor-history", "control-plane", {}))
	not allowed(thing("visitor-gradient", "control-plane", {}))
}

test_an_update_leaves_with_noise_only if {
	allowed(thing("federated-update", "control-plane", {}))
	not allowed(thing("federated-update", "control-plane", {"noised": false}))
}

test_a_device_takes_signed_fresh_models_it_has_consent_for if {
	wanted := {"categories": ["contextual"], "effective": ["contextual"]}
	allowed(thing("model-release", "device", wanted))
	not allowed(thing("model-release", "device", object.union(wanted, {"signed": false})))
	not allowed(thing("model-release", "device", object.union(wanted, {"expires_at": 100})))
	not allowed(thing("model-release", "device", object.union(wanted, {"effective": []})))
	not allowed(thing("model-release", "device", object.union(wanted, {"bytes": 1001})))
	not allowed(thing("model-release", "device", object.union(wanted, {"categories": null})))
}

test_an_attester_key_stays_with_its_workload_and_evidence_with_us if {
	allowed(thing("attestation-key", "edge", {}))
	allowed(thing("attestation-key", "device", {}))
	allowed(thing("evidence-body", "control-plane", {}))
	not allowed(thing("evidence-body", "edge", {}))
}
