"""Options of a search that come as texts of a form."""

from collections.abc import Mapping

from avhash_nas.serving.limits import ServiceLimits
from avhash_nas.serving.refusal import RefusalError

DEFAULT_TOP = 10
_SWITCH = {"": None, "true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def search_options(fields: Mapping[str, str], limits: ServiceLimits) -> tuple[int, bool | None]:
    """`top` and `rerank` of a form; None for a rerank that is left to the service.

    Args:
        fields: Of the form.
        limits: Of the service.

    Raises:
        RefusalError: A field is unknown, or its value is none that it takes (422).
    """
    unknown = sorted(fields.keys() - {"top", "rerank"})
    if unknown:
        raise RefusalError(422, f"unknown field {unknown[0]!r}; there are video, top and rerank")
    top = fields.get("top", "") or str(DEFAULT_TOP)
    if not (top.isascii() and top.isdigit() and len(top) < 10 and 1 <= int(top) <= limits.top):
        raise RefusalError(422, f"top must be between 1 and {limits.top}, got {top!r}")
    rerank = fields.get("rerank", "").lower()
    if rerank not in _SWITCH:
        raise RefusalError(422, f"rerank must be true or false, got {rerank!r}")
    return int(top), _SWITCH[rerank]
