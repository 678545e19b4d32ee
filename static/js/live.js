// The team's WebSocket says what changed ({type, id, revision}); each live region refetches itself.
// A region: id, hx-get, data-live="app:ID node event". After a lost socket all regions are refetched.
// A change shows at once (what one commit says comes within moments); a flood is gathered.
const MOMENT = 15;
const GATHER = 250;
const BACKOFF = [500, 1000, 2000, 4000, 8000, 15000];

const waiting = new Set();
let timer = 0;
let last = 0;
// A form is on its way and another page comes: what changes meanwhile (the app is deleted, say) is its matter.
let leaving = false;
let tries = 0;

function refetch(element) {
  waiting.add(element.id);
  timer ||= setTimeout(() => {
    timer = 0;
    last = performance.now();
    const ids = leaving ? [] : [...waiting];
    waiting.clear();
    for (const id of ids) {
      const region = document.getElementById(id);
      if (region) htmx.trigger(region, "berth:live");
    }
  }, Math.max(MOMENT, last + GATHER - performance.now()));
}

const wants = (region, { type, id }) =>
  region.dataset.live.split(" ").some((word) => word === type || word === `${type}:${id}`);

function regions() {
  return document.querySelectorAll("[data-live]");
}

function mark(lost) {
  const element = document.querySelector("[data-live-mark]");
  if (element) element.hidden = !lost;
}

function connect(path) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}${path}`);
  socket.onopen = () => {
    document.documentElement.dataset.liveSocket = "open";
    mark(false);
    if (tries) regions().forEach(refetch);
    tries = 0;
  };
  socket.onmessage = ({ data }) => {
    const change = JSON.parse(data);
    document.dispatchEvent(new CustomEvent("berth:change", { detail: change }));
    for (const region of regions()) if (wants(region, change)) refetch(region);
  };
  socket.onclose = () => {
    delete document.documentElement.dataset.liveSocket;
    const wait = BACKOFF[Math.min(tries, BACKOFF.length - 1)];
    tries += 1;
    if (tries > 1) mark(true);
    setTimeout(() => connect(path), wait * (0.75 + Math.random() / 2));
  };
}

// What a person opened stays open when a region is refreshed under it, and what is being typed stays.
function keepWhatIsOpen() {
  const callbacks = window.Idiomorph.defaults.callbacks;
  callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && /^(DETAILS|DIALOG)$/.test(node.tagName));
  callbacks.beforeNodeMorphed = (node) => !(node.dataset?.mounted || node.dataset?.dirty
    || (node.tagName === "INPUT" && node === document.activeElement));
}

export function startLive() {
  keepWhatIsOpen();
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (detail.xhr.status === 404 && !leaving) location.reload();
  });
  document.addEventListener("submit", (event) => { leaving ||= !event.defaultPrevented; });
  const path = document.body.dataset.liveUrl;
  if (path) connect(path);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") regions().forEach(refetch);
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    leaving = false;
    regions().forEach(refetch);
  });
}
