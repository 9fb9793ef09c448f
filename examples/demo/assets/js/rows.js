// One row for each asset. Status, policy and backend are read from a real answer at its URL.
import { drawFingerprint } from "demo/fingerprint";

const FINGERPRINT = /^(.*-)([0-9a-f]{64})(\.[^.]*)?$/;

// Draws what is new or has another URL than before; returns the files whose URL has changed.
export function drawRows(body, assets) {
  const changed = [];
  const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  for (const asset of assets) {
    const key = `${asset.mount}/${asset.file}`;
    const row = rows.get(key) ?? body.appendChild(newRow(key));
    rows.delete(key);
    const before = row.dataset.url;
    if (before === asset.url) continue;
    row.dataset.url = asset.url;
    draw(row, asset, before);
    if (before) changed.push(asset.file);
  }
  for (const gone of rows.values()) gone.remove();
  return changed;
}

function newRow(key) {
  const row = document.createElement("tr");
  row.dataset.key = key;
  for (const name of ["prints", "url", "status", "policy", "backend"]) row.insertCell().className = name;
  return row;
}

async function draw(row, asset, before) {
  const [prints, url, status, policy, backend] = row.cells;
  const found = FINGERPRINT.exec(asset.url);
  prints.replaceChildren(found ? drawFingerprint(found[2]) : textIn("span", "plain"));
  url.replaceChildren(link(asset.url, found), ...(before ? [textIn("s", before)] : []));
  if (before) {
    row.classList.remove("changed");
    void row.offsetWidth; // so that the animation starts again
    row.classList.add("changed");
  }
  const answer = await fetch(asset.url, { method: "HEAD", cache: "no-store" });
  await answer.text();
  status.textContent = answer.status;
  status.toggleAttribute("data-bad", !answer.ok);
  policy.textContent = answer.headers.get("Cache-Control");
  backend.textContent = row.dataset.backend = answer.headers.get("X-Backend");
}

function link(href, found) {
  const anchor = document.createElement("a");
  anchor.href = href;
  const host = /^https?:\/\/[^/]+/.exec(href)?.[0] ?? "";
  const parts = found ? [found[1].slice(host.length), textIn("span", found[2], "hash"), found[3] ?? ""] : [href.slice(host.length)];
  anchor.append(textIn("span", host, "host"), ...parts);
  return anchor;
}

function textIn(tag, text, name = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
