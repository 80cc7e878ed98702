"""What the pay page says, in the two languages of the shop."""

TEXTS = {
    "en": {
        "pay_with": "Pay with",
        "comment": "Comment…",
        "anonymous": "Pay anonymously",
        "pay": "Pay",
        "paid": "Paid",
        "expired": "This invoice has expired",
        "missing": "There is no such invoice",
        "no_rate": "No rate is known right now. Try again later.",
        "valid_until": "Valid until {0}",
        "viewItem": "View Item",
        "openChannel": "View Channel",
        "openBot": "Open Bot",
        "callback": "Return",
    },
    "ru": {
        "pay_with": "Чем заплатить",
        "comment": "Комментарий…",
        "anonymous": "Заплатить анонимно",
        "pay": "Оплатить",
        "paid": "Оплачено",
        "expired": "Срок счёта истёк",
        "missing": "Такого счёта нет",
        "no_rate": "Курс сейчас неизвестен. Попробуйте позже.",
        "valid_until": "Действует до {0}",
        "viewItem": "Открыть покупку",
        "openChannel": "Открыть канал",
        "openBot": "Открыть бота",
        "callback": "Вернуться",
    },
}
