// Light, dark, or what the system says. The server renders the choice from a cookie, so nothing flashes.
const YEAR = 365 * 24 * 3600;

function apply(choice) {
  const html = document.documentElement;
  html.dataset.theme = choice;
  if (choice === "system") delete html.dataset.bsTheme;
  else html.dataset.bsTheme = choice;
  for (const button of document.querySelectorAll("[data-set-theme]")) {
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === choice));
  }
  document.dispatchEvent(new CustomEvent("berth:theme"));
}

export function startTheme() {
  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-set-theme]")?.dataset.setTheme;
    if (!choice) return;
    document.cookie = `berth_theme=${choice}; path=/; max-age=${YEAR}; samesite=lax`;
    apply(choice);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new CustomEvent("berth:theme")));
}

// The value of a colour token as the page shows it now, for canvases.
export function token(name, element = document.documentElement) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  probe.hidden = true;
  (element === document.documentElement ? document.body : element).append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
