# METADATA
# title: Brand rules
# description: |
#   What a personalised slot may look like and say, for every function: limits of the adjustment, words and length of
#   the copy, contrast of text over an image. The limits are data: consent_edge.settings.brand.
# scope: package
package consent_edge.brand

# METADATA
# title: Whether a slot keeps to the brand
# description: |
#   input may hold copy, adjustment {brightness, saturation, warmth} in percent, and overlay {text, background} as
#   #rrggbb. What is absent is not judged; what cannot be read is a violation.
# entrypoint: true
default allow := false

allow if count(violations) == 0

# METADATA
# title: What is wrong with a slot
# description: A set of {rule, message}, one rule at most once per subject.
# entrypoint: true
violations contains violation("brand-adjustment", "%s is not between -%d and %d", [name, limit, limit]) if {
	some name, amount in object.get(input, "adjustment", {})
	limit := object.get(data.consent_edge.settings.brand.adjustment, name, 0)
	not within(amount, limit)
}

violations contains violation("brand-word", "the copy says %s", [word]) if {
	is_string(input.copy)
	some word in data.consent_edge.settings.brand.forbidden_words
	word in words(input.copy)
}

violations contains violation("brand-length", "the copy has more than %d words", [limit]) if {
	is_string(input.copy)
	limit := data.consent_edge.settings.brand.copy_words
	count(regex.find_n(`\S+`, input.copy, -1)) > limit
}

violations contains violation("brand-copy", "the copy is not a text", []) if {
	not is_string(object.get(input, "copy", ""))
}

violations contains violation("brand-contrast", "text and background contrast less than %v to 1", [limit]) if {
	overlay := input.overlay
	limit := data.consent_edge.settings.brand.contrast
	not readable(overlay, limit)
}

violation(rule, message, details) := {"rule": rule, "message": sprintf(message, details)}

within(amount, limit) if {
	is_number(amount)
	abs(amount) <= limit
}

words(text) := {word | some word in regex.find_n(`[a-z']+`, lower(text), -1)}

readable(overlay, limit) if contrast(luminance(overlay.text), luminance(overlay.background)) >= limit

# WCAG 2.2, contrast ratio. Not by `max`: the engine takes 2.1e-05 for more than 0.18 there, `>=` knows better.
contrast(one, other) := (one + 0.05) / (other + 0.05) if {
	one >= other
} else := (other + 0.05) / (one + 0.05)

# WCAG 2.2, relative luminance of #rrggbb; undefined for anything else.
luminance(colour) := ((0.2126 * linear(colour, 1)) + (0.7152 * linear(colour, 3))) + (0.0722 * linear(colour, 5)) if {
	regex.match(`^#[0-9a-fA-F]{6}$`, colour)
}

linear(colour, offset) := srgb(byte_at(colour, offset) / 255)

# The sRGB curve, ((level + 0.055) / 1.055) ^ 2.4 above the knee. Rego has no power function: x ^ 2.4 is x ^ 2 times the
# fifth root of x ^ 2, which Newton's steps reach to six digits.
srgb(level) := level / 12.92 if {
	level <= 0.04045
} else := square * root if {
	base := (level + 0.055) / 1.055
	square := base * base
	first := closer(square, 0.3 + (0.7 * base))
	second := closer(square, first)
	third := closer(square, second)
	root := closer(square, third)
}

closer(square, root) := ((4 * root) + (square / (((root * root) * root) * root))) / 5

byte_at(colour, offset) := (16 * nibble(colour, offset)) + nibble(colour, offset + 1)

nibble(colour, offset) := indexof("0123456789abcdef", lower(substring(colour, offset, 1)))
