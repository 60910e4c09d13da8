"""What the first bytes of a file tell of it."""

HEAD = 380
"""Bytes that `is_video` wants, where the file has as many."""

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
_STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and MPEG-2 video
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"GIF8",
)


def is_video(head: bytes) -> bool:
    """Whether a file begins as one of the common video containers does.

    Texts are none, and so no list of other files (HLS, DASH, `ffconcat`) that FFmpeg would open in its place.

    Args:
        head: Its first `HEAD` bytes; all of it where it is shorter.
    """
    if head.startswith(_STARTS) or head[4:8] in _BOXES:
        return True
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return True
    return any(  # MPEG transport stream: packets of 188 bytes, or of 192 with a time in front (m2ts)
        len(head) > start + length and head[start] == head[start + length] == 0x47
        for start, length in ((0, 188), (4, 192))
    )
