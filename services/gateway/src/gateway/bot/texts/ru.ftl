# Всё, что говорит бот, по-русски.
# $credits — всегда целое число кредитов; { amount } ставит его в нужную форму.

language-name = Русский

## Слова и суммы

amount =
    { $credits ->
        [one] { $credits } кредит
        [few] { $credits } кредита
        [many] { $credits } кредитов
       *[other] { $credits } кредита
    }
free = бесплатно
free-per-day =
    { $count ->
        [one] бесплатно, { $count } раз в день
        [few] бесплатно, { $count } раза в день
        [many] бесплатно, { $count } раз в день
       *[other] бесплатно, { $count } раза в день
    }
duration-seconds = { $seconds } с
duration-minutes = { $minutes } мин
moment =
    { $day } { $month ->
        [1] янв.
        [2] февр.
        [3] марта
        [4] апр.
        [5] мая
        [6] июня
        [7] июля
        [8] авг.
        [9] сент.
        [10] окт.
        [11] нояб.
       *[12] дек.
    }, { $time }
moment-year =
    { $day } { $month ->
        [1] янв.
        [2] февр.
        [3] марта
        [4] апр.
        [5] мая
        [6] июня
        [7] июля
        [8] авг.
        [9] сент.
        [10] окт.
        [11] нояб.
       *[12] дек.
    } { $year }, { $time }

## Что умеет магазин (title_key и description_key из каталога)

workflow-image-enhance = Улучшить фото
workflow-image-enhance-about = Резче, чище, светлее. Сам товар остаётся прежним.
workflow-image-product-scene = Товар в кадре
workflow-image-product-scene-about = Ваш товар на аккуратном студийном фоне.
workflow-video-orbit = Видео с облётом
workflow-video-orbit-about = Камера плавно обходит ваш товар.
workflow-video-zoom = Видео с наездом
workflow-video-zoom-about = Камера медленно приближается к важной детали.
workflow-video-parallax = Видео с параллаксом
workflow-video-parallax-about = Товар парит перед своим фоном.

## Меню

welcome =
    👋 <b>Добро пожаловать в Vitrine!</b>

    Пришлите фото товара, и я сделаю из него картинку получше или короткое видео.

    Цена видна до начала работы. Если что-то не получится, кредиты не спишутся.
menu =
    <b>Меню</b>
    Присылайте фото, когда захотите.
help =
    <b>Как это работает</b>
    1. Пришлите фото. Файлом оно сохранит полное качество.
    2. Выберите, что сделать, и посмотрите цену.
    3. Подтвердите. До готовности результата кредиты только зарезервированы.

    Если не получится или вы успеете отменить заказ, резерв вернётся.
help-commands =
    /balance – сколько у вас кредитов
    /topup – купить кредиты
    /vip – VIP и Black Gold
    /history – что пришло и ушло
    /draw – розыгрыш дня
    /promo – ввести промокод
    /gift – подарить кредиты
    /invite – ваша ссылка для друзей
    /cancel – остановить заказ
    /language – сменить язык
    /terms – правила
    /paysupport – помощь с оплатой
offer =
    <b>{ $title }</b> – { $price }
    { $about }
terms =
    <b>Правила</b>
    • Присылайте только те фото, на которые у вас есть права. Незаконное и сексуальное не принимается, а счёт того, кто присылает это снова, закрывается.
    • Кредиты, VIP и Black Gold – цифровые товары только для этого бота; вывести или перепродать их нельзя. Вы получаете их сразу после оплаты.
    • Кредиты тратятся только на полученные результаты. Неудачный или отменённый заказ ничего не стоит.
    • Пробные кредиты сгорают, бонусные – если у них есть срок, его видно в /balance; купленные и бонус к пакету – нет.
    • Платёж возвращается целиком, пока купленное не использовано; просите через /paysupport. Купленное при этом отзывается, а уже потраченное становится долгом.
    • Подписку продлевает Telegram, пока вы не остановите её в /vip. Остановка не отнимает оплаченного.
    • Деньги, которые не сходятся со счётом, проверяет человек, и они не пропадают.
    • Ваши фото нужны только для ваших заказов и удаляются, когда больше не нужны.

    Вопросы о деньгах: /paysupport
paysupport =
    <b>Помощь с оплатой</b>
    Баланс и все движения видны в /balance и /history. Резерв неудачного заказа возвращается сам, обычно за несколько минут.
language-choose = На каком языке будем говорить?
language-set = Теперь говорим по-русски.
trial-opened =
    { $credits ->
        [one] 🎁 Вам начислен { $credits } пробный кредит. Попробуйте: пришлите фото.
        [few] 🎁 Вам начислено { $credits } пробных кредита. Попробуйте: пришлите фото.
        [many] 🎁 Вам начислено { $credits } пробных кредитов. Попробуйте: пришлите фото.
       *[other] 🎁 Вам начислено { $credits } пробного кредита. Попробуйте: пришлите фото.
    }

command-start = Начать
command-help = Как это работает
command-balance = Баланс
command-topup = Купить кредиты
command-vip = VIP и Black Gold
command-vpn = VPN
command-history = История
command-draw = Розыгрыш дня
command-promo = Ввести промокод
command-gift = Подарить кредиты
command-invite = Ссылка для друзей
command-cancel = Остановить заказ
command-language = Язык
command-timezone = Часовой пояс
command-terms = Правила
command-paysupport = Помощь с оплатой

button-photo = 📷 Прислать фото
button-balance = 💳 Баланс
button-history = 🧾 История
button-draw = 🎲 Розыгрыш дня
button-promo = 🎟 Промокод
button-gift = 🎁 Подарить кредиты
button-invite = 👥 Позвать друга
button-orders = ⏳ Мои заказы
button-language = 🌐 Язык
button-help = ❓ Помощь
button-menu = ☰ Меню

## Баланс и история

