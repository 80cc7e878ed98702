"""What a person can do in the chat: one aiogram router per feature."""
