"""Which law applies to a visitor from where. The same table as `legal/countries.toml`, for edges that read no files."""

COUNTRIES = {
    "EU": (
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU"),
        *("LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "IS", "LI", "NO"),
        *("AX", "GF", "GP", "MF", "MQ", "RE", "YT"),
    ),
    "JP": ("JP",),
    "SG": ("SG",),
    "TH": ("TH",),
    "UK": ("GB",),
    "US-CA": ("US-CA",),
}
# A front end may also name the jurisdiction itself.
JURISDICTIONS = {
    **{place: place for place in COUNTRIES},
    **{country: place for place, countries in COUNTRIES.items() for country in countries},
}
