/**
 * The shop's own script: a consent panel over the SDK, and purchases. The first paint is personalised without any of
 * it, so it waits until the page has loaded and takes no bandwidth from the pictures.
 */

const CATEGORIES = {
  contextual: "Pictures that follow the page you read. Nothing is kept.",
  behavioral: "Banners from what you bought here. Kept 7 days.",
  experimental: "Which design works better. Kept 14 days.",
};

const panel = buildPanel();
await pageLoaded();
const { connect } = await import("/sdk/consent-edge.js");
const consent = await connect();
show(consent.state);
consent.addEventListener("change", (event) => show(event.detail));
consent.addEventListener("error", (event) => say(`${event.detail.code}: ${event.detail.message}`, true));
document.body.append(panel);
document.documentElement.dataset.consentReady = "true"; // for tests: the panel works from here on
document.addEventListener("click", (event) => event.target.dataset?.buy && buy(event.target));

function pageLoaded() {
  return new Promise((done) => {
    if (document.readyState === "complete") done();
    else addEventListener("load", done, { once: true });
  });
}

function buildPanel() {
  const section = document.createElement("section");
  section.className = "consent";
  section.setAttribute("aria-label", "Your consent");
  section.innerHTML = `<h2>What may this shop use?</h2>${Object.entries(CATEGORIES)
    .map(([name, text]) => `<label><input type="checkbox" role="switch" name="${name}"><span>${name}</span><small>${text}</small></label>`)
    .join("")}<output></output>`;
  section.addEventListener("change", (event) => toggle(event.target));
  return section;
}

async function toggle(input) {
  input.setAttribute("aria-busy", "true");
  try {
    await (input.checked ? consent.grant(input.name) : consent.withdraw(input.name));
  } catch (error) {
    say(`${error.code}: ${error.message}`, true);
  } finally {
    input.removeAttribute("aria-busy");
    show(consent.state);
  }
}

function show(state) {
  for (const input of panel.querySelectorAll("input")) {
    input.checked = state.choices.includes(input.name);
    const off = input.checked && !state.categories.includes(input.name);
    input.parentElement.title = off ? `switched off by policy: ${state.reasons?.[input.name] ?? ""}` : "";
  }
  const effective = state.categories.length ? state.categories.join(", ") : "nothing";
  const law = state.jurisdiction ? ` Law: ${state.jurisdiction}.` : "";
  const gpc = state.gpc_honoured ? " Your browser’s Global Privacy Control signal is honoured." : "";
  say(`In effect: ${effective}.${law}${gpc}`);
}

function say(text, bad = false) {
  const output = panel.querySelector("output");
  output.textContent = text;
  output.classList.toggle("bad", bad);
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
  await consent.swapAll();
}
