package consent_edge.consent

# UK GDPR, Data Protection Act 2018 section 9 (13 years), PECR regulation 6, ICO Age appropriate design code.
laws.UK := {
	"name": "UK GDPR, DPA 2018 and PECR",
	"notice": "notice-uk",
	"categories": {
		"contextual": {
			"choice_from": "13-15",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "UK GDPR Art. 6(1)(a), 7; PECR reg. 6",
				"age": "DPA 2018 s. 9: below 13 a parent must consent",
			},
		},
		"behavioral": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "UK GDPR Art. 4(4), 6(1)(a), 7; PECR reg. 6",
				"age": "ICO Age appropriate design code, standard 12: profiling off for children",
			},
		},
		"experimental": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "UK GDPR Art. 6(1)(a), 7; PECR reg. 6",
				"age": "ICO Age appropriate design code, standards 5 and 13: no detrimental use, no nudging",
			},
		},
	},
}
