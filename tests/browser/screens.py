"""The screens on which the book is looked at."""

SIZES = {"desktop": {"width": 1300, "height": 900}, "phone": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
# Frames are drawn in order: what the page does at a new size is done by the second.
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
