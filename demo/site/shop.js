/**
 * The shop's own script: the consent panel, the drawer, and purchases. The first paint is personalised without any of
 * it, so it waits until the page has loaded and takes no bandwidth from the pictures. `?lang=ar`: their language.
 */

await pageLoaded();
const panel = document.querySelector("consent-panel");
const language = new URLSearchParams(location.search).get("lang") ?? "en";
panel.lang = language;
await import("/sdk/panel.js");
await panel.ready;
const { offerWhy } = await import("/why.js");
offerWhy(panel.consent, language);
const { measure } = await import("/sdk/measure.js");
measure(panel.consent);
document.documentElement.dataset.consentReady = "true"; // for tests: the panel works from here on
document.addEventListener("click", (event) => event.target.dataset?.buy && buy(event.target));

function pageLoaded() {
  return new Promise((done) => {
    if (document.readyState === "complete") done();
    else addEventListener("load", done, { once: true });
  });
}

async function buy(button) {
  const event = { kind: "purchase", item: button.dataset.buy, tags: button.dataset.tags.split(",") };
  await fetch("/v1/events", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(event),
  });
  button.dataset.done = "true";
  button.textContent = "Bought";
  await panel.consent.swapAll();
}
