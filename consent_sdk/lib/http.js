import { ConsentError } from "./errors.js";

/** One JSON request to the visitor's own POP. Resolves with the body; rejects with a ConsentError. */
export async function request(method, url, body, fetcher = fetch) {
  const options = { method, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetcher(url, options);
  } catch (error) {
    throw new ConsentError("unreachable", `no answer from ${url}: ${error.message}`);
  }
  return { response, data: await read(response) };
}

async function read(response) {
  const text = await response.text();
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
