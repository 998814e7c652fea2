/**
 * A picture in its element: decoded off screen before it is shown, so that nothing flashes and nothing moves. One
 * that came along with an answer saves a round trip; where the page's own content policy forbids `blob:`, or none
 * came along, it is fetched by its address, at the size the page would choose.
 */
export async function load(image, { url, srcset, inline }, base = "") {
  if (inline) {
    const src = objectUrl(inline);
    try {
      await decode({ src });
      return { src };
    } catch {
      URL.revokeObjectURL(src);
    }
  }
  const below = (text) => text?.replaceAll(/(^|, )\//g, `$1${base}/`);
  const picture = { src: below(url), srcset: below(srcset), sizes: image.sizes };
  return { ...picture, element: await decode(picture) };
}

/** Show a loaded picture. Resolves when the browser has it in place; an element that fails at it shows nothing. */
export async function put(image, { src, srcset }) {
  quieten(image);
  const before = image.src;
  image.loading = "eager"; // it is loaded already
  if (srcset) image.srcset = srcset;
  else image.removeAttribute("srcset");
  image.src = src;
  image.style.removeProperty("visibility");
  dropBlob(before, src);
  await image.decode().catch(() => {});
}

/** Show nothing in the picture's place: an empty drawing of its size, so that nothing moves. */
export function blank(image) {
  const size = `width="${image.naturalWidth || image.width}" height="${image.naturalHeight || image.height}"`;
  const drawing = new Blob([`<svg xmlns="http://www.w3.org/2000/svg" ${size}/>`], { type: "image/svg+xml" });
  quieten(image);
  image.removeAttribute("srcset");
  image.src = URL.createObjectURL(drawing);
  image.style.visibility = "hidden"; // also while that loads, and where the page's policy forbids `blob:`
}

/** A <picture> would go on showing what it chose among its sources. */
function quieten(image) {
  for (const source of image.parentElement?.querySelectorAll(":scope > source") ?? []) source.removeAttribute("srcset");
}

const kept = new Set(); // addresses of copies

/** The picture as it is shown now, decoded, by an address of its own: the page's would be asked anew, with new cookies. */
export async function copied(image) {
  const bitmap = await createImageBitmap(image);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  const src = URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.9 }));
  kept.add(src);
  return decode({ src });
}

function dropBlob(before, after) {
  if (before.startsWith("blob:") && before !== after && !kept.has(before)) URL.revokeObjectURL(before);
}

function objectUrl({ type, base64 }) {
  const bytes = Uint8Array.fromBase64?.(base64) ?? Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type }));
}

async function decode({ src, srcset, sizes }) {
  const next = new Image();
  if (sizes) next.sizes = sizes;
  if (srcset) next.srcset = srcset;
  next.src = src;
  await next.decode();
  return next;
}
