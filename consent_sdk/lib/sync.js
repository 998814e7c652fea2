import { swapSlot } from "./swap.js";

/** Ask the POP what holds now. An answer that a click or a change overtook is not taken over. */
export async function sync(page) {
  const { epoch } = page;
  const answer = await page.ask("GET", "");
  return epoch === page.epoch ? page.adopt(answer) : page.renew();
}

/** A fresh token for the same choices. */
export async function refresh(page) {
  const { epoch } = page;
  const answer = await page.ask("POST", "/refresh", {});
  return epoch === page.epoch ? page.adopt(answer) : page.renew();
}

/** Show the current decision in every slot of the page. Says whether the POP asks for a fresh token. */
export async function swapAll(page) {
  const swaps = await Promise.allSettled(page.slots.map((image) => swapSlot(image, page.fetcher, page.base)));
  for (const swap of swaps) if (swap.status === "rejected") page.fail(swap.reason);
  return swaps.some((swap) => swap.value?.refresh);
}
