/** Reports what is on its screen while it is prerendered, in the first frame after, and in the end. `?deaf`: hears no tab. */
if (location.search === "?deaf") {
  delete window.BroadcastChannel;
  Object.defineProperty(window, "EventSource", {});
  addEventListener("storage", (event) => event.stopImmediatePropagation(), true);
}
const { connect } = await import("/sdk/consent-edge.js");
const image = document.images[0];
await connect();
document.addEventListener("prerenderingchange", async () => {
  await new Promise(requestAnimationFrame);
  await report("activated");
  while (image.dataset.consentCategory !== "default") await new Promise((resolve) => setTimeout(resolve, 20));
  await report("settled");
});
if (!image.complete) await new Promise((resolve) => image.addEventListener("load", resolve)); // nothing is decoded before activation
await report("loaded");

function report(stage) {
  const { activationStart } = performance.getEntriesByType("navigation")[0];
  const seen = { stage, prerendering: document.prerendering, activated: activationStart > 0, colour: colour() };
  return fetch("/reports", { method: "POST", body: JSON.stringify(seen) });
}

function colour() {
  if (image.style.visibility === "hidden") return "nothing";
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.drawImage(image, 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).join();
}
