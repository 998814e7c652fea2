package consent_edge.consent

# A place whose law is not known here: at most what every law above allows, and the signal counts for all profiling.
laws.ZZ := {
	"name": "Unknown: strictest rules",
	"notice": "notice-zz",
	"categories": {
		"contextual": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "Strictest of all known laws: opt in",
				"age": "Strictest of all known laws: adults only",
			},
		},
		"behavioral": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": true,
			"sources": {
				"consent": "Strictest of all known laws: opt in",
				"age": "Strictest of all known laws: adults only",
				"gpc": "Strictest of all known laws: the signal is an opt-out",
			},
		},
		"experimental": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": true,
			"sources": {
				"consent": "Strictest of all known laws: opt in",
				"age": "Strictest of all known laws: adults only",
				"gpc": "Strictest of all known laws: the signal is an opt-out",
			},
		},
	},
}
