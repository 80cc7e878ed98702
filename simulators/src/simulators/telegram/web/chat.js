// One chat as one person sees it: its messages, its keyboard, its composer.

import { call } from "./api.js";
import { avatar, day, drawMessage, el, fileSize, formatted } from "./render.js";

const NEAR_BOTTOM = 120;
const HAND_MS = 1000;
const TYPING = {
  typing: "typing", upload_photo: "sending a photo", upload_video: "sending a video",
  upload_document: "sending a file", record_video: "recording a video", upload_voice: "sending audio",
};

export class Chat {
  constructor(userId, app) {
    this.userId = userId;
    this.app = app;
    this.messages = new Map();
    this.files = [];
    this.waiting = new Set();
    this.build();
  }

  build() {
    const { app, userId } = this;
    this.status = el("small", { "data-testid": "status" }, "bot");
    this.persona = el("span", { class: "persona" });
    this.log = el("div", { class: "log", "data-testid": "log" });
    // A message that shrinks scrolls too: only a hand that scrolls away leaves the newest message.
    const byHand = () => { this.handAt = Date.now(); };
    const byScrollbar = (event) => { if (event.target === event.currentTarget) byHand(); };
    this.scroller = el("div", {
      class: "scroller", onwheel: byHand, ontouchmove: byHand, onkeydown: byHand, onpointerdown: byScrollbar,
      onscroll: () => { if (this.nearBottom() || Date.now() - this.handAt < HAND_MS) this.stuck = this.nearBottom(); },
    }, this.log);
    this.toasts = el("div", { class: "toasts", "aria-live": "polite" });
    // Whatever grows - a loaded picture, a keyboard, a narrower pane - the newest message stays in sight.
    this.stuck = true;
    this.handAt = 0;
    const growth = new ResizeObserver(() => { if (this.stuck) this.scroll(); });
    growth.observe(this.log);
    growth.observe(this.scroller);
    this.keyboard = el("div", { class: "reply-keyboard", "data-testid": "reply-keyboard" });
    this.tray = el("div", { class: "tray", hidden: true, "data-testid": "tray" });
    this.commands = el("div", { class: "commands", hidden: true, "data-testid": "commands" });
    this.input = el("textarea", {
      rows: "1", placeholder: "Message", "data-testid": "composer", "aria-label": "Message",
      onkeydown: (event) => this.key(event), oninput: () => this.grow(), onpaste: (event) => this.paste(event),
    });
    this.upload = el("input", {
      type: "file", multiple: true, hidden: true, "data-testid": "upload",
      onchange: () => { this.attach([...this.upload.files]); this.upload.value = ""; },
    });
    this.start = el("button", { class: "start primary", hidden: true, "data-testid": "start", onclick: () => this.say("/start") }, "Start");
    this.blockButton = el("button", { class: "quiet", "data-testid": "block", onclick: () => this.toggleBlock() }, "Block");
    this.node = el("section", { class: "pane", "data-testid": "chat", "data-chat-id": userId },
      el("header", { class: "pane-head" },
        el("button", { class: "quiet back", title: "Back", onclick: () => app.showPeople() }, "‹"),
        avatar(app.bot.first_name, app.bot.id),
        el("div", { class: "pane-title" }, el("strong", {}, app.bot.first_name), this.status),
        this.persona,
        this.blockButton,
        el("button", { class: "quiet", title: "Raw JSON", "data-testid": "raw-toggle", onclick: () => app.toggleRaw() }, "{ }"),
        el("button", { class: "quiet close", title: "Close this chat", onclick: () => app.close(userId) }, "✕")),
      this.scroller,
      this.toasts,
      el("footer", { class: "foot" },
        this.start, this.commands, this.tray,
        el("div", { class: "composer" },
          el("button", { class: "quiet menu", title: "Commands", "data-testid": "menu", onclick: () => this.toggleCommands() }, "☰"),
          el("button", { class: "quiet clip", title: "Attach a photo, video or file", "data-testid": "attach", onclick: () => this.upload.click() }, "📎"),
          this.upload, this.input,
          el("button", { class: "round send", title: "Send", "data-testid": "send", onclick: () => this.send() }, "➤")),
        this.keyboard));
    this.node.addEventListener("dragover", (event) => event.preventDefault());
    this.node.addEventListener("drop", (event) => { event.preventDefault(); this.attach([...event.dataTransfer.files]); });
  }

