package consent_edge.consent

# California Civil Code 1798.100 ff. (CCPA as amended by the CPRA), 11 CCR 7025 (opt-out preference signals), COPPA.
# An opt-out law: after notice at collection an adult may be served until they say no. The signal always wins.
laws["US-CA"] := {
	"name": "CCPA as amended by the CPRA",
	"notice": "notice-us-ca",
	"categories": {
		"contextual": {
			"choice_from": "under-13",
			"notice_from": "under-13",
			"gpc_stops": false,
			"sources": {
				"consent": "Cal. Civ. Code 1798.140(e): contextual, first-party use",
				"notice": "Cal. Civ. Code 1798.100(a): notice at collection; COPPA 16 CFR 312.2: contextual use",
			},
		},
		"behavioral": {
			"choice_from": "13-15",
			"notice_from": "adult",
			"gpc_stops": true,
			"sources": {
				"consent": "Cal. Civ. Code 1798.120(a), (c)",
				"notice": "Cal. Civ. Code 1798.100(a), 1798.120(b): notice and the right to opt out",
				"age": "Cal. Civ. Code 1798.120(c): below 13 a parent, below 16 the person must opt in",
				"gpc": "Cal. Civ. Code 1798.135(b), 11 CCR 7025(b), (c): opt-out preference signal",
			},
		},
		"experimental": {
			"choice_from": "13-15",
			"notice_from": "adult",
			"gpc_stops": false,
			"sources": {
				"consent": "Cal. Civ. Code 1798.100(c): proportionate, disclosed purpose",
				"notice": "Cal. Civ. Code 1798.100(a), 1798.140(e)(8): notice at collection, own service improvement",
				"age": "COPPA 16 CFR 312.5; Cal. Civ. Code 1798.120(c) by analogy: below 16 ask first",
			},
		},
	},
}
