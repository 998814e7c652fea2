package consent_edge.consent_test

import data.consent_edge.consent

everything := ["contextual", "behavioral", "experimental"]

person(jurisdiction, gpc, age_band, choices) := {
	"jurisdiction": jurisdiction,
	"gpc": gpc,
	"age_band": age_band,
	"choices": choices,
}

test_a_choice_is_effective_for_adults_everywhere if {
	every jurisdiction, _ in consent.laws {
		consent.decide(person(jurisdiction, false, "adult", everything)).categories == everything
	}
}

test_nothing_chosen_is_nothing_effective if {
	every jurisdiction, _ in consent.laws {
		consent.decide(person(jurisdiction, false, "adult", [])).categories == []
	}
}

test_gpc_stops_behavioral_in_california if {
	decision := consent.decide(person("US-CA", true, "adult", everything))
	decision.categories == ["contextual", "experimental"]
	decision.reasons.behavioral == "us-ca-behavioral-gpc"
	decision.gpc_honoured == true
}

test_gpc_stops_all_profiling_where_the_law_is_unknown if {
	consent.decide(person("ZZ", true, "adult", everything)).categories == ["contextual"]
}

test_gpc_does_not_undo_a_choice_in_the_eu if {
	decision := consent.decide(person("EU", true, "adult", everything))
	decision.categories == everything
	decision.gpc_honoured == false
}

test_an_unknown_place_is_the_strictest if {
	decision := consent.decide(person("AQ", false, "adult", ["behavioral"]))
	decision.jurisdiction == "ZZ"
	decision.reasons.behavioral == "zz-behavioral-consent"
	decision.reasons.contextual == "zz-contextual-not-chosen"
}

test_california_asks_below_sixteen_and_stops_below_thirteen if {
	consent.decide(person("US-CA", false, "13-15", everything)).categories == everything
	consent.decide(person("US-CA", false, "13-15", [])).after_notice == ["contextual"]
	consent.decide(person("US-CA", false, "under-13", everything)).categories == ["contextual"]
}

test_no_profile_of_children if {
	every jurisdiction, _ in consent.laws {
		not "behavioral" in consent.decide(person(jurisdiction, false, "under-13", everything)).categories
	}
	every jurisdiction in ["EU", "UK", "SG", "TH", "JP", "ZZ"] {
		not "behavioral" in consent.decide(person(jurisdiction, false, "13-15", everything)).categories
	}
}

test_an_unknown_age_is_the_youngest if {
	consent.decide(person("UK", false, "ancient", everything)).categories == []
}

test_notice_alone_is_enough_only_where_the_law_says_so if {
	consent.decide(person("US-CA", false, "adult", [])).after_notice == everything
	consent.decide(person("US-CA", true, "adult", [])).after_notice == ["contextual", "experimental"]
	consent.decide(person("SG", false, "adult", [])).after_notice == ["contextual", "experimental"]
	consent.decide(person("JP", false, "adult", [])).after_notice == ["contextual", "experimental"]
	every jurisdiction in ["EU", "UK", "TH", "ZZ"] {
		consent.decide(person(jurisdiction, false, "adult", everything)).after_notice == []
	}
}

test_only_a_plain_false_means_no_signal if {
	consent.decide(person("US-CA", null, "adult", everything)).categories == ["contextual", "experimental"]
	consent.decide(person("US-CA", "0", "adult", everything)).categories == ["contextual", "experimental"]
}

test_choices_that_are_no_list_are_none if {
	consent.decide(person("EU", false, "adult", "contextual")).categories == []
	consent.decide(person("EU", false, "adult", {"contextual": true})).categories == []
}
