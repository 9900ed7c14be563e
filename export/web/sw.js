// @ts-check
/**
 * Keeps what was loaded, so that the page works again without a network; and isolates it where the host does not say
 * so, for only then WebAssembly has threads and the clock steps of 5 µs.
 */

const CACHE = "edgesft-kit-1";

const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const worker = /** @type {any} */ (self);

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answered(request));
});

/** The network's answer, and kept; without a network what was kept. @param {Request} request */
async function answered(request) {
  let answer;
  try {
    answer = isolated(await fetch(request));
  } catch (error) {
    const kept = await caches.match(request, { cacheName: CACHE, ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
  if (answer.status === 200) await keep(request, answer.clone());
  return answer;
}

/** What the browser has no room for is answered all the same. @param {Request} request @param {Response} answer */
async function keep(request, answer) {
  try {
    await (await caches.open(CACHE)).put(request, answer);
  } catch (error) {
    console.warn(`${request.url} must come from the network again: ${error}`);
  }
}

/** @param {Response} answer */
function isolated(answer) {
  if (answer.type === "opaque" || answer.type === "opaqueredirect" || [204, 304].includes(answer.status)) return answer;
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
