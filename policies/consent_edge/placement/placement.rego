# METADATA
# title: Placement
# description: |
#   Where a thing may live. The control plane and POPs are `control-plane` and `edge`; a `device` is a person's own.
#   Default deny: a kind that is not listed may live nowhere.
# scope: package
package consent_edge.placement

# METADATA
# title: Whether a thing may live in a place
# description: |
#   input: kind, place, and for what goes to a device also categories (what the thing needs), effective (what the
#   device's person allows), signed, expires_at and now (Unix seconds), bytes; for an update: noised.
# entrypoint: true
default allow := false

allow if {
	input.place in places[input.kind]
	count(obstacles) == 0
}

# METADATA
# title: Why a thing may not live there
# description: A set of {rule, message}; empty when it is allowed.
# entrypoint: true
reasons contains reason if some reason in obstacles

reasons contains {"rule": "placement-kind", "message": "no rule lets this kind live there"} if {
	not input.place in object.get(places, input.kind, [])
}

places := {
	# code and public facts: anywhere, because every holder verifies them
	"function-component": ["control-plane", "edge", "device"],
	"model-release": ["control-plane", "edge", "device"],
	"policy-table": ["control-plane", "edge", "device"],
	"trust-file": ["control-plane", "edge", "device"],
	"catalogue": ["control-plane", "edge", "device"],
	"edge-state": ["control-plane", "edge", "device"],
	"ledger-checkpoint": ["control-plane", "edge", "device"],
	# a person's own things
	"consent-token": ["edge", "device"],
	"consent-receipt": ["control-plane", "device"],
	"own-history": ["device"],
	"attestation": ["control-plane", "edge", "device"],
	# raw events never leave the POP that saw them; what leaves is noised
	"visitor-history": ["edge"],
	"visitor-gradient": ["edge"],
	"federated-update": ["control-plane", "edge"],
	# each workload's own, never copied from one to another
	"attestation-key": ["control-plane", "edge", "device"],
	# server side only
	"consent-record": ["control-plane"],
	"revocation-log": ["control-plane", "edge"],
	"audit-log": ["control-plane", "edge"],
	"commitment-salt": ["control-plane"],
	"evidence-body": ["control-plane"],
	"signing-key": ["control-plane"],
	"privacy-budget": ["control-plane", "edge"],
	"dsar-request": ["control-plane"],
}

verified_kinds := {"function-component", "model-release", "policy-table", "edge-state"}

expiring_kinds := {"model-release", "edge-state", "consent-token"}

obstacles contains {"rule": "placement-unsigned", "message": "a device takes only what it can verify"} if {
	input.place == "device"
	input.kind in verified_kinds
	not input.signed == true
}

obstacles contains {"rule": "placement-expired", "message": "expired, or without an end"} if {
	input.place == "device"
	input.kind in expiring_kinds
	not fresh(input)
}

obstacles contains {"rule": "placement-consent", "message": sprintf("needs %s, which is not effective", [category])} if {
	input.place == "device"
	some category in input.categories
	not category in input.effective
}

obstacles contains {"rule": "placement-consent", "message": "does not say which categories it needs"} if {
	input.place == "device"
	input.kind == "model-release"
	not is_array(input.categories)
}

obstacles contains {"rule": "placement-size", "message": "larger than a device takes"} if {
	input.place == "device"
	input.bytes > data.consent_edge.settings.placement.device_bytes
}

obstacles contains {"rule": "placement-raw", "message": "an update leaves a POP only with noise"} if {
	input.place == "control-plane"
	input.kind == "federated-update"
	not input.noised == true
}

fresh(thing) if thing.now < thing.expires_at
