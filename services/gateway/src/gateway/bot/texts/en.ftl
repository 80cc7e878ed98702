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
moment-year =
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
    } { $day } { $year }, { $time }

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
    /topup – buy credits
    /vip – VIP and Black Gold
    /history – what came and went
    /draw – today’s lucky draw
    /promo – redeem a promo code
    /gift – give credits to somebody
    /invite – your invitation link
    /cancel – stop an order
    /language – change the language
    /terms – the rules
    /paysupport – help with payments
offer =
    <b>{ $title }</b> – { $price }
    { $about }
terms =
    <b>Terms</b>
    • You may only send photos you have the right to use. Anything unlawful or sexual is refused, and an account that keeps sending it is closed.
    • Credits, VIP and Black Gold are digital goods for use in this bot only; they cannot be paid out or sold on. You get them at once after paying.
    • Credits are spent only on results you receive. A failed or cancelled order costs nothing.
    • Trial credits expire, and so do bonus credits with an end date, which /balance shows; credits you bought, and the bonus of a pack, do not.
    • A payment can be given back as a whole while what it bought is unused; ask with /paysupport. What it bought is taken back with it; what was spent already is owed.
    • A subscription is renewed by Telegram until you stop it in /vip. Stopping it takes nothing away that is paid.
    • Money that does not match its invoice is looked at by a person, and is never lost.
    • Your photos are used for your orders only, and are deleted when no order needs them.

    Questions about money: /paysupport
paysupport =
    <b>Payment support</b>
    Your balance and every movement are in /balance and /history. Reserved credits of a failed order come back by themselves, usually within minutes.
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
command-topup = Buy credits
command-vip = VIP and Black Gold
command-vpn = VPN access
command-history = History
command-draw = Today’s lucky draw
command-promo = Redeem a promo code
command-gift = Give credits to somebody
command-invite = Your invitation link
command-cancel = Stop an order
command-language = Language
command-timezone = Time zone
command-terms = Terms
command-paysupport = Help with payments

button-photo = 📷 Send a photo
button-balance = 💳 Balance
button-history = 🧾 History
button-draw = 🎲 Daily draw
button-promo = 🎟 Promo code
button-gift = 🎁 Give credits
button-invite = 👥 Invite a friend
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
history-credit-back = <b>{ $signed }</b> · given back by the shop · { $at }
history-expire = <b>{ $signed }</b> · expired · { $at }
history-grant = <b>{ $signed }</b> · received · { $at }
history-trial = <b>{ $signed }</b> · trial credits · { $at }
history-revoke = <b>{ $signed }</b> · taken back · { $at }
history-restore = <b>{ $signed }</b> · restored after a refund that was refused · { $at }
history-adjust = <b>{ $signed }</b> · corrected by the shop · { $at }
history-plan = <b>{ $signed }</b> · { $plan } · { $at }
history-refund = ↩️ <b>{ $plan }</b> refunded: { $price } · { $at }
history-refund-taken =
    { $days ->
        [one] { $line } · { $days } day taken back
       *[other] { $line } · { $days } days taken back
    }
