/** The drawer's words. A language that is not here gets English. */
const day = (language) => (days) => new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-days, "day");
const second = (language) => (count) =>
  new Intl.NumberFormat(language, { style: "unit", unit: "second", unitDisplay: "long" }).format(count);

const ENGLISH = {
  language: "en",
  ask: "Why am I seeing this?",
  close: "Close",
  kinds: {
    decided: "Chosen for you, from what you allowed.",
    explored: "Chosen for you. Today it is another than the best match: some visitors get one, so that it can prove better.",
    arm: "Your design in an experiment. It stays the same for you.",
    default: "Everybody sees this. Nothing about you was used.",
  },
  signals: "What was used",
  nothing: "nothing",
  reason: "Why the default",
  reasons: {
    "no-token": "you have allowed nothing here",
    "not-effective": "you have not allowed this, or the law here does not",
    refused: "you refused it",
    revoked: "it was taken back",
    "not-in-sync": "this server waits for the latest refusals",
  },
  category: "Allowed as",
  categories: { contextual: "the page you read", behavioral: "what you did here", experimental: "trying designs" },
  law: "Law and rule",
  policy: "Policy",
  component: "Function",
  pop: "Decided at",
  token: "Your permission ends in",
  page: "this page",
  experiment: "experiment",
  history: "what you did here",
  did: { impression: "seen", click: "clicked", purchase: "bought" },
  receipt: "Receipt, checked in this browser",
  verdicts: { holds: "✓", fails: "✗", unknown: "?" },
  checks: {
    signature: "signed by this server’s own key",
    endorsement: "the key is that server’s, at that time",
    trust: "the operator vouches for the key",
    same: "it is about the picture shown here",
  },
  trust: "Trust file, from this server; compare it with one from elsewhere:",
  keep: "Keep the receipt (it can be decided again)",
  choose: "Change what you allow",
  failed: "No answer.",
};

const ARABIC = {
  language: "ar",
  ask: "لماذا أرى هذا؟",
  close: "إغلاق",
  kinds: {
    decided: "اختير لك بناءً على ما سمحت به.",
    explored: "اختير لك، وهو اليوم بديل يُجرَّب مع بعض الزوار ليبقى الاختيار منصفًا.",
    arm: "تصميمك في تجربة، ويبقى كما هو بالنسبة إليك.",
    default: "يراه الجميع. لم يُستخدم شيء عنك.",
  },
  signals: "ما الذي استُخدم",
  nothing: "لا شيء",
  reason: "سبب العرض الافتراضي",
  reasons: {
    "no-token": "لم تسمح بشيء هنا",
    "not-effective": "لم تسمح بهذا، أو لا يسمح به القانون هنا",
    refused: "لقد رفضته",
    revoked: "سُحب الإذن",
    "not-in-sync": "ينتظر هذا الخادم أحدث حالات الرفض",
  },
  category: "سمحت به بصفته",
  categories: { contextual: "الصفحة التي تقرؤها", behavioral: "ما فعلته هنا", experimental: "تجربة التصاميم" },
  law: "القانون والقاعدة",
  policy: "السياسة",
  component: "الدالّة",
  pop: "مكان القرار",
  token: "ينتهي إذنك بعد",
  page: "هذه الصفحة",
  experiment: "التجربة",
  history: "ما فعلته هنا",
  did: { impression: "شوهد", click: "نُقر", purchase: "اشتُري" },
  receipt: "الإيصال، متحقَّق منه في هذا المتصفح",
  verdicts: ENGLISH.verdicts,
  checks: {
    signature: "موقَّع بمفتاح هذا الخادم نفسه",
    endorsement: "المفتاح لذلك الخادم في ذلك الوقت",
    trust: "المشغّل يضمن المفتاح",
    same: "يتعلق بالصورة المعروضة هنا",
  },
  trust: "ملف الثقة من هذا الخادم؛ قارنه بنسخة من مصدر آخر:",
  keep: "احتفظ بالإيصال (يمكن إعادة القرار منه)",
  choose: "غيّر ما تسمح به",
  failed: "لا يوجد رد.",
};

const LANGUAGES = { en: ENGLISH, ar: ARABIC };

/** The words for a language tag. */
export function wordsOf(language = "en") {
  const words = LANGUAGES[language.toLowerCase().split("-")[0]] ?? ENGLISH;
  return { ...words, days: day(words.language), seconds: second(words.language) };
}
