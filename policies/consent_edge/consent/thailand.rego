package consent_edge.consent

# Personal Data Protection Act B.E. 2562 (2019) of Thailand; Civil and Commercial Code sections 22 to 24 (minors).
laws.TH := {
	"name": "PDPA B.E. 2562 (Thailand)",
	"notice": "notice-th",
	"categories": {
		"contextual": {
			"choice_from": "13-15",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "PDPA s. 19",
				"age": "PDPA s. 20(2): a parent must consent",
			},
		},
		"behavioral": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "PDPA s. 19, 24",
				"age": "PDPA s. 20(1); Civil and Commercial Code s. 22-24: beyond what a minor may do alone",
			},
		},
		"experimental": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "PDPA s. 19",
				"age": "PDPA s. 20(1); Civil and Commercial Code s. 22-24: beyond what a minor may do alone",
			},
		},
	},
}
