// The page: people on the left, one chat or several side by side, raw JSON on the right.

import { call, listen } from "./api.js";
import { Chat } from "./chat.js";
import { avatar, clock, el } from "./render.js";

const FIRST_ID = 1001;
const FIRST_NAME = "Anna";
const KEPT = "open-chats";
const TELEGRAM = "t.me";
const byId = (id) => document.getElementById(id);

function summary(message) {
  if (message.text || message.caption) return message.text || message.caption;
  if (message.media) return message.media.kind;
  if (message.invoice) return `🧾 ${message.invoice.title}`;
  return message.successful_payment ? "paid ⭐️" : "…";
}

// An invoice's link, a bot's start link or the sharing of a link; null for any other address.
function telegramLink(url, username) {
  const { host, pathname, searchParams } = new URL(url);
  if (host !== TELEGRAM) return null;
  const name = pathname.slice(1);
  if (name.startsWith("$")) return { invoice: name.slice(1) };
  if (name === "share/url") return { share: { url: searchParams.get("url") || "", text: searchParams.get("text") || "" } };
  if (name.toLowerCase() === username.toLowerCase()) return { start: searchParams.get("start") || "" };
  return null;
}

class App {
  constructor() {
    this.users = new Map();
    this.panes = new Map();
  }

  async begin() {
    this.bot = (await call("GET", "/about")).bot;
    document.title = `${this.bot.first_name} · chat`;
    const asked = Number(new URLSearchParams(location.search).get("user"));
    await this.loadPeople();
    if (asked && !this.users.has(asked)) await this.addPerson(`User ${asked}`, "en", asked);
    if (!this.users.size) await this.addPerson(FIRST_NAME, "en", FIRST_ID);
    const kept = JSON.parse(localStorage.getItem(KEPT) || "[]").filter((id) => this.users.has(id));
    const phone = matchMedia("(max-width: 720px)").matches;
    for (const id of asked ? [asked] : kept.length ? kept : [...this.users.keys()].slice(0, 1)) {
      await this.open(id, true);
    }
    if (phone && !asked) this.showPeople();
    listen((event) => this.heard(event), (live) => this.live(live));
    byId("add-person").addEventListener("submit", (event) => this.submitPerson(event));
    byId("raw-close").addEventListener("click", () => this.toggleRaw());
    byId("viewer").addEventListener("click", () => byId("viewer").close());
    document.body.dataset.ready = "true";
  }

  async live(live) {
    byId("online").classList.toggle("on", live);
    // After a gap the page may have missed anything: read it all again.
    if (live && this.wasDown) await this.reload();
    this.wasDown = !live;
  }

  async reload() {
    await this.loadPeople();
    for (const id of [...this.panes.keys()]) {
      if (this.users.has(id)) await this.panes.get(id).load();
      else this.close(id);
    }
    if (!this.users.size) await this.addPerson(FIRST_NAME, "en", FIRST_ID);
    if (!this.panes.size) await this.open([...this.users.keys()][0]);
  }

  heard(event) {
    const pane = this.panes.get(event.chat_id);
    if (event.type === "message" && event.message) {
      pane?.update(event.message);
      this.preview(event.message);
    } else if (event.type === "callback_answer") {
      if (pane) this.answered(pane, event);
    } else if (event.type === "action") pane?.showAction(event.action);
    else if (event.type === "draft") pane?.showDraft(event.draft);
    else if (event.type === "chat") pane?.refreshChat();
    else if (event.type === "user") this.soonLoadPeople();
    else if (event.type === "reload") this.reload();
  }

  answered(pane, event) {
    pane.log.querySelector(`[data-message-id="${event.message_id}"]`)
      ?.querySelectorAll(".waiting").forEach((key) => key.classList.remove("waiting"));
    if (event.url) window.open(event.url, "_blank", "noopener");
    if (!event.text) return;
    if (event.show_alert) {
      byId("alert-text").textContent = event.text;
      if (!byId("alert").open) byId("alert").showModal();
    } else pane.toast(event.text);
  }

  // --- people -------------------------------------------------------------------------------

  soonLoadPeople() {
    clearTimeout(this.peopleTimer);
    this.peopleTimer = setTimeout(() => this.loadPeople(), 50);
  }

  async loadPeople() {
    const { users } = await call("GET", "/users");
    this.users = new Map(users.map((user) => [user.id, user]));
    for (const [id, pane] of this.panes) {
      if (this.users.has(id)) pane.setChat({ ...pane.chat, ...this.users.get(id).chat });
    }
    this.drawPeople();
  }

  preview(message) {
    const user = this.users.get(message.chat_id);
    if (!user) return this.soonLoadPeople();
    const last = user.chat.last_message;
    if (message.deleted) return this.soonLoadPeople();
    if (last && last.message_id > message.message_id) return null;
    user.chat.last_message = message;
    if (!this.panes.has(user.id) && message.from === "bot" && !message.edit_count) user.unread = (user.unread || 0) + 1;
    this.drawPeople();
  }

  drawPeople() {
    const last = (user) => (user.chat.last_message ? user.chat.last_message.date : 0);
    const sorted = [...this.users.values()].sort((a, b) => last(b) - last(a));
    byId("people").replaceChildren(...sorted.map((user) => this.drawPerson(user)));
  }

