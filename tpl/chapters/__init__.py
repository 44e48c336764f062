"""Code that one chapter needs, a room by the chapter's name."""
