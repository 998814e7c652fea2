/** 16 random bytes as 22 base64url characters: an idempotency key, a browser's tag. */
export function randomText() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}