balance-title = <b>Ваш баланс</b>
balance-available = Доступно: <b>{ amount }</b>
balance-held = В резерве под текущие заказы: { amount }
balance-spent-today = Потрачено сегодня: { amount }
balance-debt = Долг: { amount }. Он погасится из следующих поступлений.
balance-lots = Что у вас есть и до какого срока:
tier-vip = VIP
tier-black-gold = Black Gold
tier-endless = Статус: <b>{ $tier }</b>
tier-until = Статус: <b>{ $tier }</b> до { $until }
tier-ended = Ваш особый статус закончился. Теперь действуют обычные условия.
tier-given = ⭐ { $line }
lot-trial = пробные
lot-bonus = бонус
lot-paid = купленные
lot-endless = • { amount } ({ $lot }), без срока
lot-until = • { amount } ({ $lot }), до { $until }
history-title = <b>История</b>
history-empty = Здесь пока пусто. Первый заказ появится на этой странице.
history-end = Более ранних записей нет.
history-hold = <b>{ $signed }</b> · резерв · { $at }
history-post =
    { $credits ->
        [0] <b>{ $signed }</b> · готово, бесплатно · { $at }
        [one] <b>{ $signed }</b> · списан из резерва { $credits } кредит · { $at }
        [few] <b>{ $signed }</b> · списано из резерва { $credits } кредита · { $at }
        [many] <b>{ $signed }</b> · списано из резерва { $credits } кредитов · { $at }
       *[other] <b>{ $signed }</b> · списано из резерва { $credits } кредита · { $at }
    }
history-void = <b>{ $signed }</b> · вернулось, не списано · { $at }
history-credit-back = <b>{ $signed }</b> · возвращено магазином · { $at }
history-expire = <b>{ $signed }</b> · срок истёк · { $at }
history-grant = <b>{ $signed }</b> · начислено · { $at }
history-trial = <b>{ $signed }</b> · пробные кредиты · { $at }
history-revoke = <b>{ $signed }</b> · отозвано · { $at }
history-restore = <b>{ $signed }</b> · возврат платежа отклонён, кредиты снова ваши · { $at }
history-adjust = <b>{ $signed }</b> · исправлено магазином · { $at }
history-plan = <b>{ $signed }</b> · { $plan } · { $at }
history-refund = ↩️ <b>{ $plan }</b>: возвращено { $price } · { $at }
history-refund-taken =
    { $days ->
        [one] { $line } · отозван { $days } день
        [few] { $line } · отозвано { $days } дня
        [many] { $line } · отозвано { $days } дней
       *[other] { $line } · отозвано { $days } дня
    }
history-free = <b>{ $signed }</b> · бесплатно, −{ $percent } % · { $at }
history-gift = <b>{ $signed }</b> · подарок кому-то · { $at }
history-gift-back = <b>{ $signed }</b> · подарок вернулся · { $at }
history-grant-payment = <b>{ $signed }</b> · куплено · { $at }
history-grant-payment-bonus = <b>{ $signed }</b> · бонус за оплату · { $at }
history-grant-promo = <b>{ $signed }</b> · промокод · { $at }
history-grant-referral = <b>{ $signed }</b> · за приглашённых друзей · { $at }
history-grant-newcomer = <b>{ $signed }</b> · подарок новичку · { $at }
history-grant-gift = <b>{ $signed }</b> · подарок от кого-то · { $at }
history-cheaper = { $line } · −{ $percent } %
history-debt-paid = { $line } · из них { $credits } – в счёт долга
history-debt-made = { $line } · из них { $credits } – теперь долг
history-drawn = 🎲 <b>скидка { $percent } %</b> · выиграна в розыгрыше · { $at }
history-discount = 🎟 <b>скидка { $percent } %</b> · промокод · { $at }
history-tier = ⭐ <b>{ $tier }</b> до { $until } · { $at }
history-tier-paid = ⭐ <b>{ $tier }</b> до { $until } · оплачено · { $at }
history-tier-promo = ⭐ <b>{ $tier }</b> до { $until } · промокод · { $at }
history-tier-endless = ⭐ <b>{ $tier }</b> · { $at }
history-tier-none = ⭐ особый статус закончился · { $at }
history-other = <b>{ $signed }</b> · { $at }
button-newest = ⏮ К началу
button-older = Раньше ▶
credits-granted =
    { $credits ->
        [one] ➕ Вам начислен { amount }.
        [few] ➕ Вам начислено { amount }.
        [many] ➕ Вам начислено { amount }.
       *[other] ➕ Вам начислено { amount }.
    }
credits-granted-debt =
    { $credits ->
        [one] Из них { amount } ушёл на погашение долга.
        [few] Из них { amount } ушли на погашение долга.
        [many] Из них { amount } ушло на погашение долга.
       *[other] Из них { amount } ушло на погашение долга.
    }
trial-renewed =
    { $credits ->
        [one] 🎁 Пробный период обновлён: { $credits } кредит до { $until }.
        [few] 🎁 Пробный период обновлён: { $credits } кредита до { $until }.
        [many] 🎁 Пробный период обновлён: { $credits } кредитов до { $until }.
       *[other] 🎁 Пробный период обновлён: { $credits } кредита до { $until }.
    }

## Фото

send-photo = 📷 Пришлите одно фото вашего товара. Вот что я могу из него сделать:
photo-received = 👍 Фото у меня! Что из него сделать?
button-workflow = { $title } – { $price }
photo-not-an-image = В этом файле нет картинки, которую я могу прочитать. Пришлите фото в JPEG, PNG или WebP.
photo-damaged = Картинка неполная или повреждена. Пришлите её ещё раз.
photo-too-many-pixels = В этой картинке слишком много пикселей. Пришлите фото поменьше.
photo-animated = Анимация здесь не подойдёт. Пришлите обычное фото.
photo-too-large = Этот файл слишком большой. Пришлите фото поменьше.
photo-unreachable = Не удалось получить ваше фото из Telegram. Пришлите его ещё раз.
photo-side-too-small =
    { $pixels ->
        [one] Для этого фото маловато: нужно хотя бы { $pixels } пиксель по каждой стороне.
        [few] Для этого фото маловато: нужно хотя бы { $pixels } пикселя по каждой стороне.
        [many] Для этого фото маловато: нужно хотя бы { $pixels } пикселей по каждой стороне.
       *[other] Для этого фото маловато: нужно хотя бы { $pixels } пикселя по каждой стороне.
    }
photo-too-many-pixels-here =
    { $megapixels ->
        [one] Для этого фото великовато: не больше { $megapixels } мегапикселя.
        [few] Для этого фото великовато: не больше { $megapixels } мегапикселей.
        [many] Для этого фото великовато: не больше { $megapixels } мегапикселей.
       *[other] Для этого фото великовато: не больше { $megapixels } мегапикселя.
    }
file-too-large = Файл слишком большой: пришлите, пожалуйста, не больше { $megabytes } МБ.
photo-gone = Этого фото у меня больше нет. Пришлите его ещё раз.
video-not-photo = Это видео, а мне нужно фото. Пришлите обычный снимок.
other-not-photo = Я работаю только с фото. Пришлите снимок как фото или как файл.

