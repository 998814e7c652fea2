# METADATA
# title: Mesh authorisation
# description: |
#   Who may call which mesh route. Default deny; the role is the first path segment of the caller's SPIFFE id.
#   input is exactly method, path, jwt.scopes, request.payload.scope, request.region and mtls.spiffe_id;
#   anything more or less is refused, so that a caller cannot smuggle in a field that a later rule would read.
#   A call without a body has an empty scope and region, one without a token has no scopes.
# scope: package
package personalization.authz

# METADATA
# title: May this call go through
# entrypoint: true
default allow := false

allow if {
	well_formed(input)
	peer := caller(input.mtls.spiffe_id)
	some pattern in patterns(input.path)
	route := routes[input.method][pattern]
	peer.role in route.roles
	condition(route.condition, peer, input)
}

# Role x route. In a pattern `*` is one segment and `**` any number of further ones; both stand third.
routes := {
	"GET": {
		".well-known/jwks.json": {"roles": ["edge", "device", "operator"], "condition": "none"},
		"ledger/attesters/*": {"roles": ["edge", "device", "operator"], "condition": "none"},
		"ledger/checkpoint": {"roles": ["edge", "device", "operator"], "condition": "none"},
		"ledger/tile/**": {"roles": ["edge", "device", "operator"], "condition": "none"},
		"v1/attesters": {"roles": ["operator"], "condition": "none"},
		"v1/components": {"roles": ["edge"], "condition": "none"},
		"v1/components/**": {"roles": ["edge"], "condition": "none"},
		"v1/consents/*": {"roles": ["edge"], "condition": "own-region"},
		"v1/dsar/**": {"roles": ["operator"], "condition": "none"},
		"v1/edge-state": {"roles": ["edge", "device"], "condition": "none"},
		"v1/gathering/*": {"roles": ["edge"], "condition": "own-path"},
		"v1/policy/bundle": {"roles": ["edge", "device", "operator"], "condition": "none"},
		"v1/policy/status": {"roles": ["operator"], "condition": "none"},
		"v1/pops": {"roles": ["operator"], "condition": "none"},
		"v1/pops/*/status": {"roles": ["operator"], "condition": "none"},
		"v1/releases/**": {"roles": ["edge", "device", "operator"], "condition": "none"},
		"v1/rounds": {"roles": ["operator"], "condition": "none"},
		"v1/rounds/*": {"roles": ["edge", "operator"], "condition": "none"},
		"v1/requests": {"roles": ["edge"], "condition": "own-region"},
		"v1/requests/*": {"roles": ["edge"], "condition": "own-region"},
		"v1/requests/*/answers": {"roles": ["edge"], "condition": "own-region"},
		"v1/revocations": {"roles": ["edge", "operator"], "condition": "none"},
		"v1/revocations/*/receipts": {"roles": ["operator"], "condition": "none"},
		"v1/revocations/stream": {"roles": ["edge", "operator"], "condition": "none"},
		"v1/visitors/*": {"roles": ["operator"], "condition": "none"},
	},
	"POST": {
		"federated-updates": {"roles": ["edge"], "condition": "own-region"},
		"v1/attestations": {"roles": ["edge", "device"], "condition": "own-issuer"},
		"v1/attesters": {"roles": ["edge", "device"], "condition": "none"},
		"v1/attesters/retired": {"roles": ["operator"], "condition": "none"},
		"v1/consents": {"roles": ["edge"], "condition": "own-region"},
		"v1/consents/*/refresh": {"roles": ["edge"], "condition": "own-region"},
		"v1/dsar/**": {"roles": ["operator"], "condition": "none"},
		"v1/enrolments": {"roles": ["operator"], "condition": "none"},
		"v1/evidence": {"roles": ["operator"], "condition": "none"},
		"v1/gathering/*": {"roles": ["edge"], "condition": "own-path"},
		"v1/keys/*/rotate": {"roles": ["operator"], "condition": "none"},
		"v1/policy/bundle": {"roles": ["operator"], "condition": "none"},
		"v1/pops/*/kept": {"roles": ["edge"], "condition": "own-path"},
		"v1/pops/*/status": {"roles": ["edge"], "condition": "own-path"},
		"v1/purge": {"roles": ["control-plane"], "condition": "none"},
		"v1/releases/**": {"roles": ["operator"], "condition": "none"},
		"v1/render": {"roles": ["edge"], "condition": "scope-and-region"},
		"v1/requests": {"roles": ["edge"], "condition": "own-region"},
		"v1/revocations": {"roles": ["operator"], "condition": "none"},
		"v1/svid": {"roles": ["edge"], "condition": "none"},
		"v1/withdrawals": {"roles": ["edge"], "condition": "own-region"},
	},
	"DELETE": {
		"v1/consents/*": {"roles": ["edge"], "condition": "own-region"},
		"v1/requests/*": {"roles": ["edge"], "condition": "own-region"},
	},
}

condition("none", _, _)

# The scope asked for is in the token, and the caller is the POP it says it is.
condition("scope-and-region", peer, request) if {
	request.request.payload.scope in request.jwt.scopes
	peer.name == request.request.region
}

# An edge speaks for its own region only; a call that names none is about no region.
condition("own-region", peer, request) if request.request.region in [null, "", peer.name]

# Who attests speaks for itself alone: every line of the call is by the caller.
condition("own-issuer", peer, request) if request.request.region == concat("/", [peer.role, peer.name])

condition("own-path", peer, request) if request.path[2] == peer.name

# The role and name in `spiffe://<trust domain>/<role>/<name>`; undefined for any other form.
caller(spiffe_id) := {"role": parts[3], "name": parts[4]} if {
	parts := split(spiffe_id, "/")
	count(parts) == 5
	parts[0] == "spiffe:"
	parts[1] == ""
	parts[2] == data.consent_edge.settings.trust_domain
	parts[4] != ""
}

# The patterns that a path answers to: itself, any third segment if it has one, anything below the first two.
patterns(path) := [
	concat("/", path),
	concat("/", array.concat(array.concat(area, third), array.slice(path, 3, count(path)))),
	concat("/", array.concat(area, ["**"])),
] if {
	area := array.slice(path, 0, 2)
	third := ["*" | some _ in array.slice(path, 2, 3)]
}

well_formed(request) if {
	object.keys(request) == {"method", "path", "jwt", "request", "mtls"}
	object.keys(request.jwt) == {"scopes"}
	object.keys(request.request) == {"payload", "region"}
	object.keys(request.request.payload) == {"scope"}
	object.keys(request.mtls) == {"spiffe_id"}
	plain_path(request.path)
	is_array(request.jwt.scopes)
}

# No segment may be empty, a dot segment, or hide a further slash.
plain_path(path) if {
	is_array(path)
	split(concat("/", path), "/") == path
	{segment | some segment in path} & {"", ".", "..", "*", "**"} == set()
}
