# Every sentence the bot says, in English. A new language is a copy of this file.
# $credits is always a whole number of credits; { amount } puts it into words.

language-name = English

## Words and amounts

amount =
    { $credits ->
        [one] { $credits } credit
       *[other] { $credits } credits
    }
free = free
free-per-day =
    { $count ->
        [one] free, once a day
       *[other] free, { $count } a day
    }
duration-seconds = { $seconds } s
duration-minutes = { $minutes } min
moment =
    { $month ->
        [1] Jan
        [2] Feb
        [3] Mar
        [4] Apr
        [5] May
        [6] Jun
        [7] Jul
        [8] Aug
        [9] Sep
        [10] Oct
        [11] Nov
       *[12] Dec
    } { $day }, { $time }

## Workflows (a title_key and description_key of each catalogue manifest)

workflow-image-enhance = Enhance photo
workflow-image-enhance-about = Sharper, cleaner, better light. The product stays as it is.
workflow-image-product-scene = Product scene
workflow-image-product-scene-about = Your product on a tidy studio background.
workflow-video-orbit = Orbit video
workflow-video-orbit-about = The camera swings around your product.
workflow-video-zoom = Zoom video
workflow-video-zoom-about = A slow move in on the detail that matters.
workflow-video-parallax = Parallax video
workflow-video-parallax-about = The product floats in front of its background.

## Menu

welcome =
    👋 <b>Welcome to Vitrine!</b>

    Send me a photo of your product, and I’ll turn it into a better picture or a short video.

    You see the price before anything starts. If something fails, you are not charged.
menu =
    <b>Menu</b>
    Send me a photo whenever you like.
help =
    <b>How it works</b>
    1. Send a photo. As a file it keeps its full quality.
    2. Choose what to make, and look at the price.
    3. Confirm. Your credits are only reserved until the result is ready.

    If it fails or you cancel it in time, the reserved credits come back.
help-commands =
    /balance – what you have
    /history – what came and went
    /cancel – stop an order
    /language – change the language
    /terms – the rules
    /paysupport – help with payments
offer =
    <b>{ $title }</b> – { $price }
    { $about }
terms =
    <b>Terms</b>
    • You may only send photos you have the right to use. Anything unlawful or sexual is refused.
    • Credits are spent only on results you receive. A failed or cancelled order costs nothing.
    • Trial credits expire; credits you bought do not.
    • Your photos are used for your orders only, and are deleted when no order needs them.

    Questions about money: /paysupport
paysupport =
    <b>Payment support</b>
    Your balance and every movement are in /balance and /history. Reserved credits of a failed order come back by themselves, usually within minutes.

    If something still looks wrong, write here what you expected and when it happened. Telegram support cannot help with purchases made in this bot; we can.
language-choose = Which language shall we speak?
language-set = From now on in English.
trial-opened =
    { $credits ->
        [one] 🎁 { $credits } trial credit is yours. Try it: send me a photo.
       *[other] 🎁 { $credits } trial credits are yours. Try them: send me a photo.
    }

command-start = Start
command-help = How it works
command-balance = Balance
command-history = History
command-cancel = Stop an order
command-language = Language
command-terms = Terms
command-paysupport = Help with payments

button-photo = 📷 Send a photo
button-balance = 💳 Balance
button-history = 🧾 History
button-orders = ⏳ My orders
button-language = 🌐 Language
button-help = ❓ Help
button-menu = ☰ Menu

## Balance and history