## Цена

price-title = <b>{ $title }</b>
price = Цена: <b>{ amount }</b>
price-discounted = Цена: <b>{ amount }</b> <s>{ $base }</s>
price-free = Цена: <b>бесплатно</b>
price-free-discounted = Цена: <b>бесплатно</b> <s>{ $base }</s>
price-discount = Ваша скидка: −{ $percent } %.
price-discount-until = Ваша скидка: −{ $percent } %, до { $until } ({ $zone }).
price-free-left =
    { $count ->
        [one] Сегодня остался { $count } бесплатный заказ.
        [few] Сегодня осталось { $count } бесплатных заказа.
        [many] Сегодня осталось { $count } бесплатных заказов.
       *[other] Сегодня осталось { $count } бесплатного заказа.
    }
price-available = У вас { amount }.
price-takes = Работа займёт около { $time }.
price-promise = Если не получится, кредиты не спишутся.
price-changed = Цена изменилась с тех пор, как вы её видели.
price-expired = Эта цена показана уже давно.
button-confirm = ✅ Подтвердить – { amount }
button-confirm-free = ✅ Подтвердить – бесплатно
button-dismiss = Не сейчас

## Заказы

order-placing = <b>{ $title }</b>: оформляю заказ…
order-waiting-for-photo = <b>{ $title }</b>: фото ещё в пути. Начну, как только оно придёт.
order-dismissed = Хорошо. Ничего не заказано и не списано.
order-not-placed = Заказ не оформлен, кредиты не списаны.
order-accepted = ⏳ <b>{ $title }</b>: заказ принят.
order-ahead =
    { $count ->
        [one] Перед вами { $count } заказ.
        [few] Перед вами { $count } заказа.
        [many] Перед вами { $count } заказов.
       *[other] Перед вами { $count } заказа.
    }
order-next = Вы следующий в очереди.
order-eta = Начну примерно через { $time }.
order-running = 🎨 <b>{ $title }</b>: работаю.
order-eta-left = Осталось около { $time }.
order-cancelling = <b>{ $title }</b>: останавливаю заказ…
order-completed = ✅ <b>{ $title }</b>: готово!
order-cancel-lost = Результат пришёл раньше отмены, поэтому заказ засчитан.
orders-none = Сейчас нет заказов в работе.
orders-running =
    { $count ->
        [one] { $count } заказ в работе. Нажмите, чтобы остановить:
        [few] { $count } заказа в работе. Нажмите на тот, который остановить:
        [many] { $count } заказов в работе. Нажмите на тот, который остановить:
       *[other] { $count } заказа в работе. Нажмите на тот, который остановить:
    }
button-cancel = ✖ Отменить заказ
button-cancel-named = ✖ Отменить: { $title }

result-title = <b>{ $title }</b>
result-charged =
    { $credits ->
        [one] Списан { amount }.
        [few] Списано { amount }.
        [many] Списано { amount }.
       *[other] Списано { amount }.
    }
result-charged-discounted =
    { $credits ->
        [one] Списан { amount } <s>{ $base }</s>.
        [few] Списано { amount } <s>{ $base }</s>.
        [many] Списано { amount } <s>{ $base }</s>.
       *[other] Списано { amount } <s>{ $base }</s>.
    }
result-free = Это было бесплатно.
result-gift = 🎁 Результат пришёл, когда кредиты уже вернулись, поэтому он в подарок: ничего не списано.
result-balance =
    { $credits ->
        [one] У вас остался { amount }.
        [few] У вас осталось { amount }.
        [many] У вас осталось { amount }.
       *[other] У вас осталось { amount }.
    }
button-as-file = 📎 Файлом
button-once-more = 🔁 Ещё раз
button-try-again = 🔁 Попробовать снова

refused-title = <b>{ $title }</b>: не получилось принять заказ.
refused-insufficient =
    { $missing ->
        [one] Цена – { amount }, у вас { $available }: не хватает { $missing } кредита.
        [few] Цена – { amount }, у вас { $available }: не хватает { $missing } кредитов.
        [many] Цена – { amount }, у вас { $available }: не хватает { $missing } кредитов.
       *[other] Цена – { amount }, у вас { $available }: не хватает { $missing } кредита.
    }
refused-quota =
    { $count ->
        [0] Бесплатные заказы на сегодня закончились. Новые появятся в { $time }.
        [one] Вы уже использовали { $count } бесплатный заказ на сегодня. Новые появятся в { $time }.
        [few] Вы уже использовали { $count } бесплатных заказа на сегодня. Новые появятся в { $time }.
        [many] Вы уже использовали { $count } бесплатных заказов на сегодня. Новые появятся в { $time }.
       *[other] Вы уже использовали { $count } бесплатного заказа на сегодня. Новые появятся в { $time }.
    }
refused-in-flight =
    { $count ->
        [0] У вас слишком много заказов в работе. Дождитесь одного из них или отмените.
        [one] У вас уже { $count } заказ в работе. Дождитесь его или отмените.
        [few] У вас уже { $count } заказа в работе. Дождитесь одного из них или отмените.
        [many] У вас уже { $count } заказов в работе. Дождитесь одного из них или отмените.
       *[other] У вас уже { $count } заказа в работе. Дождитесь одного из них или отмените.
    }
refused-queue-full = Очередь сейчас заполнена. Попробуйте через несколько минут.
refused-unknown-workflow = Этого больше нет в списке. Выберите что-нибудь другое.
refused-no-account = Ваш счёт как раз открывается. Попробуйте через мгновение.
refused-in-debt = На вашем счёте есть долг. Сначала нужно его погасить: загляните в баланс.
refused-owing = Ваш долг: { amount }. Он погасится из следующих поступлений, а до тех пор ничего не заказать.
refused-owing-all = Чтобы хватило и на долг, и на это, нужно пополнить на { amount }.
refused-other = С этим заказом что-то не так. Начните, пожалуйста, заново с фото.
not-charged = Кредиты не списаны.
not-charged-returned =
    { $credits ->
        [one] Ничего не списано, { $credits } кредит вернулся.
        [few] Ничего не списано, { $credits } кредита вернулись.
        [many] Ничего не списано, { $credits } кредитов вернулись.
       *[other] Ничего не списано, { $credits } кредита вернулись.
    }
