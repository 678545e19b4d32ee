// Berth's behaviours. Each is attached by a data- attribute; a page without JavaScript still works.
import { startLive } from "./js/live.js";
import { startTimes } from "./js/times.js";
import { startForms } from "./js/forms.js";
import { startTheme } from "./js/theme.js";

// Widgets are loaded only by pages that have them.
const WIDGETS = {
  "[data-logs]": () => import("./js/logs.js"),
  "[data-chart]": () => import("./js/charts.js"),
  "[data-editor]": () => import("./js/editor.js"),
  "[data-terminal]": () => import("./js/terminal.js"),
};

async function mountWidgets(root) {
  for (const [selector, load] of Object.entries(WIDGETS)) {
    const found = [...root.querySelectorAll(selector)].filter((element) => !element.dataset.mounted);
    if (!found.length) continue;
    const { mount } = await load();
    for (const element of found) {
      if (element.dataset.mounted) continue;
      element.dataset.mounted = "1";
      mount(element);
    }
  }
}

startTheme();
startForms();
startTimes();
startLive();
mountWidgets(document);
document.addEventListener("htmx:afterSettle", () => mountWidgets(document));
