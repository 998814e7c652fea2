"""From a signed component to the edge that runs it.

    package = pack(open_release(Path("build/components/edge_http"), trust, now, revoked), signer, root)
    digest = push(package, Reference.parse("registry.example/shop/edge_http:1.0.0"), Registry(...))
    verified = verify(Reference.parse(f"registry.example/shop/edge_http@{digest}"), trust, Registry(...), now, revoked)

A release is opened, that is verified, before any of its bytes go anywhere. The rooms:

    release      a built component folder, verified for leaving this machine
    origin       the control plane's scheme, host and port: the one place a deployed function may call
    render       spin.toml, wasmCloud's two files, a unit for `wasmtime serve`, from `templates/`
    writing      the same onto the disk
    artefact     the CNCF wasm layout as OCI manifests and blobs: component, signature, provenance, SBOM, native code
    provenance   SLSA v1 about one component;   sbom   CycloneDX about one component
    layout       an artefact as an OCI image layout on disk
    reference    `host/name:tag@digest`;   registry   the OCI distribution API over HTTPS;   access   who we are there
    push         an artefact to a registry;   verify   a reference to verified files, or a refusal
"""