not-charged-debt =
    { $credits ->
        [one] Из резерва { amount } ушёл на погашение долга.
        [few] Из резерва { amount } ушли на погашение долга.
        [many] Из резерва { amount } ушло на погашение долга.
       *[other] Из резерва { amount } ушло на погашение долга.
    }

refund-cancelled = ✖ <b>{ $title }</b>: отменено.
refund-bad-input = <b>{ $title }</b>: это фото не удалось обработать. Попробуйте другое.
refund-timeout = <b>{ $title }</b>: работа затянулась, и я её остановил.
refund-too-late = <b>{ $title }</b>: очередь оказалась слишком длинной, и я не стал начинать.
refund-no-answer = <b>{ $title }</b>: мастерская не ответила вовремя.
refund-failed = <b>{ $title }</b>: у нас что-то сломалось. Извините!

## Розыгрыш дня ($prize – это SSR, SR, R или C)

draw-title = 🎲 <b>Розыгрыш дня</b>
draw-about = Одна попытка в день. Выигранная скидка действует на следующий заказ, до { $until } ({ $zone }).
draw-odds = • <b>{ $prize }</b>: скидка { $percent } %, вероятность { $chance } %
draw-seal = Печать дня: <code>{ $seal }…</code>
draw-seal-next = Печать завтрашнего дня: <code>{ $seal }…</code>
draw-not-ready = Сегодняшний розыгрыш ещё готовится. Загляните через минуту.
draw-drawing = Тяну жребий…
draw-won = 🎉 Вам выпало <b>{ $prize }</b>: <b>скидка { $percent } %</b> на следующий заказ!
draw-already = Сегодня вы уже тянули: <b>{ $prize }</b>, <b>скидка { $percent } %</b>.
draw-valid = Действует до { $until } ({ $zone }). Применится сама к следующему платному заказу.
draw-used = Она уже использована. Завтра будет новый розыгрыш.
draw-proof-title = 🔎 <b>Проверка розыгрыша за { $day }</b>
draw-proof-unknown = О розыгрыше за этот день ничего не известно.
draw-proof-seal =
    Печать, показанная до розыгрыша:
    <code>{ $seal }</code>
draw-proof-seed =
    Зерно, показанное после конца дня:
    <code>{ $seed }</code>
draw-proof-later = Зерно появится здесь, когда день закончится. Сохраните печать: изменить зерно, не изменив её, уже нельзя.
draw-proof-none = В этот день вы не тянули жребий.
draw-proof-drew = Вам выпало <b>{ $prize }</b>: скидка { $percent } %.
draw-proof-how =
    Как проверить:
    1. Печать – это SHA-256 от зерна.
    2. Ваш жребий – это HMAC-SHA256 от текста <code>{ $text }</code>, ключ – зерно. Текст: ваш номер в Telegram и день.
    3. Прочтите первые 8 байт как одно число, старший байт первым, и возьмите две последние цифры. (Начиная с 18446744073709551600 вместо них берутся следующие 8 байт.)
    4. 0–4 – это SSR, 5–19 – SR, 20–49 – R, 50–99 – C.
draw-proof-python =
    На Python: печать, а за ней две цифры:
    { $code }
button-draw-now = 🎲 Тянуть!
button-draw-how = 🔎 Как проверить
button-draw-yesterday = 🔎 Проверить вчера
toast-drawing = Тяну жребий…
toast-draw-already = Сегодня вы уже тянули.
toast-draw-other-day = Начался новый день. Вот сегодняшний розыгрыш.

## Промокоды

promo-ask = 🎟 Пришлите промокод. Передумали – /cancel.
promo-mistyped = Это не похоже на промокод: от 3 до 40 латинских букв и цифр, без пробелов. Пришлите ещё раз или нажмите /cancel.
promo-checking = 🎟 Проверяю <code>{ $code }</code>…
promo-credits =
    { $credits ->
        [one] 🎉 По коду <code>{ $code }</code> начислен { amount }.
        [few] 🎉 По коду <code>{ $code }</code> начислено { amount }.
        [many] 🎉 По коду <code>{ $code }</code> начислено { amount }.
       *[other] 🎉 По коду <code>{ $code }</code> начислено { amount }.
    }
promo-discount = 🎉 Код <code>{ $code }</code> ваш: скидка { $percent } % на следующий платный заказ.
promo-tier =
    { $days ->
        [one] 🎉 По коду <code>{ $code }</code> у вас { $days } день { $tier }.
        [few] 🎉 По коду <code>{ $code }</code> у вас { $days } дня { $tier }.
        [many] 🎉 По коду <code>{ $code }</code> у вас { $days } дней { $tier }.
       *[other] 🎉 По коду <code>{ $code }</code> у вас { $days } дня { $tier }.
    }
promo-accepted = 🎉 Код <code>{ $code }</code> принят.
promo-refused-unknown = Промокода <code>{ $code }</code> нет. Проверьте, нет ли опечатки.
promo-refused-used = Вы уже использовали <code>{ $code }</code>. Каждый код действует один раз на человека.
promo-refused-used-up = <code>{ $code }</code> уже разобрали до вас.
promo-refused-over = <code>{ $code }</code> больше не действует.
promo-refused-not-yet = <code>{ $code }</code> ещё не действует. Попробуйте позже.
promo-refused-newcomers = <code>{ $code }</code> – только для новичков.
promo-refused-tries = Слишком много неверных кодов. Попробуйте позже.
promo-refused-tier = <code>{ $code }</code> не улучшит ваш нынешний статус. Его можно ввести, когда статус закончится.
promo-refused-other = Код <code>{ $code }</code> применить не удалось.
button-promo-another = 🎟 Другой код
credits-now = Теперь у вас { amount }.

## Подарки

gift-title = 🎁 <b>Подарить кредиты</b>
gift-about = Вы получите ссылку. Кредиты достанутся тому, кто первым её откроет. Если вовремя не откроет никто, они вернутся к вам.
gift-most =
    { $credits ->
        [one] Дарить можно купленные кредиты: не больше { $credits } кредита.
        [few] Дарить можно купленные кредиты: не больше { $credits } кредитов.
        [many] Дарить можно купленные кредиты: не больше { $credits } кредитов.
       *[other] Дарить можно купленные кредиты: не больше { $credits } кредита.
    }
