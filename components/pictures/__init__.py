"""Pictures as arrays: decoding what users send, embedding it, finding near-duplicates."""

from components.pictures.decoding import decode, decode_all, encode_png, fit_all, header
from components.pictures.encoder import PictureEncoder
from components.pictures.neighbours import first_duplicates, nearest
from components.pictures.network import NetworkEncoder
from components.pictures.protocol import Encoder

__all__ = [
    "Encoder",
    "NetworkEncoder",
    "PictureEncoder",
    "decode",
    "decode_all",
    "encode_png",
    "first_duplicates",
    "fit_all",
    "header",
    "nearest",
]
