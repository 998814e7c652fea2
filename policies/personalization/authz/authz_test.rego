package personalization.authz_test

import data.personalization.authz

call(method, path, spiffe_id) := {
	"method": method,
	"path": path,
	"jwt": {"scopes": []},
	"request": {"payload": {"scope": ""}, "region": ""},
	"mtls": {"spiffe_id": spiffe_id},
}

# `with` below the fields: the engine cannot replace the whole input of a rule that calls built-ins.
allowed(request) if {
	authz.allow with input.method as request.method
		with input.path as request.path
		with input.jwt as request.jwt
		with input.request as request.request
		with input.mtls as request.mtls
}

render(scopes, scope, region, spiffe_id) := object.union(call("POST", ["v1", "render"], spiffe_id), {
	"jwt": {"scopes": scopes},
	"request": {"payload": {"scope": scope}, "region": region},
})

test_nothing_said_is_denied if not authz.allow

test_render_needs_the_scope_in_the_token if {
	allowed(render(["contextual"], "contextual", "tokyo-1", "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(render(["contextual"], "behavioral", "tokyo-1", "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(render([], "", "tokyo-1", "spiffe://ui-tools/edge/tokyo-1"))
}

test_render_is_for_the_caller_own_region if {
	not allowed(render(["contextual"], "contextual", "paris-1", "spiffe://ui-tools/edge/tokyo-1"))
}

test_render_is_for_edges if {
	not allowed(render(["contextual"], "contextual", "tokyo-1", "spiffe://ui-tools/operator/tokyo-1"))
	not allowed(render(["contextual"], "contextual", "tokyo-1", "spiffe://ui-tools/device/tokyo-1"))
}

test_a_foreign_trust_domain_is_denied if {
	not allowed(call("GET", ["v1", "edge-state"], "spiffe://elsewhere/edge/tokyo-1"))
}

test_a_malformed_id_is_denied if {
	not allowed(call("GET", ["v1", "edge-state"], "spiffe://ui-tools/edge"))
	not allowed(call("GET", ["v1", "edge-state"], "spiffe://ui-tools/edge/"))
	not allowed(call("GET", ["v1", "edge-state"], "spiffe://ui-tools/edge/a/b"))
	not allowed(call("GET", ["v1", "edge-state"], "https://ui-tools/edge/a"))
}

test_a_field_too_many_is_denied if {
	request := call("GET", ["v1", "edge-state"], "spiffe://ui-tools/edge/a")
	allowed(request)
	not allowed(object.union(request, {"jwt": {"scopes": [], "sub": "x"}}))
	not allowed(object.union(request, {"mtls": {"spiffe_id": "spiffe://ui-tools/edge/a", "role": "operator"}}))
}

test_a_slash_inside_a_segment_is_denied if {
	not allowed(call("POST", ["v1/revocations"], "spiffe://ui-tools/operator/ann"))
	not allowed(call("GET", ["v1", "consents", "a/b"], "spiffe://ui-tools/edge/a"))
	not allowed(call("GET", ["v1", "consents", ".."], "spiffe://ui-tools/edge/a"))
	not allowed(call("GET", ["v1", "consents", "*"], "spiffe://ui-tools/edge/a"))
}

test_an_edge_delivers_only_what_it_kept_itself if {
	allowed(call("POST", ["v1", "pops", "tokyo-1", "kept"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("POST", ["v1", "pops", "paris-1", "kept"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("POST", ["v1", "pops", "tokyo-1", "kept"], "spiffe://ui-tools/operator/tokyo-1"))
	not allowed(call("POST", ["v1", "pops", "tokyo-1", "kept"], "spiffe://ui-tools/device/tokyo-1"))
}

test_an_edge_reports_its_own_status_only if {
	allowed(call("POST", ["v1", "pops", "tokyo-1", "status"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("POST", ["v1", "pops", "paris-1", "status"], "spiffe://ui-tools/edge/tokyo-1"))
}

test_only_operators_revoke_and_publish if {
	allowed(call("POST", ["v1", "revocations"], "spiffe://ui-tools/operator/ann"))
	not allowed(call("POST", ["v1", "revocations"], "spiffe://ui-tools/edge/tokyo-1"))
	allowed(call("POST", ["v1", "policy", "bundle"], "spiffe://ui-tools/operator/ann"))
	not allowed(call("POST", ["v1", "policy", "bundle"], "spiffe://ui-tools/control-plane/main"))
}

test_a_missing_segment_is_denied if {
	allowed(call("GET", ["v1", "consents", "a"], "spiffe://ui-tools/edge/a"))
	not allowed(call("GET", ["v1", "consents"], "spiffe://ui-tools/edge/a"))
}

attest(issuer, spiffe_id) := object.union(
	call("POST", ["v1", "attestations"], spiffe_id),
	{"request": {"payload": {"scope": ""}, "region": issuer}},
)

test_who_attests_speaks_for_itself_alone if {
	allowed(attest("edge/tokyo-1", "spiffe://ui-tools/edge/tokyo-1"))
	allowed(attest("device/kiosk-1", "spiffe://ui-tools/device/kiosk-1"))
	not allowed(attest("edge/paris-1", "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(attest("device/tokyo-1", "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(attest("", "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(attest("operator/ann", "spiffe://ui-tools/operator/ann"))
}

test_a_request_is_brought_by_edges_and_named_by_operators if {
	allowed(call("POST", ["v1", "requests"], "spiffe://ui-tools/edge/tokyo-1"))
	allowed(call("GET", ["v1", "requests", "dsr-1", "answers"], "spiffe://ui-tools/edge/tokyo-1"))
	allowed(call("DELETE", ["v1", "requests", "dsr-1"], "spiffe://ui-tools/edge/tokyo-1"))
	allowed(call("POST", ["v1", "dsar", "requests"], "spiffe://ui-tools/operator/ann"))
	not allowed(call("POST", ["v1", "requests"], "spiffe://ui-tools/operator/ann"))
	not allowed(call("POST", ["v1", "dsar", "requests"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("GET", ["v1", "dsar", "requests"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("POST", ["v1", "requests"], "spiffe://ui-tools/device/kiosk"))
}

test_an_edge_gathers_for_itself_alone if {
	allowed(call("GET", ["v1", "gathering", "tokyo-1"], "spiffe://ui-tools/edge/tokyo-1"))
	allowed(call("POST", ["v1", "gathering", "tokyo-1"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("GET", ["v1", "gathering", "paris-1"], "spiffe://ui-tools/edge/tokyo-1"))
	not allowed(call("GET", ["v1", "gathering", "tokyo-1"], "spiffe://ui-tools/operator/tokyo-1"))
}
