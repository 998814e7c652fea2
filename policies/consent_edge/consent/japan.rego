package consent_edge.consent

# Act on the Protection of Personal Information; Telecommunications Business Act Art. 27-12 (external transmission).
laws.JP := {
	"name": "APPI (Japan)",
	"notice": "notice-jp",
	"categories": {
		"contextual": {
			"choice_from": "13-15",
			"notice_from": "13-15",
			"gpc_stops": false,
			"sources": {
				"consent": "APPI Art. 18",
				"notice": "APPI Art. 21; Telecommunications Business Act Art. 27-12: notify or publish",
				"age": "PPC Q&A on APPI 1-62: below about 12 to 15 a legal representative must consent",
			},
		},
		"behavioral": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "APPI Art. 18, 31: profiles from personally referable information",
				"age": "PPC Q&A on APPI 1-62: below about 12 to 15 a legal representative must consent",
			},
		},
		"experimental": {
			"choice_from": "adult",
			"notice_from": "adult",
			"gpc_stops": false,
			"sources": {
				"consent": "APPI Art. 18",
				"notice": "APPI Art. 17, 21: purpose of use specified and notified",
				"age": "PPC Q&A on APPI 1-62: below about 12 to 15 a legal representative must consent",
			},
		},
	},
}