history-free = <b>{ $signed }</b> · free, −{ $percent }% · { $at }
history-gift = <b>{ $signed }</b> · a gift for somebody · { $at }
history-gift-back = <b>{ $signed }</b> · a gift came back · { $at }
history-grant-payment = <b>{ $signed }</b> · bought · { $at }
history-grant-payment-bonus = <b>{ $signed }</b> · bonus for your payment · { $at }
history-grant-promo = <b>{ $signed }</b> · promo code · { $at }
history-grant-referral = <b>{ $signed }</b> · invited friends · { $at }
history-grant-newcomer = <b>{ $signed }</b> · welcome gift · { $at }
history-grant-gift = <b>{ $signed }</b> · a gift from somebody · { $at }
history-cheaper = { $line } · −{ $percent }%
history-debt-paid = { $line } · { $credits } of it paid what you owed
history-debt-made = { $line } · { $credits } of it is owed now
history-drawn = 🎲 <b>{ $percent }% off</b> · won in the draw · { $at }
history-discount = 🎟 <b>{ $percent }% off</b> · promo code · { $at }
history-tier = ⭐ <b>{ $tier }</b> until { $until } · { $at }
history-tier-paid = ⭐ <b>{ $tier }</b> until { $until } · paid · { $at }
history-tier-promo = ⭐ <b>{ $tier }</b> until { $until } · promo code · { $at }
history-tier-endless = ⭐ <b>{ $tier }</b> · { $at }
history-tier-none = ⭐ special status ended · { $at }
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
price-free-discounted = Price: <b>free</b> <s>{ $base }</s>
price-discount = Your discount: −{ $percent }%.
price-discount-until = Your discount: −{ $percent }%, until { $until } ({ $zone }).
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
result-charged-discounted = Charged: { amount } <s>{ $base }</s>.
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
refused-owing = You owe { amount }. The next credits you receive pay that first; until then nothing can be ordered.
refused-owing-all = { amount } pay both that and this.
refused-other = Something is not right with this order. Please start again from your photo.
not-charged = You were not charged.
not-charged-returned =
    { $credits ->
        [one] You were not charged, { $credits } credit is back.
       *[other] You were not charged, { $credits } credits are back.
    }
not-charged-debt = { amount } that had been reserved paid what you owed.

refund-cancelled = ✖ <b>{ $title }</b>: cancelled.
refund-bad-input = <b>{ $title }</b>: this photo could not be processed. Please try another one.
refund-timeout = <b>{ $title }</b>: it took too long, so I stopped it.
refund-too-late = <b>{ $title }</b>: the queue was too long, so I did not start it.
refund-no-answer = <b>{ $title }</b>: the workshop did not answer in time.
refund-failed = <b>{ $title }</b>: something broke on our side. Sorry!

## The daily draw ($prize is SSR, SR, R or C)

draw-title = 🎲 <b>The daily draw</b>
draw-about = One draw a day. What you win is taken off your next order, until { $until } ({ $zone }).
draw-odds = • <b>{ $prize }</b>: { $percent }% off, with a chance of { $chance }%
draw-seal = Today’s seal: <code>{ $seal }…</code>
draw-seal-next = Tomorrow’s seal: <code>{ $seal }…</code>
draw-not-ready = Today’s draw is being prepared. Please come back in a minute.
draw-drawing = Drawing your lot…
draw-won = 🎉 You won <b>{ $prize }</b>: <b>{ $percent }% off</b> your next order!
draw-already = You have already drawn today: <b>{ $prize }</b>, <b>{ $percent }% off</b>.
draw-valid = Valid until { $until } ({ $zone }). It is used by itself with your next order that costs something.
draw-used = It is used already. There is a new draw tomorrow.
draw-proof-title = 🔎 <b>Checking the draw of { $day }</b>
draw-proof-unknown = Nothing is known of that day’s draw.
draw-proof-seal =
    The seal, shown before the draw:
    <code>{ $seal }</code>
draw-proof-seed =
    The seed, shown when the day was over:
    <code>{ $seed }</code>
draw-proof-later = The seed is shown here when the day is over. Keep the seal: nobody can change the seed any more without changing it.
draw-proof-none = You did not draw on that day.
draw-proof-drew = You drew <b>{ $prize }</b>: { $percent }% off.
draw-proof-how =
    How to check:
    1. The seal is the SHA-256 of the seed.
    2. Your lot is the HMAC-SHA256 of the text <code>{ $text }</code> with the seed as its key. Text: your Telegram id and the day.
    3. Read its first 8 bytes as one number, the highest byte first, and take the last two digits. (From 18446744073709551600 on, the next 8 bytes are taken instead.)
    4. 0–4 is SSR, 5–19 is SR, 20–49 is R, 50–99 is C.
draw-proof-python =
    In Python, the seal and then the two digits:
    { $code }
