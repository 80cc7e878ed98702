"use strict";
(() => {
  const button = document.getElementById("copy");
  const field = document.getElementById("link");
  const label = button.textContent;
  async function copy() {
    // Only a page served over TLS has a clipboard; elsewhere the old way still works.
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(field.value);
      return true;
    }
    field.select();
    return document.execCommand("copy");
  }
  button.addEventListener("click", async () => {
    let done = false;
    try {
      done = await copy();
    } catch {
      done = false;
    }
    button.textContent = done ? button.dataset.done : button.dataset.failed;
    setTimeout(() => { button.textContent = label; }, 2500);
  });
  field.addEventListener("focus", () => field.select());
  for (const time of document.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang, {
      dateStyle: "medium", timeStyle: "short",
    });
  }
  if (matchMedia("(min-width: 700px)").matches) {
    document.getElementById("qr-box").open = true;
  }
})();