gift-nothing = Дарить можно только купленные кредиты, а их у вас сейчас нет.
gift-type = Сколько кредитов? Пришлите целое число от 1 до { $credits }. Передумали – /cancel.
gift-mistyped = Нужно целое число от 1 до { $credits }. Или нажмите /cancel.
gift-confirm = 🎁 Подарить { amount }? Они сразу уйдут с вашего баланса, а вы получите ссылку.
gift-making = 🎁 Откладываю { amount }…
gift-made =
    🎁 <b>Подарок готов: { amount }</b>
    Отправьте эту ссылку тому, кому он предназначен:
    <code>{ $link }</code>
gift-until = Если до { $until } ({ $zone }) её никто не откроет, кредиты вернутся к вам.
gift-share =
    { $credits ->
        [one] 🎁 Подарок для вас: { $credits } кредит в Vitrine. Достанется тому, кто первым откроет ссылку.
        [few] 🎁 Подарок для вас: { $credits } кредита в Vitrine. Достанутся тому, кто первым откроет ссылку.
        [many] 🎁 Подарок для вас: { $credits } кредитов в Vitrine. Достанутся тому, кто первым откроет ссылку.
       *[other] 🎁 Подарок для вас: { $credits } кредита в Vitrine. Достанутся тому, кто первым откроет ссылку.
    }
gift-opening = 🎁 Открываю подарок…
gift-received = 🎉 Подарок ваш: { amount }!
gift-taken = 🎉 Ваш подарок открыли: { amount }.
gift-returned =
    { $credits ->
        [one] Ваш подарок никто вовремя не открыл: { amount } вернулся к вам.
        [few] Ваш подарок никто вовремя не открыл: { amount } вернулись к вам.
        [many] Ваш подарок никто вовремя не открыл: { amount } вернулись к вам.
       *[other] Ваш подарок никто вовремя не открыл: { amount } вернулись к вам.
    }
gift-withdrawn =
    { $credits ->
        [one] Платёж, из которого сделан подарок, возвращается, поэтому ссылка больше не работает: сначала к вам вернулся { amount }.
       *[other] Платёж, из которого сделан подарок, возвращается, поэтому ссылка больше не работает: сначала к вам вернулись { amount }.
    }
gift-refused-unknown = Такого подарка нет. Проверьте, целиком ли ссылка.
gift-refused-over = Этого подарка больше нет: его уже открыли, или он вернулся к дарителю.
gift-refused-own = Это ваш собственный подарок. Отправьте ссылку кому-нибудь другому.
gift-refused-limit = Подарок на такую сумму сделать нельзя.
gift-refused-insufficient = У вас нет столько купленных кредитов.
gift-refused-other = С этим подарком не получилось.
gift-kept = С вас ничего не списано.
button-gift-own = ✏️ Другая сумма
button-gift-confirm = 🎁 Подарить { amount }
button-share = 📤 Поделиться ссылкой
toast-gift-too-much = У вас нет столько купленных кредитов.
toast-gift-making = Откладываю кредиты…
reward-rejected = Не получилось, но с вас ничего не списано. Начните, пожалуйста, заново из меню.

## Приглашения

invite-title = 👥 <b>Позвать друга</b>
invite-about = Когда по вашей ссылке придёт кто-то новый и купит кредиты, часть достанется и вам.
invite-link =
    Ваша ссылка:
    <code>{ $link }</code>
invite-count =
    { $count ->
        [0] По ней пока никто не пришёл.
        [one] По ней пришёл { $count } человек.
        [few] По ней пришли { $count } человека.
        [many] По ней пришло { $count } человек.
       *[other] По ней пришли { $count } человека.
    }
invite-earned =
    { $credits ->
        [one] Вы заработали { $credits } кредит.
        [few] Вы заработали { $credits } кредита.
        [many] Вы заработали { $credits } кредитов.
       *[other] Вы заработали { $credits } кредита.
    }
invite-pending = В пути: { amount }. Начислим, когда платёж уже нельзя будет вернуть.
invite-share = Картинки и видео вашего товара прямо в чате. Загляните:
referral-joined = 👋 По вашей ссылке пришёл кто-то новый!
referral-welcome = 🎁 Вы пришли по приглашению: { amount } сверху.
referral-earned = 💰 Ваше приглашение принесло { amount }.
lot-expiring =
    { $credits ->
        [one] ⏳ { $credits } кредит ({ $lot }) сгорит { $until } ({ $zone }). Успейте потратить!
        [few] ⏳ { $credits } кредита ({ $lot }) сгорят { $until } ({ $zone }). Успейте потратить!
        [many] ⏳ { $credits } кредитов ({ $lot }) сгорят { $until } ({ $zone }). Успейте потратить!
       *[other] ⏳ { $credits } кредита ({ $lot }) сгорят { $until } ({ $zone }). Успейте потратить!
    }

## Покупка кредитов

button-top-up = ➕ Пополнить
button-top-up-continue = ➕ Пополнить и продолжить
button-plans = ⭐ VIP
button-back = ◀ Назад
topup-title = <b>Пополнение</b>
topup-have =
    { $credits ->
        [one] У вас { amount }.
        [few] У вас { amount }.
        [many] У вас { amount }.
       *[other] У вас { amount }.
    }
topup-missing =
    { $credits ->
        [one] Для «{ $title }» не хватает { $credits } кредита. После оплаты заказ продолжится сам.
        [few] Для «{ $title }» не хватает { $credits } кредитов. После оплаты заказ продолжится сам.
        [many] Для «{ $title }» не хватает { $credits } кредитов. После оплаты заказ продолжится сам.
       *[other] Для «{ $title }» не хватает { $credits } кредита. После оплаты заказ продолжится сам.
    }
topup-pack = • <b>{ amount }</b> – { $prices }
topup-pack-bonus =
    { $bonus ->
        [one] • <b>{ amount }</b> и ещё { $bonus } в подарок – { $prices }
        [few] • <b>{ amount }</b> и ещё { $bonus } в подарок – { $prices }
        [many] • <b>{ amount }</b> и ещё { $bonus } в подарок – { $prices }
       *[other] • <b>{ amount }</b> и ещё { $bonus } в подарок – { $prices }
    }
topup-promise = Купленные кредиты не сгорают. Неудачный заказ ничего не стоит.
topup-closed = Сейчас ничего купить нельзя. Загляните позже.
button-pack-bonus =
    { $bonus ->
        [one] { amount } + { $bonus }
        [few] { amount } + { $bonus }
        [many] { amount } + { $bonus }
       *[other] { amount } + { $bonus }
    }
