package consent_edge.consent

# Personal Data Protection Act 2012 of Singapore; PDPC advisory guidelines on children's personal data (2024).
laws.SG := {
	"name": "PDPA 2012 (Singapore)",
	"notice": "notice-sg",
	"categories": {
		"contextual": {
			"choice_from": "13-15",
			"notice_from": "adult",
			"gpc_stops": false,
			"sources": {
				"consent": "PDPA s. 13, 14",
				"notice": "PDPA s. 15A: deemed consent by notification",
				"age": "PDPC guidelines on children's personal data: below 13 a parent must consent",
			},
		},
		"behavioral": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "PDPA s. 13, 14, 20",
				"age": "PDPC guidelines on children's personal data: higher standard for profiles of minors",
			},
		},
		"experimental": {
			"choice_from": "13-15",
			"notice_from": "adult",
			"gpc_stops": false,
			"sources": {
				"consent": "PDPA s. 13, 14",
				"notice": "PDPA First Schedule Part 5: business improvement",
				"age": "PDPC guidelines on children's personal data: below 13 a parent must consent",
			},
		},
	},
}