balance-title = <b>Your balance</b>
balance-available = Available: <b>{ amount }</b>
balance-held = Reserved for running orders: { amount }
balance-spent-today = Spent today: { amount }
balance-debt = Owed: { amount }. The next credits you receive pay it first.
balance-lots = What you have, and until when:
tier-vip = VIP
tier-black-gold = Black Gold
tier-endless = Status: <b>{ $tier }</b>
tier-until = Status: <b>{ $tier }</b> until { $until }
tier-ended = Your special status has ended. You order like everybody else now.
tier-given = ⭐ { $line }
lot-trial = trial
lot-bonus = bonus
lot-paid = bought
lot-endless = • { amount } ({ $lot }), no end date
lot-until = • { amount } ({ $lot }), until { $until }
history-title = <b>History</b>
history-empty = Nothing here yet. Your first order will show up on this page.
history-end = There is nothing older.
history-hold = <b>{ $signed }</b> · reserved · { $at }
history-post =
    { $credits ->
        [0] <b>{ $signed }</b> · done, free · { $at }
        [one] <b>{ $signed }</b> · charged { $credits } from the reserve · { $at }
       *[other] <b>{ $signed }</b> · charged { $credits } from the reserve · { $at }
    }
history-void = <b>{ $signed }</b> · came back, not charged · { $at }
history-expire = <b>{ $signed }</b> · expired · { $at }
history-grant = <b>{ $signed }</b> · received · { $at }
history-trial = <b>{ $signed }</b> · trial credits · { $at }
history-revoke = <b>{ $signed }</b> · taken back · { $at }
history-other = <b>{ $signed }</b> · { $at }
button-newest = ⏮ Newest
button-older = Older ▶
credits-granted = ➕ You received { amount }.
credits-granted-debt = { amount } of it paid what you owed.
trial-renewed =
    { $credits ->
        [one] 🎁 Your trial is renewed: { $credits } credit until { $until }.
       *[other] 🎁 Your trial is renewed: { $credits } credits until { $until }.
    }

## Photos

send-photo = 📷 Send me one photo of your product. Here is what I can make of it:
photo-received = 👍 Got it! What shall I make of it?
button-workflow = { $title } – { $price }
photo-not-an-image = This file is not a picture I can read. Please send a JPEG, PNG or WebP photo.
photo-damaged = This picture is incomplete or damaged. Please send it once more.
photo-too-many-pixels = This picture has too many pixels for me. Please send a smaller one.
photo-animated = Animated pictures do not work here. Please send a still photo.
photo-too-large = This file is too large for me. Please send a smaller photo.
photo-unreachable = I could not fetch your photo from Telegram. Please send it again.
photo-side-too-small =
    { $pixels ->
        [one] This photo is too small for that: each side needs at least { $pixels } pixel.
       *[other] This photo is too small for that: each side needs at least { $pixels } pixels.
    }
photo-too-many-pixels-here =
    { $megapixels ->
        [one] This photo is too big for that: at most { $megapixels } megapixel.
       *[other] This photo is too big for that: at most { $megapixels } megapixels.
    }
file-too-large = This file is too large: up to { $megabytes } MB, please.
photo-gone = I no longer have this photo. Please send it again.
video-not-photo = That is a video, and I need a photo. A still picture, please.
other-not-photo = I can only work with photos. Please send one, as a photo or as a file.

## The price

price-title = <b>{ $title }</b>
price = Price: <b>{ amount }</b>
price-discounted = Price: <b>{ amount }</b> <s>{ $base }</s>
price-free = Price: <b>free</b>
price-free-left =
    { $count ->
        [one] { $count } free order left today.
       *[other] { $count } free orders left today.
    }
price-available = You have { amount }.
price-takes = Takes about { $time } once it starts.
price-promise = If it fails, you are not charged.
price-changed = The price has changed since you saw it.
price-expired = This price was shown a while ago.
button-confirm = ✅ Confirm – { amount }
button-confirm-free = ✅ Confirm – free
button-dismiss = Not now

## Orders

order-placing = <b>{ $title }</b>: placing your order…
order-waiting-for-photo = <b>{ $title }</b>: your photo is still on its way. I’ll start as soon as it is here.
order-dismissed = All right. Nothing was ordered or charged.
order-not-placed = The order was not placed, and you were not charged.
order-accepted = ⏳ <b>{ $title }</b>: your order is accepted.
order-ahead =
    { $count ->
        [one] { $count } order ahead of you.
       *[other] { $count } orders ahead of you.
    }
