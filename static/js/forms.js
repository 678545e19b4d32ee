// Small behaviours of forms and buttons: copy, dialogs, typed confirmation, steppers, rows, the side menu.
function on(name, selector, act) {
  document.addEventListener(name, (event) => {
    const element = event.target.closest?.(selector);
    if (element) act(element, event);
  });
}

// Browsers give the clipboard to secure origins alone; over plain HTTP the old way still works.
async function write(source) {
  if (navigator.clipboard) { await navigator.clipboard.writeText(source.textContent); return; }
  getSelection().selectAllChildren(source);
  document.execCommand("copy");
  getSelection().removeAllRanges();
}

async function copy(button) {
  await write(document.getElementById(button.dataset.copy));
  const label = button.querySelector("[data-label]");
  if (!label || button.dataset.was) return;
  button.dataset.was = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => { label.textContent = button.dataset.was; delete button.dataset.was; }, 1600);
}

function step(button) {
  const input = button.closest("[data-stepper]").querySelector("input");
  if (Number(button.dataset.step) > 0) input.stepUp();
  else input.stepDown();
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

// A stepper sends itself a moment after its last step, so that three quick steps are one change.
const pending = new WeakMap();
function submitSoon(form) {
  form.dataset.dirty = "1";
  clearTimeout(pending.get(form));
  pending.set(form, setTimeout(() => form.reportValidity() && form.requestSubmit(), 650));
}

function addRow(button) {
  const list = document.getElementById(button.dataset.addRow);
  const row = document.getElementById(`${button.dataset.addRow}-row`).content.cloneNode(true);
  list.append(row);
  list.lastElementChild.querySelector("input, textarea")?.focus();
}

function narrow(input) {
  const needle = input.value.trim().toLowerCase();
  for (const row of document.querySelectorAll(input.dataset.filter)) {
    row.hidden = needle !== "" && !row.textContent.toLowerCase().includes(needle);
  }
}

function setNav(open) {
  document.body.dataset.nav = open ? "open" : "";
  document.querySelector("[data-nav-toggle]")?.setAttribute("aria-expanded", String(open));
}

// One form, one request: a double click makes no second release.
function sendOnce(event) {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 4000);
}

// What went well need not be dismissed by hand.
const TOAST_STAYS = 6000;

export function startForms() {
  on("click", "[data-copy]", copy);
  on("click", "[data-step]", step);
  on("change", "[data-stepper]", (stepper) => submitSoon(stepper.closest("form")));
  on("click", "[data-add-row]", addRow);
  on("click", "[data-remove-row]", (button) => button.closest("[data-row]").remove());
  on("click", "[data-open]", (button) => document.getElementById(button.dataset.open).showModal());
  on("click", "[data-close]", (button) => button.closest("dialog").close());
  on("click", "dialog", (dialog, event) => event.target === dialog && dialog.close());
  on("click", "[data-nav-toggle]", () => setNav(document.body.dataset.nav !== "open"));
  on("click", "[data-dismiss]", (button) => button.closest(".note").remove());
  on("change", "[data-go]", (select) => { location.href = select.value; });
  on("input", "[data-filter]", narrow);
  on("input", "[data-confirm-text]", (input) => {
    input.form.querySelector("[data-confirmed]").disabled = input.value !== input.dataset.confirmText;
  });
  document.addEventListener("submit", sendOnce);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") setNav(false);
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && !event.target.isContentEditable) {
      const box = document.querySelector("[data-search]");
      if (box) { event.preventDefault(); box.focus(); }
    }
  });
  for (const toast of document.querySelectorAll(".toasts .tone-success")) setTimeout(() => toast.remove(), TOAST_STAYS);
  for (const dialog of document.querySelectorAll("dialog[data-shown]")) dialog.showModal();
  for (const input of document.querySelectorAll("[data-confirm-text]")) {
    input.form.querySelector("[data-confirmed]").disabled = input.value !== input.dataset.confirmText;
  }
}
