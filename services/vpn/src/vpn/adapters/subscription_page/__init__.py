"""The page a person sees who opens a subscription link in a browser."""
