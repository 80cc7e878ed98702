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
    /history – что пришло и ушло
    /cancel – остановить заказ
    /language – сменить язык
    /terms – правила
    /paysupport – помощь с оплатой
offer =
    <b>{ $title }</b> – { $price }
    { $about }
terms =
    <b>Правила</b>
    • Присылайте только те фото, на которые у вас есть права. Незаконное и сексуальное не принимается.
    • Кредиты тратятся только на полученные результаты. Неудачный или отменённый заказ ничего не стоит.
    • Пробные кредиты сгорают, купленные – нет.
    • Ваши фото нужны только для ваших заказов и удаляются, когда больше не нужны.

    Вопросы о деньгах: /paysupport
paysupport =
    <b>Помощь с оплатой</b>
    Баланс и все движения видны в /balance и /history. Резерв неудачного заказа возвращается сам, обычно за несколько минут.

    Если что-то всё же не так, напишите сюда, чего вы ждали и когда это было. Поддержка Telegram с покупками в этом боте не поможет, а мы поможем.
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
command-history = История
command-cancel = Остановить заказ
command-language = Язык
command-terms = Правила
command-paysupport = Помощь с оплатой

button-photo = 📷 Прислать фото
button-balance = 💳 Баланс
button-history = 🧾 История
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
history-expire = <b>{ $signed }</b> · срок истёк · { $at }
history-grant = <b>{ $signed }</b> · начислено · { $at }
history-trial = <b>{ $signed }</b> · пробные кредиты · { $at }
history-revoke = <b>{ $signed }</b> · отозвано · { $at }
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
refused-other = С этим заказом что-то не так. Начните, пожалуйста, заново с фото.
not-charged = Кредиты не списаны.
not-charged-returned =
    { $credits ->
        [one] Ничего не списано, { $credits } кредит вернулся.
        [few] Ничего не списано, { $credits } кредита вернулись.
        [many] Ничего не списано, { $credits } кредитов вернулись.
       *[other] Ничего не списано, { $credits } кредита вернулись.
    }

refund-cancelled = ✖ <b>{ $title }</b>: отменено.
refund-bad-input = <b>{ $title }</b>: это фото не удалось обработать. Попробуйте другое.
refund-timeout = <b>{ $title }</b>: работа затянулась, и я её остановил.
refund-too-late = <b>{ $title }</b>: очередь оказалась слишком длинной, и я не стал начинать.
refund-no-answer = <b>{ $title }</b>: мастерская не ответила вовремя.
refund-failed = <b>{ $title }</b>: у нас что-то сломалось. Извините!

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
payments-closed = Оплата ещё не открыта. С вас ничего не списано.
operators-download-failed = ⚠️ Не удалось получить фото пользователя { $user } ({ $reason }).