button-draw-now = 🎲 Draw!
button-draw-how = 🔎 How to check
button-draw-yesterday = 🔎 Verify yesterday
toast-drawing = Drawing…
toast-draw-already = You have already drawn today.
toast-draw-other-day = A new day has begun. Here is today’s draw.

## Promo codes

promo-ask = 🎟 Send me your promo code. /cancel to leave it.
promo-mistyped = That does not look like a promo code: 3 to 40 Latin letters and digits, without spaces. Send it once more, or /cancel.
promo-checking = 🎟 Checking <code>{ $code }</code>…
promo-credits = 🎉 <code>{ $code }</code> brought you { amount }.
promo-discount = 🎉 <code>{ $code }</code> is yours: { $percent }% off your next order that costs something.
promo-tier =
    { $days ->
        [one] 🎉 <code>{ $code }</code> brought you { $days } day of { $tier }.
       *[other] 🎉 <code>{ $code }</code> brought you { $days } days of { $tier }.
    }
promo-accepted = 🎉 <code>{ $code }</code> is accepted.
promo-refused-unknown = There is no promo code <code>{ $code }</code>. Is it typed correctly?
promo-refused-used = You have used <code>{ $code }</code> already. Each code works once per person.
promo-refused-used-up = <code>{ $code }</code> was used up by others before you.
promo-refused-over = <code>{ $code }</code> is no longer valid.
promo-refused-not-yet = <code>{ $code }</code> is not valid yet. Please try it later.
promo-refused-newcomers = <code>{ $code }</code> is for newcomers only.
promo-refused-tries = Those were too many wrong codes. Please try again later.
promo-refused-tier = <code>{ $code }</code> would not improve the status you have. You can redeem it when that has ended.
promo-refused-other = <code>{ $code }</code> could not be redeemed.
button-promo-another = 🎟 Another code
credits-now = You have { amount } now.

## Gifts

gift-title = 🎁 <b>Give credits to somebody</b>
gift-about = You get a link. Whoever opens it first has the credits. If nobody opens it in time, they come back to you.
gift-most =
    { $credits ->
        [one] Credits you bought can be given: { $credits } credit at most.
       *[other] Credits you bought can be given: up to { $credits } credits.
    }
gift-nothing = Only credits you bought can be given, and you have none at the moment.
gift-type = How many credits? Send me a whole number from 1 to { $credits }. /cancel to leave it.
gift-mistyped = A whole number from 1 to { $credits }, please. Or /cancel.
gift-confirm = 🎁 Give { amount }? They leave your balance at once, and you get the link.
gift-making = 🎁 Setting { amount } aside…
gift-made =
    🎁 <b>Your gift is ready: { amount }</b>
    Send this link to whoever it is for:
    <code>{ $link }</code>
gift-until = If nobody opens it until { $until } ({ $zone }), the credits come back to you.
gift-share =
    { $credits ->
        [one] 🎁 A gift for you: { $credits } credit in Vitrine. Whoever opens the link first gets it.
       *[other] 🎁 A gift for you: { $credits } credits in Vitrine. Whoever opens the link first gets them.
    }
gift-opening = 🎁 Opening the gift…
gift-received = 🎉 The gift is yours: { amount }!
gift-taken = 🎉 Your gift was opened: { amount }.
gift-returned = Nobody opened your gift in time: { amount } came back to you.
gift-withdrawn = The payment your gift was made of is being given back, so its link no longer works: { amount } came back to you first.
gift-refused-unknown = There is no such gift. Is the link complete?
gift-refused-over = This gift is gone: somebody opened it before, or it went back.
gift-refused-own = This is your own gift. Send the link to somebody else.
gift-refused-limit = A gift of this size is not possible.
gift-refused-insufficient = You do not have that many bought credits.
gift-refused-other = This gift did not work out.
gift-kept = Nothing was taken from you.
button-gift-own = ✏️ Another amount
button-gift-confirm = 🎁 Give { amount }
button-share = 📤 Share the link
toast-gift-too-much = You do not have that many bought credits.
toast-gift-making = Setting the credits aside…
reward-rejected = That did not work, and nothing was taken from you. Please start again from the menu.

