"""The table of Bot API methods this simulator carries out; any other name is an exact 404."""

from collections.abc import Awaitable, Callable
from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.methods import (
    account,
    answers,
    chats,
    edits,
    messages,
    stars,
)
from simulators.telegram.params import Params

Method = Callable[[Core, Params], Awaitable[Any]]

NAMED: dict[str, Method] = {
    "getMe": account.get_me,
    "logOut": account.log_out,
    "close": account.close,
    "getUpdates": account.get_updates,
    "setWebhook": account.set_webhook,
    "deleteWebhook": account.delete_webhook,
    "getWebhookInfo": account.get_webhook_info,
    "setMyCommands": account.set_my_commands,
    "getMyCommands": account.get_my_commands,
    "deleteMyCommands": account.delete_my_commands,
    "setChatMenuButton": account.set_chat_menu_button,
    "sendMessage": messages.send_message,
    "sendPhoto": messages.send_photo,
    "sendVideo": messages.send_video,
    "sendDocument": messages.send_document,
    "sendAnimation": messages.send_animation,
    "sendAudio": messages.send_audio,
    "sendVoice": messages.send_voice,
    "sendSticker": messages.send_sticker,
    "sendMediaGroup": messages.send_media_group,
    "copyMessage": messages.copy_message,
    "forwardMessage": messages.forward_message,
    "deleteMessage": messages.delete_message,
    "deleteMessages": messages.delete_messages,
    "editMessageText": edits.edit_message_text,
    "editMessageCaption": edits.edit_message_caption,
    "editMessageMedia": edits.edit_message_media,
    "editMessageReplyMarkup": edits.edit_message_reply_markup,
    "answerCallbackQuery": answers.answer_callback_query,
    "answerInlineQuery": answers.answer_inline_query,
    "sendChatAction": answers.send_chat_action,
    "setMessageReaction": answers.set_message_reaction,
    "sendMessageDraft": answers.send_message_draft,
    "getChat": chats.get_chat,
    "getChatMember": chats.get_chat_member,
    "getUserProfilePhotos": chats.get_user_profile_photos,
    "getFile": chats.get_file,
    "sendInvoice": stars.send_invoice,
    "createInvoiceLink": stars.create_invoice_link,
    "answerPreCheckoutQuery": stars.answer_pre_checkout_query,
    "refundStarPayment": stars.refund_star_payment,
    "editUserStarSubscription": stars.edit_user_star_subscription,
    "getStarTransactions": stars.get_star_transactions,
    "getMyStarBalance": stars.get_my_star_balance,
}
METHODS = {name.lower(): method for name, method in NAMED.items()}