  async load() {
    const answer = await call("GET", `/chats/${this.userId}/messages`);
    this.messages.clear();
    for (const message of answer.messages) this.messages.set(message.message_id, message);
    this.setChat(answer.chat);
    this.draw();
    this.scroll();
  }

  async refreshChat() {
    const { chat, commands } = await call("GET", `/chats/${this.userId}`);
    this.known = commands;
    this.setChat(chat);
  }

  setChat(chat) {
    this.chat = chat;
    const user = this.app.users.get(this.userId);
    if (user) {
      this.persona.replaceChildren(avatar(user.first_name, user.id, "tiny"), `as ${user.first_name}`);
      this.blockButton.textContent = user.blocked ? "Unblock" : "Block";
      this.node.classList.toggle("blocked", user.blocked);
    }
    this.drawKeyboard(chat && chat.keyboard);
    this.showDraft(chat && chat.draft);
    this.showAction(chat && chat.action);
  }

  // --- showing ------------------------------------------------------------------------------

  update(message) {
    const before = this.messages.get(message.message_id);
    const fresh = !before;
    if (message.deleted) this.messages.delete(message.message_id);
    else this.messages.set(message.message_id, message);
    for (const entry of message.callbacks) {
      if (entry.answer) this.waiting.delete(entry.id);
    }
    const drawn = this.log.querySelector(`[data-message-id="${message.message_id}"]`);
    if (message.deleted) drawn?.remove();
    else if (drawn) this.redraw(drawn, before, message);
    else this.insert(message, "fresh");
    if (message.from === "bot" && fresh) { this.showDraft(null); this.showAction(null); }
    this.start.hidden = this.messages.size > 0;
    if (fresh && message.from === "user") this.scroll();
  }

  redraw(drawn, before, message) {
    // A playing video must not start anew because a caption changed.
    const samePicture = before && before.media && message.media && before.media.file_id === message.media.file_id;
    const old = samePicture ? drawn.querySelector(".picture") : null;
    const next = drawMessage(message, this.actions());
    drawn.replaceWith(next);
    if (old) next.querySelector(".picture")?.replaceWith(old);
  }

  insert(message, mood) {
    const label = day(message.date);
    if (label !== this.lastDay) {
      this.log.append(el("div", { class: "service" }, el("span", {}, label)));
      this.lastDay = label;
    }
    const drawn = drawMessage(message, this.actions());
    if (mood) drawn.classList.add(mood);
    this.log.append(drawn);
  }

  draw() {
    this.log.replaceChildren();
    this.lastDay = null;
    for (const message of this.messages.values()) this.insert(message);
    this.start.hidden = this.messages.size > 0;
    this.showDraft(this.chat && this.chat.draft);
  }

  actions() {
    return {
      say: (text) => this.say(text),
      press: (message, button, node) => this.press(message, button, node),
      select: (message) => this.app.select(message),
      follow: (url) => this.attempt(this.app.follow(this.userId, url)),
      view: (path) => this.app.view(path),
      jump: (id) => this.log.querySelector(`[data-message-id="${id}"]`)?.scrollIntoView({ behavior: "smooth", block: "center" }),
    };
  }

