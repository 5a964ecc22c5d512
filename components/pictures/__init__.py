"""Pictures as arrays: decoding what users send, embedding it, finding near-duplicates."""

from components.pictures.decoding import decode, decode_all, encode_png
from components.pictures.encoder import PictureEncoder
from components.pictures.neighbours import first_duplicates, nearest

__all__ = ["PictureEncoder", "decode", "decode_all", "encode_png", "first_duplicates", "nearest"]