## Invitations

invite-title = 👥 <b>Invite a friend</b>
invite-about = When somebody new comes by your link and buys credits, a part of it comes to you as well.
invite-link =
    Your link:
    <code>{ $link }</code>
invite-count =
    { $count ->
        [0] Nobody came by it yet.
        [one] { $count } person came by it.
       *[other] { $count } people came by it.
    }
invite-earned = You earned { amount }.
invite-pending = On the way: { amount }. You get them when the payment can no longer be returned.
invite-share = Pictures and videos of your product, made in a chat. Come and try it:
referral-joined = 👋 Somebody new came by your link!
referral-welcome = 🎁 You came by invitation: { amount } on top.
referral-earned = 💰 Your invitation brought you { amount }.
lot-expiring =
    { $credits ->
        [one] ⏳ { $credits } credit ({ $lot }) expires on { $until } ({ $zone }). Use it before!
       *[other] ⏳ { $credits } credits ({ $lot }) expire on { $until } ({ $zone }). Use them before!
    }

## Buying credits

button-top-up = ➕ Top up
button-top-up-continue = ➕ Top up and continue
button-plans = ⭐ VIP
button-back = ◀ Back
topup-title = <b>Top up</b>
topup-have = You have { amount }.
topup-missing = For “{ $title }” { amount } more will do. It goes on by itself once you have paid.
topup-pack = • <b>{ amount }</b> – { $prices }
topup-pack-bonus =
    { $bonus ->
        [one] • <b>{ amount }</b> and { $bonus } on top – { $prices }
       *[other] • <b>{ amount }</b> and { $bonus } on top – { $prices }
    }
topup-promise = Credits you buy have no end date. What fails costs nothing.
topup-closed = Nothing can be bought right now. Please look in later.
button-pack-bonus =
    { $bonus ->
        [one] { amount } + { $bonus }
       *[other] { amount } + { $bonus }
    }
checkout-pack = <b>{ amount }</b>
checkout-bonus = + { amount } on top, as a bonus
checkout-plan = <b>{ $plan }</b>
checkout-how = How would you like to pay?
checkout-terms = By paying you accept the /terms.
button-pay = { $method } – { $price }
button-pay-credits = Pay { amount }
button-pay-link = 💸 Pay { $price }
button-drop-payment = ✖ Not this payment
method-stars = Telegram Stars
method-crypto-pay = Crypto Pay
method-yookassa = Card (YooKassa)
payment-preparing = Preparing your payment…
payment-open = Pay <b>{ $price }</b> by { $method }, with the button below. The credits come by themselves.
payment-stars-below = The invoice over <b>{ $price }</b> is below.
payment-subscription =
    { $days ->
        [one] <b>{ $plan }</b> for { $price }. Telegram renews it every day until you stop it in /vip.
       *[other] <b>{ $plan }</b> for { $price }. Telegram renews it every { $days } days until you stop it in /vip.
    }
payment-until = It can be paid until { $until }.
payment-dropped = All right, nothing was paid.
payment-dropped-late = All right. If you have paid all the same, you get what you paid for.
invoice-pack = Credits for your orders in Vitrine. They have no end date.
invoice-subscription = { $plan } in Vitrine, renewed by Telegram until you stop it.
toast-not-on-offer = This is no longer on offer. Please choose again.
toast-payment-under-way = Your payment is already being prepared.
toast-payment-over = This payment is over. /topup starts a new one.

payment-paid = ✅ Paid: { $price }.
payment-credits = <b>+{ amount }</b>
payment-bonus = { amount } of it on top, as a bonus.
payment-tier = ⭐ <b>{ $tier }</b> until { $until }.
payment-renewed = ⭐ <b>{ $tier }</b> is renewed until { $until }.
payment-tier-added =
    { $days ->
        [one] ⭐ { $tier } is paid. <b>{ $higher }</b> runs and gives all of it, so it got { $days } day more, until { $until }.
       *[other] ⭐ { $tier } is paid. <b>{ $higher }</b> runs and gives all of it, so it got { $days } days more, until { $until }.
    }
