/**
 * Decides again, on V8: `node replay.mjs <component.js>`; a decision receipt's payload a line in, its output a line out.
 * The output is canonical JSON (RFC 8785): members by name, numbers and strings as JSON.stringify spells them.
 */
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { personalization } = await import(pathToFileURL(process.argv[2]));
const spell = (value) => JSON.stringify(value, (_, part) => (part && typeof part === "object" && !Array.isArray(part)
  ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1))) : part));
const visited = ({ days_ago: daysAgo, ...rest }) => ({ ...rest, daysAgo });

for await (const line of createInterface({ input: process.stdin })) {
  const { slot, input: { signals: { page, history, experiment }, candidates, entropy } } = JSON.parse(line);
  const signals = { page: page ?? undefined, history: history?.map(visited), experiment: experiment ?? undefined };
  const { asset, copy, adjustment: { brightness, saturation, warmth }, propensity, explored } =
    personalization.decide(slot, signals, candidates, entropy);
  console.log(spell({ asset, copy, adjustment: { brightness, saturation, warmth }, propensity, explored }));
}
