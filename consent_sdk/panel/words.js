import english from "../lang/en.js";

/** The panel's languages beside English, which is always at hand. */
export const LANGUAGES = Object.freeze(["en", "ja", "de", "fr", "es", "ar"]);

/** The words of the first of these language tags that there is, else English: { language, words }. */
export async function wordsFor(tags) {
  const language = tags.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => LANGUAGES.includes(tag)) ?? "en";
  if (language === "en") return { language, words: english };
  try {
    return { language, words: (await import(`../lang/${language}.js`)).default };
  } catch {
    return { language: "en", words: english }; // a file that does not come must not take the panel away
  }
}

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** `7 days`, in that language. */
export function days(seconds, language) {
  return new Intl.NumberFormat(language, { style: "unit", unit: "day", unitDisplay: "long" }).format(Math.round(seconds / 86_400));
}
