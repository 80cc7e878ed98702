"""What the bot decides and shows, as values: no Telegram, no database, no clock."""