payment-late = The payment came after its invoice had closed. It counts all the same.
payment-order-closed = The order this was for was closed meanwhile. The credits are yours for any other.
payment-failed = The payment did not come about.
payment-provider-failed = The payment service did not answer, so there is no invoice. Please try again, or pay in another way.
payment-method-off = This way of paying is switched off right now. Please choose another.
payment-expired = The invoice was not paid in time and is closed.
payment-product-gone = This is no longer on offer. Please choose again.
payment-not-charged = You were not charged.
payment-rejected = This did not work. If it was a payment: you were not charged. Please start again from /topup or /vip.
payment-held =
    We received { $price }, but it does not match its invoice, so a person will look at it soon. Your money is safe.

    Number of the payment: <code>{ $charge }</code>
    Questions: /paysupport
charge-refunded = ↩️ { $price } went back to you.
charge-charged-back = ↩️ The payment of { $price } was called back.
charge-taken = Taken back for it: { amount }.
charge-debt = { amount } had been spent already and are owed now. Credits you receive pay it first; new orders wait until then.
refund-refused = The payment <code>{ $charge }</code> could not be given back. What had been taken for it is yours again. Questions: /paysupport
order-credited-back = ↩️ { amount } of your order “{ $title }” came back to you.
order-credited-back-left = Still charged for it: { amount }.
credits-adjusted-up = ➕ Your balance was corrected: +{ amount }.
credits-adjusted-down = ➖ Your balance was corrected: −{ amount }.
credits-adjusted-reason = Reason: { $reason }

pre-checkout-expired = This invoice is out of date. Please make a new one with /topup. You were not charged.
pre-checkout-cancelled = You cancelled this payment. Please make a new one with /topup. You were not charged.
pre-checkout-already-paid = This invoice is paid already. You were not charged again.
pre-checkout-not-yours = This invoice belongs to somebody else. Please make your own with /topup. You were not charged.
pre-checkout-other-amount = The price has changed. Please make a new invoice with /topup. You were not charged.
pre-checkout-no-answer = The shop is not answering right now. Please try again in a minute. You were not charged.
pre-checkout-unknown = This invoice cannot be paid. Please make a new one with /topup. You were not charged.

operators-payment-held = ⚠️ Money is held: { $price } of user { $user } by { $provider } ({ $reason }). Charge <code>{ $charge }</code>
operators-asked = 💬 User { $user } asks about money: { $words }
operators-provider-alarm = ⚠️ Payments by { $provider }: { $reason }. { $detail }

## VIP and Black Gold

plans-title = <b>VIP and Black Gold</b>
vip-gives = <b>VIP</b>: no daily limits.
black-gold-gives = <b>Black Gold</b>: no daily limits, and first in every queue.
plan-name =
    { $days ->
        [one] { $tier }, { $days } day
       *[other] { $tier }, { $days } days
    }
plan-unnamed = A plan
plan-line = • { $plan } – { amount }
plan-line-stars = • { $plan } – { amount }, or { $stars } as a subscription
plans-closed = No plan is on offer right now.
plans-rules = The same plan again adds its days. Black Gold begins at once, and what is left of VIP is added to its end. A subscription is paid in Stars and renewed by Telegram until you stop it; what is paid stays yours.
plan-buying = Buying your plan…
plan-bought = ⭐ <b>{ $tier }</b> is yours until { $until }.
plan-price-changed = The price has changed: it is { amount } now.
plan-higher-active = Black Gold is running, and gives all that VIP gives.
plan-endless = You have this status without an end date, so there is nothing to add.
plan-subscribed = You already have a subscription. /vip shows it.
plan-gone = This plan is no longer on offer.
plan-refused = The plan could not be bought.
subscriptions-title = Your subscriptions:
subscription-renews = • { $plan }, renewed on { $until }
subscription-ends = • { $plan }, ends on { $until }
button-stop-renewals = ⏸ Stop renewals: { $plan }
button-resume-renewals = ▶ Resume renewals: { $plan }
toast-renewals-asked = Asking Telegram…
toast-renewals-so-already = It is so already.
subscription-active = ▶ Your subscription renews on { $until }.
subscription-cancelled = ⏸ Your subscription no longer renews. What you paid for lasts until { $until }.
subscription-ended = Your subscription has ended.

