"""Images as arrays: decoding of users' image files, embeddings, and near-duplicates."""

from components.images.decoding import (
    border,
    border_colour,
    decode,
    decode_all,
    encode_png,
    fit_all,
    header,
    shape_of,
)
from components.images.encoder_protocol import Encoder
from components.images.neighbours import first_duplicates, nearest
from components.images.network_encoder import NetworkEncoder
from components.images.pca_encoder import PictureEncoder

__all__ = [
    "Encoder",
    "NetworkEncoder",
    "PictureEncoder",
    "border",
    "border_colour",
    "decode",
    "decode_all",
    "encode_png",
    "first_duplicates",
    "fit_all",
    "header",
    "nearest",
    "shape_of",
]