checkout-pack = <b>{ amount }</b>
checkout-bonus = + { amount } в подарок
checkout-plan = <b>{ $plan }</b>
checkout-how = Как вам удобнее заплатить?
checkout-terms = Оплачивая, вы принимаете /terms.
button-pay = { $method } – { $price }
button-pay-credits = Заплатить { amount }
button-pay-link = 💸 Оплатить { $price }
button-drop-payment = ✖ Не платить
method-stars = Telegram Stars
method-crypto-pay = Crypto Pay
method-yookassa = Карта (ЮKassa)
payment-preparing = Готовлю оплату…
payment-open = Оплатите <b>{ $price }</b> через { $method } кнопкой ниже. Кредиты придут сами.
payment-stars-below = Счёт на <b>{ $price }</b> – ниже.
payment-subscription =
    { $days ->
        [one] <b>{ $plan }</b> за { $price }. Telegram продлевает подписку каждый { $days } день, пока вы не остановите её в /vip.
        [few] <b>{ $plan }</b> за { $price }. Telegram продлевает подписку каждые { $days } дня, пока вы не остановите её в /vip.
        [many] <b>{ $plan }</b> за { $price }. Telegram продлевает подписку каждые { $days } дней, пока вы не остановите её в /vip.
       *[other] <b>{ $plan }</b> за { $price }. Telegram продлевает подписку каждые { $days } дня, пока вы не остановите её в /vip.
    }
payment-until = Оплатить можно до { $until }.
payment-dropped = Хорошо, ничего не оплачено.
payment-dropped-late = Хорошо. Если вы всё же заплатили, вы получите то, за что заплатили.
invoice-pack = Кредиты для заказов в Vitrine. Они не сгорают.
invoice-subscription = { $plan } в Vitrine. Telegram продлевает подписку, пока вы её не остановите.
toast-not-on-offer = Этого больше нет в продаже. Выберите снова.
toast-payment-under-way = Оплата уже готовится.
toast-payment-over = Эта оплата завершена. Новая начинается с /topup.

payment-paid = ✅ Оплачено: { $price }.
payment-credits = <b>+{ amount }</b>
payment-bonus =
    { $credits ->
        [one] Из них { amount } – подарок.
        [few] Из них { amount } – подарок.
        [many] Из них { amount } – подарок.
       *[other] Из них { amount } – подарок.
    }
payment-tier = ⭐ <b>{ $tier }</b> до { $until }.
payment-renewed = ⭐ <b>{ $tier }</b>: продлено до { $until }.
payment-tier-added =
    { $days ->
        [one] ⭐ { $tier } – оплачено. Действует <b>{ $higher }</b>, в котором всё это уже есть, поэтому он продлён на { $days } день, до { $until }.
        [few] ⭐ { $tier } – оплачено. Действует <b>{ $higher }</b>, в котором всё это уже есть, поэтому он продлён на { $days } дня, до { $until }.
        [many] ⭐ { $tier } – оплачено. Действует <b>{ $higher }</b>, в котором всё это уже есть, поэтому он продлён на { $days } дней, до { $until }.
       *[other] ⭐ { $tier } – оплачено. Действует <b>{ $higher }</b>, в котором всё это уже есть, поэтому он продлён на { $days } дня, до { $until }.
    }
payment-late = Платёж пришёл, когда счёт уже закрылся. Он всё равно засчитан.
payment-order-closed = Заказ, для которого это было, тем временем закрыт. Кредиты остаются вам для любого другого.
payment-failed = Оплата не состоялась.
payment-provider-failed = Платёжная служба не ответила, и счёта нет. Попробуйте ещё раз или заплатите иначе.
payment-method-off = Этот способ оплаты сейчас выключен. Выберите другой.
payment-expired = Счёт не оплачен вовремя и закрыт.
payment-product-gone = Этого больше нет в продаже. Выберите снова.
payment-not-charged = Деньги не списаны.
payment-rejected = Не получилось. Если это была оплата, деньги не списаны. Начните снова с /topup или /vip.
payment-held =
    Мы получили { $price }, но сумма не сходится со счётом, поэтому скоро её проверит человек. Деньги в сохранности.

    Номер платежа: <code>{ $charge }</code>
    Вопросы: /paysupport
charge-refunded = ↩️ Вам возвращено { $price }.
charge-charged-back = ↩️ Платёж на { $price } отозван.
charge-taken =
    { $credits ->
        [one] За это отозван { amount }.
        [few] За это отозвано { amount }.
        [many] За это отозвано { amount }.
       *[other] За это отозвано { amount }.
    }
charge-debt =
    { $credits ->
        [one] { amount } из них уже потрачен и теперь в долгу. Долг погасится из следующих поступлений; до тех пор новые заказы подождут.
        [few] { amount } из них уже потрачены и теперь в долгу. Долг погасится из следующих поступлений; до тех пор новые заказы подождут.
        [many] { amount } из них уже потрачены и теперь в долгу. Долг погасится из следующих поступлений; до тех пор новые заказы подождут.
       *[other] { amount } из них уже потрачено и теперь в долгу. Долг погасится из следующих поступлений; до тех пор новые заказы подождут.
    }
refund-refused = Платёж <code>{ $charge }</code> вернуть не удалось. То, что было за него отозвано, снова ваше. Вопросы: /paysupport
order-credited-back = ↩️ За заказ «{ $title }» вам возвращено { amount }.
order-credited-back-left = За него остаётся оплачено: { amount }.
credits-adjusted-up = ➕ Баланс исправлен: +{ amount }.
credits-adjusted-down = ➖ Баланс исправлен: −{ amount }.
credits-adjusted-reason = Причина: { $reason }

pre-checkout-expired = Этот счёт устарел. Создайте новый: /topup. Деньги не списаны.
pre-checkout-cancelled = Вы отменили эту оплату. Создайте новый счёт: /topup. Деньги не списаны.
pre-checkout-already-paid = Этот счёт уже оплачен. Второй раз деньги не списаны.
pre-checkout-not-yours = Это чужой счёт. Создайте свой: /topup. Деньги не списаны.
pre-checkout-other-amount = Цена изменилась. Создайте новый счёт: /topup. Деньги не списаны.
pre-checkout-no-answer = Магазин сейчас не отвечает. Попробуйте через минуту. Деньги не списаны.
pre-checkout-unknown = Этот счёт нельзя оплатить. Создайте новый: /topup. Деньги не списаны.

