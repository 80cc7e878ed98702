"""What the pay page says, in the two languages of the shop."""

TEXTS = {
    "en": {
        "card": "Bank card 5555 55•• •••• 4477",
        "pay": "Pay",
        "decline": "The bank declines",
        "succeeded": "Paid",
        "waiting_for_capture": "The money is held",
        "canceled": "The payment is canceled",
        "missing": "There is no such payment",
        "back": "Back to the shop",
    },
    "ru": {
        "card": "Банковская карта 5555 55•• •••• 4477",
        "pay": "Оплатить",
        "decline": "Банк отказывает",
        "succeeded": "Оплачено",
        "waiting_for_capture": "Деньги удержаны",
        "canceled": "Платёж отменён",
        "missing": "Такого платежа нет",
        "back": "Вернуться в магазин",
    },
}
