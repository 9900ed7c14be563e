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
  const cache = await caches.open(CACHE);
  try {
    const answer = isolated(await fetch(request));
    if (answer.status === 200) await cache.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

/** @param {Response} answer */
function isolated(answer) {
  if (answer.type === "opaque" || answer.type === "opaqueredirect" || [204, 304].includes(answer.status)) return answer;
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