operators-payment-held = ⚠️ Деньги задержаны: { $price } от пользователя { $user } через { $provider } ({ $reason }). Платёж <code>{ $charge }</code>
operators-asked = 💬 Пользователь { $user } спрашивает о деньгах: { $words }
operators-provider-alarm = ⚠️ Платежи через { $provider }: { $reason }. { $detail }

## VIP и Black Gold

plans-title = <b>VIP и Black Gold</b>
vip-gives = <b>VIP</b>: без дневных ограничений.
black-gold-gives = <b>Black Gold</b>: без дневных ограничений и первым в любой очереди.
plan-name =
    { $days ->
        [one] { $tier }, { $days } день
        [few] { $tier }, { $days } дня
        [many] { $tier }, { $days } дней
       *[other] { $tier }, { $days } дня
    }
plan-unnamed = Подписка
plan-line = • { $plan } – { amount }
plan-line-stars = • { $plan } – { amount } или { $stars } по подписке
plans-closed = Сейчас купить статус нельзя.
plans-rules = Тот же статус ещё раз добавляет свои дни. Black Gold начинается сразу, а остаток VIP прибавляется к его концу. Подписка оплачивается в Stars, и Telegram продлевает её, пока вы её не остановите; оплаченное остаётся вашим.
plan-buying = Оформляю статус…
plan-bought = ⭐ <b>{ $tier }</b> ваш до { $until }.
plan-price-changed = Цена изменилась, теперь она – { amount }.
plan-higher-active = У вас действует Black Gold, а он даёт всё, что даёт VIP.
plan-endless = У вас этот статус без срока, добавлять нечего.
plan-subscribed = У вас уже есть подписка. Она видна в /vip.
plan-gone = Этого статуса больше нет в продаже.
plan-refused = Купить статус не получилось.
subscriptions-title = Ваши подписки:
subscription-renews = • { $plan }, продлится { $until }
subscription-ends = • { $plan }, закончится { $until }
button-stop-renewals = ⏸ Остановить продление: { $plan }
button-resume-renewals = ▶ Возобновить продление: { $plan }
toast-renewals-asked = Прошу Telegram…
toast-renewals-so-already = Так уже и есть.
subscription-active = ▶ Подписка продлится { $until }.
subscription-cancelled = ⏸ Подписка больше не продлевается. Оплаченное действует до { $until }.
subscription-ended = Ваша подписка закончилась.

## VPN

button-vpn = 🛡 VPN
vpn-name = VPN
vpn-title = <b>🛡 VPN</b>
vpn-about = Одна ссылка на все ваши устройства. Она не меняется ни при продлении, ни при замене ключа.
vpn-closed = VPN сейчас не продаётся.
vpn-rules = Оставшиеся дни и трафик сохраняются при новой покупке.
vpn-active = ✅ Работает до { $until }
vpn-active-trial = ✅ Пробный доступ до { $until }
vpn-grace = ⚠️ Срок закончился. Доступ ещё работает до { $until }.
vpn-suspended = ⏸ Выключен. Купите дни или трафик, и та же ссылка снова заработает.
vpn-ended = ⏹ Закончился
vpn-traffic = Потрачено трафика: { $used } ГБ
vpn-traffic-of = Трафик: { $used } из { $limit } ГБ
vpn-devices = Устройств сейчас: { $online } из { $limit }
vpn-node-up = 🟢 { $name }
vpn-node-down = 🔴 { $name }
vpn-link = Ваша ссылка. Вставьте её в приложение и никому не показывайте:
vpn-plan-name =
    { $days ->
        [one] VPN, { $days } день
        [few] VPN, { $days } дня
        [many] VPN, { $days } дней
       *[other] VPN, { $days } дня
    }
vpn-trial-name =
    { $days ->
        [one] 🎁 Пробный доступ, { $days } день
        [few] 🎁 Пробный доступ, { $days } дня
        [many] 🎁 Пробный доступ, { $days } дней
       *[other] 🎁 Пробный доступ, { $days } дня
    }
vpn-traffic-name = + { $gib } ГБ трафика
vpn-plan-line = • { $plan } – { $price }{ $details }
vpn-plan-traffic = , { $gib } ГБ
vpn-plan-devices =
    { $count ->
        [one] , { $count } устройство
        [few] , { $count } устройства
        [many] , { $count } устройств
       *[other] , { $count } устройства
    }
vpn-starting = 🛡 Включаем…
vpn-bought = ✅ VPN работает до { $until }.
vpn-renewed = ✅ VPN продлён до { $until }.
vpn-trial-begun = 🎁 Пробный доступ работает до { $until }.
vpn-traffic-added = ✅ Трафик добавлен.
vpn-gone = Этот тариф больше не продаётся.
vpn-trial-used = Пробный доступ у вас уже был.
vpn-no-nodes = Сейчас ни один сервер не может вас принять. Попробуйте, пожалуйста, позже.
vpn-no-subscription = Трафик добавляется к действующему тарифу. Сначала купите дни.
vpn-no-answer = Не удалось включить вовремя.
vpn-period-over = Этот срок закончился раньше, чем его удалось продлить.
vpn-refused = Купить не получилось.
vpn-renewal-short = Не хватает кредитов на продление VPN. У вас { $available }.
vpn-now-grace = ⚠️ Срок VPN закончился. Он ещё работает до { $until }, потом выключится.
vpn-now-suspended = ⏸ VPN выключен. Ваша ссылка хранится до { $until }.
vpn-now-over = ⏸ VPN выключен.
vpn-days-given =
    { $days ->
        [one] 🎁 Дарим { $days } день VPN. Он работает до { $until }.
        [few] 🎁 Дарим { $days } дня VPN. Он работает до { $until }.
        [many] 🎁 Дарим { $days } дней VPN. Он работает до { $until }.
       *[other] 🎁 Дарим { $days } дня VPN. Он работает до { $until }.
    }
vpn-traffic-spent = ⏸ Трафик закончился, поэтому VPN выключен. Добавьте трафик или дни, и он заработает снова.
vpn-revoked = ↩️ Оплата VPN возвращена, и то, что было куплено, тоже.
vpn-revoked-renews-not = Сам собой он больше не продлевается.
vpn-deleted = Ссылка VPN удалена: срок закончился давно. С новым тарифом будет новая ссылка.
vpn-plan-changed = Условия вашего тарифа VPN изменились. Что он даёт теперь, покажет /vpn.
vpn-remind-days =
    { $days ->
        [one] ⏳ VPN закончится через { $days } день, { $until }.
        [few] ⏳ VPN закончится через { $days } дня, { $until }.
        [many] ⏳ VPN закончится через { $days } дней, { $until }.
       *[other] ⏳ VPN закончится через { $days } дня, { $until }.
    }