order-next = You are next.
order-eta = Starts in about { $time }.
order-running = 🎨 <b>{ $title }</b>: in the works.
order-eta-left = About { $time } left.
order-cancelling = <b>{ $title }</b>: stopping your order…
order-completed = ✅ <b>{ $title }</b>: ready!
order-cancel-lost = The result came before your cancel did, so this order counts.
orders-none = No orders under way.
orders-running =
    { $count ->
        [one] { $count } order under way. Tap it to stop it:
       *[other] { $count } orders under way. Tap one to stop it:
    }
button-cancel = ✖ Cancel order
button-cancel-named = ✖ Cancel: { $title }

result-title = <b>{ $title }</b>
result-charged = Charged: { amount }.
result-free = It was free.
result-gift = 🎁 It came late, after your credits were returned, so it is a gift: you were not charged.
result-balance = You have { amount } left.
button-as-file = 📎 As file
button-once-more = 🔁 Once more
button-try-again = 🔁 Try again

refused-title = <b>{ $title }</b>: I could not take this order.
refused-insufficient =
    { $missing ->
        [one] It costs { amount }, you have { $available }: { $missing } credit is missing.
       *[other] It costs { amount }, you have { $available }: { $missing } credits are missing.
    }
refused-quota =
    { $count ->
        [0] Today’s free orders are used up. New ones come at { $time }.
        [one] Today’s free order is used up. A new one comes at { $time }.
       *[other] Today’s { $count } free orders are used up. New ones come at { $time }.
    }
refused-in-flight =
    { $count ->
        [0] You have too many orders under way. Wait for one to finish, or cancel one.
        [one] You already have { $count } order under way. Wait until it is finished, or cancel it.
       *[other] You already have { $count } orders under way. Wait for one to finish, or cancel one.
    }
refused-queue-full = The queue is full right now. Please try again in a few minutes.
refused-unknown-workflow = This is no longer on offer. Please choose something else.
refused-no-account = Your account is just being opened. Please try again in a moment.
refused-in-debt = There is an open amount on your account. It has to be settled first: see your balance.
refused-other = Something is not right with this order. Please start again from your photo.
not-charged = You were not charged.
not-charged-returned =
    { $credits ->
        [one] You were not charged, { $credits } credit is back.
       *[other] You were not charged, { $credits } credits are back.
    }

refund-cancelled = ✖ <b>{ $title }</b>: cancelled.
refund-bad-input = <b>{ $title }</b>: this photo could not be processed. Please try another one.
refund-timeout = <b>{ $title }</b>: it took too long, so I stopped it.
refund-too-late = <b>{ $title }</b>: the queue was too long, so I did not start it.
refund-no-answer = <b>{ $title }</b>: the workshop did not answer in time.
refund-failed = <b>{ $title }</b>: something broke on our side. Sorry!

## Answers that always come

toast-old-button = This button is out of date. Please use the menu.
toast-not-yours = This button belongs to somebody else.
toast-already-ordered = Already ordered.
toast-placing = Placing your order…
toast-waiting = Waiting for your photo…
toast-closed = This offer is closed. Send the photo again.
toast-cancelling = Stopping your order…
toast-cancel-asked = Already being stopped.
toast-finished = This order is already finished.
toast-nothing-to-send = There is no file for this order.
toast-sending-file = Sending the file…
toast-too-late-to-dismiss = It is already ordered. Use the cancel button.
try-again = The shop is not answering right now. Please try again in a minute. Nothing was charged.
unknown-command = I do not know this command. /help shows what I can do.
conversation-dropped = All right, let’s start afresh.
cancel-not-possible = This order can no longer be cancelled.
command-rejected = This did not work, and nothing was charged for it. Please start again from your photo.
something-broke = Something broke on our side. Nothing was charged. Please try again.
groups-not-served = I work in private chats only. Write to me directly.
payments-closed = Payments are not open yet. You were not charged.
operators-download-failed = ⚠️ A photo of user { $user } could not be fetched ({ $reason }).
