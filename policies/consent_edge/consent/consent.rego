# METADATA
# title: Effective categories
# description: |
#   What the law of one place makes of a person's choices. The laws are data, one file each. This file is the only
#   procedure, so that every law is applied in the same order: signal, age, choice.
# scope: package
package consent_edge.consent

categories := ["contextual", "behavioral", "experimental"]

# Youngest first. A visitor who states no known band is treated as the youngest.
age_bands := ["under-13", "13-15", "adult"]

# METADATA
# title: The decision
# description: |
#   input: jurisdiction, gpc, age_band, choices. Answers the effective categories with the rule that decided each,
#   and what may be effective after notice alone, without a grant. An unknown value is read the strictest way.
# entrypoint: true
decision := decide(input)

# METADATA
# title: Laws and rules
# description: Every law, and every rule id that a decision can name, with its source and the clause people read.
# entrypoint: true
catalogue := {
	"categories": categories,
	"age_bands": age_bands,
	"jurisdictions": {jurisdiction: described |
		some jurisdiction, law in laws
		described := {"name": law.name, "notice": law.notice, "honours_gpc": honours_gpc(law)}
	},
	"rules": rules,
}

decide(request) := {
	"jurisdiction": jurisdiction,
	"gpc_honoured": gpc_honoured(law, request),
	"categories": effective(chosen),
	"reasons": reasons(jurisdiction, chosen),
	"after_notice": effective(noticed),
	"after_notice_reasons": reasons(jurisdiction, noticed),
} if {
	jurisdiction := known_jurisdiction(request)
	law := laws[jurisdiction]
	chosen := {category: outcome |
		some category in categories
		outcome := outcome_of_choice(law.categories[category], category, request)
	}
	noticed := {category: outcome |
		some category in categories
		outcome := outcome_of_notice(law.categories[category], request)
	}
}

effective_outcomes := {"consent", "notice"}

effective(outcomes) := [category |
	some category in categories
	outcomes[category] in effective_outcomes
]

reasons(jurisdiction, outcomes) := {category: rule |
	some category in categories
	rule := rule_id(jurisdiction, category, outcomes[category])
}

# What a person's choice leads to. The order of the clauses is the order of precedence.
outcome_of_choice(terms, category, request) := "gpc" if {
	terms.gpc_stops
	signals_gpc(request)
} else := "age" if {
	age(request) < rank(terms.choice_from)
} else := "consent" if {
	category in choices(request)
} else := "not-chosen"

# What notice alone leads to, before the person has chosen anything.
outcome_of_notice(terms, request) := "gpc" if {
	terms.gpc_stops
	signals_gpc(request)
} else := "opt-in" if {
	terms.notice_from == "never"
} else := "age" if {
	age(request) < rank(terms.notice_from)
} else := "notice"

known_jurisdiction(request) := request.jurisdiction if {
	laws[request.jurisdiction]
} else := "ZZ"

choices(request) := request.choices if {
	is_array(request.choices)
} else := []

age(request) := rank(request.age_band) if {
	request.age_band in age_bands
} else := 0

rank(band) := position if {
	some position, known in age_bands
	known == band
}

# Only a plain `false` says that there is no signal.
signals_gpc(request) if not denies_gpc(request)

denies_gpc(request) if request.gpc == false

honours_gpc(law) if {
	some category in categories
	law.categories[category].gpc_stops
} else := false

gpc_honoured(law, request) if {
	honours_gpc(law)
	signals_gpc(request)
} else := false

rules[id] := rule if {
	some jurisdiction, law in laws
	some category in categories
	some outcome in possible_outcomes(law.categories[category])
	id := rule_id(jurisdiction, category, outcome)
	rule := {
		"source": source(law.categories[category], outcome),
		"clause": clause(law, category, outcome),
		"effective": outcome in effective_outcomes,
	}
}

rule_id(jurisdiction, category, outcome) := lower(concat("-", [jurisdiction, category, outcome]))

possible_outcomes(terms) := {outcome |
	some outcome in ["consent", "not-chosen", "opt-in", "notice", "age", "gpc"]
	possible(outcome, terms)
}

possible("consent", _)

possible("not-chosen", _)

possible("opt-in", terms) if terms.notice_from == "never"

possible("notice", terms) if terms.notice_from != "never"

possible("age", terms) if rank(terms.choice_from) > 0

possible("age", terms) if rank(terms.notice_from) > 0

possible("gpc", terms) if terms.gpc_stops

source(terms, outcome) := terms.sources[outcome] if {
	terms.sources[outcome]
} else := terms.sources.consent

# The clause that a person reads about an outcome.
clause(law, _, "notice") := law.notice

clause(_, _, "gpc") := "gpc"

clause(_, _, "age") := "children"

clause(_, category, outcome) := concat("-", ["category", category]) if {
	outcome in ["consent", "not-chosen", "opt-in"]
}
