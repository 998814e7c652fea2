package consent_edge.brand_test

import data.consent_edge.brand

# `with` below the fields: the engine cannot replace the whole input of a rule that calls built-ins.
rules(slot) := {violation.rule | some violation in found} if {
	found := brand.violations with input.copy as slot.copy
		with input.adjustment as slot.adjustment
		with input.overlay as slot.overlay
}

slot(changes) := object.union(
	{
		"copy": "Made for rain",
		"adjustment": {"brightness": -20, "warmth": 30},
		"overlay": {"text": "#FFFFFF", "background": "#1a2b3c"},
	},
	changes,
)

test_a_plain_slot_passes if rules(slot({})) == set()

test_nothing_to_judge_is_allowed if brand.allow

test_adjustment_has_limits if {
	rules(slot({"adjustment": {"brightness": 21}})) == {"brand-adjustment"}
	rules(slot({"adjustment": {"sharpness": 1}})) == {"brand-adjustment"}
	rules(slot({"adjustment": {"warmth": "a lot"}})) == {"brand-adjustment"}
}

test_forbidden_words_count_as_words if {
	rules(slot({"copy": "FREE, today"})) == {"brand-word"}
	rules(slot({"copy": "Freedom to roam"})) == set()
}

test_copy_is_short_text if {
	rules(slot({"copy": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"})) == {"brand-length"}
	"brand-copy" in rules(slot({"copy": 7}))
}

test_text_over_an_image_is_readable if {
	rules(slot({"overlay": {"text": "#777777", "background": "#888888"}})) == {"brand-contrast"}
	rules(slot({"overlay": {"text": "white", "background": "#000000"}})) == {"brand-contrast"}
	rules(slot({"overlay": {"text": "#ffffff", "background": "#767676"}})) == set()
}