## VPN access

button-vpn = 🛡 VPN
vpn-name = VPN access
vpn-title = <b>🛡 VPN</b>
vpn-about = One link for all your devices. It stays the same when you renew or replace the key.
vpn-closed = VPN access is not on offer right now.
vpn-rules = What is left of your days and traffic is kept when you buy again.
vpn-active = ✅ Active until { $until }
vpn-active-trial = ✅ Trial until { $until }
vpn-grace = ⚠️ Your plan has ended. It still works until { $until }.
vpn-suspended = ⏸ Switched off. Buy days or traffic and the same link works again.
vpn-ended = ⏹ Ended
vpn-traffic = Traffic used: { $used } GB
vpn-traffic-of = Traffic: { $used } of { $limit } GB
vpn-devices = Devices now: { $online } of { $limit }
vpn-node-up = 🟢 { $name }
vpn-node-down = 🔴 { $name }
vpn-link = Your link. Paste it into the app, and keep it to yourself:
vpn-plan-name =
    { $days ->
        [one] VPN, { $days } day
       *[other] VPN, { $days } days
    }
vpn-trial-name =
    { $days ->
        [one] 🎁 Trial, { $days } day
       *[other] 🎁 Trial, { $days } days
    }
vpn-traffic-name = + { $gib } GB of traffic
vpn-plan-line = • { $plan } – { $price }{ $details }
vpn-plan-traffic = , { $gib } GB
vpn-plan-devices =
    { $count ->
        [one] , { $count } device
       *[other] , { $count } devices
    }
vpn-starting = 🛡 Switching it on…
vpn-bought = ✅ Your VPN works until { $until }.
vpn-renewed = ✅ Your VPN is renewed until { $until }.
vpn-trial-begun = 🎁 Your trial runs until { $until }.
vpn-traffic-added = ✅ The traffic is added.
vpn-gone = This plan is no longer on offer.
vpn-trial-used = You have had your trial already.
vpn-no-nodes = No server can take you right now. Please try again later.
vpn-no-subscription = Traffic is added to a plan that runs. Please buy days first.
vpn-no-answer = It could not be switched on in time.
vpn-period-over = This period was over before it could be renewed.
vpn-refused = It could not be bought.
vpn-renewal-short = There are not enough credits to renew your VPN. You have { $available }.
vpn-now-grace = ⚠️ Your VPN plan has ended. It still works until { $until }; then it is switched off.
vpn-now-suspended = ⏸ Your VPN is switched off. Your link is kept until { $until }.
vpn-now-over = ⏸ Your VPN is switched off.
vpn-days-given =
    { $days ->
        [one] 🎁 { $days } day of VPN on us. It works until { $until }.
       *[other] 🎁 { $days } days of VPN on us. It works until { $until }.
    }
vpn-traffic-spent = ⏸ Your traffic is used up, so your VPN is switched off. Add traffic or days and it goes on.
vpn-revoked = ↩️ The payment for your VPN went back, and so did what it had bought.
vpn-revoked-renews-not = Nothing is charged for it by itself now.
vpn-deleted = Your VPN link was deleted, because the plan ended long ago. A new plan comes with a new link.
vpn-plan-changed = Your VPN plan has changed. /vpn shows what it gives now.
vpn-remind-days =
    { $days ->
        [one] ⏳ Your VPN ends in { $days } day, on { $until }.
       *[other] ⏳ Your VPN ends in { $days } days, on { $until }.
    }
