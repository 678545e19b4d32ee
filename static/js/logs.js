// Follows containers' output by server-sent events: pause, search, wrap, marks where lines were lost.
const KEEP = 5000;
const clock = new Intl.DateTimeFormat(document.documentElement.lang, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

// The text with every hit of the search inside <mark>.
function marked(text, needle) {
  const span = part("text", "");
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = needle ? lower.indexOf(needle) : -1; at >= 0; at = lower.indexOf(needle, from)) {
    const hit = document.createElement("mark");
    hit.textContent = text.slice(at, at + needle.length);
    span.append(text.slice(from, at), hit);
    from = at + needle.length;
  }
  span.append(text.slice(from));
  return span;
}

export function mount(panel) {
  const view = panel.querySelector("[data-log-view]");
  const find = (name) => panel.querySelector(`[data-log-${name}]`);
  const words = panel.dataset;
  let held = [];
  let paused = false;
  let needle = "";
  let follow = true;
  let frame = 0;

  function hideUnless(row) {
    row.hidden = needle !== "" && row.dataset.text !== undefined && !row.dataset.text.toLowerCase().includes(needle);
  }

  function lineRow({ at, name, source, text }) {
    const row = document.createElement("div");
    row.className = `log-line ${source}`;
    row.dataset.text = text;
    row.append(part("at", clock.format(new Date(at))));
    if (words.many) row.append(part("from", name.split("/").pop()));
    row.append(marked(text, needle));
    row.querySelector(".at").title = at;
    hideUnless(row);
    return row;
  }

  function gapRow(text) {
    const row = document.createElement("div");
    row.className = "log-gap";
    row.textContent = text;
    return row;
  }

  function show(rows) {
    panel.querySelector("[data-log-empty]")?.remove();
    view.append(...rows);
    while (view.childElementCount > KEEP) view.firstElementChild.remove();
    if (follow) view.scrollTop = view.scrollHeight;
  }

  function flush() {
    frame = 0;
    if (paused) { find("held").textContent = held.length ? `+${held.length}` : ""; return; }
    const rows = held;
    held = [];
    if (rows.length) show(rows);
  }

  function add(row) {
    held.push(row);
    if (held.length > KEEP) held.shift();
    frame ||= requestAnimationFrame(flush);
  }

  function setPaused(value) {
    paused = value;
    find("pause").setAttribute("aria-pressed", String(value));
    find("pause-text").textContent = value ? words.resume : words.pause;
    find("held").textContent = "";
    flush();
  }

  find("pause").addEventListener("click", () => setPaused(!paused));
  find("wrap").addEventListener("click", (event) => {
    const wrapped = view.classList.toggle("wrapped");
    event.currentTarget.setAttribute("aria-pressed", String(wrapped));
  });
  find("search").addEventListener("input", (event) => {
    needle = event.target.value.trim().toLowerCase();
    for (const row of view.querySelectorAll(".log-line")) {
      row.querySelector(".text").replaceWith(marked(row.dataset.text, needle));
      hideUnless(row);
    }
    if (follow) view.scrollTop = view.scrollHeight;
  });
  view.addEventListener("scroll", () => {
    follow = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
    find("end").hidden = follow;
  });
  find("end").addEventListener("click", () => { view.scrollTop = view.scrollHeight; });

  // What was seen of each container: a stream that is opened again begins with old lines.
  const seen = new Map();
  const isNew = ({ container, at }) => !(at <= (seen.get(container) ?? "")) && seen.set(container, at);
  let source = null;
  let ended = 0;

  function open() {
    source?.close();
    source = new EventSource(words.logs);
    ended = 0;
    source.onopen = () => { find("state").hidden = true; };
    source.addEventListener("line", ({ data }) => {
      const line = JSON.parse(data);
      if (isNew(line)) add(lineRow(line));
    });
    source.addEventListener("gap", ({ data }) => add(gapRow(words.gap.replace("%s", JSON.parse(data).dropped))));
    source.addEventListener("end", () => { ended += 1; });
    source.addEventListener("error", ({ data }) => {
      if (data) { ended += 1; add(gapRow(JSON.parse(data).text)); return; }
      if (ended) source.close();
      else find("state").hidden = false;
    });
  }

  // Containers come and go: the source list is a live region, and its change opens the stream anew.
  const sources = () => [...panel.querySelectorAll("[data-container]")].map((one) => one.dataset.container).join();
  let known = sources();
  document.addEventListener("htmx:afterSettle", () => {
    if (sources() === known) return;
    known = sources();
    open();
  });
  open();
  addEventListener("pagehide", () => source.close());
}
