// Draws messages: text with its entities, media, keyboards. Builds nodes, never HTML strings.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

export function day(seconds) {
  const date = new Date(seconds * 1000);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return "Today";
  return date.toLocaleDateString("en", { day: "numeric", month: "long" });
}

const COLORS = [
  ["#ff885e", "#ff516a"], ["#ffcd6a", "#ffa85c"], ["#82b1ff", "#665fff"],
  ["#a0de7e", "#54cb68"], ["#53edd6", "#28c9b7"], ["#72d5fd", "#2a9ef1"], ["#e0a2f3", "#d669ed"],
];

export function avatar(name, id, size = "") {
  const [top, bottom] = COLORS[Math.abs(id) % COLORS.length];
  const initials = name.split(/\s+/).slice(0, 2).map((word) => [...word][0] || "").join("");
  const node = el("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials.toUpperCase());
  node.style.background = `linear-gradient(${top}, ${bottom})`;
  return node;
}

export function fileSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} KB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

// --- text ------------------------------------------------------------------------------------

const SIMPLE = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};
const SAFE_LINK = /^(https?|tg|ton|mailto):/i;

function wrapped(entity, text, actions) {
  if (SIMPLE[entity.type]) return el(SIMPLE[entity.type]);
  if (entity.type === "pre") return el("pre", { "data-language": entity.language });
  if (entity.type === "spoiler") {
    return el("span", { class: "spoiler", onclick: (event) => event.currentTarget.classList.add("seen") });
  }
  if (["text_link", "url", "email"].includes(entity.type)) {
    let target = entity.url || text;
    if (entity.type === "email") target = `mailto:${text}`;
    else if (!/^[a-z]+:/i.test(target)) target = `https://${target}`;
    if (!SAFE_LINK.test(target)) return el("span");
    const follow = (event) => { event.preventDefault(); actions.follow(target); };
    return el("a", { href: target, target: "_blank", rel: "noopener noreferrer", onclick: follow });
  }
  if (entity.type === "bot_command") {
    return el("a", { href: "#", onclick: (event) => { event.preventDefault(); actions.say(text); } });
  }
  if (["mention", "hashtag", "text_mention"].includes(entity.type)) return el("span", { class: "link" });
  return el("span");
}

// Entities nest and count UTF-16 units, as JavaScript strings do.
export function formatted(text, entities, actions, from = 0, to = text.length) {
  const nodes = [];
  let at = from;
  const inside = entities.filter((e) => e.offset >= from && e.offset + e.length <= to && e.length > 0);
  while (inside.length) {
    const entity = inside.shift();
    if (entity.offset < at) continue;
    if (entity.offset > at) nodes.push(text.slice(at, entity.offset));
    const end = entity.offset + entity.length;
    const node = wrapped(entity, text.slice(entity.offset, end), actions);
    const within = inside.filter((e) => e.offset + e.length <= end);
    node.append(...formatted(text, within, actions, entity.offset, end));
    nodes.push(node);
    at = end;
  }
  if (at < to) nodes.push(text.slice(at, to));
  return nodes;
}

// --- media -----------------------------------------------------------------------------------

function media(message, actions) {
  const file = message.media;
  if (!file) return null;
  const common = { src: file.path, class: "picture", "data-testid": "media" };
  const frame = file.width && file.height ? `${file.width} / ${file.height}` : undefined;
  let node;
  if (file.kind === "photo" || file.kind === "sticker") {
    node = el("img", { ...common, alt: "photo", loading: "lazy", onclick: () => actions.view(file.path) });
  } else if (file.kind === "animation" && file.mime_type === "image/gif") {
    node = el("img", { ...common, alt: "GIF" });
  } else if (file.kind === "video" || file.kind === "animation") {
    const still = { autoplay: file.kind === "animation", loop: file.kind === "animation" };
    node = el("video", { ...common, ...still, controls: true, preload: "metadata", playsinline: true });
    node.muted = file.kind === "animation";
  } else if (file.kind === "audio" || file.kind === "voice") {
    return el("audio", { src: file.path, controls: true, preload: "none", "data-testid": "media" });
  } else {
    return document_(file);
  }
  if (frame) node.style.aspectRatio = frame;
  return node;
}

