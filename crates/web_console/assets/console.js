// Keeps a page fresh and makes commands easy to copy. Every page is complete without it.
"use strict";

function dress(root) {
  for (const button of root.querySelectorAll("button.copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
  for (const choice of root.querySelectorAll("[data-submit]")) {
    choice.addEventListener("change", () => choice.form.requestSubmit());
  }
}

// Whether somebody is doing something with the page that a fresh one would disturb.
function isBusy(live) {
  const at = document.activeElement;
  const types = at && live.contains(at) && at.matches("input, select, textarea, button");
  const selects = getSelection() && !getSelection().isCollapsed;
  return document.hidden || types || selects;
}

let waiting = false;
async function refresh() {
  const live = document.getElementById("live");
  if (!live) return;
  if (isBusy(live)) { waiting = true; return; }
  waiting = false;
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" }).catch(() => null);
  if (!answer || !answer.ok || isBusy(live)) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  if (!fresh || fresh.innerHTML === seen) return;
  seen = fresh.innerHTML;
  // What somebody has opened stays open, and where they are they stay.
  const open = [...live.querySelectorAll("details[open][id]")].map(one => one.id);
  const at = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const scrolled = [...live.querySelectorAll(".scroll")].map(one => one.scrollLeft);
  live.replaceChildren(...fresh.childNodes);
  for (const id of open) { const one = document.getElementById(id); if (one) one.open = true; }
  live.querySelectorAll(".scroll").forEach((one, n) => { one.scrollLeft = scrolled[n] || 0; });
  if (at) { const again = live.querySelector(`a[href="${CSS.escape(at)}"]`); if (again) again.focus({ preventScroll: true }); }
  dress(live);
}

dress(document);
// On a phone the list of pages goes sideways: the one that is shown is in sight.
const here = document.querySelector(".places [aria-current]");
if (here) here.parentElement.parentElement.parentElement.scrollLeft = here.offsetLeft - 60;
let seen = document.getElementById("live") ? document.getElementById("live").innerHTML : "";
if (document.getElementById("live") && window.EventSource) {
  let timer = null;
  const soon = () => { if (!timer) timer = setTimeout(() => { timer = null; refresh(); }, 1500); };
  // A browser keeps few connections to a hub, for all its windows together: only a page that somebody sees holds one, and
  // none does that somebody has left, which the browser may keep for the way back.
  let changes = null;
  const listen = () => {
    if (changes || document.hidden) return;
    changes = new EventSource("/live?seen=" + document.getElementById("live").dataset.seen);
    changes.addEventListener("changed", soon);
  };
  const leave = () => { if (changes) changes.close(); changes = null; };
  listen();
  addEventListener("pagehide", leave);
  addEventListener("pageshow", event => { if (event.persisted) { listen(); soon(); } });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { leave(); return; }
    listen();
    soon();
  });
  document.addEventListener("focusout", () => { if (waiting) soon(); });
  setInterval(() => { if (!document.hidden) refresh(); }, 60000);
}
