import { ConsentError } from "./errors.js";

const PATIENCE_MS = 20_000; // an answer with a picture on a slow phone takes ten

/**
 * One JSON request to the visitor's own POP. Resolves with { response, data }; rejects with a ConsentError, also
 * when the whole answer is not there after PATIENCE_MS.
 */
export async function request(method, url, { body, headers, fetcher = fetch, patience = PATIENCE_MS, ...more } = {}) {
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(), patience);
  const options = { method, credentials: "same-origin", cache: "no-store", headers, signal: clock.signal, ...more };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json", ...headers };
  }
  try {
    const response = await fetcher(url, options);
    return { response, data: read(response, await response.text()) };
  } catch (error) {
    if (error instanceof ConsentError) throw error;
    if (clock.signal.aborted) throw new ConsentError("timeout", `no answer from ${url} within ${patience / 1000} s`);
    throw new ConsentError("unreachable", `no answer from ${url}: ${error.message}`);
  } finally {
    clearTimeout(timer);
  }
}

function read(response, text) {
  let data = null;
  try {
    data = text === "" ? null : JSON.parse(text);
  } catch {
    if (response.ok) throw new ConsentError("bad-answer", "the answer is not JSON", response.status);
  }
  if (response.ok) return data;
  const error = data?.error ?? {};
  throw new ConsentError(error.code ?? "http-error", error.message ?? response.statusText, response.status);
}
