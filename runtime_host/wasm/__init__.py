"""Running a WASI component for one request, and nothing it did not consent to run.

    contract      the WIT records as Python values; importable without wasmtime
    loading       signature, digests, imports, then native code through a sealed memfd
    sealed        that memfd: bytes that cannot be changed, in large pages
    engine        one engine configuration for builder and host; the epoch ticker behind deadlines
    converters    typed values to the C interface and back, compiled once per function type
    sandbox       one fresh instance per request, limits, deadline, back-pressure
    functions     `ConsentValidator` and `Personalizer`: the two exports as Python calls
    native        the same two, running `functions/<name>/app.py` in this process
    debug         one request from JSON, with timing, for `edge invoke`

Only `_ffi` touches wasmtime-py's private interface.
"""
