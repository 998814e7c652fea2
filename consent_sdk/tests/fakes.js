/** A POP that answers from a table and remembers what it was asked. */
export function fakePop(answers) {
  const asked = [];
  const fetcher = async (url, options) => {
    asked.push({ method: options.method, url, body: options.body ? JSON.parse(options.body) : undefined });
    const answer = answers[`${options.method} ${url}`];
    const next = Array.isArray(answer) ? answer.shift() : answer;
    if (next instanceof Error) throw next;
    return new Response(next?.body === undefined ? "" : JSON.stringify(next.body), {
      status: next?.status ?? 200,
      headers: next?.headers ?? {},
    });
  };
  return { fetcher, asked };
}

/** A page without slots. */
export const emptyPage = { querySelectorAll: () => [], defaultView: {} };

export const state = (choices) => ({ choices, categories: choices, revoked: false, ver: 1, expires_in: 0 });
