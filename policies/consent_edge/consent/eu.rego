package consent_edge.consent

# Regulation (EU) 2016/679 (GDPR) with Directive 2002/58/EC (ePrivacy). Article 8 sets 16 unless a member state
# lowers it; a deployment for one such state changes `choice_from` here and publishes.
# Global Privacy Control has no standing of its own: a specific choice on this site is the later, clearer word.
laws.EU := {
	"name": "GDPR and ePrivacy Directive",
	"notice": "notice-eu",
	"categories": {
		"contextual": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "GDPR Art. 6(1)(a), 7; ePrivacy Directive Art. 5(3)",
				"age": "GDPR Art. 8(1): below 16 a parent must consent",
			},
		},
		"behavioral": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "GDPR Art. 4(4), 6(1)(a), 7; ePrivacy Directive Art. 5(3)",
				"age": "GDPR Art. 8(1), recitals 38 and 71: no profiling of children",
			},
		},
		"experimental": {
			"choice_from": "adult",
			"notice_from": "never",
			"gpc_stops": false,
			"sources": {
				"consent": "GDPR Art. 6(1)(a), 7; ePrivacy Directive Art. 5(3)",
				"age": "GDPR Art. 8(1): below 16 a parent must consent",
			},
		},
	},
}
