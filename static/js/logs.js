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

  const gapText = ({ name, text, dropped }) =>
    text ? `${name.split("/").pop()} ${text}` : words.gap.replace("%s", dropped);

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
    // What was searched for on the server is over once the field is empty.
    if (!needle && searched) { searched = ""; restart(); }
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

  // What the bar asks for beyond the page's own address. Many old lines are as many as the page keeps.
  const filters = find("filters");
  let searched = "";
  function address() {
    const url = new URL(words.logs, location.href);
    const chosen = new FormData(filters);
    for (const [name, value] of [["since", chosen.get("since")], ["ended", chosen.get("ended")], ["search", searched]]) {
      if (value) url.searchParams.set(name, value);
      if (value && name !== "ended") url.searchParams.set("tail", KEEP);
    }
    return url;
  }

  function restart() {
    held = [];
    seen.clear();
    view.replaceChildren();
    follow = true;
    open();
  }

  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    searched = needle;
    restart();
  });
  filters.addEventListener("change", ({ target }) => {
    if (target.name === "since" || target.name === "ended") restart();
  });
  find("download").addEventListener("click", ({ currentTarget }) => {
    const url = address();
    url.searchParams.delete("follow");
    url.searchParams.delete("tail");
    url.searchParams.set("format", "text");
    if (!url.searchParams.has("since")) url.searchParams.set("since", "3650d");
    currentTarget.href = url;
  });

  // What was seen of each container: a stream that is opened again begins with old lines.
  const seen = new Map();
  const isNew = ({ container, at }) => !(at <= (seen.get(container) ?? "")) && seen.set(container, at);
  let source = null;
  let ended = 0;

  function open() {
    source?.close();
    source = new EventSource(address());
    ended = 0;
    source.onopen = () => { find("state").hidden = true; };
    source.addEventListener("line", ({ data }) => {
      const line = JSON.parse(data);
      if (isNew(line)) add(lineRow(line));
    });
    source.addEventListener("gap", ({ data }) => add(gapRow(gapText(JSON.parse(data)))));
    source.addEventListener("end", () => {
      ended += 1;
      if (!held.length && !view.querySelector(".log-line[data-text], .log-gap")) add(gapRow(words.none));
    });
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