// A small picture keeps its own size, a tall one does not fill the screen.
function frameWidth(file) {
  if (!file.width || !file.height) return "min(100%, 360px)";
  const width = Math.min(file.width, 400, (400 * file.width) / file.height);
  return `${Math.round(Math.max(200, width))}px`;
}

function document_(file) {
  const name = file.name || "file";
  const extension = (name.split(".").pop() || "").slice(0, 4);
  const icon = file.thumbnail_path
    ? el("img", { src: file.thumbnail_path, alt: "", class: "doc-thumb" })
    : el("span", { class: "doc-icon" }, extension.toUpperCase());
  const about = el("span", { class: "doc-about" }, el("b", {}, name), el("small", {}, fileSize(file.size || 0)));
  return el("a", { class: "document", href: file.path, target: "_blank", download: name, "data-testid": "media" }, icon, about);
}

// --- keyboards -------------------------------------------------------------------------------

function button(each, message, actions) {
  const mark = each.url ? "↗" : each.web_app ? "⧉" : each.copy_text ? "⧉" : null;
  return el("button", {
    class: `key ${each.style || ""}`,
    "data-testid": "button",
    "data-callback": each.callback_data,
    disabled: Boolean(each.disabled),
    onclick: (event) => { event.stopPropagation(); actions.press(message, each, event.currentTarget); },
  }, each.text, mark ? el("i", {}, mark) : null);
}

function keyboard(message, actions) {
  if (!message.buttons.length) return null;
  const rows = message.buttons.map((row) =>
    el("div", { class: "key-row" }, ...row.map((each) => button(each, message, actions))));
  return el("div", { class: "keys" }, ...rows);
}

// --- a message -------------------------------------------------------------------------------

function service(message) {
  const paid = message.successful_payment || message.refunded_payment;
  if (!paid) return null;
  const unit = paid.currency === "XTR" ? "⭐️" : `${paid.currency} `;
  const words = message.successful_payment ? "You paid" : "You got back";
  return el("div", { class: "service", "data-testid": "message", "data-message-id": message.message_id, "data-from": message.from },
    el("span", {}, `${words} ${unit}${paid.total_amount}`));
}

function quote(message, actions) {
  const replied = message.raw.reply_to_message;
  if (!replied) return null;
  const words = replied.text || replied.caption || "media";
  return el("div", { class: "quote", onclick: () => actions.jump(replied.message_id) },
    el("b", {}, replied.from.first_name), el("span", {}, words));
}

function invoice(message) {
  if (!message.invoice) return null;
  return el("div", { class: "invoice" }, el("b", {}, message.invoice.title), el("p", {}, message.invoice.description));
}

export function drawMessage(message, actions) {
  const plain = service(message);
  if (plain) return plain;
  const words = message.text ?? message.caption;
  const picture = media(message, actions);
  const framed = picture && picture.classList.contains("picture");
  const stamp = el("span", { class: "stamp" },
    message.edit_count ? "edited " : null, clock(message.date), message.from === "user" ? el("i", {}, "✓✓") : null);
  const body = el("div", { class: `bubble ${framed ? "framed" : ""} ${framed && !words ? "bare" : ""}` },
    quote(message, actions),
    picture,
    invoice(message),
    words ? el("div", { class: "words", "data-testid": "text" }, ...formatted(words, message.entities, actions)) : null,
    message.reactions.length ? el("div", { class: "reactions" }, ...message.reactions.map((r) => el("span", {}, r.emoji || "⭐️"))) : null,
    stamp);
  if (framed) body.style.width = frameWidth(message.media);
  body.addEventListener("click", () => actions.select(message));
  return el("article", {
    class: `message ${message.from === "user" ? "mine" : "theirs"}`,
    "data-testid": "message",
    "data-message-id": message.message_id,
    "data-from": message.from,
    "data-edits": message.edit_count,
  }, body, keyboard(message, actions));
}