vpn-remind-today = ⏳ Your VPN ends today, on { $until }.
vpn-remind-trial = ⏳ Your VPN trial ends on { $until }. Pick a plan and nothing is interrupted.
vpn-remind-renews = It renews by itself from your balance.
vpn-remind-short = ⏳ Your VPN ends on { $until }, and there are not enough credits to renew it. Top up and it renews by itself.
vpn-remind-traffic = ⏳ { $percent }% of your VPN traffic is used.
vpn-remind-devices =
    { $limit ->
        [one] Your VPN is used on more devices than its { $limit }. Somebody else using it? Replace key and link.
       *[other] Your VPN is used on more devices than its { $limit }. Somebody else using it? Replace key and link.
    }
vpn-key-ask =
    🔑 Replace your key? Every device stops until its app has updated the subscription. The old key never works again.

    Does somebody else know your link? Replace it too, or they get the new key with it. Then every app needs the new link.
vpn-key-replacing = 🔑 Replacing your key…
vpn-key-link-replacing = 🔑 Replacing your key and your link…
vpn-key-replaced = 🔑 Your key is replaced. The old one is refused by every server.
vpn-key-waiting =
    { $count ->
        [one] 🔑 Your key is replaced. { $count } server cannot be reached right now; it follows as soon as it can.
       *[other] 🔑 Your key is replaced. { $count } servers cannot be reached right now; they follow as soon as they can.
    }
vpn-key-same-link = Update the subscription in your app; the link is the same.
vpn-key-new-link = The link is a new one, too: /vpn shows it.
button-vpn-connect = 📱 Connect: QR and apps
button-vpn-extend = ➕ Days and traffic
button-vpn-renew-on = 🔁 Renews by itself: on
button-vpn-renew-off = 🔁 Renews by itself: off
button-vpn-remind-on = 🔔 Reminders: on
button-vpn-remind-off = 🔕 Reminders: off
button-vpn-key = 🔑 Replace the key
button-vpn-key-yes = 🔑 Replace the key
button-vpn-key-link-yes = 🔗 Replace key and link
operators-extended = 🎁 VPN: { $count } subscriptions got { $days } more days ({ $actor }).
operators-node = ⚠️ VPN node { $node }: { $reason }. { $detail }

## Time zone

button-zone = 🕓 Time zone
zone-choose = Your time zone is { $zone }, where it is { $time }. Choose another, or send /timezone and its name, as in <code>/timezone Europe/Berlin</code>.
zone-set = Your time zone is { $zone } now, where it is { $time }. Nobody reminds you at night.
zone-unknown = I do not know this time zone. Names look like <code>Europe/Berlin</code>.

## Payment support

paysupport-charges = Your last payments:
paysupport-charge = • { $at }: { $price }, { $what } ({ $method }), { $state } <code>{ $charge }</code>
paysupport-no-charges = You have made no payment here yet.
paysupport-no-list = Your payments cannot be listed right now. Please try again in a minute.
paysupport-contact = Write to { $contact }, and name the number of the payment.
paysupport-write-here = Or send /paysupport followed by your question, in one message: what you expected, when it happened, the number of the payment. A person reads it.
paysupport-passed-on = Passed on. A person reads it and comes back to you.
paysupport-telegram = Telegram support cannot help with purchases made in this bot; we can.
paysupport-nobody = Whom to write to is not set up here yet: the owner of this bot has given neither a contact (GATEWAY_SUPPORT_CONTACT) nor a chat for questions (GATEWAY_ADMIN_CHAT_ID), so what you write here is read by nobody. Please reach the owner where you found this bot, and name the number of the payment. Telegram support cannot help with purchases made in this bot.
paysupport-unnamed = no longer on offer
charge-state-review = being looked at
charge-state-paid = paid
charge-state-refunding = being given back
charge-state-refunded = given back
charge-state-charged-back = called back
charge-state-rejected = not accepted

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
operators-download-failed = ⚠️ A photo of user { $user } could not be fetched ({ $reason }).
