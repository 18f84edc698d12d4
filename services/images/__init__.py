"""Images: bytes to pixels, in bounded time and memory. The home of Pillow."""
