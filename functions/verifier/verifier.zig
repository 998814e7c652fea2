//! The signature check as a component of its own: Ed25519 and ECDSA P-256 from Zig's standard library behind
//! hand-written canonical-ABI exports (Component Model, CanonicalABI.md), so that a Python guest needs no host import.
//!
//! Memory: arguments arrive in a bump arena that the export's post-return empties; nothing outlives a call.

const std = @import("std");
const Ed25519 = std.crypto.sign.Ed25519;
const Es256 = std.crypto.sign.ecdsa.EcdsaP256Sha256;

const arena_size = 64 * 1024; // a token is at most 4,096 bytes; keys and signatures are 65 and 64
var arena: [arena_size]u8 align(16) = undefined;
var used: usize = 0;

/// Cases in the order of the WIT enums.
const Algorithm = enum(i32) { ed25519, es256, _ };
const Failure = enum(u8) { bad_key, bad_signature };

/// `result<_, signature-error>` in memory: one byte for the case, one for its payload.
const Answer = extern struct { is_error: u8, failure: u8 };
var answer: Answer = undefined;

/// Arguments come through here. The arena is never reused within a call, so `old` only matters for copying.
export fn cabi_realloc(old: ?[*]u8, old_size: usize, alignment: usize, new_size: usize) ?[*]u8 {
    const start = std.mem.alignForward(usize, used, alignment);
    if (start > arena_size or new_size > arena_size - start) @trap();
    used = start + new_size;
    const fresh = arena[start..used].ptr;
    if (old) |bytes| @memcpy(fresh[0..@min(old_size, new_size)], bytes[0..@min(old_size, new_size)]);
    return fresh;
}

fn verify(
    algorithm: i32,
    key: [*]const u8,
    key_size: usize,
    message: [*]const u8,
    message_size: usize,
    signature: [*]const u8,
    signature_size: usize,
) callconv(.c) *const Answer {
    answer = .{ .is_error = 0, .failure = 0 };
    check(algorithm, key[0..key_size], message[0..message_size], signature[0..signature_size]) catch |failure| {
        answer = .{ .is_error = 1, .failure = @intFromEnum(failure_case(failure)) };
    };
    return &answer;
}

fn post_return(_: *const Answer) callconv(.c) void {
    used = 0;
}

const Refusal = error{ BadKey, BadSignature };

fn failure_case(refusal: Refusal) Failure {
    return switch (refusal) {
        error.BadKey => .bad_key,
        error.BadSignature => .bad_signature,
    };
}

fn check(algorithm: i32, key: []const u8, message: []const u8, signature: []const u8) Refusal!void {
    return switch (@as(Algorithm, @enumFromInt(algorithm))) {
        .ed25519 => check_ed25519(key, message, signature),
        .es256 => check_es256(key, message, signature),
        else => error.BadKey,
    };
}

/// RFC 8032 section 5.1.7 without the cofactor, as OpenSSL checks it: canonical S and R, no small-order key.
fn check_ed25519(key: []const u8, message: []const u8, signature: []const u8) Refusal!void {
    if (key.len != Ed25519.PublicKey.encoded_length) return error.BadKey;
    if (signature.len != Ed25519.Signature.encoded_length) return error.BadSignature;
    const public_key = Ed25519.PublicKey.fromBytes(key[0..32].*) catch return error.BadKey;
    const parsed = Ed25519.Signature.fromBytes(signature[0..64].*);
    parsed.verifyStrict(message, public_key) catch return error.BadSignature;
}

/// FIPS 186-5 with the fixed-length signature of RFC 7518 section 3.4; the key uncompressed only.
fn check_es256(key: []const u8, message: []const u8, signature: []const u8) Refusal!void {
    if (key.len != Es256.PublicKey.uncompressed_sec1_encoded_length or key[0] != 4) return error.BadKey;
    if (signature.len != Es256.Signature.encoded_length) return error.BadSignature;
    const public_key = Es256.PublicKey.fromSec1(key) catch return error.BadKey;
    const parsed = Es256.Signature.fromBytes(signature[0..64].*);
    parsed.verify(message, public_key) catch return error.BadSignature;
}

comptime {
    @export(&verify, .{ .name = "consent-edge:functions/signature@0.1.0#verify" });
    @export(&post_return, .{ .name = "cabi_post_consent-edge:functions/signature@0.1.0#verify" });
}
