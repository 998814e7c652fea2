"""Which built-in functions a policy may call: only those whose answer depends on nothing but their arguments.

The engine itself says what compiled rules call, so that neither a comment, a string, an alias nor `with` can hide a
call or invent one. `opa.runtime` would put the process environment into an answer, `http.send` and `net.*` would
let an answer depend on who is asking, `rego.parse_module` would run code without a review, and clocks and random
numbers would make the published table untrue.
"""

# Refused by contract; everything else that is not listed below is refused as well.
FORBIDDEN = ("http.send", "opa.runtime", "net.*", "rego.parse_module")

_ARITHMETIC = "abs ceil floor round plus minus mul div rem numbers.range numbers.range_step to_number"
_COMPARISON = "equal neq lt lte gt gte eq assign"
_COLLECTIONS = (
    "count sum product max min sort and or union intersection array.concat array.flatten array.reverse array.slice "
    "object.filter object.get object.keys object.remove object.subset object.union object.union_n "
    "json.filter json.remove json.marshal json.unmarshal json.is_valid walk internal.member_2 internal.member_3"
)
_STRINGS = (
    "concat contains endswith startswith format_int indexof indexof_n lower upper replace split sprintf substring "
    "strings.any_prefix_match strings.any_suffix_match strings.count strings.replace_n trim trim_left trim_prefix "
    "trim_right trim_space trim_suffix internal.template_string regex.match regex.is_valid regex.replace regex.split "
    "regex.find_n regex.find_all_string_submatch_n glob.match glob.quote_meta semver.compare semver.is_valid"
)
_TYPES = "is_array is_boolean is_null is_number is_object is_set is_string type_name"
_ENCODING = "base64.encode base64.decode base64url.encode base64url.decode hex.encode hex.decode crypto.sha256"
_BITS = "bits.and bits.or bits.xor bits.negate bits.lsh bits.rsh"
_GIVEN_TIMES = "time.parse_rfc3339_ns time.date time.clock time.weekday time.add_date time.diff"

ALLOWED = frozenset(
    " ".join((_ARITHMETIC, _COMPARISON, _COLLECTIONS, _STRINGS, _TYPES, _ENCODING, _BITS, _GIVEN_TIMES)).split()
)
