"""The door of the browser workbench: lets visitors in, starts a session process for each, and passes bytes on.

Pure Python over aiohttp: no Slicer, no trame and no volume is ever in this process.
"""