  drawPerson(user) {
    const message = user.chat.last_message;
    const words = message ? summary(message) : "no messages yet";
    const name = [user.first_name, user.last_name].filter(Boolean).join(" ");
    return el("div", { class: `person ${this.panes.has(user.id) ? "open" : ""}`, "data-testid": "user", "data-user-id": user.id, onclick: () => this.open(user.id) },
      avatar(name, user.id),
      el("div", { class: "person-about" },
        el("div", {}, el("strong", {}, name), el("time", {}, message ? clock(message.date) : "")),
        el("div", {},
          el("span", { class: "last" }, user.blocked ? "⛔ blocked the bot" : `${message && message.from === "user" ? "You: " : ""}${words}`),
          user.unread ? el("i", { class: "unread" }, String(user.unread)) : null,
          this.panes.size && !this.panes.has(user.id)
            ? el("button", { class: "quiet beside", title: "Open beside", "data-testid": "open-beside", onclick: (event) => { event.stopPropagation(); this.open(user.id, true); } }, "◫")
            : null)));
  }

  async submitPerson(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const name = form.elements.name.value.trim();
    if (!name) return;
    const language = form.elements.language.value;
    form.elements.name.value = "";
    await this.open(await this.addPerson(name, language));
  }

  async addPerson(name, language, id) {
    const [first, ...rest] = name.split(/\s+/);
    const userId = id || Math.max(FIRST_ID - 1, ...this.users.keys()) + 1;
    const fields = { first_name: first, language_code: language };
    if (rest.length) fields.last_name = rest.join(" ");
    await call("PUT", `/users/${userId}`, fields);
    await this.loadPeople();
    return userId;
  }

  // --- panes --------------------------------------------------------------------------------

  async open(userId, beside = false) {
    document.body.classList.add("in-chat");
    const user = this.users.get(userId);
    if (user) user.unread = 0;
    if (!this.panes.has(userId)) {
      const pane = new Chat(userId, this);
      if (!beside) for (const id of [...this.panes.keys()]) this.close(id, true);
      this.panes.set(userId, pane);
      byId("panes").append(pane.node);
      await pane.load();
    }
    this.remember();
    this.panes.get(userId).input.focus({ preventScroll: true });
  }

  close(userId, quietly = false) {
    this.panes.get(userId)?.node.remove();
    this.panes.delete(userId);
    if (!quietly) this.remember();
  }

  remember() {
    document.body.classList.toggle("several", this.panes.size > 1);
    localStorage.setItem(KEPT, JSON.stringify([...this.panes.keys()]));
    this.drawPeople();
  }

  showPeople() {
    document.body.classList.remove("in-chat");
  }

  // --- overlays -----------------------------------------------------------------------------

  toggleRaw() {
    byId("raw").hidden = !byId("raw").hidden;
  }

  select(message) {
    byId("raw-body").textContent = JSON.stringify(message.raw, null, 2);
  }

  view(path) {
    byId("viewer").querySelector("img").src = path;
    byId("viewer").showModal();
  }

  // Telegram's own links work inside the page; every other one opens a tab.
  async follow(userId, url) {
    const link = telegramLink(url, this.bot.username);
    if (!link) window.open(url, "_blank", "noopener");
    else if (link.start !== undefined) await this.panes.get(userId)?.say(`/start ${link.start}`.trim());
    else if (link.share) this.share(userId, link.share);
    else if (link.invoice) {
      const { invoice } = await call("GET", `/invoices/${link.invoice}`);
      this.pay(userId, invoice, { link: url });
    }
  }

  share(userId, { text, url }) {
    const others = [...this.users.values()].filter((user) => user.id !== userId);
    const dialog = byId("share");
    byId("share-people").replaceChildren(...others.map((user) =>
      el("button", { class: "quiet", "data-testid": "share-with", "data-user-id": user.id, onclick: () => {
        dialog.close();
        this.handOver(userId, user.id, text, url);
      } }, avatar(user.first_name, user.id, "tiny"), user.first_name)));
    byId("share-cancel").onclick = () => dialog.close();
    dialog.showModal();
  }

  async handOver(fromId, toId, text, url) {
    await this.open(toId, true);
    this.panes.get(toId).receive(this.users.get(fromId).first_name, text, url);
  }

  pay(userId, invoice, wish) {
    const { title, description, currency, total_amount: amount, subscription_seconds: period } = invoice;
    const every = period ? ` every ${Math.round(period / 86400)} days` : "";
    const price = (currency === "XTR" ? `${amount} Stars` : `${amount} ${currency}`) + every;
    const dialog = byId("pay");
    byId("pay-title").textContent = title;
    byId("pay-description").textContent = description;
    byId("pay-status").textContent = "";
    const confirm = byId("pay-confirm");
    confirm.textContent = `Pay ${price}`;
    confirm.disabled = false;
    byId("pay-cancel").onclick = () => dialog.close();
    confirm.onclick = () => this.confirmPayment(userId, wish, dialog, confirm);
    dialog.showModal();
  }

  async confirmPayment(userId, wish, dialog, confirm) {
    confirm.disabled = true;
    byId("pay-status").textContent = "Asking the bot…";
    try {
      const outcome = await call("POST", `/users/${userId}/pay`, wish);
      if (outcome.status === "paid") {
        dialog.close();
        this.panes.get(userId)?.toast("Payment successful ⭐️");
      } else {
        byId("pay-status").textContent = outcome.status === "timeout" ? "The bot did not answer in time. Nothing was charged." : outcome.error_message;
      }
    } catch (error) {
      byId("pay-status").textContent = error.message;
    }
  }
}

const app = new App();
app.begin().catch((error) => { byId("panes").textContent = error.message; });