  nearBottom() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
  }

  scroll() {
    this.stuck = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // What somebody else sent in a chat of their own: no bot sees it, only its link leads here.
  receive(name, text, url) {
    const open = el("button", { class: "primary", "data-testid": "open-link", onclick: () => {
      card.remove();
      this.attempt(this.app.follow(this.userId, url));
    } }, "Open the link");
    const card = el("article", { class: "message theirs handed", "data-testid": "handed" },
      el("div", { class: "bubble" }, el("div", { class: "quote" }, el("b", {}, name), el("span", {}, "in another chat")),
        el("div", { class: "words" }, text, el("br"), url)), open);
    this.log.append(card);
    this.scroll();
  }

  drawKeyboard(markup) {
    this.keyboard.replaceChildren();
    for (const row of (markup && markup.keyboard) || []) {
      this.keyboard.append(el("div", { class: "key-row" }, ...row.map((each) =>
        el("button", { class: "key", "data-testid": "reply-button", onclick: () => this.say(each.text) }, each.text))));
    }
    this.input.placeholder = (markup && markup.input_field_placeholder) || "Message";
  }

  showDraft(draft) {
    this.log.querySelector(".draft")?.remove();
    clearTimeout(this.draftTimer);
    if (!draft) return;
    const words = draft.text ? formatted(draft.text, draft.entities || [], this.actions()) : ["Thinking…"];
    const stop = draft.can_stop
      ? el("button", { class: "quiet", onclick: () => this.attempt(call("POST", `/users/${this.userId}/stop-draft`)) }, "Stop")
      : null;
    this.log.append(el("article", { class: "message theirs draft" }, el("div", { class: "bubble" }, el("div", { class: "words" }, ...words), stop)));
    this.draftTimer = setTimeout(() => this.showDraft(null), Math.max(0, draft.until * 1000 - Date.now()));
    this.scroll();
  }

  showAction(action) {
    clearTimeout(this.actionTimer);
    this.status.textContent = action ? `${TYPING[action] || action.replaceAll("_", " ")}…` : "bot";
    this.status.classList.toggle("busy", Boolean(action));
    if (action) this.actionTimer = setTimeout(() => this.showAction(null), 5000);
  }

  // --- acting -------------------------------------------------------------------------------

  async attempt(promise) {
    try {
      return await promise;
    } catch (error) {
      this.toast(error.message, true);
      return null;
    }
  }

  toast(text, wrong = false) {
    const node = el("div", { class: `toast ${wrong ? "wrong" : ""}`, "data-testid": "toast" }, text);
    this.toasts.append(node);
    setTimeout(() => node.remove(), 4000);
  }

  say(text) {
    return this.attempt(call("POST", `/users/${this.userId}/messages`, { text }));
  }

  async send() {
    const text = this.input.value.trim();
    if (this.files.length) return this.sendFiles(text);
    if (!text) return;
    this.input.value = "";
    this.grow();
    await this.say(text);
  }

  async sendFiles(caption) {
    const form = new FormData();
    for (const file of this.files) form.append("file", file, file.name);
    form.append("caption", caption);
    form.append("as_document", this.tray.querySelector("[data-testid=as-document]").checked ? "true" : "false");
    this.input.value = "";
    this.attach(null);
    await this.attempt(call("POST", `/users/${this.userId}/photos`, form));
  }

  attach(files) {
    this.files = files ? [...this.files, ...files].slice(0, 10) : [];
    this.tray.hidden = this.files.length === 0;
    const shown = this.files.map((file) => el("span", { class: "chip" },
      file.type.startsWith("image/") ? el("img", { src: URL.createObjectURL(file), alt: "" }) : null,
      el("span", {}, file.name, el("small", {}, fileSize(file.size)))));
    this.tray.replaceChildren(...shown,
      el("label", {}, el("input", { type: "checkbox", "data-testid": "as-document" }), "as file"),
      el("button", { class: "quiet", title: "Remove", onclick: () => this.attach(null) }, "✕"));
    this.input.focus();
  }

  paste(event) {
    const files = [...event.clipboardData.files];
    if (files.length) { event.preventDefault(); this.attach(files); }
  }

  async press(message, button, node) {
    if (button.pay) return this.app.pay(this.userId, message.invoice, { message_id: message.message_id });
    if (button.url) return this.attempt(this.app.follow(this.userId, button.url));
    if (button.copy_text) return navigator.clipboard?.writeText(button.copy_text.text);
    if (button.callback_data === undefined) return this.toast("This kind of button needs a real Telegram client.", true);
    node.classList.add("waiting");
    setTimeout(() => node.classList.remove("waiting"), 10000);
    const body = { message_id: message.message_id, data: button.callback_data };
    await this.attempt(call("POST", `/users/${this.userId}/callbacks`, body));
  }

  async toggleBlock() {
    const user = this.app.users.get(this.userId);
    await this.attempt(call("POST", `/users/${this.userId}/${user.blocked ? "unblock" : "block"}`));
  }

  async toggleCommands() {
    if (!this.commands.hidden) { this.commands.hidden = true; return; }
    await this.refreshChat();
    const user = this.app.users.get(this.userId);
    const lists = this.known || {};
    const language = (user && user.language_code) || "";
    const list = lists[`all_private_chats/${language}`] || lists["all_private_chats/"] || lists[`default/${language}`] || lists["default/"] || [];
    this.commands.replaceChildren(...(list.length ? list : [{ command: "start", description: "Start the bot" }]).map((each) =>
      el("button", { onclick: () => { this.commands.hidden = true; this.say(`/${each.command}`); } },
        el("b", {}, `/${each.command}`), el("span", {}, each.description))));
    this.commands.hidden = false;
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    }
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 160)}px`;
  }
}
