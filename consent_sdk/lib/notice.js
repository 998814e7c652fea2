import { request } from "./http.js";

/**
 * The notice of the law that applies here, in the closest of its languages: { jurisdiction, language, clause_id, text,
 * digest }. A page that asks for it shows it: later yeses are recorded with its digest.
 */
export async function notice(page, language) {
  const headers = { "Consent-Client": "sdk", ...(language && { "Accept-Language": language }) };
  const { data } = await request("GET", `${page.base}/v1/consent/notice`, { headers, fetcher: page.fetcher });
  page.notice = data.digest;
  return data;
}