vpn-remind-today = ⏳ VPN закончится сегодня, { $until }.
vpn-remind-trial = ⏳ Пробный VPN закончится { $until }. Выберите тариф, и ничего не прервётся.
vpn-remind-renews = Он продлится сам с вашего баланса.
vpn-remind-short = ⏳ VPN закончится { $until }, а кредитов на продление не хватает. Пополните баланс, и он продлится сам.
vpn-remind-traffic = ⏳ Потрачено { $percent } % трафика VPN.
vpn-remind-devices =
    { $limit ->
        [one] VPN используют больше чем на { $limit } устройстве. Кто-то ещё? Замените ключ и ссылку.
        [few] VPN используют больше чем на { $limit } устройствах. Кто-то ещё? Замените ключ и ссылку.
        [many] VPN используют больше чем на { $limit } устройствах. Кто-то ещё? Замените ключ и ссылку.
       *[other] VPN используют больше чем на { $limit } устройствах. Кто-то ещё? Замените ключ и ссылку.
    }
vpn-key-ask =
    🔑 Заменить ключ? Все устройства отключатся, пока приложение не обновит подписку. Старый ключ больше не заработает.

    Кто-то ещё знает вашу ссылку? Замените и её, иначе по ней он получит новый ключ. Тогда в каждое приложение нужно вставить новую ссылку.
vpn-key-replacing = 🔑 Меняем ключ…
vpn-key-link-replacing = 🔑 Меняем ключ и ссылку…
vpn-key-replaced = 🔑 Ключ заменён. Старый не принимает ни один сервер.
vpn-key-waiting =
    { $count ->
        [one] 🔑 Ключ заменён. { $count } сервер сейчас недоступен, на нём ключ сменится, как только он ответит.
        [few] 🔑 Ключ заменён. { $count } сервера сейчас недоступны, на них ключ сменится, как только они ответят.
        [many] 🔑 Ключ заменён. { $count } серверов сейчас недоступны, на них ключ сменится, как только они ответят.
       *[other] 🔑 Ключ заменён. { $count } сервера сейчас недоступны, на них ключ сменится, как только они ответят.
    }
vpn-key-same-link = Обновите подписку в приложении; ссылка прежняя.
vpn-key-new-link = Ссылка тоже новая: её покажет /vpn.
button-vpn-connect = 📱 Подключить: QR и приложения
button-vpn-extend = ➕ Дни и трафик
button-vpn-renew-on = 🔁 Автопродление: вкл.
button-vpn-renew-off = 🔁 Автопродление: выкл.
button-vpn-remind-on = 🔔 Напоминания: вкл.
button-vpn-remind-off = 🔕 Напоминания: выкл.
button-vpn-key = 🔑 Заменить ключ
button-vpn-key-yes = 🔑 Заменить ключ
button-vpn-key-link-yes = 🔗 Заменить ключ и ссылку
operators-extended = 🎁 VPN: подписок продлено: { $count }, дней каждой: { $days } ({ $actor }).
operators-node = ⚠️ Узел VPN { $node }: { $reason }. { $detail }

## Часовой пояс

button-zone = 🕓 Часовой пояс
zone-choose = Ваш часовой пояс: { $zone }, там сейчас { $time }. Выберите другой или пришлите /timezone и название, например <code>/timezone Asia/Almaty</code>.
zone-set = Теперь ваш часовой пояс: { $zone }, там сейчас { $time }. Ночью мы не напоминаем.
zone-unknown = Такого часового пояса я не знаю. Названия выглядят так: <code>Europe/Moscow</code>.

## Помощь с оплатой

paysupport-charges = Ваши последние платежи:
paysupport-charge = • { $at }: { $price }, { $what } ({ $method }), { $state } <code>{ $charge }</code>
paysupport-no-charges = Вы здесь ещё ничего не оплачивали.
paysupport-no-list = Список платежей сейчас недоступен. Попробуйте через минуту.
paysupport-contact = Напишите { $contact } и назовите номер платежа.
paysupport-write-here = Или пришлите /paysupport и свой вопрос одним сообщением: чего вы ждали, когда это было, номер платежа. Его прочитает человек.
paysupport-passed-on = Передано. Человек прочитает и ответит вам.
paysupport-telegram = Поддержка Telegram с покупками в этом боте не поможет, а мы поможем.
paysupport-nobody = Кому писать, здесь ещё не настроено: владелец бота не указал ни контакт (GATEWAY_SUPPORT_CONTACT), ни чат для вопросов (GATEWAY_ADMIN_CHAT_ID), и написанное здесь никто не прочитает. Обратитесь к владельцу там, где вы нашли этого бота, и назовите номер платежа. Поддержка Telegram с покупками в этом боте не поможет.
paysupport-unnamed = больше не продаётся
charge-state-review = проверяется
charge-state-paid = оплачен
charge-state-refunding = возвращается
charge-state-refunded = возвращён
charge-state-charged-back = отозван
charge-state-rejected = не принят

## Ответы, которые приходят всегда

toast-old-button = Эта кнопка устарела. Откройте меню.
toast-not-yours = Это чужая кнопка.
toast-already-ordered = Уже заказано.
toast-placing = Оформляю заказ…
toast-waiting = Жду ваше фото…
toast-closed = Это предложение закрыто. Пришлите фото ещё раз.
toast-cancelling = Останавливаю заказ…
toast-cancel-asked = Уже останавливаю.
toast-finished = Этот заказ уже завершён.
toast-nothing-to-send = Для этого заказа нет файла.
toast-sending-file = Отправляю файл…
toast-too-late-to-dismiss = Заказ уже оформлен. Нажмите кнопку отмены.
try-again = Магазин сейчас не отвечает. Попробуйте через минуту. Ничего не списано.
unknown-command = Я не знаю такой команды. Что я умею: /help
conversation-dropped = Хорошо, начнём сначала.
cancel-not-possible = Этот заказ уже нельзя отменить.
command-rejected = Не получилось, но ничего не списано. Начните, пожалуйста, заново с фото.
something-broke = У нас что-то сломалось. Ничего не списано. Попробуйте ещё раз.
groups-not-served = Я работаю только в личных чатах. Напишите мне напрямую.
operators-download-failed = ⚠️ Не удалось получить фото пользователя { $user } ({ $reason }).
