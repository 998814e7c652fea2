/**
 * The cookie `consent-no` in this browser's jar. With `__Host-` where the browser takes it: then no sibling host can
 * plant one. Both names are read.
 */
const HOST = "__Host-consent-no";
const PLAIN = "consent-no";

/** Every value that is there: [{ name, value }]. */
export function found(document) {
  const pairs = (document?.cookie ?? "").split(/; */).map((pair) => pair.split(/=(.*)/s));
  return pairs.filter(([name]) => name === HOST || name === PLAIN).map(([name, value = ""]) => ({ name, value }));
}

/** Put the value in under the strongest name that holds it ("" puts none), and take these other names out. */
export function put(document, value, life, out) {
  if (!document || !("cookie" in document)) return;
  const name = value === "" ? null : set(document, HOST, value, life) ? HOST : PLAIN;
  if (name === PLAIN) set(document, PLAIN, value, life);
  for (const other of out) if (other !== name) clear(document, other);
}

function set(document, name, value, life) {
  const secure = name === HOST ? "; Secure" : "";
  document.cookie = `${name}=${value}; Max-Age=${life}; Path=/; SameSite=Lax${secure}`;
  return found(document).some((cookie) => cookie.name === name && cookie.value === value);
}

/** A sibling host may have set it for a parent domain: every one of them is tried. */
function clear(document, name) {
  const gone = `${name}=; Max-Age=0; Path=/; SameSite=Lax`;
  document.cookie = name === HOST ? `${gone}; Secure` : gone;
  const labels = (document.location?.hostname ?? "").split(".");
  for (let at = 0; name === PLAIN && at < labels.length; at += 1) {
    document.cookie = `${gone}; Domain=${labels.slice(at).join(".")}`;
  }
}
