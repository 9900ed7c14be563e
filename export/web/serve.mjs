#!/usr/bin/env node
// @ts-check
/** Serves the page with the headers that it needs, or writes a folder for any host of files. */

import { createReadStream } from "node:fs";
import { appendFile, cp, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, posix, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const USAGE = `node serve.mjs BUNDLE [--port 8080] [--measurements device.jsonl]     serves the page to this machine
node serve.mjs BUNDLE --site FOLDER                                  writes it to a folder, for any host of files

  --host 127.0.0.1     which of this machine's addresses listens
  --measurements FILE  what pages measure is added to it, for edgesft check --measurements`;

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".zip": "application/zip",
};

/** Files of onnxruntime-web that the page loads. */
const ORT = /^(ort\.(wasm|webgpu)\.min\.mjs|ort-wasm-simd-threaded(\.asyncify)?\.(mjs|wasm))$/;

const MOST_POSTED = 1 << 26;

const here = dirname(fileURLToPath(import.meta.url));

/** @param {string} bundle @returns {Promise<Record<string, string>>} Address → folder or file. */
async function places(bundle) {
  const require = createRequire(import.meta.url);
  const found = await stat(bundle).catch(() => null);
  if (!found) throw new Error(`bundle must be a folder or an archive that exists, got '${bundle}'`);
  return {
    "/web/": here,
    "/js/": resolve(here, "../js"),
    "/ort/": dirname(require.resolve("onnxruntime-web/wasm")),
    "/tokenizers/": dirname(require.resolve("@huggingface/tokenizers")),
    [found.isDirectory() ? "/bundle/" : "/bundle.zip"]: resolve(bundle),
  };
}

/** @param {Record<string, string>} known @param {string} path @returns {string | null} The file of an address. */
function fileOf(known, path) {
  const clean = posix.normalize(path.replaceAll("\\", "/"));
  const prefix = Object.keys(known).find((each) => (each.endsWith("/") ? clean.startsWith(each) : clean === each));
  if (!prefix) return null;
  const rest = clean.slice(prefix.length) || (prefix === "/web/" ? "index.html" : "");
  const file = resolve(known[prefix], rest);
  // A drive's letter would lead away from it, too.
  return file === known[prefix] || file.startsWith(known[prefix] + sep) ? file : null;
}

/** @param {any} request @param {any} response @param {string} file */
async function take(request, response, file) {
  let text = "";
  for await (const part of request.setEncoding("utf-8")) {
    text += part;
    if (text.length > MOST_POSTED) return response.writeHead(413).end();
  }
  for (const line of text.split("\n").filter(Boolean)) JSON.parse(line);
  await appendFile(file, text.endsWith("\n") ? text : `${text}\n`);
  return response.writeHead(204).end();
}

/** @param {Record<string, string>} known @param {string | undefined} measurements */
function server(known, measurements) {
  const home = `/web/?bundle=..${"/bundle/" in known ? "/bundle/" : "/bundle.zip"}${measurements ? "&send=/measurements" : ""}`;
  const headers = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
  };
  return createServer(async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
      if (request.method === "POST" && path === "/measurements" && measurements) {
        // Other sites' pages have nothing to say here.
        if ((request.headers["sec-fetch-site"] ?? "same-origin") !== "same-origin")
          return response.writeHead(403).end();
        return await take(request, response, measurements);
      }
      if (path === "/") return response.writeHead(302, { Location: home }).end();
      const file = fileOf(known, path);
      const found = file && (await stat(file).catch(() => null));
      if (!file || !found?.isFile()) return response.writeHead(404, headers).end("not here");
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { ...headers, "Content-Type": type, "Content-Length": found.size });
      return createReadStream(file).pipe(response);
    } catch (error) {
      return response.writeHead(400, headers).end(String(error));
    }
  });
}

/** @param {Record<string, string>} known @param {string} folder */
async function write(known, folder) {
  const bundle = "/bundle/" in known ? "bundle/" : "bundle.zip";
  for (const [address, from] of Object.entries(known)) {
    if (address === "/ort/") {
      await mkdir(join(folder, "ort"), { recursive: true });
      for (const name of (await readdir(from)).filter((each) => ORT.test(each)))
        await cp(join(from, name), join(folder, "ort", name));
    } else if (address === "/tokenizers/") {
      await cp(join(from, "tokenizers.min.mjs"), join(folder, "tokenizers/tokenizers.min.mjs"));
    } else {
      const page = (name) => !/node_modules|package(-lock)?\.json|serve\.mjs|\.md$/.test(name.slice(from.length));
      await cp(from, join(folder, address), { recursive: true, filter: address === "/web/" ? page : undefined });
    }
  }
  await writeFile(
    join(folder, "index.html"),
    `<!doctype html><meta http-equiv="refresh" content="0; url=web/?bundle=../${bundle}">\n`,
  );
}

try {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: "string", default: "8080" },
      host: { type: "string", default: "127.0.0.1" },
      measurements: { type: "string" },
      site: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (options.help || positionals.length !== 1) {
    (options.help ? console.log : console.error)(USAGE);
    process.exit(options.help ? 0 : 2);
  }
  const known = await places(positionals[0]);
  if (options.site) await write(known, options.site);
  else {
    const listening = server(known, options.measurements).listen(Number(options.port), options.host);
    listening.on("error", (error) => {
      console.error(error.message);
      process.exit(4);
    });
    listening.on("listening", () => console.log(`http://localhost:${/** @type {any} */ (listening.address()).port}/`));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
