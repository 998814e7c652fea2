"""The host side: `wasm` runs one component per request, `pop` is one point of presence around it."""
