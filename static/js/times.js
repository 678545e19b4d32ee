// Relative times: <time datetime="…" data-ago> keeps saying how long ago it was; data-until="…" hides what is over.
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always", style: "short" });
const full = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });

// The console's clock may be a little ahead of the browser's: what just happened is no future.
function relative(seconds) {
  const past = seconds > -2 ? Math.max(0, seconds) : seconds;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(past) >= size) ?? UNITS.at(-1);
  return words.format(-Math.trunc(past / size), unit);
}

export function refreshTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const at = new Date(element.dateTime);
    const text = relative((Date.now() - at) / 1000);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = full.format(at);
  }
  for (const element of root.querySelectorAll("[data-until]")) {
    element.hidden = new Date(element.dataset.until) < Date.now();
  }
}

export function startTimes() {
  refreshTimes();
  setInterval(refreshTimes, 1000);
  document.addEventListener("htmx:afterSettle", () => refreshTimes());
}
